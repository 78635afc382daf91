"""Intraclass correlations are Shrout and Fleiss's on their own example; limits are Bland and Altman's."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from rajobs.records.statistics.agreement import icc_agreement, icc_consistency, limits_of_agreement

# Shrout and Fleiss 1979, table 2: six subjects by four judges.
PRINTED = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def mean_squares() -> tuple[Fraction, Fraction, Fraction]:
    """Between subjects, between judges and left over, in exact fractions."""
    rows = [[Fraction(int(cell)) for cell in row] for row in PRINTED]
    n, k = len(rows), len(rows[0])
    mean = sum(map(sum, rows), Fraction()) / (n * k)
    of_rows = [sum(row, Fraction()) / k for row in rows]
    of_columns = [sum(column, Fraction()) / n for column in zip(*rows, strict=True)]
    total = sum(((cell - mean) ** 2 for row in rows for cell in row), Fraction())
    between = k * sum(((value - mean) ** 2 for value in of_rows), Fraction())
    judges = n * sum(((value - mean) ** 2 for value in of_columns), Fraction())
    return between / (n - 1), judges / (k - 1), (total - between - judges) / ((n - 1) * (k - 1))


def test_both_correlations_are_the_printed_ones() -> None:
    between, judges, error = mean_squares()
    assert [round(float(square), 2) for square in (between, judges, error)] == [11.24, 32.49, 1.02], "as printed"
    assert round(icc_agreement(PRINTED), 2) == 0.29 and round(icc_consistency(PRINTED), 2) == 0.71, "as printed"
    agreement = (between - error) / (between + 3 * error + 4 * (judges - error) / 6)
    assert icc_agreement(PRINTED) == pytest.approx(float(agreement), abs=1e-9)
    assert icc_consistency(PRINTED) == pytest.approx(float((between - error) / (between + 3 * error)), abs=1e-9)


def test_a_constant_difference_lowers_agreement_alone() -> None:
    totals = np.arange(20.0)
    assert icc_consistency(np.stack([totals, totals + 9], axis=1)) == pytest.approx(1, abs=1e-9)
    assert icc_agreement(np.stack([totals, totals + 9], axis=1)) < 0.6


def test_limits_are_the_normal_distribution_s() -> None:
    differences = np.random.default_rng(0).normal(2, 3, 50)
    limits = limits_of_agreement(differences)
    of_scipy = stats.norm.interval(0.95, differences.mean(), stats.tstd(differences))
    assert (limits.low, limits.high) == pytest.approx(of_scipy, abs=1e-9) and limits.mean == differences.mean()
