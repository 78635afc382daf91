"""Two parties compared on the same rows of one target: a reader and a model, two readers, or two models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
