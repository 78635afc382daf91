"""Two parties beside one another on the same rows of one target: a reader and a model, two readers, two models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FigureByMetric = Mapping[str, Mapping[str, float]]
"""Metric id to its `value`, `low` and `high`."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How far `who` agrees with `against`, and where `who` is not the model, how far the model is ahead of it."""

    target: str
    who: str
    against: str
    rows: int
    figures: FigureByMetric  # of a baseline the metric that decides comes last
    lead: FigureByMetric = field(default_factory=dict)  # the model's, paired row by row; empty where there is none
    learnt: int | None = None  # rows that a baseline learnt from
    learnt_from: tuple[str, ...] = ()  # the parts of the split that they belong to

    @property
    def deciding_metric(self) -> str:
        return list(self.figures)[-1]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without what is empty."""
        return {name: value for name, value in vars(self).items() if value not in (None, {}, ())}
