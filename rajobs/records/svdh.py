"""A hand's Sharp/van der Heijde totals from the sites that were scored, and the bounds that the others leave."""

from collections.abc import Mapping
from dataclasses import dataclass

from rajobs.records.anatomy import HAND_EROSION_SITES, HAND_JSN_SITES, SITES

_JSN_MOST = {site: SITES[site].jsn_max or 0 for site in HAND_JSN_SITES}
_EROSION_MOST = {site: SITES[site].erosion_max or 0 for site in HAND_EROSION_SITES}
SITES_IN_METHOD = len(_JSN_MOST) + len(_EROSION_MOST)
HIGHEST = sum(_JSN_MOST.values()) + sum(_EROSION_MOST.values())
"""Of one hand: 15 sites to 4 and 16 to 5."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over the scored sites of the method; null where none was scored."""

    jsn: int | None
    erosion: int | None
    svdh: int | None
    coverage: float  # share of the method's sites that were scored
    lowest: int | None  # the total with every missing site at 0
    highest: int | None  # and at its maximum


def totals(jsn: Mapping[str, int | None], erosion: Mapping[str, int | None]) -> Totals:
    """Of one hand, by site. The thumb's IP has no JSN in the method and is left out."""
    narrow, wide = _sum(jsn, _JSN_MOST), _sum(erosion, _EROSION_MOST)
    scored = narrow.sites + wide.sites
    if not scored:
        return Totals(jsn=None, erosion=None, svdh=None, coverage=0.0, lowest=None, highest=None)
    total = narrow.total + wide.total
    return Totals(
        jsn=narrow.total if narrow.sites else None,
        erosion=wide.total if wide.sites else None,
        svdh=total,
        coverage=scored / SITES_IN_METHOD,
        lowest=total,
        highest=total + narrow.left + wide.left,
    )


@dataclass(frozen=True, kw_only=True)
class _Sum:
    total: int
    sites: int
    left: int  # what the missing sites could add


def _sum(scores: Mapping[str, int | None], most: Mapping[str, int]) -> _Sum:
    there = {site: score for site, score in scores.items() if site in most and score is not None}
    left = sum(value for site, value in most.items() if site not in there)
    return _Sum(total=sum(there.values()), sites=len(there), left=left)
