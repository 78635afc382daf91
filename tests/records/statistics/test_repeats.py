"""The smallest detectable change is what Bland and Altman call repeatability, and covers new patients' repeats."""

import numpy as np
import pytest
from scipy import stats

from rajobs.records.statistics.repeats import (
    bound_for_new_patients,
    change_interval,
    smallest_detectable_change,
    standard_error,
)

# Bland and Altman 1986: peak flow in l/min by a Wright meter, two readings of each of 17 subjects.
FIRST = (494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427)
SECOND = (490, 397, 512, 401, 470, 611, 415, 431, 638, 429, 420, 633, 275, 492, 165, 372, 421)


def test_it_is_the_one_way_analysis_of_variance_s_within_subjects() -> None:
    readings = np.array([FIRST, SECOND], float)
    within = float(((readings - readings.mean(axis=0)) ** 2).sum()) / len(FIRST)
    differences = readings[1] - readings[0]
    assert standard_error(differences) == pytest.approx(within**0.5, abs=1e-9) and round(within**0.5, 1) == 15.3
    assert smallest_detectable_change(differences) == pytest.approx(
        stats.norm.ppf(0.975) * (2 * within) ** 0.5, abs=1e-9
    )
    assert smallest_detectable_change(-differences) == smallest_detectable_change(differences), (
        "which was first is chance"
    )


@pytest.mark.parametrize("patients", [10, 40])
def test_its_interval_covers_and_at_most_one_new_difference_in_twenty_is_beyond_it(patients: int) -> None:
    rng, covered, beyond = np.random.default_rng(patients), [], []
    names = np.repeat(np.arange(patients), 2).astype(np.str_)
    for _ in range(250):
        differences = rng.normal(0, 3, 2 * patients)
        low, high = change_interval(differences, names)
        covered.append(low < 3 * 1.96 < high)
        bound = bound_for_new_patients(differences, names)
        beyond.append(np.mean(abs(rng.normal(0, 3, 500)) > bound))
    assert np.mean(covered) > 0.92 and 0.02 < np.mean(beyond) <= 0.05


def test_the_bound_is_the_prediction_interval_of_one_more_difference() -> None:
    """Without a mean to estimate, Bland and Altman's 17 subjects; `s` has the mean of squares."""
    differences = np.subtract(SECOND, FIRST).astype(float)
    s = float((differences**2).mean()) ** 0.5
    bound = bound_for_new_patients(differences, np.arange(len(FIRST)).astype(np.str_))
    assert bound == pytest.approx(stats.t.ppf(0.975, 16) * s * (1 + 1 / 17) ** 0.5, abs=1e-9)


def test_patients_without_any_difference_give_no_interval() -> None:
    names = np.arange(12).astype(np.str_)
    assert np.isnan(change_interval(np.array([1.0] * 5 + [0.0] * 7), names)).all()
    assert smallest_detectable_change(np.zeros(4)) == 0
