"""Metrics, each with an id and one definition, and their bootstrap intervals by patient."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rajobs.records import count_statistics
from rajobs.records.count_statistics import Ints, Reals


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers for one target by row: true and predicted class number, probability of each class, and patient."""

    truth: Ints
    predicted: Ints
    p: Reals  # rows x classes
    patients: NDArray[np.str_]
    drawn: Ints | None = None  # in a resample: the number of the drawn patient, since one may be drawn twice

    @property
    def patient_numbers(self) -> Ints:
        """A number for each row's patient, from 0."""
        return np.unique(self.patients, return_inverse=True)[1] if self.drawn is None else self.drawn

    def take(self, rows: Ints) -> "Answers":
        return Answers(
            truth=self.truth[rows], predicted=self.predicted[rows], p=self.p[rows], patients=self.patients[rows]
        )


def confusion(answers: Answers) -> Ints:
    """The confusion matrix: counts, truth down and prediction across."""
    classes = answers.p.shape[1]
    flat = answers.truth * classes + answers.predicted
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def _of_confusion(statistic: Callable[[Ints], float]) -> Callable[[Answers], float]:
    """A statistic of a confusion matrix as a metric of answers, with the same docstring."""

    def metric(answers: Answers) -> float:
        return statistic(confusion(answers))

    metric.__doc__ = statistic.__doc__
    return metric


BY_COUNTS = {name: _of_confusion(statistic) for name, statistic in count_statistics.MATRIX_STATISTICS.items()}
accuracy = BY_COUNTS["accuracy"]
balanced_accuracy = BY_COUNTS["balanced_accuracy"]
kappa_linear = BY_COUNTS["kappa_linear"]
qwk = BY_COUNTS["qwk"]
mae = BY_COUNTS["mae"]


def auc(answers: Answers) -> float:
    """Area under the ROC curve: of the last of two classes, else the mean one-vs-rest over the classes that occur."""
    classes = answers.p.shape[1]
    areas = [_roc_area(answers.truth == c, answers.p[:, c]) for c in ([1] if classes == 2 else range(classes))]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def _roc_area(positive: NDArray[np.bool_], score: Reals) -> float:
    """Share of pairs in the right order (Mann-Whitney); a tie counts half."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, level, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[level]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def sureness(answers: Answers) -> Reals:
    """The probability of each answer; of a score it is the median's, which need not be the highest probability.

    With two classes it is the higher one: a point in the wrong place counts as not found, but its finder was as sure.
    """
    if answers.p.shape[1] == 2:
        highest: Reals = answers.p.max(axis=1)
        return highest
    return answers.p[np.arange(len(answers.p)), answers.predicted]


def calibration_error(answers: Answers) -> float:
    """Expected calibration error over ten equal bins of the answer's probability."""
    sure, right = sureness(answers), answers.truth == answers.predicted
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(right[bins == b].mean() - sure[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return float(np.sum(gaps))


def sensitivity_at_90(answers: Answers) -> float:
    """Highest share found of those above the first class, at a threshold with 90 % specificity."""
    score, positive = 1 - answers.p[:, 0], answers.truth > 0
    if positive.all() or not positive.any():
        return float("nan")
    negatives = np.sort(score[~positive])
    below = int(np.ceil(0.9 * len(negatives) - 1e-9))  # so many must be at or below the threshold
    return float(np.mean(score[positive] > negatives[below - 1]))


def _range_weights(totals: Ints) -> Reals:
    """A weight for each patient by the range of their total, 0, 1, 2-3, 4-7 and so on: each range counts alike.

    RA2-DREAM (Sun et al. 2022) weights ranges of totals so that low and high ones count equally; its paper does not
    print them, and these ranges are our reading.
    """
    _, ranges, counts = np.unique(
        np.where(totals > 0, np.floor(np.log2(np.maximum(totals, 1))) + 1, 0), return_inverse=True, return_counts=True
    )
    weights: Reals = 1 / (counts[ranges] * len(counts))
    return weights


def weighted_rmse(answers: Answers) -> float:
    """Mean over patients of the RMSE of their sites; ranges of true totals (0, 1, 2-3, 4-7, ...) have equal weight."""
    patients = answers.patient_numbers
    squared = np.bincount(patients, weights=(answers.predicted - answers.truth) ** 2.0) / np.bincount(patients)
    totals = np.bincount(patients, weights=answers.truth).astype(np.int64)
    return float(np.sum(_range_weights(totals) * np.sqrt(squared)))


def weighted_total_error(answers: Answers) -> float:
    """Mean over patients of the absolute error of their total; weights as of the weighted RMSE."""
    patients = answers.patient_numbers
    truth, named = (np.bincount(patients, weights=each).astype(np.int64) for each in (answers.truth, answers.predicted))
    return float(np.sum(_range_weights(truth) * np.abs(named - truth)))


METRICS: dict[str, Callable[[Answers], float]] = {
    **BY_COUNTS,
    "auc": auc,
    "sensitivity_at_90": sensitivity_at_90,
    "calibration_error": calibration_error,
    "weighted_rmse": weighted_rmse,
    "weighted_total_error": weighted_total_error,
}

TOTAL_ERROR = "total.weighted_total_error"
"""Id of the figure of all scores that add up to a patient's total."""
OF_TOTALS = ("weighted_rmse", "weighted_total_error")
"""Metrics of a patient's sites together."""
OF_SCORES = ("within_one", "qwk", "kappa_linear", "mae", *OF_TOTALS)
"""Metrics of how far an answer is from the truth: only scores have a distance."""
LESS_IS_BETTER = ("multi_class_error", "mae", "calibration_error", *OF_TOTALS)


def interval(
    metric: Callable[[Answers], float], answers: Answers, *, draws: int = 500, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval: patients are drawn with all of their rows, and the middle `level` of the values is taken."""
    values = [metric(each) for each in _drawn_again(answers, resamples(answers.patients, draws=draws, seed=seed))]
    return quantiles(values, level)


def figure(metric: Callable[[Answers], float], answers: Answers) -> dict[str, float]:
    """A metric's value with its interval."""
    low, high = interval(metric, answers)
    return {"value": metric(answers), "low": low, "high": high}


def lead(
    metric: Callable[[Answers], float], one: Answers, other: Answers, *, draws: int = 500, seed: int = 0
) -> dict[str, float]:
    """One's value minus the other's on the same rows, with the interval of the paired difference."""
    if not np.array_equal(one.truth, other.truth) or not np.array_equal(one.patients, other.patients):
        raise ValueError("two sets of answers can be compared only on the same rows")
    draws_of_rows = resamples(one.patients, draws=draws, seed=seed)
    pairs = zip(_drawn_again(one, draws_of_rows), _drawn_again(other, draws_of_rows), strict=True)
    low, high = quantiles([metric(first) - metric(second) for first, second in pairs])
    return {"value": metric(one) - metric(other), "low": low, "high": high}


def _drawn_again(answers: Answers, draws_of_rows: Sequence[Ints]) -> Iterator[Answers]:
    """The answers of each draw; a patient who is drawn twice is two patients."""
    begins = np.zeros(len(answers.patients), np.int64)  # at the first row of each patient
    begins[np.unique(answers.patients, return_index=True)[1]] = 1
    for rows in draws_of_rows:
        yield replace(answers.take(rows), drawn=np.cumsum(begins[rows]) - 1)


def resamples(patients: NDArray[np.str_], *, draws: int, seed: int) -> list[Ints]:
    """Row numbers of each bootstrap draw over patients."""
    names, number = np.unique(patients, return_inverse=True)
    rows_of = [np.flatnonzero(number == n) for n in range(len(names))]
    rng = np.random.default_rng(seed)
    return [np.concatenate([rows_of[n] for n in rng.integers(0, len(names), len(names))]) for _ in range(draws)]


def quantiles(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The ends of the middle `level` of the values, NaN left out."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
