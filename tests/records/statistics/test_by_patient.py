"""Intervals by patient: a patient's copies add nothing, and what cannot be estimated is not claimed."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from rajobs.records.statistics.by_patient import LEAST_PATIENTS, MOST_GROUPS, share_interval, student_interval

RNG = np.random.default_rng(0)


def names(patients: int, rows: int = 1) -> NDArray[np.str_]:
    return np.repeat(np.arange(patients), rows).astype(np.str_)


def test_of_a_mean_with_a_row_for_each_patient_it_is_student_s() -> None:
    values = RNG.normal(size=30)
    of_scipy = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert student_interval(lambda at: float(values[at].mean()), names(30)) == pytest.approx(tuple(of_scipy), abs=1e-9)


def test_copies_of_a_patient_s_row_add_nothing() -> None:
    hit = RNG.random(40) < 0.7
    copied = np.repeat(hit, 5)
    assert share_interval(copied, names(40, 5)) == pytest.approx(share_interval(hit, names(40)), abs=0.01)
    alone, of_copies = (
        student_interval(lambda at, rows=rows: float(rows[at].mean()), patients)  # type: ignore[misc]
        for rows, patients in ((hit, names(40)), (copied, names(40, 5)))
    )
    assert of_copies == pytest.approx(alone)


def test_many_patients_are_left_out_in_groups() -> None:
    values = RNG.normal(size=3 * MOST_GROUPS)
    low, high = student_interval(lambda at: float(values[at].mean()), names(len(values)))
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(len(values)), rel=0.1)


def test_a_perfect_share_has_a_lower_end_and_one_wrong_row_does_not_raise_it() -> None:
    perfect = np.ones(150, bool)
    one_wrong = perfect.copy()
    one_wrong[7] = False
    (low, high), (lower, _) = (share_interval(hit, names(15, 10)) for hit in (perfect, one_wrong))
    assert high == 1 and lower < low
    # As a simple sample of 150 / (1 + 9 * 0.3) rows.
    assert low == pytest.approx(0.025 ** (1 / (150 / 3.7)), abs=1e-9)
    assert share_interval(np.ones(40, bool), names(40)) == pytest.approx(
        tuple(stats.binomtest(40, 40).proportion_ci(method="exact")), abs=1e-9
    )


def test_few_patients_or_a_value_that_one_of_them_decides_have_no_interval() -> None:
    few = names(LEAST_PATIENTS - 1, 10)
    assert np.isnan(share_interval(np.ones(len(few), bool), few)).all()
    assert np.isnan(student_interval(lambda at: float(at.mean()), few)).all()
    assert np.isnan(student_interval(lambda at: sum([1 / len(at)] * len(at)), names(20))).all(), "no patient changes it"
    assert np.isnan(student_interval(lambda at: 1.0 if 3 in at else float("nan"), names(20))).all()
    assert np.isnan(share_interval(np.zeros(0, bool), names(0))).all()
