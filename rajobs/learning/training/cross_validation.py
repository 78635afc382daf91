"""Cross-validation: each patient of the learning parts validates in one of several folds, dealt or by centre.

And a paper's trials, each of which draws its own validation part.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator

import numpy as np

from rajobs.learning.recipe import BY_CENTRE
from rajobs.learning.samples.dataset import LEARNING_PARTS, Dataset
from rajobs.records.errors import DataError
from rajobs.records.splits import deal_into_folds

SEED = 0


def fold_datasets(dataset: Dataset, folds: int | str) -> list[Dataset]:
    """The dataset once per fold, each with another share of the patients for validation and the same test part.

    Without folds the only dataset is the original one. By centre each centre is left out once.
    """
    if not folds:
        return [dataset]
    if isinstance(folds, str):
        assert folds == BY_CENTRE, folds
        return list(_leave_centres_out(dataset))
    learning = np.flatnonzero(np.isin(dataset.parts, LEARNING_PARTS))
    groups = dataset.groups[learning].tolist()
    if len(set(groups)) < folds:
        raise DataError(f"folds = {folds} needs as many patients to learn from; there are {len(set(groups))}")
    labels = dataset.labels[dataset.study.targets[0].name]
    fold_of_group = deal_into_folds(groups, [labels[at] or "" for at in learning.tolist()], folds, SEED)
    fold_of_row = np.array([fold_of_group[name] for name in groups])
    datasets = []
    for fold in range(folds):
        parts = dataset.parts.astype("<U10")
        parts[learning] = np.where(fold_of_row == fold, "validation", "train")
        datasets.append(dataclasses.replace(dataset, parts=parts))
    return datasets


def redraw_validation(dataset: Dataset, share: float, seed: int) -> Dataset:
    """The dataset with a share of its training groups drawn to validate; as it is where it has a validation part.

    Published splits name an image as its own group: there variants of a patient fall on both sides, as in 000.
    """
    train = dataset.parts == "train"
    if not share or (dataset.parts == "validation").any():
        return dataset
    groups = np.unique(dataset.groups[train])
    drawn = np.random.default_rng(seed).permutation(groups)[: round(share * len(groups))]
    parts = dataset.parts.astype("<U10")
    parts[train & np.isin(dataset.groups, drawn)] = "validation"
    return dataclasses.replace(dataset, parts=parts)


def _leave_centres_out(dataset: Dataset) -> Iterator[Dataset]:
    """A fold for each centre: those who have most of their images there validate, on rows without any of its patients.

    Rows without a centre train in every fold; who has images in the centre but more elsewhere takes no part in it.
    """
    assert dataset.centres is not None, "build_dataset reads them for such recipes"
    learning = np.flatnonzero(np.isin(dataset.parts, LEARNING_PARTS) & dataset.labelled())
    centres_of: dict[str, Counter[str]] = {}
    for group, centre in zip(dataset.groups[learning].tolist(), dataset.centres[learning].tolist()):
        centres_of.setdefault(group, Counter()).update([centre] if centre else [])
    own = {group: max(sorted(of), key=lambda name: of[name]) for group, of in centres_of.items() if of}
    names = sorted(set(own.values()))
    if len(names) < 2:
        raise DataError('folds = "centre" needs patients of two centres to learn from; ingest each with --centre NAME')
    for name in names:
        parts = dataset.parts.astype("<U10")
        for part, groups in (
            ("train", {group for group, of in centres_of.items() if name not in of}),
            ("", {group for group, of in centres_of.items() if name in of}),
            ("validation", {group for group in own if own[group] == name}),
        ):
            parts[np.isin(dataset.parts, LEARNING_PARTS) & np.isin(dataset.groups, sorted(groups))] = part
        yield dataclasses.replace(dataset, parts=parts)
