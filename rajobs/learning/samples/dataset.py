"""A study's dataset: prepared arrays with the consensus labels and the part of the split of each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.study import Study

LEARNING_PARTS = ("train", "validation")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a study's networks learn from and are evaluated on, one entry per row."""

    study: Study
    arrays: Prepared
    labels: Mapping[str, Sequence[str | None]]  # by target, one value per row
    shares: Mapping[str, Mapping[int, Mapping[str, float]]] = field(default_factory=dict)
    """By target and row, the share of readers by class, where readers of scores differ."""
    points: NDArray[np.float32] | None = None  # shares of the side, by row and place (learning/points.py)
    parts: NDArray[np.str_]  # train | validation | test | "" for a row outside the split
    groups: NDArray[np.str_]  # patients with all that derives from them; no group is in two parts
    centres: NDArray[np.str_] | None = None  # of each row's image, "" if none is named; for folds by centre
    budget: float = 1.0  # share of the recipe's epochs and of the training rows

    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label of some target."""
        labelled = np.array([[value is not None for value in values] for values in self.labels.values()])
        return np.asarray(labelled.any(axis=0))

    def groups_of(self, part: str) -> set[str]:
        """The groups of patients in a part."""
        return set(self.groups[self.parts == part].tolist())
