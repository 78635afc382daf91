"""A hand's Sharp/van der Heijde totals from the sites that were scored, and the bounds that missing sites leave."""

from collections.abc import Mapping
from dataclasses import dataclass

from rajobs.records.anatomy import HAND_EROSION_SITES, HAND_JSN_SITES, SITES

_JSN_MAXIMA = {site: SITES[site].jsn_max or 0 for site in HAND_JSN_SITES}
_EROSION_MAXIMA = {site: SITES[site].erosion_max or 0 for site in HAND_EROSION_SITES}
SITES_IN_METHOD = len(_JSN_MAXIMA) + len(_EROSION_MAXIMA)
HIGHEST = sum(_JSN_MAXIMA.values()) + sum(_EROSION_MAXIMA.values())
"""Highest total of one hand: 15 sites up to 4 and 16 sites up to 5."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over the scored sites of the method; None if none was scored."""

    jsn: int | None
    erosion: int | None
    svdh: int | None
    coverage: float  # share of the method's sites that were scored
    lowest: int | None  # the total with every missing site at 0
    highest: int | None  # the total with every missing site at its maximum


def totals(jsn: Mapping[str, int | None], erosion: Mapping[str, int | None]) -> Totals:
    """The totals of one hand's scores by site. The thumb's IP has no JSN in the method and is left out."""
    jsn_sum, erosion_sum = _sum_scores(jsn, _JSN_MAXIMA), _sum_scores(erosion, _EROSION_MAXIMA)
    scored = jsn_sum.sites + erosion_sum.sites
    if not scored:
        return Totals(jsn=None, erosion=None, svdh=None, coverage=0.0, lowest=None, highest=None)
    total = jsn_sum.total + erosion_sum.total
    return Totals(
        jsn=jsn_sum.total if jsn_sum.sites else None,
        erosion=erosion_sum.total if erosion_sum.sites else None,
        svdh=total,
        coverage=scored / SITES_IN_METHOD,
        lowest=total,
        highest=total + jsn_sum.missing + erosion_sum.missing,
    )


@dataclass(frozen=True, kw_only=True)
class _Sum:
    total: int
    sites: int
    missing: int  # what the missing sites could add at most


def _sum_scores(scores: Mapping[str, int | None], maxima: Mapping[str, int]) -> _Sum:
    scored = {site: score for site, score in scores.items() if site in maxima and score is not None}
    missing = sum(maximum for site, maximum in maxima.items() if site not in scored)
    return _Sum(total=sum(scored.values()), sites=len(scored), missing=missing)
