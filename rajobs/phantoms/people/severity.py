"""Joint scores of patients over their visits, with the counts of 004's Table 2, and scores by simulated readers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.people.joint_scores import Score, Scores, hand_stage
from rajobs.phantoms.presets import Preset
from rajobs.records.anatomy import FOOT_SITES, HAND_SITES, SITES

# Joints per score in 004's Table 2; PIP includes IP joints.
TABLE_2: Mapping[tuple[str, str], tuple[int, ...]] = MappingProxyType(
    {
        ("jsn", "PIP"): (128, 58, 356, 326, 62),
        ("jsn", "MCP"): (510, 28, 184, 127, 81),
        ("erosion", "PIP"): (644, 74, 93, 28, 22, 69),
        ("erosion", "MCP"): (761, 22, 33, 28, 15, 71),
    }
)
READERS = ("reader1", "reader2")
_JOINT_CORRELATION = 0.65  # of JSN and erosion deviates with the part that they share at a site
_PATIENT_SHARE = 0.88  # weight of the patient's level in a site's deviate: sites of one person resemble each other


@dataclass(frozen=True, kw_only=True)
class Course:
    """A patient's disease as normal deviates: its level, its rise from visit to visit, and deviates of each site."""

    ra: bool
    level: float
    rise: float
    sites: Mapping[str, Mapping[str, tuple[float, float]]]  # part and side -> site -> (jsn, erosion) deviates
    drift: float


def _sides_and_sites() -> list[tuple[str, str, tuple[str, ...]]]:
    """Part, side and names of the sites of both hands and both feet."""
    hand, foot = tuple(site.name for site in HAND_SITES), tuple(site.name for site in FOOT_SITES)
    return [("hand", "L", hand), ("hand", "R", hand), ("foot", "L", foot), ("foot", "R", foot)]


def draw_course(rng: np.random.Generator, *, ra: bool, child: bool = False) -> Course:
    """A course, milder in children, in which JSN and erosion of one joint resemble each other."""
    level = float(rng.normal(-0.9 if child else 0.0, 1))
    sites: dict[str, dict[str, tuple[float, float]]] = {}
    for part, side, names in _sides_and_sites():
        shared = rng.normal(0, 1, len(names))
        own = rng.normal(0, 1, (len(names), 2))
        pairs = _JOINT_CORRELATION * shared[:, None] + np.sqrt(1 - _JOINT_CORRELATION**2) * own
        sites[part + side] = {
            name: (float(jsn), float(erosion)) for name, (jsn, erosion) in zip(names, pairs, strict=True)
        }
    rise = float(abs(rng.normal(0.25, 0.15)))
    drift = float(np.clip(rng.normal(0.15 + 0.3 * level, 0.25), 0, 1)) if ra else 0.0
    return Course(ra=ra, level=level, rise=rise, sites=sites, drift=drift)


def _score_of_deviate(deviate: float, counts: tuple[int, ...]) -> int:
    """The score into whose share of the counts a normal deviate falls."""
    shares = np.cumsum(counts) / sum(counts)
    # A logistic curve approximates the normal integral closely enough.
    return int(np.searchsorted(shares[:-1], 1 / (1 + np.exp(-1.702 * deviate))))


def _printed_counts(target: str, site: str) -> tuple[int, ...]:
    """The counts of Table 2 for a site; other joints than PIP and IP follow the MCP joints."""
    return TABLE_2[target, "PIP" if site.startswith("PIP") or site.startswith("IP") else "MCP"]


def _site_score(course: Course, deviates: tuple[float, float], site: str, visit: int) -> Score:
    """The scores of a site at a visit of a patient with RA."""
    level = course.level + course.rise * (visit - 1)
    jsn, erosion = (_PATIENT_SHARE * level + np.sqrt(1 - _PATIENT_SHARE**2) * deviate for deviate in deviates)
    site_limits = SITES[site]
    return Score(
        jsn=_score_of_deviate(jsn, _printed_counts("jsn", site)) if site_limits.jsn_max is not None else 0,
        erosion=_limited_erosion(_score_of_deviate(erosion, _printed_counts("erosion", site)), site_limits.erosion_max),
    )


def _limited_erosion(erosion: int, highest: int | None) -> int:
    """The erosion score within the maximum of a site; a foot joint, whose maximum is 10, counts both of its bones."""
    if highest is None:
        return 0
    return min(highest, erosion * 2 - 1) if highest == 10 and erosion >= 3 else erosion


def scores_at(course: Course, visit: int) -> dict[str, dict[str, Scores]]:
    """Scores at a visit by part, side and site; without RA all scores are 0."""
    scores: dict[str, dict[str, Scores]] = {"hand": {}, "foot": {}}
    for part, side, names in _sides_and_sites():
        deviates = course.sites[part + side]
        drawn = {name: _site_score(course, deviates[name], name, visit) if course.ra else Score() for name in names}
        scores[part][side] = drawn
    return scores


# Shares of scores to learn from: of hands with damage half of the sites are sound, and the steps are equally frequent.
_EVEN_JSN = (0.52, 0.10, 0.14, 0.14, 0.10)
_EVEN_EROSION = (0.60, 0.11, 0.09, 0.08, 0.06, 0.06)


def draw_even_scores(rng: np.random.Generator, *, age: float) -> dict[str, dict[str, Scores]]:
    """Scores by part, side and site, drawn site by site: no score tells another one. Small children have none."""
    # Whole hands without damage. A network that is in doubt answers what is frequent where it learnt; most joints of a
    # cohort are sound.
    sound = age < 8 or rng.random() < (0.8 if age < 17 else 0.5)
    scores: dict[str, dict[str, Scores]] = {"hand": {}, "foot": {}}
    for part, side, names in _sides_and_sites():
        jsn = rng.choice(5, len(names), p=_EVEN_JSN) * (not sound)
        erosion = rng.choice(6, len(names), p=_EVEN_EROSION) * (not sound)
        scores[part][side] = {
            name: Score(
                jsn=int(own_jsn) if SITES[name].jsn_max is not None else 0,
                erosion=_limited_erosion(int(own_erosion), SITES[name].erosion_max),
            )
            for name, own_jsn, own_erosion in zip(names, jsn, erosion, strict=True)
        }
    return scores


def simulate_reading(rng: np.random.Generator, truth: int, highest: int, exact: float) -> int:
    """A simulated reader's score: the truth with probability `exact`, else mostly one step away from it."""
    if rng.random() < exact:
        return truth
    step = 1 if rng.random() < 0.82 else 2
    choices = [score for score in (truth - step, truth + step) if 0 <= score <= highest]
    choices = choices or [truth - 1 if truth else truth + 1]
    return choices[int(rng.random() * len(choices))]


def simulate_readings(rng: np.random.Generator, scores: Scores, preset: Preset) -> dict[str, Score]:
    """A simulated reader's scores of all sites of a side."""
    reader_scores = {}
    for site, score in scores.items():
        site_limits = SITES[site]
        reader_scores[site] = Score(
            jsn=simulate_reading(rng, score.jsn, site_limits.jsn_max or 4, preset.jsn_exact),
            erosion=simulate_reading(rng, score.erosion, site_limits.erosion_max or 5, preset.erosion_exact),
        )
    return reader_scores


def simulate_stage_reading(rng: np.random.Generator, scores: Scores, preset: Preset) -> int:
    """A simulated reader's stage of a hand."""
    return simulate_reading(rng, hand_stage(scores), 5, preset.stage_exact)
