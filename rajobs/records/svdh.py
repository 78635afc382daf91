"""Sharp/van der Heijde totals of an extremity and of a patient, and the bounds that sites without a score leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from rajobs.records.anatomy import PARTS, SIDES, SITES

_JSN_MAXIMA = {
    part: {site.name: site.jsn_max or 0 for site in SITES.values() if site.part == part and site.jsn_counts}
    for part in PARTS
}
_EROSION_MAXIMA = {
    part: {site.name: site.erosion_max for site in SITES.values() if site.part == part and site.erosion_max is not None}
    for part in PARTS
}
SITES_OF = {part: {"jsn": _JSN_MAXIMA[part], "erosion": _EROSION_MAXIMA[part]} for part in PARTS}
"""By hand or foot and score, the sites that count in a total, with their highest scores."""
SITES_IN_METHOD = {part: len(_JSN_MAXIMA[part]) + len(_EROSION_MAXIMA[part]) for part in PARTS}
HIGHEST_TOTAL = {part: sum(_JSN_MAXIMA[part].values()) + sum(_EROSION_MAXIMA[part].values()) for part in PARTS}
HIGHEST = HIGHEST_TOTAL["hand"]
"""Highest total of one hand: 15 sites up to 4 and 16 sites up to 5. Of a foot: 6 sites up to 4 and 6 up to 10."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over the scored sites of the method; None if none was scored."""

    jsn: int | None
    erosion: int | None
    svdh: int | None
    coverage: float  # share of the method's sites that were scored
    lowest: int | None  # the total with every site without a score at 0
    highest: int | None  # the total with every site without a score at its maximum

    @classmethod
    def from_columns(cls, row: Mapping[str, Any]) -> "Totals":
        """The totals that a row holds."""
        return cls(
            jsn=row["jsn_total"], erosion=row["erosion_total"], svdh=row["svdh_total"], coverage=row["coverage"] or 0.0,
            lowest=row["svdh_lowest"], highest=row["svdh_highest"],
        )  # fmt: skip

    def of(self, measure: str) -> int:
        """One of the totals, which must have a scored site."""
        value = {"jsn": self.jsn, "erosion": self.erosion, "svdh": self.svdh}[measure]
        assert value is not None, measure
        return value

    def columns(self) -> dict[str, int | float | None]:
        """The totals by the names of their columns."""
        return {
            "jsn_total": self.jsn, "erosion_total": self.erosion, "svdh_total": self.svdh, "coverage": self.coverage,
            "svdh_lowest": self.lowest, "svdh_highest": self.highest,
        }  # fmt: skip


NOTHING_SCORED = Totals(jsn=None, erosion=None, svdh=None, coverage=0.0, lowest=None, highest=None)


def totals(jsn: Mapping[str, int | None], erosion: Mapping[str, int | None], part: str = "hand") -> Totals:
    """The totals of an extremity's scores by site. The thumb's IP has no JSN in the method and is left out."""
    jsn_sum, erosion_sum = _sum_scores(jsn, _JSN_MAXIMA[part]), _sum_scores(erosion, _EROSION_MAXIMA[part])
    scored = jsn_sum.sites + erosion_sum.sites
    if not scored:
        return NOTHING_SCORED
    total = jsn_sum.total + erosion_sum.total
    return Totals(
        jsn=jsn_sum.total if jsn_sum.sites else None,
        erosion=erosion_sum.total if erosion_sum.sites else None,
        svdh=total,
        coverage=scored / SITES_IN_METHOD[part],
        lowest=total,
        highest=total + jsn_sum.missing + erosion_sum.missing,
    )


LEAST_VARIANCE = 0.01
"""Of a site's score: nobody is surer of a score than that."""


def expected_score(p: Sequence[float]) -> tuple[float, float]:
    """Mean and variance of a site's score by the probability of each score."""
    mean = sum(score * share for score, share in enumerate(p))
    return mean, sum((score - mean) ** 2 * share for score, share in enumerate(p)) + LEAST_VARIANCE


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The sum of the expected scores of some sites, its variance if sites err independently, and its highest value."""

    total: float = 0.0
    variance: float = 0.0
    highest: int = 0
    sites: int = 0

    def __add__(self, other: "Expected") -> "Expected":
        return Expected(
            total=self.total + other.total, variance=self.variance + other.variance,
            highest=self.highest + other.highest, sites=self.sites + other.sites,
        )  # fmt: skip

    def interval(self, width: float) -> tuple[float, float]:
        """The total plus and minus so many standard deviations, as far as scores can go."""
        half_width = width * sqrt(self.variance)
        return max(self.total - half_width, 0.0), min(self.total + half_width, float(self.highest))


def expected_totals(p: Mapping[str, Mapping[str, Sequence[float]]], part: str) -> dict[str, Expected]:
    """By measure, the expected total of a hand or foot, from the probabilities by score and site; none without a site.

    As in `totals`, the thumb's IP has no JSN.
    """
    sums = {
        score: sum((_expected_site(of_score[site], sites[site]) for site in of_score if site in sites), Expected())
        for score, sites in SITES_OF[part].items()
        if (of_score := p.get(score, {}))
    }
    sums = {score: each for score, each in sums.items() if each.sites}
    return {**sums, "svdh": sum(sums.values(), Expected())} if sums else {}


def _expected_site(p: Sequence[float], highest: int) -> Expected:
    total, variance = expected_score(p)
    return Expected(total=total, variance=variance, highest=highest, sites=1)


def patient_totals(extremities: Mapping[tuple[str, str], Totals]) -> Totals:
    """The totals of a patient's hands and feet, by side and part; of one that is not there no site was scored."""
    scored = [each for each in extremities.values() if each.svdh is not None]
    if not scored:
        return NOTHING_SCORED
    sites = sum(each.coverage * SITES_IN_METHOD[part] for (_, part), each in extremities.items())
    highest = 0
    for part in PARTS:
        for side in SIDES:
            most = extremities.get((side, part), NOTHING_SCORED).highest
            highest += HIGHEST_TOTAL[part] if most is None else most
    return Totals(
        jsn=_sum_known([each.jsn for each in scored]),
        erosion=_sum_known([each.erosion for each in scored]),
        svdh=_sum_known([each.svdh for each in scored]),
        coverage=sites / (len(SIDES) * sum(SITES_IN_METHOD.values())),
        lowest=_sum_known([each.lowest for each in scored]),
        highest=highest,
    )


def _sum_known(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


@dataclass(frozen=True, kw_only=True)
class _Sum:
    total: int
    sites: int
    missing: int  # what the sites without a score could add at most


def _sum_scores(scores: Mapping[str, int | None], maxima: Mapping[str, int]) -> _Sum:
    scored = {site: score for site, score in scores.items() if site in maxima and score is not None}
    missing = sum(maximum for site, maximum in maxima.items() if site not in scored)
    return _Sum(total=sum(scored.values()), sites=len(scored), missing=missing)
