"""Intervals and p values of counts equal those of scipy."""

import numpy as np
import pytest
from scipy import stats

from rajobs.records.statistics import count_statistics, intervals


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
