"""Plans of who is drawn, when they come and which films are taken; any planned film can be drawn alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np

from rajobs.phantoms.people.joint_scores import Scores
from rajobs.phantoms.people.severity import Course, draw_course, draw_even_scores, scores_at
from rajobs.phantoms.picture import Patient
from rajobs.records.anatomy import KINDS
from rajobs.records.tables.schemas import VIEWS

_OTHER_SHARES = MappingProxyType(
    {
        # What is near to a hand, and so the hardest to tell from one, is about half.
        "wrist": 0.13, "finger": 0.10, "hand_lateral": 0.05, "hand_oblique": 0.05, "hand_ball_catcher": 0.03,
        "forearm": 0.06, "ankle": 0.05,
        "chest": 0.10, "abdomen": 0.03, "spine": 0.05, "neck": 0.02, "knee": 0.05, "shoulder": 0.05, "hip": 0.05,
        "elbow": 0.04, "humerus": 0.02, "skull": 0.03, "lower_leg": 0.04, "jaw": 0.02, "teeth": 0.03,
    }
)  # fmt: skip
assert set(_OTHER_SHARES) == set(KINDS)
OTHER_PARTS = tuple(_OTHER_SHARES)
_RA_SHARE = 0.75
_LATERAL_FOOT_SHARE = 0.3
"""Share of single feet that are taken from the side."""


@dataclass(frozen=True, kw_only=True)
class PlannedFilm:
    """A film to draw: `entropy` seeds all its random numbers, and `scores` are its joints' scores by side."""

    view: str
    part: str
    sides: tuple[str, ...]
    patient: Patient
    build_seed: int
    age: float
    taken: date
    visit: int
    entropy: tuple[int, ...]
    scores: Mapping[str, Scores] = field(default_factory=dict)
    drift: float = 0.0  # ulnar drift of the fingers, 0 to 1
    size: str | tuple[int, int] = "FULL"
    difficulty: str = "standard"
    beside: bool | None = None  # whether a bystander lies beside a single hand; None: as often as the preset says


def draw_patient(number: int, rng: np.random.Generator) -> tuple[Patient, date]:
    """A person and the day of the first visit; one person in ten is a child."""
    first = date(2012, 1, 1) + timedelta(days=int(rng.integers(0, 365 * 9)))
    child = rng.random() < 0.10
    age = float(rng.uniform(2, 17)) if child else float(np.clip(rng.normal(58, 14), 18, 95))
    birth = first - timedelta(days=int(age * 365.25))
    sex = "F" if rng.random() < 0.72 else "M"
    return Patient(number=number, sex=sex, birth=birth, ra=bool(rng.random() < _RA_SHARE) and age > 8), first


def _visit_films(rng: np.random.Generator) -> list[tuple[str, str, tuple[str, ...]]]:
    """View, part and sides of the films of a visit, in the proportions of a PACS dump for a hand filter (003)."""
    films: list[tuple[str, str, tuple[str, ...]]] = []
    hands = rng.random()
    if hands < 0.46:
        films += [("unilateral", "hand", ("R",)), ("unilateral", "hand", ("L",))]
    elif hands < 0.54:
        films += [("unilateral", "hand", (str(rng.choice(("L", "R"))),))]
    if hands >= 0.50:
        films += [("both", "hand", ("L", "R"))]
    feet = rng.random()
    if feet < 0.22:
        films += [("foot", "foot", ("R",)), ("foot", "foot", ("L",))]
    elif feet < 0.42:
        films += [("foot", "foot", ("L", "R"))]
    elif feet < 0.50:
        films += [("foot", "foot" if feet < 0.47 else "lateral_foot", (str(rng.choice(("L", "R"))),))]
    for part in rng.choice(OTHER_PARTS, size=int(rng.integers(1, 4)), p=list(_OTHER_SHARES.values())):
        films.append(("other", str(part), ()))
    return films


def repeat_film(film: PlannedFilm) -> PlannedFilm:
    """A second film of the same joints at the same visit, in another pose and exposure, and read anew."""
    return replace(film, entropy=(*film.entropy, 1))


def plan_patient(
    number: int, *, seed: int, size: str | tuple[int, int] = "FULL", difficulty: str = "standard",
    repeats: bool = False,
) -> Iterator[PlannedFilm]:  # fmt: skip
    """The films of a patient over all visits; with `repeats` every film of hands is taken twice."""
    for film in _plan_films(number, seed=seed, size=size, difficulty=difficulty):
        yield film
        if repeats and film.part == "hand":
            yield repeat_film(film)


def _plan_films(
    number: int, *, seed: int, size: str | tuple[int, int], difficulty: str
) -> Iterator[PlannedFilm]:  # fmt: skip
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    patient, taken = draw_patient(number, rng)
    build_seed = int(rng.integers(2**31))
    visits = int(rng.choice((1, 2, 3), p=(0.30, 0.40, 0.30)))
    course: Course = draw_course(rng, ra=patient.ra, child=(taken - patient.birth).days < 17 * 365)
    for visit in range(visits):
        years = (taken - patient.birth).days / 365.25
        scores = scores_at(course, visit)
        for count, (view, part, sides) in enumerate(_visit_films(rng)):
            yield PlannedFilm(
                view=view,
                part=part,
                sides=sides,
                patient=patient,
                build_seed=build_seed,
                age=years,
                taken=taken,
                visit=visit,
                entropy=(seed, number, visit, count),
                scores=scores.get(part, {}),
                drift=course.drift,
                size=size,
                difficulty=difficulty,
            )
        taken += timedelta(days=int(rng.integers(150, 800)))


def plan_sample(
    rng: np.random.Generator, *, kind: str, size: str | tuple[int, int], difficulty: str, beside: bool | None = None,
    even_scores: bool = False,
) -> PlannedFilm:  # fmt: skip
    """A film of a person who has no other film; children are more frequent than in a cohort.

    With `even_scores` the sites' scores are independent, and none is rare: a network must not infer a score from how
    frequent it is in cohorts.
    """
    if kind not in VIEWS:
        raise ValueError(f"no kind of film {kind!r}: one of {', '.join(VIEWS)}")
    patient, taken = draw_patient(0, rng)
    age = (taken - patient.birth).days / 365.25
    if rng.random() < 0.22:
        age = float(rng.uniform(0.8, 5.0) if rng.random() < 0.4 else rng.uniform(1.5, 17.5))
        patient = Patient(number=0, sex=patient.sex, birth=taken - timedelta(days=int(age * 365.25)), ra=False)
    course = draw_course(rng, ra=patient.ra, child=age < 17)
    part = {"unilateral": "hand", "both": "hand", "foot": "foot"}.get(kind) or str(
        rng.choice(OTHER_PARTS, p=list(_OTHER_SHARES.values()))
    )
    pair = kind == "both" or (kind == "foot" and rng.random() < 0.4)
    sides = () if kind == "other" else ("L", "R") if pair else (str(rng.choice(("L", "R"))),)
    if kind == "foot" and not pair and rng.random() < _LATERAL_FOOT_SHARE:
        part = "lateral_foot"
    scores = scores_at(course, int(rng.integers(0, 3)))
    if even_scores:
        age = age if age < 17 else float(rng.uniform(18, 88))
        scores = draw_even_scores(rng, age=age)
        patient = replace(patient, birth=taken - timedelta(days=int(age * 365.25)))
    return PlannedFilm(
        view=kind,
        part=part,
        sides=sides,
        patient=patient,
        build_seed=int(rng.integers(2**31)),
        age=age,
        taken=taken,
        visit=0,
        entropy=tuple(int(seed) for seed in rng.integers(2**32, size=4)),
        scores=scores.get(part, {}),
        drift=course.drift,
        size=size,
        difficulty=difficulty,
        beside=beside,
    )
