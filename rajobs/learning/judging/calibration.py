"""What the validation part says about a model's answers: thresholds, and how wide sets and intervals must be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rajobs.learning.judging.repeats import Entries, Entry
from rajobs.records.changes import Precision
from rajobs.records.metrics import Answers

JOINT = "joint"
"""Whose thresholds they are, beside those of single networks: the model's, which answers for its networks."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What validation patients say about a model's answers."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By target, the probability of a class above the first with 90 % specificity."""

    class_thresholds: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """By target and by who answers (JOINT, or a network's name), a threshold for each class."""
    least_p: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By target and kind of site, the least probability of a score in a conformal set of 90 %."""
    widths: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By hand or foot and measure, standard deviations from an expected total to either end of its 90 % interval."""
    detectable: Entries = field(default_factory=dict)
    """By hand, foot or all of a patient's, and measure, the smallest detectable change, as repeats give it."""
    review: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By scale of the thresholds of doubt, what the review of the hands beyond them is worth (judging/review.py)."""

    @property
    def precision(self) -> Precision:
        """What the changes of totals are judged by."""
        per_site = {
            part: {measure: entry["per_site"] for measure, entry in of_part.items()}
            for part, of_part in self.detectable.items()
        }
        return Precision(widths=self.widths, detectable=per_site)

    def at_thresholds(self, target: str, answers: Answers, who: str = JOINT) -> Answers:
        """Answers to a target with the thresholds of those who gave them; single networks have none for all classes."""
        threshold = self.thresholds.get(target) if who == JOINT else None
        by_class = self.class_thresholds.get(target, {}).get(who)
        return replace(answers, threshold=threshold, class_thresholds=by_class)

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def to_json(self) -> dict[str, Any]:
        return {
            name: {key: dict(value) if isinstance(value, Mapping) else value for key, value in of_kind.items()}
            for name, of_kind in vars(self).items()
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        return cls(**{name: content[name] for name in cls.__dataclass_fields__ if name in content})


NO_CALIBRATION = Calibration()


def combine(calibrations: Sequence[Calibration]) -> Calibration:
    """That of models which answer together: as their probabilities are averaged, so are their thresholds.

    Of sets, intervals and detectable changes the widest count, and of what a review leaves the largest bound.
    """
    return Calibration(
        thresholds=_combine([each.thresholds for each in calibrations], np.mean),
        class_thresholds=_mean_class_thresholds([each.class_thresholds for each in calibrations]),
        least_p=_combine_nested([each.least_p for each in calibrations], min),
        widths=_combine_nested([each.widths for each in calibrations], max),
        detectable=_widest([each.detectable for each in calibrations]),
        review=_combine_reviews([each.review for each in calibrations if each.review]),
    )


def _mean_class_thresholds(
    several: Sequence[Mapping[str, Mapping[str, Sequence[float]]]],
) -> dict[str, dict[str, list[float]]]:
    """Of the joint answers alone: networks of several models may have one name."""
    joint = [{target: by[JOINT] for target, by in each.items()} for each in several]
    names = sorted({name for each in joint for name in each})
    return {name: {JOINT: np.mean([each[name] for each in joint if name in each], axis=0).tolist()} for name in names}


def _widest(several: Sequence[Entries]) -> Entries:
    widest: dict[str, dict[str, Entry]] = {}
    for part, measure, entry in ((p, m, entry) for each in several for p in each for m, entry in each[p].items()):
        known = widest.setdefault(part, {}).get(measure, entry)
        widest[part][measure] = max(known, entry, key=lambda one: one["per_site"])
    return widest


def _combine_reviews(several: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    return {
        name: np.array([each[name] for each in several]).max(axis=0).tolist()
        if name == "bound"
        else np.mean([each[name] for each in several], axis=0).tolist()
        for name in (several[0] if several else ())
    }


def _combine_nested(
    several: Sequence[Mapping[str, Mapping[str, float]]], rule: Callable[[list[float]], Any]
) -> dict[str, dict[str, float]]:
    names = sorted({name for each in several for name in each})
    return {name: _combine([each[name] for each in several if name in each], rule) for name in names}


def _combine(several: Sequence[Mapping[str, float]], rule: Callable[[list[float]], Any]) -> dict[str, float]:
    names = sorted({name for each in several for name in each})
    return {name: float(rule([each[name] for each in several if name in each])) for name in names}
