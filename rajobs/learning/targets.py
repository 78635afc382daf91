"""Kinds of target: a network's outputs for one, the loss, and how outputs become probabilities.

A loss takes the truth as class numbers, or as shares of readers by class (n x classes) where readers of scores differ.
Torch is imported inside the functions that compute, so that a study can be read without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

NO, YES = "0", "1"
"""The classes of a target that asks whether something is so."""
MISSING = -1
"""Class number of a row without a label for a target; such a row takes no part in the loss."""


@dataclass(frozen=True, kw_only=True)
class Nominal:
    """One of several classes without an order: one logit per class, cross entropy."""

    name: str
    classes: tuple[str, ...]

    ordered = False

    @property
    def outputs(self) -> int:
        return len(self.classes)

    def loss(self, logits: "Tensor", truth: "Tensor", weights: "Tensor") -> "Tensor":
        """Cross entropy per row, weighted by class; 0 for a row without a label."""
        from torch.nn import functional as F

        if truth.dim() == 2:
            of_shares: Tensor = F.cross_entropy(logits, truth.to(logits.dtype), weight=weights, reduction="none")
            return of_shares
        raw: Tensor = F.cross_entropy(logits, truth, weight=weights, ignore_index=MISSING, reduction="none")
        return raw

    def p(self, logits: "Tensor") -> "Tensor":
        """Probability of each class."""
        return logits.softmax(dim=1)


@dataclass(frozen=True, kw_only=True)
class Ordinal:
    """Ordered scores 0, 1, ...: one logit per step up, so that a near miss costs less than a far one."""

    name: str
    classes: tuple[str, ...]

    ordered = True

    @property
    def outputs(self) -> int:
        return len(self.classes) - 1

    def loss(self, logits: "Tensor", truth: "Tensor", weights: "Tensor") -> "Tensor":
        """Sum of the steps' binary cross entropies per row, weighted by class; 0 for a row without a label.

        A step's truth is the share of readers whose score is above it.
        """
        import torch
        from torch.nn import functional as F

        if truth.dim() == 2:
            passed = truth.to(logits.dtype).flip(1).cumsum(dim=1).flip(1)[:, 1:]
            row_weights = truth.to(weights.dtype) @ weights  # 0 without a label
        else:
            steps = torch.arange(self.outputs, device=logits.device)
            passed = (truth[:, None] > steps[None, :]).to(logits.dtype)
            row_weights = weights[truth.clamp(min=0)] * (truth != MISSING)
        return F.binary_cross_entropy_with_logits(logits, passed, reduction="none").sum(dim=1) * row_weights

    def p(self, logits: "Tensor") -> "Tensor":
        """Probability of each score: the differences of the steps' probabilities, none of them below zero."""
        import torch

        above = torch.cummin(logits.sigmoid(), dim=1).values
        edge = torch.ones_like(above[:, :1])
        return torch.cat([edge, above], dim=1) - torch.cat([above, torch.zeros_like(edge)], dim=1)


Target = Nominal | Ordinal


def scores(name: str, highest: int) -> Ordinal:
    """An ordinal target with the scores 0 to `highest`."""
    return Ordinal(name=name, classes=tuple(str(score) for score in range(highest + 1)))


def encode(target: Target, values: Sequence[str | None]) -> NDArray[np.int64]:
    """Class numbers of labels; MISSING for no label and for a class that the target does not have."""
    number = {name: at for at, name in enumerate(target.classes)}
    return np.array([number.get(value, MISSING) if value is not None else MISSING for value in values], np.int64)


def encode_shares(
    target: Target, numbers: NDArray[np.int64], shares: Mapping[int, Mapping[str, float]]
) -> NDArray[np.float32]:
    """Shares of readers by class: all of them in the class of `numbers`, except in the rows of `shares`."""
    encoded = np.zeros((len(numbers), len(target.classes)), np.float32)
    labelled = np.flatnonzero(numbers != MISSING)
    encoded[labelled, numbers[labelled]] = 1
    for row, by_class in shares.items():
        known = [by_class.get(name, 0.0) for name in target.classes]
        if numbers[row] != MISSING and sum(known):
            encoded[row] = np.array(known) / sum(known)
    return encoded


def predicted(target: Target, p: NDArray[np.float64]) -> NDArray[np.int64]:
    """The likeliest class, or of ordered scores the median, which has the least expected distance."""
    classes: NDArray[np.int64] = (
        np.minimum((np.cumsum(p, axis=1) < 0.5).sum(axis=1), p.shape[1] - 1) if target.ordered else p.argmax(axis=1)
    )
    return classes


def merge_classes(
    p: NDArray[np.float64], classes: Sequence[str], into: Mapping[str, str]
) -> tuple[NDArray[np.float64], list[str]]:
    """Probabilities with some classes counted as others (`foot` as `other`), and the classes that remain."""
    kept = [name for name in classes if name not in into]
    merged = np.zeros((len(p), len(kept)))
    for at, name in enumerate(classes):
        merged[:, kept.index(into.get(name, name))] += p[:, at]
    return merged, kept
