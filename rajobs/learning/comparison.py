"""Parties and their figures on the same rows: readers, models, and the single networks of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.records import metrics
from rajobs.records.statistics.count_statistics import class_statistics

FigureByMetric = Mapping[str, Mapping[str, float]]
"""Metric id to its `value`, `low` and `high`."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How far `who` agrees with `against`; and if `who` is not the model, how far the model is ahead of it."""

    target: str
    who: str
    against: str
    rows: int
    figures: FigureByMetric  # for a baseline, the metric that decides is last
    lead: FigureByMetric = field(default_factory=dict)  # the model's lead, paired row by row; empty if there is none
    learnt: int | None = None  # rows that a baseline learnt from
    learnt_from: tuple[str, ...] = ()  # the parts of the split that they belong to

    @property
    def deciding_metric(self) -> str:
        return list(self.figures)[-1]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without empty fields."""
        return {name: value for name, value in vars(self).items() if value not in (None, {}, ())}


@dataclass(frozen=True, kw_only=True)
class RaterFacts:
    """The readers of a target on the images that judge, those that are left out among them (002's third rater)."""

    target: str
    read: int  # images that two readers or more have read
    differ: int  # of these, those whose readers do not all agree
    third: int  # of those, how many a third reader has read
    left_out: int  # images without a majority
    agreement: Comparison  # of the two readers with the most readings


@dataclass(frozen=True, kw_only=True)
class SeededFacts:
    """What images of the test part contribute that drawings to learn from were modelled on."""

    images: int
    drawings: int
    without: FigureByMetric  # the figures without these images
    change: FigureByMetric  # by how much they are lower or higher than with them, paired by patient

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class MemberFigures:
    """One network's answers to one target, on the rows of the classes that it learns from."""

    model: str  # hash of its bundle
    member: str
    target: str
    classes: tuple[str, ...]  # that it distinguishes: the target's, or groups of them
    figures: FigureByMetric
    matrix: tuple[tuple[int, ...], ...]  # counts, truth down and answer across
    validated: Mapping[str, float | None] | None = None  # its accuracy on the validation part, if the bundle has it
    cut_after: bool = False  # whether copies of the same rows trained and validated it: a leak

    @property
    def rows(self) -> int:
        return sum(map(sum, self.matrix))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, with the statistics of each class against the rest."""
        by_class = dict(zip(self.classes, class_statistics(np.array(self.matrix))))
        return {**vars(self), "rows": self.rows, "by_class": by_class}


@dataclass(frozen=True, kw_only=True)
class NetworkView:
    """One network's answers to rows that judge and to rows that it learnt from, and where it sees all of these."""

    model: str  # hash of its bundle
    member: str
    target: str
    classes: tuple[str, ...]  # that it distinguishes
    judged: metrics.Answers
    learnt: metrics.Answers
    places: NDArray[np.float64]  # t-SNE of its representations, rows x 2
    truth: NDArray[np.int64]  # of the rows in `places`, as class numbers
    judges: NDArray[np.bool_]  # whether each of them judges; it learnt from the others


@dataclass(frozen=True, kw_only=True)
class ProbeFacts:
    """What a change of the view does to a model's answers to one target."""

    probe: str
    model: str  # hash of its bundle
    target: str
    classes: tuple[str, ...]
    counts: Sequence[Sequence[Sequence[int]]]  # rows that look otherwise: by true class, answer before and after

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))
