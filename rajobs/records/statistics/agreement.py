"""Agreement of two measurements of the same things: intraclass correlations, and Bland and Altman's limits."""

from dataclasses import dataclass

from scipy import special

from rajobs.records.statistics.count_statistics import Reals, ratio


def icc_agreement(ratings: Reals) -> float:
    """ICC(2,1), of single ratings by raters like these, in absolute agreement; ratings are things x raters.

    Shrout and Fleiss 1979.
    """
    between, raters, error = _mean_squares(ratings)
    n, k = ratings.shape
    return ratio(between - error, between + (k - 1) * error + k * (raters - error) / n)


def icc_consistency(ratings: Reals) -> float:
    """ICC(3,1), of single ratings by these raters, a constant difference between whom does not count."""
    between, _, error = _mean_squares(ratings)
    return ratio(between - error, between + (ratings.shape[1] - 1) * error)


def _mean_squares(ratings: Reals) -> tuple[float, float, float]:
    """Of the two-way analysis of variance: between things, between raters, and of what is left."""
    n, k = ratings.shape
    things, raters, mean = ratings.mean(axis=1, keepdims=True), ratings.mean(axis=0, keepdims=True), ratings.mean()
    left = ratings - things - raters + mean
    return (
        k * float(((things - mean) ** 2).sum()) / (n - 1),
        n * float(((raters - mean) ** 2).sum()) / (k - 1),
        float((left**2).sum()) / ((n - 1) * (k - 1)),
    )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The mean difference of two measurements and its 95 % limits of agreement."""

    mean: float
    low: float
    high: float


def limits_of_agreement(differences: Reals) -> Limits:
    """Mean plus and minus 1.96 standard deviations of the differences (Bland and Altman 1986)."""
    reach = float(special.ndtri(0.975)) * float(differences.std(ddof=1))
    mean = float(differences.mean())
    return Limits(mean=mean, low=mean - reach, high=mean + reach)
