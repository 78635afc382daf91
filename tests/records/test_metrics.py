"""Metrics and intervals equal those of scikit-learn and scipy; the bootstrap covers a known truth."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as known

from rajobs.records import count_statistics, intervals, metrics
from rajobs.records.count_statistics import TwoByTwo
from rajobs.records.metrics import Answers


def drawn(classes: int, rows: int = 200, seed: int = 0) -> Answers:
    """Random answers with probabilities rounded such that there are ties."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), rows).round(2)
    p[:, 0] += 1 - p.sum(axis=1)
    truth = rng.integers(0, classes, rows)
    return Answers(truth=truth, predicted=p.argmax(axis=1), p=p, patients=np.array([f"p{n // 4}" for n in range(rows)]))


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_are_scikit_learn_s(classes: int) -> None:
    answers = drawn(classes)
    truth, predicted = answers.truth, answers.predicted
    expected = {
        "accuracy": known.accuracy_score(truth, predicted),
        "balanced_accuracy": known.balanced_accuracy_score(truth, predicted),
        "kappa_linear": known.cohen_kappa_score(truth, predicted, weights="linear"),
        "qwk": known.cohen_kappa_score(truth, predicted, weights="quadratic"),
        "kappa_unweighted": known.cohen_kappa_score(truth, predicted),
        "mae": known.mean_absolute_error(truth, predicted),
        "multi_class_error": known.zero_one_loss(truth, predicted),
        "macro_precision": known.precision_score(truth, predicted, average="macro"),
        "macro_f1": known.f1_score(truth, predicted, average="macro"),
        "weighted_f1": known.f1_score(truth, predicted, average="weighted"),
        "micro_f1": known.f1_score(truth, predicted, average="micro"),
        "macro_specificity": np.mean([known.recall_score(truth != c, predicted != c) for c in range(classes)]),
        "macro_npv": np.mean([known.precision_score(truth != c, predicted != c) for c in range(classes)]),
        "ovr_accuracy": np.mean([known.accuracy_score(truth == c, predicted == c) for c in range(classes)]),
        "macro_one_point_auc": np.mean([known.roc_auc_score(truth == c, predicted == c) for c in range(classes)]),
        "within_one": np.mean(np.abs(truth - predicted) <= 1),
        "any_sensitivity": known.recall_score(truth > 0, predicted > 0),
        "any_specificity": known.recall_score(truth == 0, predicted == 0),
        "auc": known.roc_auc_score(truth, answers.p[:, 1] if classes == 2 else answers.p, multi_class="ovr"),
    }
    assert {name: metrics.METRICS[name](answers) for name in expected} == pytest.approx(expected)
    assert (metrics.confusion(answers) == known.confusion_matrix(truth, predicted)).all()


def test_two_by_two_statistics_are_scikit_learn_s() -> None:
    answers = drawn(2)
    truth, predicted = answers.truth, answers.predicted
    table = count_statistics.one_vs_rest(metrics.confusion(answers), 1)
    assert (table.matrix == metrics.confusion(answers)).all()
    assert {name: rule(table) for name, rule in count_statistics.TWO_BY_TWO_STATISTICS.items()} == pytest.approx(
        {
            "accuracy": known.accuracy_score(truth, predicted),
            "sensitivity": known.recall_score(truth, predicted),
            "specificity": known.recall_score(1 - truth, 1 - predicted),
            "precision": known.precision_score(truth, predicted),
            "npv": known.precision_score(1 - truth, 1 - predicted),
            "f1": known.f1_score(truth, predicted),
            "one_point_auc": known.roc_auc_score(truth, predicted),
        }
    )


def test_without_counts_a_statistic_is_nan_and_warns_of_nothing() -> None:
    """A draw of patients may lack a class, or have only one."""
    no_answers = TwoByTwo(tp=0, fn=0, fp=0, tn=0)
    assert np.isnan([rule(no_answers) for rule in count_statistics.TWO_BY_TWO_STATISTICS.values()]).all()
    empty = np.zeros((3, 3), np.int64)
    assert all(np.isnan(rule(empty)) for rule in count_statistics.MATRIX_STATISTICS.values())
    one = np.diag([0, 7, 0])
    assert count_statistics.accuracy(one) == count_statistics.macro_precision(one) == 1 and np.isnan(
        count_statistics.macro_specificity(one)
    )


def test_sensitivity_at_90_is_a_point_of_the_roc_curve() -> None:
    answers = drawn(4, rows=400)
    false, true, _ = known.roc_curve(answers.truth > 0, 1 - answers.p[:, 0], drop_intermediate=False)
    assert metrics.sensitivity_at_90(answers) == pytest.approx(true[false <= 0.1 + 1e-9].max())


@pytest.mark.parametrize(("part", "whole"), [(0, 9), (9, 9), (10, 13), (286, 300), (1900, 2400)])
def test_intervals_of_a_share_are_scipy_s(part: int, whole: int) -> None:
    exact = stats.binomtest(part, whole)
    assert intervals.clopper_pearson(part, whole) == pytest.approx(tuple(exact.proportion_ci(method="exact")), abs=1e-9)
    assert intervals.wilson(part, whole) == pytest.approx(tuple(exact.proportion_ci(method="wilson")), abs=1e-9)


@pytest.mark.parametrize("groups", [((6, 4), (34, 6)), ((0, 10), (1, 39)), ((36, 216), (168, 617))])
def test_p_values_are_scipy_s(groups: tuple[tuple[int, int], tuple[int, int]]) -> None:
    plain = stats.chi2_contingency(groups, correction=False)
    n = sum(map(sum, groups))
    expected = {
        "chi_squared": plain[1],
        "chi_squared_n_1": stats.chi2.sf(plain[0] * (n - 1) / n, 1),
        "chi_squared_yates": stats.chi2_contingency(groups, correction=True)[1],
        "fisher": stats.fisher_exact(groups)[1],
    }
    values = {name: rule(*groups) for name, rule in intervals.TWO_GROUP_TESTS.items()}
    assert values == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_kappa_s_standard_error_is_that_of_many_draws(power: int) -> None:
    matrix = np.array([[330, 10, 90, 0], [30, 80, 300, 0], [0, 0, 650, 20], [0, 0, 30, 20]])
    rule = (count_statistics.kappa_unweighted, count_statistics.kappa_linear, count_statistics.qwk)[power]
    drawn_anew = np.random.default_rng(0).multinomial(matrix.sum(), matrix.ravel() / matrix.sum(), 2000)
    spread = np.std([rule(counts.reshape(4, 4)) for counts in drawn_anew])
    low, high = intervals.kappa_interval(matrix, power)
    assert (low + high) / 2 == pytest.approx(rule(matrix))
    assert (high - low) / 2 / 1.96 == pytest.approx(spread, rel=0.06)


def test_statistics_of_runs_and_of_two_lists() -> None:
    runs = (0.96, 0.96, 0.98, 0.96, 0.90)
    values = {name: rule(runs) for name, rule in count_statistics.RUN_STATISTICS.items()}
    assert values == pytest.approx({"mean": 0.952, "sd": stats.tstd(runs), "median": 0.96, "best": 0.98})
    other = (1.0, 3.0, 2.0, 5.0, 4.5)
    assert count_statistics.pearson(runs, other) == pytest.approx(stats.pearsonr(runs, other).statistic)
    assert count_statistics.share(286, 300) == pytest.approx(0.9533, abs=5e-5)


def test_calibration_error_is_the_gap_between_sureness_and_truth() -> None:
    p = np.array([[0.25, 0.75]] * 4 + [[0.95, 0.05]] * 4)
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 1])
    answers = Answers(truth=truth, predicted=p.argmax(axis=1), p=p, patients=np.array(list("abcdefgh")))
    assert metrics.calibration_error(answers) == pytest.approx((0 + 0.2) / 2)


def test_a_score_is_as_sure_as_its_own_probability_and_not_the_highest() -> None:
    p = np.array([[0.4, 0.25, 0.35, 0.0]] * 4)  # the median is 1, the likeliest 0
    answers = Answers(truth=np.array([1, 0, 2, 0]), predicted=np.full(4, 1), p=p, patients=np.array(list("abcd")))
    assert metrics.sureness(answers).tolist() == [0.25] * 4 and metrics.calibration_error(answers) == pytest.approx(0)


def test_a_point_shown_in_the_wrong_place_was_no_less_sure_for_it() -> None:
    p = np.array([[0.1, 0.9]] * 2)
    answers = Answers(truth=np.ones(2, int), predicted=np.array([1, 0]), p=p, patients=np.array(["a", "b"]))
    assert metrics.calibration_error(answers) == pytest.approx(0.9 - 0.5)


def test_a_class_that_does_not_occur_does_not_count() -> None:
    answers = drawn(3)
    two = answers.take(np.flatnonzero(answers.truth != 2))
    assert metrics.balanced_accuracy(two) == pytest.approx(
        np.mean([np.mean(two.predicted[two.truth == c] == c) for c in (0, 1)])
    )
    one = answers.take(np.flatnonzero(answers.truth == 0))
    assert np.isnan(metrics.auc(one)) and not np.isnan(metrics.auc(two))


def test_an_interval_draws_patients_with_all_of_their_rows() -> None:
    answers = drawn(2)
    for at in metrics.resamples(answers.patients, draws=5, seed=0):
        drawn_rows = np.bincount(at, minlength=200)
        assert len(at) == 200 and (drawn_rows.reshape(50, 4) == drawn_rows[::4, None]).all()
    low, high = metrics.interval(metrics.accuracy, answers)
    assert low < metrics.accuracy(answers) < high and (low, high) == metrics.interval(metrics.accuracy, answers)
    # Copies of a patient's row add no information.
    copied = answers.take(np.repeat(np.arange(0, 200, 4), 4))
    alone = answers.take(np.arange(0, 200, 4))
    assert metrics.interval(metrics.accuracy, copied) == pytest.approx(metrics.interval(metrics.accuracy, alone))


def test_weighted_errors_count_each_range_of_totals_alike_and_a_patient_drawn_twice_as_two() -> None:
    """Totals 0, 0, 1 and 6: the ranges 0, 1 and 4-7 have a third of the weight each."""
    truth, named = [0, 0, 0, 0, 0, 1, 2, 4], [0, 0, 1, 1, 0, 1, 2, 2]
    answers = Answers(
        truth=np.array(truth), predicted=np.array(named), p=np.zeros((8, 5)), patients=np.repeat(list("abcd"), 2)
    )
    of_patients = np.array([0, 1, 0, np.sqrt(2)])
    assert metrics.weighted_rmse(answers) == pytest.approx((of_patients[:2].mean() + of_patients[2:].sum()) / 3)
    assert metrics.weighted_total_error(answers) == pytest.approx((np.mean([0, 2]) + 0 + 2) / 3)
    twice = answers.take(np.array([6, 7, 6, 7, 6, 7]))
    assert metrics.interval(metrics.weighted_total_error, twice, draws=5) == (6.0, 6.0), "one patient with six rows"
    alone = answers.take(np.array([6, 7]))
    both = Answers(
        truth=np.tile(alone.truth, 2), predicted=np.tile(alone.predicted, 2), p=np.zeros((4, 5)),
        patients=np.repeat(["d", "e"], 2),
    )  # fmt: skip
    assert metrics.interval(metrics.weighted_total_error, both, draws=20) == (2.0, 2.0), "not four when drawn twice"


def cohort(rng: np.random.Generator, patients: int = 40, rows: int = 6) -> Answers:
    """Answers right 3 times in 4, but alike within a patient: Beta(1.5, 0.5) of each patient's rows are right."""
    right = rng.random((patients, rows)) < rng.beta(1.5, 0.5, (patients, 1))
    truth = np.zeros(right.size, np.int64)
    names = np.repeat(np.arange(patients), rows).astype(np.str_)
    predicted = (~right.ravel()).astype(np.int64)
    return Answers(truth=truth, predicted=predicted, p=np.eye(2)[predicted], patients=names)


@pytest.mark.slow
def test_the_bootstrap_by_patient_covers_the_truth_and_one_by_row_does_not() -> None:
    rng = np.random.default_rng(0)
    covered = {"patient": 0, "row": 0}
    cohorts = 120
    for _ in range(cohorts):
        answers = cohort(rng)
        alone = np.arange(len(answers.truth)).astype(np.str_)
        for unit, names in (("patient", answers.patients), ("row", alone)):
            by = Answers(truth=answers.truth, predicted=answers.predicted, p=answers.p, patients=names)
            low, high = metrics.interval(metrics.accuracy, by, draws=80, seed=1)
            covered[unit] += low <= 0.75 <= high
    # Nominal: 0.95. With 400 cohorts and 300 draws each it is 0.93 by patient (40 of them) and 0.76 by row.
    assert 0.88 <= covered["patient"] / cohorts <= 0.99
    assert covered["row"] / cohorts < 0.82


def test_a_difference_is_paired_and_needs_the_same_rows() -> None:
    one, other = drawn(4), drawn(4, seed=1)
    other = Answers(truth=one.truth, predicted=other.predicted, p=other.p, patients=one.patients)
    difference = metrics.lead(metrics.accuracy, one, other)
    assert difference["value"] == pytest.approx(metrics.accuracy(one) - metrics.accuracy(other))
    assert difference["low"] < difference["value"] < difference["high"]
    same = metrics.lead(metrics.accuracy, one, one)
    assert same == {"value": 0, "low": 0, "high": 0}, (
        "equal answers do not differ in any draw, because the rows are paired"
    )
    with pytest.raises(ValueError, match="same rows"):
        metrics.lead(metrics.accuracy, one, drawn(4, seed=2))
