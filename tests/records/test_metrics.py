"""Metrics beside scikit-learn's, and beside what paper 002 prints of its own matrices."""

import numpy as np
import pytest
from sklearn import metrics as known

from rajobs.records import metrics
from rajobs.records.metrics import Answers


def drawn(classes: int, rows: int = 200, seed: int = 0) -> Answers:
    """Random answers with probabilities that are rounded, so that they tie."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), rows).round(2)
    p[:, 0] += 1 - p.sum(axis=1)
    truth = rng.integers(0, classes, rows)
    return Answers(truth=truth, predicted=p.argmax(axis=1), p=p, patients=np.array([f"p{n // 4}" for n in range(rows)]))


def of_matrix(matrix: list[list[int]]) -> Answers:
    """The answers that a printed confusion matrix counts, truth down."""
    counts = np.array(matrix)
    truth, predicted = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    p = np.eye(len(counts))[predicted]
    return Answers(truth=truth, predicted=predicted, p=p, patients=np.array([str(n) for n in range(len(truth))]))


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_are_scikit_learn_s(classes: int) -> None:
    answers = drawn(classes)
    truth, said = answers.truth, answers.predicted
    expected = {
        "accuracy": known.accuracy_score(truth, said),
        "balanced_accuracy": known.balanced_accuracy_score(truth, said),
        "kappa_linear": known.cohen_kappa_score(truth, said, weights="linear"),
        "qwk": known.cohen_kappa_score(truth, said, weights="quadratic"),
        "mae": known.mean_absolute_error(truth, said),
        "auc": known.roc_auc_score(truth, answers.p[:, 1] if classes == 2 else answers.p, multi_class="ovr"),
    }
    assert {name: metrics.METRICS[name](answers) for name in expected} == pytest.approx(expected)
    assert (metrics.confusion(answers) == known.confusion_matrix(truth, said)).all()


@pytest.mark.parametrize(
    ("matrix", "kappa", "recalls"),
    [
        ([[33, 1, 9, 0], [3, 8, 30, 0], [0, 0, 65, 2], [0, 0, 3, 2]], 0.62, (0.77, 0.20, 0.97, 0.40)),
        ([[37, 2, 4, 0], [6, 21, 14, 0], [3, 5, 58, 1], [0, 0, 4, 1]], 0.69, (0.86, 0.51, 0.87, 0.20)),
    ],
)
def test_002_s_printed_kappa_is_the_linear_one(
    matrix: list[list[int]], kappa: float, recalls: tuple[float, ...]
) -> None:
    answers = of_matrix(matrix)
    assert round(metrics.kappa_linear(answers), 2) == kappa != round(metrics.qwk(answers), 2)
    assert metrics.balanced_accuracy(answers) == pytest.approx(np.mean(recalls), abs=0.005)


def test_calibration_error_is_the_gap_between_sureness_and_truth() -> None:
    p = np.array([[0.25, 0.75]] * 4 + [[0.95, 0.05]] * 4)
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 1])
    answers = Answers(truth=truth, predicted=p.argmax(axis=1), p=p, patients=np.array(list("abcdefgh")))
    assert metrics.calibration_error(answers) == pytest.approx((0 + 0.2) / 2)


def test_a_class_that_is_not_there_takes_no_part() -> None:
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
    # A patient's rows that are copies of one another tell no more than one row does.
    copied = answers.take(np.repeat(np.arange(0, 200, 4), 4))
    alone = answers.take(np.arange(0, 200, 4))
    assert metrics.interval(metrics.accuracy, copied) == pytest.approx(metrics.interval(metrics.accuracy, alone))
