"""How inflamed each joint is at a visit, in grey-scale and power-Doppler grades, for ultrasound and clinic alike.

The tables are assumptions that no paper prints: they only say in which direction one thing depends on another.
"""

from collections.abc import Mapping, Sequence
from math import erf, sqrt
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.people.cohort import PlannedFilm
from rajobs.phantoms.people.joint_scores import Scores, site_stage
from rajobs.records.anatomy import CARPAL_EROSION, CARPAL_JSN, CLINIC_JOINTS, DIP, SIDES

Grades = dict[tuple[str, str], tuple[int, int]]

GREY_SHARES: Mapping[tuple[bool, int], tuple[float, ...]] = MappingProxyType(
    {  # by RA and the damage of the joint on the film (see joint_damage): shares of grey-scale grades 0-3
        (False, 0): (0.93, 0.05, 0.018, 0.002),
        (False, 1): (0.88, 0.08, 0.035, 0.005),
        (False, 2): (0.82, 0.12, 0.05, 0.01),
        (True, 0): (0.68, 0.17, 0.11, 0.04),
        (True, 1): (0.50, 0.22, 0.19, 0.09),
        (True, 2): (0.36, 0.24, 0.25, 0.15),
    }
)
DOPPLER_SHARES: tuple[tuple[float, ...], ...] = (  # by grey-scale grade: shares of power-Doppler grades 0-3
    (1.0, 0.0, 0.0, 0.0),
    (0.60, 0.32, 0.08, 0.0),
    (0.25, 0.33, 0.32, 0.10),
    (0.10, 0.20, 0.40, 0.30),
)
_ACTIVITY_CORRELATION = 0.6  # of a joint's normal deviate with the activity at the visit
_LEVEL_STREAM, _JOINTS_STREAM = 1_000_001, 1_000_002  # random streams; those of films count from 0


def visit_rng(plan: Sequence[PlannedFilm], visit: int, stream: int) -> np.random.Generator:
    """Random numbers for a visit that are independent of those of its films."""
    seed, number = plan[0].entropy[:2]
    return np.random.default_rng(np.random.SeedSequence((seed, number, visit, stream)))


def activity_level(plan: Sequence[PlannedFilm], visit: int) -> float:
    """How active the disease is at a visit, as a standard normal deviate."""
    return float(visit_rng(plan, visit, _LEVEL_STREAM).normal())


def joint_activity(plan: Sequence[PlannedFilm], visit: int) -> Grades:
    """Grey-scale and power-Doppler grade by side and joint; `plan` is `tuple(plan_patient(...))`."""
    scores = next((film.scores for film in plan if film.visit == visit and film.part == "hand"), {})
    damage = {(side, joint): joint_damage(scores.get(side, {}), joint) for side in SIDES for joint in CLINIC_JOINTS}
    rng = visit_rng(plan, visit, _JOINTS_STREAM)
    return draw_grades(rng, ra=plan[0].patient.ra, level=activity_level(plan, visit), damage=damage)


def joint_damage(scores: Scores, joint: str) -> int:
    """The damage of a joint on a film: 0 none, 1 stages 1 and 2, 2 higher stages; a wrist counts as its worst site."""
    sites = (*CARPAL_JSN, *CARPAL_EROSION) if joint == "wrist" else (joint,)
    worst = max((site_stage(scores[site]) for site in sites if site in scores), default=0)
    return 0 if worst == 0 else 1 if worst <= 2 else 2


def draw_grades(
    rng: np.random.Generator, *, ra: bool, level: float, damage: Mapping[tuple[str, str], int]
) -> Grades:  # fmt: skip
    """Grades of all joints; RA spares the DIP joints, which get grades as without it."""
    grades = {}
    for (side, joint), joint_class in damage.items():
        deviate = _ACTIVITY_CORRELATION * level + sqrt(1 - _ACTIVITY_CORRELATION**2) * float(rng.normal())
        grey = pick_class(GREY_SHARES[ra and joint not in DIP, joint_class], share_below(deviate))
        grades[side, joint] = grey, pick_class(DOPPLER_SHARES[grey], float(rng.random()))
    return grades


def pick_class(shares: Sequence[float], at: float) -> int:
    """The class that the share `at` of the whole falls into, if classes have these shares."""
    return int(np.searchsorted(np.cumsum(shares)[:-1], at, side="right"))


def share_below(deviate: float) -> float:
    """The share of a standard normal distribution below a deviate."""
    return 0.5 * (1 + erf(deviate / sqrt(2)))
