"""Statistics of counts: of a two-by-two table, of a confusion matrix, and of several runs; one definition per id."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


def ratio(part: float, whole: float) -> float:
    """A share; NaN where there is nothing to take it of."""
    return float(part / whole) if whole else float("nan")


@dataclass(frozen=True, kw_only=True)
class TwoByTwo:
    """Counts of the answers to a yes-or-no question."""

    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def matrix(self) -> Ints:
        """The same counts as a matrix: truth down, answer across, no before yes."""
        return np.array([[self.tn, self.fp], [self.fn, self.tp]], np.int64)


def one_vs_rest(matrix: Ints, at: int) -> TwoByTwo:
    """One class as the yes, all others as the no."""
    tp, true, answered = int(matrix[at, at]), int(matrix[at].sum()), int(matrix[:, at].sum())
    return TwoByTwo(tp=tp, fn=true - tp, fp=answered - tp, tn=int(matrix.sum()) - true - answered + tp)


def any_vs_none(matrix: Ints) -> TwoByTwo:
    """Any class above the first as the yes: a score of at least one against zero."""
    return TwoByTwo(
        tn=int(matrix[0, 0]), fp=int(matrix[0, 1:].sum()), fn=int(matrix[1:, 0].sum()), tp=int(matrix[1:, 1:].sum())
    )


# Statistics of a two-by-two table


def table_accuracy(table: TwoByTwo) -> float:
    """Share of answers that are right; for one class among several this is one-vs-rest accuracy."""
    return ratio(table.tp + table.tn, table.tp + table.tn + table.fp + table.fn)


def sensitivity(table: TwoByTwo) -> float:
    """Share of the positives that are found (recall)."""
    return ratio(table.tp, table.tp + table.fn)


def specificity(table: TwoByTwo) -> float:
    """Share of the negatives that are called negative."""
    return ratio(table.tn, table.tn + table.fp)


def precision(table: TwoByTwo) -> float:
    """Share of the positive answers that are right (positive predictive value)."""
    return ratio(table.tp, table.tp + table.fp)


def npv(table: TwoByTwo) -> float:
    """Share of the negative answers that are right (negative predictive value)."""
    return ratio(table.tn, table.tn + table.fn)


def f1(table: TwoByTwo) -> float:
    """Harmonic mean of precision and sensitivity: 2 TP / (2 TP + FP + FN)."""
    return ratio(2 * table.tp, 2 * table.tp + table.fp + table.fn)


def one_point_auc(table: TwoByTwo) -> float:
    """(Sensitivity + specificity) / 2: the area under a ROC curve through the one point of the hard answers."""
    return (sensitivity(table) + specificity(table)) / 2


TWO_BY_TWO_STATISTICS: dict[str, Callable[[TwoByTwo], float]] = {
    "accuracy": table_accuracy,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "precision": precision,
    "npv": npv,
    "f1": f1,
    "one_point_auc": one_point_auc,
}


OF_A_CLASS = ("accuracy", "precision", "sensitivity", "f1", "specificity", "one_point_auc")
"""The statistics of each class against the rest, in the order in which 002 prints them."""


def class_statistics(matrix: Ints) -> list[dict[str, float]]:
    """By class: its rows and its statistics against the rest."""
    tables = [one_vs_rest(matrix, at) for at in range(len(matrix))]
    return [
        {"rows": table.tp + table.fn, **{name: TWO_BY_TWO_STATISTICS[name](table) for name in OF_A_CLASS}}
        for table in tables
    ]


# Statistics of a confusion matrix: truth down, answer across


def accuracy(matrix: Ints) -> float:
    """Share of answers that are right."""
    return ratio(np.trace(matrix), matrix.sum())


def multi_class_error(matrix: Ints) -> float:
    """Share of answers that are wrong."""
    return 1 - accuracy(matrix)


def within_one(matrix: Ints) -> float:
    """Share of answers at most one class off."""
    return ratio(matrix[_class_distances(matrix) <= 1].sum(), matrix.sum())


def mae(matrix: Ints) -> float:
    """Mean distance between truth and answer, in classes."""
    return ratio(float((_class_distances(matrix) * matrix).sum()), matrix.sum())


def _class_distances(matrix: Ints) -> Ints:
    numbers = np.arange(len(matrix))
    distances: Ints = np.abs(numbers[:, None] - numbers[None, :])
    return distances


def kappa_costs(classes: int, power: int) -> Reals:
    """Cost of each disagreement, from 0 to 1: all the same (power 0), by distance (1) or by its square (2)."""
    distances = _class_distances(np.zeros((classes, classes), np.int64)) / max(classes - 1, 1)
    return (distances > 0).astype(float) if power == 0 else distances**power


def _kappa(matrix: Ints, power: int) -> float:
    costs = kappa_costs(len(matrix), power)
    by_chance = np.outer(matrix.sum(axis=1), matrix.sum(axis=0)) / max(int(matrix.sum()), 1)
    return 1 - ratio(float((costs * matrix).sum()), float((costs * by_chance).sum()))


def kappa_unweighted(matrix: Ints) -> float:
    """Cohen's kappa: agreement beyond chance; every disagreement counts the same."""
    return _kappa(matrix, 0)


def kappa_linear(matrix: Ints) -> float:
    """Cohen's kappa with linear weights."""
    return _kappa(matrix, 1)


def qwk(matrix: Ints) -> float:
    """Cohen's kappa with quadratic weights."""
    return _kappa(matrix, 2)


def by_class(matrix: Ints, rule: Callable[[TwoByTwo], float]) -> Reals:
    """A statistic of each class that occurs in the truth, against the rest."""
    return np.array([rule(one_vs_rest(matrix, int(at))) for at in np.flatnonzero(matrix.sum(axis=1))])


def _macro(matrix: Ints, rule: Callable[[TwoByTwo], float]) -> float:
    values = by_class(matrix, rule)
    return ratio(float(values.sum()), len(values))


def balanced_accuracy(matrix: Ints) -> float:
    """Mean recall over the classes that occur (macro sensitivity)."""
    return _macro(matrix, sensitivity)


def ovr_accuracy(matrix: Ints) -> float:
    """Mean over classes of accuracy against the rest; at least 1 - 2 / classes if each row has one answer."""
    return _macro(matrix, table_accuracy)


def macro_specificity(matrix: Ints) -> float:
    """Mean over classes of specificity against the rest."""
    return _macro(matrix, specificity)


def macro_precision(matrix: Ints) -> float:
    """Mean over classes of precision; 0 for a class that occurs and is never answered."""
    values = np.nan_to_num(by_class(matrix, precision))
    return ratio(float(values.sum()), len(values))


def macro_npv(matrix: Ints) -> float:
    """Mean over classes of negative predictive value."""
    return _macro(matrix, npv)


def macro_f1(matrix: Ints) -> float:
    """Mean over classes of F1."""
    return _macro(matrix, f1)


def weighted_f1(matrix: Ints) -> float:
    """Mean over classes of F1, each weighted by how often it is the truth."""
    support = matrix.sum(axis=1)
    return ratio(float(by_class(matrix, f1) @ support[support > 0]), float(support.sum()))


def micro_f1(matrix: Ints) -> float:
    """F1 of the classes' counts added up; equal to accuracy if each row has one answer."""
    tables = [one_vs_rest(matrix, at) for at in range(len(matrix))]
    tp, fp, fn = (sum(getattr(table, part) for table in tables) for part in ("tp", "fp", "fn"))
    return f1(TwoByTwo(tp=tp, fp=fp, fn=fn, tn=0))


def macro_one_point_auc(matrix: Ints) -> float:
    """Mean over classes of (sensitivity + specificity) / 2 of the hard answers."""
    return _macro(matrix, one_point_auc)


def any_sensitivity(matrix: Ints) -> float:
    """Share of those above the first class (a score of at least one) that are found."""
    return sensitivity(any_vs_none(matrix))


def any_specificity(matrix: Ints) -> float:
    """Share of those in the first class (a score of zero) that are called so."""
    return specificity(any_vs_none(matrix))


def any_precision(matrix: Ints) -> float:
    """Share of the answers above the first class whose truth is above it, too."""
    return precision(any_vs_none(matrix))


def any_f1(matrix: Ints) -> float:
    """F1 of those above the first class."""
    return f1(any_vs_none(matrix))


MATRIX_STATISTICS: dict[str, Callable[[Ints], float]] = {
    "accuracy": accuracy,
    "multi_class_error": multi_class_error,
    "balanced_accuracy": balanced_accuracy,
    "ovr_accuracy": ovr_accuracy,
    "macro_specificity": macro_specificity,
    "macro_precision": macro_precision,
    "macro_npv": macro_npv,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
    "micro_f1": micro_f1,
    "macro_one_point_auc": macro_one_point_auc,
    "kappa_unweighted": kappa_unweighted,
    "kappa_linear": kappa_linear,
    "qwk": qwk,
    "within_one": within_one,
    "mae": mae,
    "any_sensitivity": any_sensitivity,
    "any_specificity": any_specificity,
    "any_precision": any_precision,
    "any_f1": any_f1,
}


# Statistics of a share, and of several runs


def share(part: int, whole: int) -> float:
    """A count divided by a count: a detection rate, or any percentage of patients, films or joints."""
    return ratio(part, whole)


def runs_mean(figures: Sequence[float]) -> float:
    """Mean over folds or trials."""
    return float(np.mean(figures))


def runs_sd(figures: Sequence[float]) -> float:
    """Standard deviation over folds or trials (n - 1)."""
    return float(np.std(figures, ddof=1)) if len(figures) > 1 else float("nan")


def runs_median(figures: Sequence[float]) -> float:
    """Median over folds or trials."""
    return float(np.median(figures))


def runs_best(figures: Sequence[float]) -> float:
    """The best of several trials; a leak if it is chosen on the test set."""
    return float(np.max(figures))


RUN_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": runs_mean,
    "sd": runs_sd,
    "median": runs_median,
    "best": runs_best,
}


def pearson(one: Sequence[float], other: Sequence[float]) -> float:
    """Pearson's correlation of two lists, such as the films' totals by model and by reader."""
    a, b = (np.asarray(values, float) - np.mean(values) for values in (one, other))
    return ratio(float(a @ b), float(np.sqrt((a @ a) * (b @ b))))
