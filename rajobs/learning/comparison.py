"""Parties and their figures on the same rows: readers, models, and the single networks of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
class MemberFigures:
    """One network's answers to one target, on the rows of the classes that it learns from."""

    model: str  # hash of its bundle
    member: str
    target: str
    classes: tuple[str, ...]  # that it distinguishes: the target's, or groups of them
    figures: FigureByMetric
    matrix: tuple[tuple[int, ...], ...]  # counts, truth down and answer across

    @property
    def rows(self) -> int:
        return sum(map(sum, self.matrix))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, with the statistics of each class against the rest."""
        by_class = dict(zip(self.classes, class_statistics(np.array(self.matrix))))
        return {**vars(self), "rows": self.rows, "by_class": by_class}
