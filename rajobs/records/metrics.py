"""Metrics with an id and one definition each, and their intervals by resampling patients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rajobs.records import count_statistics
from rajobs.records.count_statistics import Ints, Reals


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers to one target: true and predicted class numbers, each class's probability, and whose they are."""

    truth: Ints
    predicted: Ints
    p: Reals  # rows x classes
    patients: NDArray[np.str_]

    def take(self, at: Ints) -> "Answers":
        return Answers(truth=self.truth[at], predicted=self.predicted[at], p=self.p[at], patients=self.patients[at])


def confusion(answers: Answers) -> Ints:
    """Counts, truth down and prediction across."""
    classes = answers.p.shape[1]
    flat = answers.truth * classes + answers.predicted
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def _counted(rule: Callable[[Ints], float]) -> Callable[[Answers], float]:
    """A figure of the counts as one of the answers, under the same words."""

    def metric(answers: Answers) -> float:
        return rule(confusion(answers))

    metric.__doc__ = rule.__doc__
    return metric


BY_COUNTS = {name: _counted(rule) for name, rule in count_statistics.OF_MATRIX.items()}
accuracy = BY_COUNTS["accuracy"]
balanced_accuracy = BY_COUNTS["balanced_accuracy"]
kappa_linear = BY_COUNTS["kappa_linear"]
qwk = BY_COUNTS["qwk"]
mae = BY_COUNTS["mae"]


def auc(answers: Answers) -> float:
    """Area under the ROC curve: of the last of two classes, else the mean one-vs-rest over the classes there are."""
    classes = answers.p.shape[1]
    areas = [_area(answers.truth == c, answers.p[:, c]) for c in ([1] if classes == 2 else range(classes))]
    there = [area for area in areas if not np.isnan(area)]
    return float(np.mean(there)) if there else float("nan")


def _area(positive: NDArray[np.bool_], score: Reals) -> float:
    """Share of pairs in the right order (Mann-Whitney), ties half."""
    up, down = int(positive.sum()), int((~positive).sum())
    if not up or not down:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[positive].sum() - up * (up + 1) / 2) / (up * down))


def sureness(answers: Answers) -> Reals:
    """Probability of each answer that is given: of scores the median's, which need not be the highest one.

    Of two classes the higher one: a point shown in the wrong place counts as not found, and was no less sure for it.
    """
    if answers.p.shape[1] == 2:
        return answers.p.max(axis=1)
    return answers.p[np.arange(len(answers.p)), answers.predicted]


def calibration_error(answers: Answers) -> float:
    """Expected calibration error over ten equal bins of the probability of the answer given."""
    sure, right = sureness(answers), answers.truth == answers.predicted
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(right[bins == b].mean() - sure[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return float(np.sum(gaps))


def sensitivity_at_90(answers: Answers) -> float:
    """Highest share found of those above the first class, at a threshold that leaves 90 % of the first class alone."""
    score, there = 1 - answers.p[:, 0], answers.truth > 0
    if there.all() or not there.any():
        return float("nan")
    none = np.sort(score[~there])
    spared = int(np.ceil(0.9 * len(none) - 1e-9))  # so many must stay at or below the threshold
    return float(np.mean(score[there] > none[spared - 1]))


METRICS: dict[str, Callable[[Answers], float]] = {
    **BY_COUNTS,
    "auc": auc,
    "sensitivity_at_90": sensitivity_at_90,
    "calibration_error": calibration_error,
}

LESS_IS_BETTER = ("multi_class_error", "mae", "calibration_error")


def interval(
    metric: Callable[[Answers], float], answers: Answers, *, draws: int = 500, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval: patients are drawn anew, with all of their rows, and the middle of the figures is taken."""
    values = [metric(answers.take(at)) for at in resamples(answers.patients, draws=draws, seed=seed)]
    return quantiles(values, level)


def figure(metric: Callable[[Answers], float], answers: Answers) -> dict[str, float]:
    """A metric with its interval."""
    low, high = interval(metric, answers)
    return {"value": metric(answers), "low": low, "high": high}


def lead(
    metric: Callable[[Answers], float], one: Answers, other: Answers, *, draws: int = 500, seed: int = 0
) -> dict[str, float]:
    """How far one's figure is above the other's on the same rows, with the interval of the paired difference."""
    if not np.array_equal(one.truth, other.truth) or not np.array_equal(one.patients, other.patients):
        raise ValueError("two sets of answers can be compared only on the same rows")
    drawn = resamples(one.patients, draws=draws, seed=seed)
    low, high = quantiles([metric(one.take(at)) - metric(other.take(at)) for at in drawn])
    return {"value": metric(one) - metric(other), "low": low, "high": high}


def resamples(patients: NDArray[np.str_], *, draws: int, seed: int) -> list[Ints]:
    """Row numbers of each bootstrap draw over patients."""
    names, place = np.unique(patients, return_inverse=True)
    rows = [np.flatnonzero(place == n) for n in range(len(names))]
    rng = np.random.default_rng(seed)
    return [np.concatenate([rows[n] for n in rng.integers(0, len(names), len(names))]) for _ in range(draws)]


def quantiles(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of the values that are numbers."""
    there = [value for value in values if not np.isnan(value)]
    if not there:
        return float("nan"), float("nan")
    low, high = np.quantile(there, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
