"""Confidence intervals by patient: the rows of a patient are alike, so a sample is as large as it has patients."""

from collections.abc import Callable
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rajobs.records.statistics.count_statistics import Ints
from rajobs.records.statistics.intervals import Interval, clopper_pearson

LEAST_PATIENTS = 5  # with fewer, an interval would rest on single patients: there is none
MOST_GROUPS = 500  # of patients that are left out together, where there are more patients
ALIKE = 0.3
"""Intraclass correlation of a patient's rows that is assumed where too few patients differ to estimate it."""
ROUNDING = 1e-9  # what is computed for a value that no patient changes is not always 0
NO_INTERVAL = (float("nan"), float("nan"))


def student_interval(value: Callable[[Ints], float], patients: NDArray[np.str_], level: float = 0.95) -> Interval:
    """The value of all rows plus and minus Student's t times its standard error, by leaving each patient out in turn.

    `value` takes row numbers. There is no interval where a patient decides whether there is a value, or where no
    patient changes it. Jackknife: Efron and Stein 1981.
    """
    names, number = np.unique(patients, return_inverse=True)
    if len(names) < LEAST_PATIENTS:
        return NO_INTERVAL
    groups = int(np.ceil(len(names) / np.ceil(len(names) / MOST_GROUPS)))
    without = np.array([value(np.flatnonzero(number % groups != group)) for group in range(groups)])
    error = sqrt((groups - 1) / groups * float(((without - without.mean()) ** 2).sum()))
    if not error > ROUNDING:
        return NO_INTERVAL
    half_width, middle = _student(level, groups - 1) * error, value(np.arange(len(patients)))
    return middle - half_width, middle + half_width


def share_interval(
    hit: NDArray[np.bool_], patients: NDArray[np.str_], level: float = 0.95, *, alike: float = ALIKE
) -> Interval:
    """Clopper and Pearson's interval of a share of rows, on the effective sample size (Korn and Graubard 1998).

    The effective size has the variance between patients for a simple sample. Where fewer than five patients have a
    row that differs from the others', it is at most the size for rows that are `alike` within patients.
    """
    number = np.unique(patients, return_inverse=True)[1]
    rows = np.bincount(number)
    hits = np.bincount(number, weights=hit)
    if len(rows) < LEAST_PATIENTS:
        return NO_INTERVAL
    whole, share = int(rows.sum()), float(hits.sum() / rows.sum())
    size = float(whole)
    if 0 < share < 1:
        variance = len(rows) / (len(rows) - 1) * float(((hits - share * rows) ** 2).sum()) / whole**2
        size = min(size, share * (1 - share) / variance) if variance else size
        size *= (_student(level, whole - 1) / _student(level, len(rows) - 1)) ** 2
    if min((hits > 0).sum(), (hits < rows).sum()) < LEAST_PATIENTS:
        size = min(size, whole / (1 + (float((rows**2).sum()) / whole - 1) * alike))
    return clopper_pearson(share * size, size, level)


def _student(level: float, freedom: int) -> float:
    return float(special.stdtrit(freedom, (1 + level) / 2))
