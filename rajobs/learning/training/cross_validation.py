"""Cross-validation for small data: each patient of the learning parts validates in one of several folds."""

import dataclasses

import numpy as np

from rajobs.learning.samples.dataset import LEARNING_PARTS, Dataset
from rajobs.records.errors import DataError
from rajobs.records.splits import deal_into_folds

SEED = 0


def fold_datasets(dataset: Dataset, folds: int) -> list[Dataset]:
    """The dataset once per fold, each with another share of the patients for validation and the same test part.

    Without folds the only dataset is the original one.
    """
    if not folds:
        return [dataset]
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
