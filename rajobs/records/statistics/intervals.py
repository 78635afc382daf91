"""Closed-form confidence intervals of a share and of kappa, and p values of a difference between two groups."""

from collections.abc import Callable
from math import comb, erfc, sqrt
from statistics import NormalDist

import numpy as np
from scipy import special

from rajobs.records.statistics.count_statistics import Ints, kappa_costs, ratio

Interval = tuple[float, float]
Group = tuple[int, int]  # counts with and without the property


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


# Intervals of a share: `part` of `whole`


def wilson(part: int, whole: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share."""
    z, share = _z(level), part / whole
    centre = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    half_width = z / (1 + z * z / whole) * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return max(centre - half_width, 0.0), min(centre + half_width, 1.0)


def clopper_pearson(part: float, whole: float, level: float = 0.95) -> Interval:
    """Exact interval of a share: neither `part` or more nor `part` or less is rarer than (1 - level) / 2."""
    tail = (1 - level) / 2
    low = float(special.betaincinv(part, whole - part + 1, tail)) if part > 0 else 0.0
    high = float(special.betaincinv(part + 1, whole - part, 1 - tail)) if part < whole else 1.0
    return low, high


SHARE_INTERVALS: dict[str, Callable[[int, int], Interval]] = {
    "wilson": wilson,
    "clopper_pearson": clopper_pearson,
}


def kappa_interval(matrix: Ints, power: int, level: float = 0.95) -> Interval:
    """Kappa plus and minus its large-sample standard error (Fleiss, Cohen and Everitt 1969); power 0, 1 or 2."""
    p = matrix / matrix.sum()
    weights = 1 - kappa_costs(len(matrix), power)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    by_chance = float((weights * np.outer(rows, columns)).sum())
    kappa = ratio(float((weights * p).sum()) - by_chance, 1 - by_chance)
    mean_weights = (weights @ columns)[:, None] + (rows @ weights)[None, :]
    variance = float((p * (weights - mean_weights * (1 - kappa)) ** 2).sum()) - (kappa - by_chance * (1 - kappa)) ** 2
    # Rounding can make the variance slightly negative where all answers are the same.
    half_width = _z(level) * sqrt(max(variance, 0.0) / matrix.sum()) / (1 - by_chance)
    return kappa - half_width, kappa + half_width


# Tests whether a share differs between two groups


def _chi_squared_statistic(one: Group, other: Group, correction: float = 0.0) -> float:
    (a, b), (c, d) = one, other
    n = a + b + c + d
    difference = max(abs(a * d - b * c) - correction * n, 0)
    return ratio(n * difference**2, (a + b) * (c + d) * (a + c) * (b + d))


def _p_value(statistic: float) -> float:
    return erfc(sqrt(statistic / 2))  # one degree of freedom


def chi_squared(one: Group, other: Group) -> float:
    """Pearson's chi-squared test."""
    return _p_value(_chi_squared_statistic(one, other))


def chi_squared_n_1(one: Group, other: Group) -> float:
    """Chi-squared test with n - 1 in the place of n, as some statistics packages compute it."""
    n = sum(one) + sum(other)
    return _p_value(_chi_squared_statistic(one, other) * (n - 1) / n)


def chi_squared_yates(one: Group, other: Group) -> float:
    """Chi-squared test with Yates' correction."""
    return _p_value(_chi_squared_statistic(one, other, correction=0.5))


def fisher(one: Group, other: Group) -> float:
    """Fisher's exact test, two-sided: probability of the tables that are no likelier than the observed one."""
    with_it, n = one[0] + other[0], sum(one) + sum(other)
    ways = [comb(sum(one), k) * comb(sum(other), with_it - k) for k in range(min(sum(one), with_it) + 1)]
    return sum(way for way in ways if way <= ways[one[0]]) / comb(n, with_it)


TWO_GROUP_TESTS: dict[str, Callable[[Group, Group], float]] = {
    "chi_squared": chi_squared,
    "chi_squared_n_1": chi_squared_n_1,
    "chi_squared_yates": chi_squared_yates,
    "fisher": fisher,
}
