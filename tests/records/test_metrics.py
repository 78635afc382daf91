"""Metrics equal those of scikit-learn, and their intervals are by patient."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as known

from rajobs.records import metrics
from rajobs.records.metrics import Answers
from rajobs.records.statistics import count_statistics
from rajobs.records.statistics.count_statistics import TwoByTwo


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


def test_the_threshold_is_a_point_of_the_validation_part_s_roc_curve_and_judges_other_rows() -> None:
    validation, test = drawn(4, rows=400), drawn(4, rows=400, seed=1)
    threshold = metrics.threshold_of_specificity(validation)
    false, true, _ = known.roc_curve(validation.truth > 0, 1 - validation.p[:, 0], drop_intermediate=False)
    on_validation, on_test = (replace(answers, threshold=threshold) for answers in (validation, test))
    assert metrics.sensitivity_at_90(on_validation) == pytest.approx(true[false <= 0.1 + 1e-9].max())
    assert metrics.specificity_at_90(on_validation) == pytest.approx(1 - false[false <= 0.1 + 1e-9].max())
    assert metrics.sensitivity_at_90(on_test) == known.recall_score(test.truth > 0, 1 - test.p[:, 0] > threshold)


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


def test_weighted_errors_count_each_range_of_totals_alike() -> None:
    """Totals 0, 0, 1 and 6: the ranges 0, 1 and 4-7 have a third of the weight each."""
    truth, named = [0, 0, 0, 0, 0, 1, 2, 4], [0, 0, 1, 1, 0, 1, 2, 2]
    answers = Answers(
        truth=np.array(truth), predicted=np.array(named), p=np.zeros((8, 5)), patients=np.repeat(list("abcd"), 2)
    )
    of_patients = np.array([0, 1, 0, np.sqrt(2)])
    assert metrics.weighted_rmse(answers) == pytest.approx((of_patients[:2].mean() + of_patients[2:].sum()) / 3)
    assert metrics.weighted_total_error(answers) == pytest.approx((np.mean([0, 2]) + 0 + 2) / 3)


def test_a_difference_is_paired_and_needs_the_same_rows() -> None:
    one, other = drawn(4), drawn(4, seed=1)
    other = Answers(truth=one.truth, predicted=other.predicted, p=other.p, patients=one.patients)
    difference = metrics.lead(metrics.accuracy, one, other)
    assert difference["value"] == pytest.approx(metrics.accuracy(one) - metrics.accuracy(other))
    assert difference["low"] < difference["value"] < difference["high"]
    same = metrics.lead(metrics.accuracy, one, one)
    assert same["value"] == 0 and np.isnan(same["low"]), "equal answers say nothing about how far others may differ"
    with pytest.raises(ValueError, match="same rows"):
        metrics.lead(metrics.accuracy, one, drawn(4, seed=2))


def test_every_share_is_the_mean_of_its_rows() -> None:
    answers = replace(drawn(4), threshold=0.7)
    for metric, (among, hit) in metrics.SHARES.items():
        assert metric(answers) == pytest.approx(hit(answers)[among(answers)].mean())
        low, high = metrics.interval(metric, answers)
        assert 0 <= low < metric(answers) < high <= 1


def test_an_interval_stays_within_what_a_metric_can_be() -> None:
    truth = np.arange(40) % 4
    nearly = np.where(np.arange(40) == 7, 0, truth)
    patients = np.array([f"p{n // 4}" for n in range(40)])
    answers = Answers(truth=truth, predicted=nearly, p=np.eye(4)[nearly], patients=patients)
    assert metrics.interval(metrics.qwk, answers)[1] == 1 and metrics.interval(metrics.mae, answers)[0] == 0


def test_a_threshold_for_each_class_gives_001_s_averages_which_one_answer_per_row_cannot() -> None:
    """Each class against the rest: a row may be named by several classes or by none."""
    truth = np.array([0, 0, 1, 1, 2, 2])
    p = np.array(
        [[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.3, 0.4, 0.3], [0.1, 0.45, 0.45], [0.1, 0.3, 0.6], [0.3, 0.3, 0.4]]
    )
    plain = metrics.Answers(truth=truth, predicted=p.argmax(axis=1), p=p, patients=np.array(list("abcdef")))
    assert not metrics.is_known("tuned_f1", plain) and metrics.is_known("qwk", plain)
    tuned = replace(plain, class_thresholds=metrics.tune_class_thresholds(plain))
    # Class 0: only the first row reaches 0.5. Class 1: three rows reach 0.4, both of its own. Class 2: only row 5.
    assert tuned.class_thresholds == (0.5, 0.4, 0.6)
    assert metrics.tuned_sensitivity(tuned) == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert metrics.tuned_specificity(tuned) == pytest.approx((1 + 3 / 4 + 1) / 3)
    assert metrics.tuned_accuracy(tuned) == pytest.approx(5 / 6)
    assert metrics.tuned_f1(tuned) == pytest.approx((2 / 3 + 4 / 5 + 2 / 3) / 3)
    everything = replace(plain, class_thresholds=(0.0, 0.0, 0.0))
    assert metrics.tuned_accuracy(everything) == pytest.approx(1 / 3), "below the 1 - 2 / 3 of one answer per row"
