"""Conformal bounds hold a new patient's truth as often as they claim, and claim nothing of too few."""

import numpy as np
import pytest

from rajobs.records.statistics.conformal import conformal_bound, score_set


def test_with_a_row_for_each_patient_it_is_the_textbook_s_order_statistic() -> None:
    misfits = np.random.default_rng(0).permutation(99) + 1.0
    assert conformal_bound(misfits, np.arange(99).astype(np.str_)) == 90, "the 90th of 99: ceil(0.9 x 100)"
    assert conformal_bound(misfits[:9], np.arange(9).astype(np.str_)) == misfits[:9].max()
    assert conformal_bound(misfits[:8], np.arange(8).astype(np.str_)) is None


@pytest.mark.parametrize("patients", [10, 40])
def test_it_holds_a_new_patient_s_rows_although_a_patient_s_rows_are_alike(patients: int) -> None:
    rng = np.random.default_rng(patients)
    covered = []
    for _ in range(400):
        rows = rng.integers(1, 20, patients + 1)
        misfit = np.abs(np.repeat(rng.normal(0, 1, patients + 1), rows) + rng.normal(0, 0.3, rows.sum()))
        number = np.repeat(np.arange(patients + 1), rows)
        bound = conformal_bound(misfit[number > 0], number[number > 0].astype(np.str_))
        assert bound is not None
        covered.append(np.mean(misfit[number == 0] <= bound))
    assert 0.87 < np.mean(covered) < 0.93


def test_a_set_is_never_empty() -> None:
    assert score_set([0.1, 0.3, 0.6], 2, 0.25) == [1, 2] and score_set([0.4, 0.35, 0.25], 1, 0.5) == [1]
