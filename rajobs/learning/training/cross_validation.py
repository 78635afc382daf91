"""Cross-validation: where data are few, all rows that may be learnt from take their turn as validation."""

import dataclasses

import numpy as np

from rajobs.learning.ensemble import LEARNING_PARTS, Dataset
from rajobs.records.errors import DataError
from rajobs.records.splits import deal_into_folds

SEED = 0


def fold_datasets(lesson: Dataset, count: int) -> list[Dataset]:
    """The lesson itself, or `count` of them in which another share of the patients validates; the test part stays."""
    if not count:
        return [lesson]
    mine = np.flatnonzero(np.isin(lesson.parts, LEARNING_PARTS))
    groups = lesson.groups[mine].tolist()
    if len(set(groups)) < count:
        raise DataError(f"folds = {count} needs as many patients to learn from; there are {len(set(groups))}")
    labels = lesson.labels[lesson.study.targets[0].name]
    fold_of = deal_into_folds(groups, [labels[at] or "" for at in mine.tolist()], count, SEED)
    fold = np.array([fold_of[name] for name in groups])
    found = []
    for turn in range(count):
        parts = lesson.parts.astype("<U10")
        parts[mine] = np.where(fold == turn, "validation", "train")
        found.append(dataclasses.replace(lesson, parts=parts))
    return found


def network_name(member: str, turn: int, of: int) -> str:
    """What one of a member's networks is called in files and in the history."""
    return member if of == 1 else f"{member}-{turn + 1}"
