"""What chance allows: closed-form intervals of a share and of kappa, and p values of two groups."""

from collections.abc import Callable
from math import comb, erfc, exp, lgamma, log, log1p, sqrt
from statistics import NormalDist

import numpy as np

from rajobs.records.count_statistics import Ints, kappa_costs, ratio

Span = tuple[float, float]
Group = tuple[int, int]  # how many with, how many without


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


# Intervals of a share of `whole`


def wilson(part: int, whole: int, level: float = 0.95) -> Span:
    """Wilson's score interval of a share."""
    z, at = _z(level), part / whole
    centre = (at + z * z / (2 * whole)) / (1 + z * z / whole)
    reach = z / (1 + z * z / whole) * sqrt(at * (1 - at) / whole + z * z / (4 * whole * whole))
    return max(centre - reach, 0.0), min(centre + reach, 1.0)


def clopper_pearson(part: int, whole: int, level: float = 0.95) -> Span:
    """Exact interval of a share: the shares that make as many, or as few, no rarer than (1 - level) / 2."""
    tail = (1 - level) / 2
    low = _where(lambda at: 1 - _at_most(part - 1, whole, at) > tail) if part else 0.0
    high = _where(lambda at: _at_most(part, whole, at) <= tail) if part < whole else 1.0
    return low, high


def _at_most(part: int, whole: int, at: float) -> float:
    ways = (lgamma(whole + 1) - lgamma(k + 1) - lgamma(whole - k + 1) for k in range(part + 1))
    return sum(exp(way + k * log(at) + (whole - k) * log1p(-at)) for k, way in enumerate(ways))


def _where(passed: Callable[[float], bool]) -> float:
    """The share from which on a rule holds, by halving."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if passed(middle) else (middle, high)
    return (low + high) / 2


OF_SHARE: dict[str, Callable[[int, int], Span]] = {
    "wilson": wilson,
    "clopper_pearson": clopper_pearson,
}


def kappa_span(matrix: Ints, power: int, level: float = 0.95) -> Span:
    """Kappa plus and minus its large-sample standard error (Fleiss, Cohen and Everitt 1969); power 0, 1 or 2."""
    p = matrix / matrix.sum()
    weights = 1 - kappa_costs(len(matrix), power)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    by_chance = float((weights * np.outer(rows, columns)).sum())
    kappa = ratio(float((weights * p).sum()) - by_chance, 1 - by_chance)
    usual = (weights @ columns)[:, None] + (rows @ weights)[None, :]
    spread = float((p * (weights - usual * (1 - kappa)) ** 2).sum()) - (kappa - by_chance * (1 - kappa)) ** 2
    reach = _z(level) * sqrt(max(spread, 0.0) / matrix.sum()) / (1 - by_chance)  # of one answer to all: rounding
    return kappa - reach, kappa + reach


# Whether two groups differ in a share


def _chi(one: Group, other: Group, less: float = 0.0) -> float:
    (a, b), (c, d) = one, other
    n = a + b + c + d
    gap = max(abs(a * d - b * c) - less * n, 0)
    return ratio(n * gap**2, (a + b) * (c + d) * (a + c) * (b + d))


def _p(chi: float) -> float:
    return erfc(sqrt(chi / 2))  # one degree of freedom


def chi_squared(one: Group, other: Group) -> float:
    """Pearson's chi-squared test."""
    return _p(_chi(one, other))


def chi_squared_n_1(one: Group, other: Group) -> float:
    """Chi-squared test with (n - 1) in the place of n, as some packages of statistics have it."""
    n = sum(one) + sum(other)
    return _p(_chi(one, other) * (n - 1) / n)


def chi_squared_yates(one: Group, other: Group) -> float:
    """Chi-squared test with Yates' correction."""
    return _p(_chi(one, other, less=0.5))


def fisher(one: Group, other: Group) -> float:
    """Fisher's exact test, two-sided: the tables no likelier than the one seen."""
    with_it, n = one[0] + other[0], sum(one) + sum(other)
    ways = [comb(sum(one), k) * comb(sum(other), with_it - k) for k in range(min(sum(one), with_it) + 1)]
    return sum(way for way in ways if way <= ways[one[0]]) / comb(n, with_it)


OF_TWO_GROUPS: dict[str, Callable[[Group, Group], float]] = {
    "chi_squared": chi_squared,
    "chi_squared_n_1": chi_squared_n_1,
    "chi_squared_yates": chi_squared_yates,
    "fisher": fisher,
}
