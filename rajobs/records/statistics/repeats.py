"""How far repeated measurements of things that did not change are apart: the smallest detectable change."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rajobs.records.statistics.by_patient import LEAST_PATIENTS, NO_INTERVAL, student_interval
from rajobs.records.statistics.conformal import conformal_bound
from rajobs.records.statistics.count_statistics import Reals
from rajobs.records.statistics.intervals import Interval

SHARE = 0.95  # of the differences of repeats that lie within the smallest detectable change


def standard_error(differences: Reals) -> float:
    """The standard error of one measurement, from the differences of two: the standard deviation within things.

    Which of two repeats is the first is chance, so that their mean difference is 0.
    """
    return sqrt(float((differences**2).mean()) / 2)


def smallest_detectable_change(differences: Reals) -> float:
    """1.96 standard deviations of the differences of repeats, which is 1.96 x sqrt 2 x the standard error."""
    return float(special.ndtri((1 + SHARE) / 2)) * sqrt(2) * standard_error(differences)


def change_interval(differences: Reals, patients: NDArray[np.str_]) -> Interval:
    """The 95 % interval of the smallest detectable change, by patient, on the scale of its logarithm."""
    if len(np.unique(patients[differences != 0])) <= LEAST_PATIENTS:
        return NO_INTERVAL
    low, high = student_interval(lambda rows: np.log(smallest_detectable_change(differences[rows])), patients)
    return float(np.exp(low)), float(np.exp(high))


def bound_for_new_patients(differences: Reals, patients: NDArray[np.str_]) -> float:
    """A change that at most 5 % of a new patient's repeats exceed: not less than the smallest detectable change.

    That is the half width of a prediction interval for one more difference, Student's t with n - 1 degrees of freedom
    times s times the root of 1 + 1 / n, for n patients: Hahn and Meeker, Statistical Intervals, 1991, section 4.7.
    From 19 patients on the bound is also conformal, since differences have longer tails than a normal distribution
    where some patients are harder to score than others.
    """
    count = len(np.unique(patients))
    student = float(special.stdtrit(count - 1, (1 + SHARE) / 2))
    predicted = student * sqrt(1 + 1 / count) * sqrt(2) * standard_error(differences)
    return max(predicted, conformal_bound(abs(differences), patients, SHARE) or 0.0)
