"""How ill a patient's joints are and become: correlated scores whose counts follow 004's Table 2, and two readers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.drawing.joint_damage import Score, Scores, stage
from rajobs.phantoms.presets import Preset
from rajobs.records.anatomy import FOOT_SITES, HAND_SITES, SITES

# Counts of 004's Table 2: PIP and IP joints, then MCP joints.
TABLE_2: Mapping[tuple[str, str], tuple[int, ...]] = MappingProxyType(
    {
        ("jsn", "PIP"): (128, 58, 356, 326, 62),
        ("jsn", "MCP"): (510, 28, 184, 127, 81),
        ("erosion", "PIP"): (644, 74, 93, 28, 22, 69),
        ("erosion", "MCP"): (761, 22, 33, 28, 15, 71),
    }
)
READERS = ("reader1", "reader2")
_FIRST_RADIOGRAPHIC = 0.06  # share of RA patients whose hands are still normal at the first visit


@dataclass(frozen=True, kw_only=True)
class Course:
    """A patient's disease: a level a site, and how it rises from visit to visit; all normal deviates."""

    ra: bool
    level: float
    rise: float
    sites: Mapping[str, Mapping[str, tuple[float, float]]]  # part and side -> site -> (jsn, erosion) deviates
    drift: float


def _keys() -> list[tuple[str, str, tuple[str, ...]]]:
    hand, foot = tuple(s.name for s in HAND_SITES), tuple(s.name for s in FOOT_SITES)
    return [("hand", "L", hand), ("hand", "R", hand), ("foot", "L", foot), ("foot", "R", foot)]


def draw_course(rng: np.random.Generator, *, ra: bool, child: bool = False) -> Course:
    """A course, milder in children; joints of one person resemble each other, and JSN and erosion of one joint do."""
    level = float(rng.normal(-0.9 if child else 0.0, 1))
    sites: dict[str, dict[str, tuple[float, float]]] = {}
    for part, side, names in _keys():
        common = rng.normal(0, 1, len(names))
        own = rng.normal(0, 1, (len(names), 2))
        pairs = 0.65 * common[:, None] + np.sqrt(1 - 0.65**2) * own
        sites[part + side] = {name: (float(j), float(e)) for name, (j, e) in zip(names, pairs, strict=True)}
    rise = float(abs(rng.normal(0.25, 0.15)))
    drift = float(np.clip(rng.normal(0.15 + 0.3 * level, 0.25), 0, 1)) if ra else 0.0
    return Course(ra=ra, level=level, rise=rise, sites=sites, drift=drift)


def _score(deviate: float, counts: tuple[int, ...]) -> int:
    """The score whose share of the counts a normal deviate falls into."""
    shares = np.cumsum(counts) / sum(counts)
    # A logistic curve stands in for the normal integral: it is close, and needs no table.
    return int(np.searchsorted(shares[:-1], 1 / (1 + np.exp(-1.702 * deviate))))


def _counts(target: str, site: str) -> tuple[int, ...]:
    return TABLE_2[target, "PIP" if site.startswith("PIP") or site.startswith("IP") else "MCP"]


def _site_score(course: Course, deviates: tuple[float, float], site: str, visit: int) -> Score:
    share = 0.88  # the patient's part: sites of one person are ill together
    level = course.level + course.rise * (visit - 1)
    jsn, erosion = (share * level + np.sqrt(1 - share**2) * d for d in deviates)
    place = SITES[site]
    return Score(
        jsn=_score(jsn, _counts("jsn", site)) if place.jsn_max is not None else 0,
        erosion=_feet(_score(erosion, _counts("erosion", site)), place.erosion_max),
    )


def _feet(erosion: int, most: int | None) -> int:
    """A foot's joint counts both its bones, up to 10."""
    if most is None:
        return 0
    return min(most, erosion * 2 - 1) if most == 10 and erosion >= 3 else erosion


def scores_at(course: Course, visit: int) -> dict[str, dict[str, Scores]]:
    """Part -> side -> site -> score at a visit; without RA all scores are 0."""
    scores: dict[str, dict[str, Scores]] = {"hand": {}, "foot": {}}
    for part, side, names in _keys():
        deviates = course.sites[part + side]
        drawn = {name: _site_score(course, deviates[name], name, visit) if course.ra else Score() for name in names}
        scores[part][side] = drawn
    return scores


def reading(rng: np.random.Generator, truth: int, most: int, exact: float) -> int:
    """A simulated reader's score: the truth with probability `exact`, else mostly one step beside it."""
    if rng.random() < exact:
        return truth
    step = 1 if rng.random() < 0.82 else 2
    choices = [score for score in (truth - step, truth + step) if 0 <= score <= most]
    choices = choices or [truth - 1 if truth else truth + 1]
    return choices[int(rng.random() * len(choices))]


def readings(rng: np.random.Generator, scores: Scores, preset: Preset) -> dict[str, Score]:
    """One reader's scores of all of a side's sites."""
    read = {}
    for site, score in scores.items():
        place = SITES[site]
        read[site] = Score(
            jsn=reading(rng, score.jsn, place.jsn_max or 4, preset.jsn_exact),
            erosion=reading(rng, score.erosion, place.erosion_max or 5, preset.erosion_exact),
        )
    return read


def reader_stage(rng: np.random.Generator, scores: Scores, preset: Preset) -> int:
    """One reader's stage of a hand."""
    return reading(rng, stage(scores), 5, preset.stage_exact)
