"""Metrics, each with an id and one definition, and their intervals by patient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rajobs.records.statistics import by_patient, count_statistics
from rajobs.records.statistics.count_statistics import Ints, Reals
from rajobs.records.statistics.intervals import Interval

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers for one target by row: true and predicted class number, probability of each class, and patient."""

    truth: Ints
    predicted: Ints
    p: Reals  # rows x classes
    patients: NDArray[np.str_]
    threshold: float | None = None  # probability of a class above the first, from which on it counts as found
    class_thresholds: Sequence[float] | None = None  # of each class, from which on it counts as answered

    def take(self, rows: Ints) -> "Answers":
        return replace(
            self, truth=self.truth[rows], predicted=self.predicted[rows], p=self.p[rows], patients=self.patients[rows]
        )


Metric = Callable[[Answers], float]
RowFlags = Callable[[Answers], Flags]


def confusion(answers: Answers) -> Ints:
    """The confusion matrix: counts, truth down and prediction across."""
    classes = answers.p.shape[1]
    flat = answers.truth * classes + answers.predicted
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def _of_confusion(statistic: Callable[[Ints], float]) -> Metric:
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
    areas = [roc_area(answers.truth == c, answers.p[:, c]) for c in ([1] if classes == 2 else range(classes))]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def roc_area(positive: NDArray[np.bool_], score: Reals) -> float:
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
    """Share found of those above the first class, at the threshold with 90 % specificity on the validation part."""
    return _share_above(answers, answers.truth > 0)


def specificity_at_90(answers: Answers) -> float:
    """Share of the first class below that threshold: how far its 90 % hold here."""
    return 1 - _share_above(answers, answers.truth == 0)


def _above_threshold(answers: Answers) -> Flags:
    assert answers.threshold is not None, "metrics at a threshold are asked for only where there is one"
    above: Flags = 1 - answers.p[:, 0] > answers.threshold
    return above


def _share_above(answers: Answers, among: Flags) -> float:
    return float(_above_threshold(answers)[among].mean()) if among.any() else float("nan")


def threshold_of_specificity(answers: Answers, specificity: float = 0.9) -> float | None:
    """The lowest probability of a class above the first that this share of the first class does not exceed."""
    negatives = np.sort(1 - answers.p[answers.truth == 0, 0])
    if not len(negatives):
        return None
    return float(negatives[int(np.ceil(specificity * len(negatives) - 1e-9)) - 1])


def tune_class_thresholds(answers: Answers) -> tuple[float, ...]:
    """Of each class, the probability with the highest sensitivity + specificity; 0.5 for a class without rows."""
    return tuple(_youden(answers.truth == c, answers.p[:, c]) for c in range(answers.p.shape[1]))


def _youden(positive: Flags, score: Reals) -> float:
    """The highest of equally good thresholds."""
    if positive.all() or not positive.any():
        return 0.5
    levels = np.unique(score)[::-1]
    above = score[None, :] >= levels[:, None]
    return float(levels[int((above[:, positive].mean(axis=1) - above[:, ~positive].mean(axis=1)).argmax())])


def _mean_of_tuned(answers: Answers, rule: Callable[[count_statistics.TwoByTwo], float]) -> float:
    """A statistic's mean over the classes that occur, each against the rest at its own threshold."""
    assert answers.class_thresholds is not None, "asked for only where there are thresholds"
    values = []
    for c, threshold in enumerate(answers.class_thresholds):
        true, named = answers.truth == c, answers.p[:, c] >= threshold
        if true.any():
            counts = {"tp": true & named, "fn": true & ~named, "fp": ~true & named, "tn": ~true & ~named}
            values.append(rule(count_statistics.TwoByTwo(**{name: int(flags.sum()) for name, flags in counts.items()})))
    return float(np.mean(values)) if values else float("nan")


def tuned_accuracy(answers: Answers) -> float:
    """Mean over classes of accuracy against the rest, at a threshold for each class: several or none may be named."""
    return _mean_of_tuned(answers, count_statistics.table_accuracy)


def tuned_sensitivity(answers: Answers) -> float:
    """Mean over classes of sensitivity against the rest, at a threshold for each class."""
    return _mean_of_tuned(answers, count_statistics.sensitivity)


def tuned_specificity(answers: Answers) -> float:
    """Mean over classes of specificity against the rest, at a threshold for each class."""
    return _mean_of_tuned(answers, count_statistics.specificity)


def tuned_f1(answers: Answers) -> float:
    """Mean over classes of F1 against the rest, at a threshold for each class."""
    return _mean_of_tuned(answers, count_statistics.f1)


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
    patients = np.unique(answers.patients, return_inverse=True)[1]
    squared = np.bincount(patients, weights=(answers.predicted - answers.truth) ** 2.0) / np.bincount(patients)
    totals = np.bincount(patients, weights=answers.truth).astype(np.int64)
    return float(np.sum(_range_weights(totals) * np.sqrt(squared)))


def weighted_total_error(answers: Answers) -> float:
    """Mean over patients of the absolute error of their total; weights as of the weighted RMSE."""
    patients = np.unique(answers.patients, return_inverse=True)[1]
    truth, named = (np.bincount(patients, weights=each).astype(np.int64) for each in (answers.truth, answers.predicted))
    return float(np.sum(_range_weights(truth) * np.abs(named - truth)))


METRICS: dict[str, Metric] = {
    **BY_COUNTS,
    "auc": auc,
    "sensitivity_at_90": sensitivity_at_90,
    "specificity_at_90": specificity_at_90,
    "calibration_error": calibration_error,
    "tuned_accuracy": tuned_accuracy,
    "tuned_sensitivity": tuned_sensitivity,
    "tuned_specificity": tuned_specificity,
    "tuned_f1": tuned_f1,
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


AT_THRESHOLD = ("sensitivity_at_90", "specificity_at_90")
"""Metrics that need a threshold, which the validation part gives."""
AT_CLASS_THRESHOLDS = ("tuned_accuracy", "tuned_sensitivity", "tuned_specificity", "tuned_f1")
"""Metrics that need a threshold for each class: of the validation part, or as in 001 of the part that judges."""


def is_known(name: str, answers: Answers) -> bool:
    """Whether the answers have the threshold that a metric needs."""
    if name in AT_CLASS_THRESHOLDS:
        return answers.class_thresholds is not None
    return name not in AT_THRESHOLD or answers.threshold is not None


def _all_rows(answers: Answers) -> Flags:
    return np.ones(len(answers.truth), bool)


SHARES: Mapping[Metric, tuple[RowFlags, RowFlags]] = MappingProxyType({
    accuracy: (_all_rows, lambda a: a.truth == a.predicted),
    BY_COUNTS["multi_class_error"]: (_all_rows, lambda a: a.truth != a.predicted),
    BY_COUNTS["within_one"]: (_all_rows, lambda a: abs(a.truth - a.predicted) <= 1),
    BY_COUNTS["any_sensitivity"]: (lambda a: a.truth > 0, lambda a: a.predicted > 0),
    BY_COUNTS["any_specificity"]: (lambda a: a.truth == 0, lambda a: a.predicted == 0),
    sensitivity_at_90: (lambda a: a.truth > 0, _above_threshold),
    specificity_at_90: (lambda a: a.truth == 0, lambda a: ~_above_threshold(a)),
})  # fmt: skip
"""Metrics that are a share of rows: which rows count, and which of them are a part of the share."""
BOUNDS: Mapping[Metric, tuple[float, float]] = MappingProxyType({
    BY_COUNTS["kappa_unweighted"]: (-1, 1), kappa_linear: (-1, 1), qwk: (-1, 1), mae: (0, np.inf),
    weighted_rmse: (0, np.inf), weighted_total_error: (0, np.inf),
})  # fmt: skip
"""The lowest and highest value of those metrics that do not go from 0 to 1."""


def interval(metric: Metric, answers: Answers, *, level: float = 0.95) -> Interval:
    """Of a share, Clopper and Pearson's on the effective sample size; else Student's t, from leaving patients out.

    Both are in `statistics/by_patient.py`. Not a number with fewer than five patients.
    """
    if metric in SHARES:
        among, hit = SHARES[metric]
        chosen = among(answers)
        return by_patient.share_interval(hit(answers)[chosen], answers.patients[chosen], level)
    low, high = by_patient.student_interval(lambda rows: metric(answers.take(rows)), answers.patients, level)
    least, most = BOUNDS.get(metric, (0, 1))
    return max(low, least), min(high, most)


def figure(metric: Metric, answers: Answers) -> dict[str, float]:
    """A metric's value with its interval."""
    low, high = interval(metric, answers)
    return {"value": metric(answers), "low": low, "high": high}


def lead(metric: Metric, one: Answers, other: Answers) -> dict[str, float]:
    """One's value minus the other's on the same rows, with the interval of the paired difference."""
    if not np.array_equal(one.truth, other.truth) or not np.array_equal(one.patients, other.patients):
        raise ValueError("two sets of answers can be compared only on the same rows")

    def difference(rows: Ints) -> float:
        return metric(one.take(rows)) - metric(other.take(rows))

    low, high = by_patient.student_interval(difference, one.patients)
    return {"value": metric(one) - metric(other), "low": low, "high": high}
