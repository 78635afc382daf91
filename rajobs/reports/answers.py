"""A predictions table as answers: class numbers and probabilities of one target in one part of the split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target
from rajobs.records import metrics


@dataclass(frozen=True, kw_only=True)
class Given:
    """The answers to one target; `sure` is false where the table has no probabilities."""

    target: Target
    classes: tuple[str, ...]
    answers: metrics.Answers
    sure: bool

    @property
    def rows(self) -> int:
        return len(self.answers.truth)


def given(study: Study, target: Target, predictions: pa.Table, part: str) -> Given:
    """The labelled rows of a part. Where the probabilities are of folded classes, so are the answers."""
    mine = predictions.filter(
        pc.and_(pc.equal(predictions.column("target"), target.name), pc.equal(predictions.column("split"), part))
    )
    said = mine.column("predicted").to_pylist()
    p = _probabilities(mine)
    classes = target.classes if p is None else _classes(study, target, p.shape[1])
    truth, answer = _numbers(mine.column("truth").to_pylist(), classes), _numbers(said, classes)
    there = (truth != MISSING) & (answer != MISSING)
    values = np.eye(len(classes))[np.maximum(answer, 0)] if p is None else p
    patients = np.array(mine.column("patient").to_pylist(), dtype=np.str_)
    return Given(
        target=target,
        classes=classes,
        answers=metrics.Answers(truth=truth[there], predicted=answer[there], p=values[there], patients=patients[there]),
        sure=p is not None,
    )


def surety(study: Study, row: Mapping[str, Any]) -> float | None:
    """The probability of what a row says, which may not be the likeliest."""
    p = dict(zip(_classes(study, study.target(row["target"]), len(row["p"])), row["p"])) if row["p"] else {}
    return p.get(row["predicted"])


def _classes(study: Study, target: Target, count: int) -> tuple[str, ...]:
    """What so many probabilities are of: the target's classes, or the folded ones."""
    classes = target.classes
    if count != len(classes):
        classes = tuple(name for name in classes if name not in study.folds)
        assert count == len(classes), f"{target.name}: {count} probabilities for {len(classes)} classes"
    return classes


def _numbers(values: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    number = {name: at for at, name in enumerate(classes)}
    return np.array([number.get(value, MISSING) for value in values], dtype=np.int64)


def _probabilities(predictions: pa.Table) -> NDArray[np.float64] | None:
    """Rows by classes, or None where a row has none."""
    column = predictions.column("p").combine_chunks()
    if column.null_count or not len(column):
        return None
    flat = np.asarray(pc.list_flatten(column), dtype=np.float64)
    return flat.reshape(len(column), -1)
