"""What the validation part says about a model's answers: the threshold of each target. It is kept in the bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What validation patients say about a model's answers."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By target, the probability of a class above the first with 90 % specificity."""

    def __bool__(self) -> bool:
        return bool(self.thresholds)

    def to_json(self) -> dict[str, Any]:
        return {"thresholds": dict(self.thresholds)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        return cls(thresholds=content.get("thresholds", {}))


def combine(calibrations: Sequence[Calibration]) -> Calibration:
    """That of models which answer together: their probabilities are averaged, and so are their thresholds."""
    names = sorted({name for each in calibrations for name in each.thresholds})
    return Calibration(thresholds={
        name: float(np.mean([each.thresholds[name] for each in calibrations if name in each.thresholds]))
        for name in names
    })  # fmt: skip
