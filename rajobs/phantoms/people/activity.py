"""How inflamed each joint of a visit is, grey-scale and power Doppler: what ultrasound and clinic have in common.

The tables are assumptions, not printed anywhere: they say which way things depend on each other.
"""

from collections.abc import Mapping, Sequence
from math import erf, sqrt
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.drawing.joint_damage import Scores, site_stage
from rajobs.phantoms.people.cohort import Film
from rajobs.records.anatomy import CARPAL_EROSION, CARPAL_JSN, CLINIC_JOINTS, DIP, SIDES

Grades = dict[tuple[str, str], tuple[int, int]]

GREY_SHARES: Mapping[tuple[bool, int], tuple[float, ...]] = MappingProxyType(
    {  # RA and the joint's damage on the film (0 none, 1 stages 1 and 2, 2 more): shares of grey-scale grades 0-3
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
_FOLLOWS = 0.6  # correlation of a joint's normal deviate with the visit's activity
_LEVEL, _JOINTS = 1_000_001, 1_000_002  # streams beside the films', which count from 0


def visit_rng(plan: Sequence[Film], visit: int, stream: int) -> np.random.Generator:
    """Randomness of a patient's visit that disturbs no film's."""
    seed, number = plan[0].entropy[:2]
    return np.random.default_rng(np.random.SeedSequence((seed, number, visit, stream)))


def activity_level(plan: Sequence[Film], visit: int) -> float:
    """How active the disease is at a visit: a standard normal deviate."""
    return float(visit_rng(plan, visit, _LEVEL).normal())


def joint_activity(plan: Sequence[Film], visit: int) -> Grades:
    """Side and joint -> grey-scale and power-Doppler grade; `plan` is `tuple(plan_patient(...))`."""
    scores = next((film.scores for film in plan if film.visit == visit and film.part == "hand"), {})
    damage = {(side, joint): joint_damage(scores.get(side, {}), joint) for side in SIDES for joint in CLINIC_JOINTS}
    rng = visit_rng(plan, visit, _JOINTS)
    return draw_grades(rng, ra=plan[0].patient.ra, level=activity_level(plan, visit), damage=damage)


def joint_damage(scores: Scores, joint: str) -> int:
    """The damage of a joint on a film: 0 none, 1 stages 1 and 2, 2 more; the wrist's is its worst site's."""
    sites = (*CARPAL_JSN, *CARPAL_EROSION) if joint == "wrist" else (joint,)
    worst = max((site_stage(scores[site]) for site in sites if site in scores), default=0)
    return 0 if worst == 0 else 1 if worst <= 2 else 2


def draw_grades(
    rng: np.random.Generator, *, ra: bool, level: float, damage: Mapping[tuple[str, str], int]
) -> Grades:  # fmt: skip
    """Grades of all joints; RA spares the end joints, which behave as without it."""
    grades = {}
    for (side, joint), hurt in damage.items():
        deviate = _FOLLOWS * level + sqrt(1 - _FOLLOWS**2) * float(rng.normal())
        grey = pick(GREY_SHARES[ra and joint not in DIP, hurt], share_below(deviate))
        grades[side, joint] = grey, pick(DOPPLER_SHARES[grey], float(rng.random()))
    return grades


def pick(shares: Sequence[float], at: float) -> int:
    """The class that a share of the whole falls into."""
    return int(np.searchsorted(np.cumsum(shares)[:-1], at, side="right"))


def share_below(deviate: float) -> float:
    """The normal integral."""
    return 0.5 * (1 + erf(deviate / sqrt(2)))
