"""Drawn power-Doppler scans of MCP joints: one of a grade, a cohort's, the published 870, or one like an image."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.people.activity import Grades, joint_activity, visit_rng
from rajobs.phantoms.people.cohort import draw_patient, plan_patient
from rajobs.phantoms.people.severity import READERS, simulate_reading
from rajobs.phantoms.picture import Patient, Picture, Truth
from rajobs.phantoms.presets import get_preset
from rajobs.phantoms.ultrasound.base_drawings import (
    PUBLISHED_COUNTS,
    SPOTS,
    Drawing,
    bases_of_grade,
    vary_drawing,
    with_grey_grade,
)
from rajobs.phantoms.ultrasound.machine import Machine, Size, draw_machine
from rajobs.phantoms.ultrasound.parameter_estimation import estimate_parameters, screen_size
from rajobs.phantoms.ultrasound.scan_composition import Scan, compose_scan
from rajobs.phantoms.ultrasound.variation_ranges import VariationRanges, ranges_of_difficulty

SIZE = (480, 640)
SITES = ("MCP2", "MCP3", "MCP4", "MCP5")
MOST_VISITS = 2
"""The most visits of a patient with scans, two joints each: the phantom stays quick."""
_STUDY = "ultrasound_grading"
_HIGHEST = 3
_READ = 1_000_003  # a stream beside activity's


@dataclass(frozen=True, kw_only=True)
class _Exam:
    """Whose joint is scanned, and when."""

    patient: Patient
    taken: date
    visit: int = 0
    side: str = "R"
    site: str = "MCP2"


def sample_scan_with_masks(
    rng: np.random.Generator, *, grade: int, grey_grade: int | None = None, difficulty: str = "standard",
    size: Size = SIZE, frames: int = 1, ranges: VariationRanges | None = None,
) -> tuple[Picture, Scan]:  # fmt: skip
    """A scan of a joint with these grades, with the masks of what was drawn where; `ranges` replaces the preset."""
    chosen = ranges or ranges_of_difficulty(difficulty)
    machine = draw_machine(rng, chosen)
    exam = _someone(rng)
    drawing = _drawing(rng, grade, grey_grade, chosen)
    scan = compose_scan(drawing, machine, chosen, rng, size=size, frames=frames, words=_words(exam))
    return _picture(exam, drawing, machine, scan, size=size, difficulty=difficulty), scan


def sample_scan(
    rng: np.random.Generator, *, grade: int, grey_grade: int | None = None, difficulty: str = "standard",
    size: Size = SIZE, ranges: VariationRanges | None = None,
) -> Picture:  # fmt: skip
    """One frame of a joint with these grades, of a person nobody has seen before."""
    return sample_scan_with_masks(
        rng, grade=grade, grey_grade=grey_grade, difficulty=difficulty, size=size, ranges=ranges
    )[0]


def draw_published(seed: int, *, ranges: VariationRanges | None = None) -> Iterator[Picture]:
    """The paper's 870 drawings: 212, 236, 222 and 200 of grades 0 to 3."""
    for grade, count in enumerate(PUBLISHED_COUNTS):
        for number in range(count):
            yield sample_scan(np.random.default_rng([seed, grade, number]), grade=grade, ranges=ranges)


def draw_scans(*, patients: int, seed: int, difficulty: str = "standard") -> Iterator[Picture]:
    """The scans of a cohort, of the films' patients and visits and with the grades that the clinic finds."""
    chosen = ranges_of_difficulty(difficulty)
    for number in range(patients):
        plan = tuple(plan_patient(number, seed=seed, difficulty=difficulty))
        days = {film.visit: film.taken for film in plan}
        for visit, taken in list(days.items())[:MOST_VISITS]:
            rng = np.random.default_rng([seed, number, visit, 2])
            grades, reads = joint_activity(plan, visit), visit_rng(plan, visit, _READ)
            for side, site in _scanned(grades, rng):
                exam = _Exam(patient=plan[0].patient, taken=taken, visit=visit, side=side, site=site)
                grey, doppler = grades[side, site]
                frames = int(rng.integers(8, 13)) if rng.random() < chosen.loops else 1
                machine = draw_machine(rng, chosen, plain=bool(rng.random() < chosen.plain))
                drawing = _drawing(rng, doppler, grey, chosen)
                scan = compose_scan(drawing, machine, chosen, rng, size=SIZE, frames=frames, words=_words(exam))
                picture = _picture(exam, drawing, machine, scan, size=SIZE, difficulty=difficulty)
                yield replace(picture, truths=picture.truths + _read(picture.truths, difficulty, reads))


def draw_like(
    image: NDArray[np.uint8], rng: np.random.Generator, *, derived_from: str, grade: int | None = None
) -> Picture:
    """A new drawing with an image's estimated parameters; `grade` is the true one where it is known."""
    drawing, machine = estimate_parameters(image, grade=grade)
    small = replace(ranges_of_difficulty("easy"), scale=0.04, move=0.2, tilt=1.5)
    machine = replace(
        draw_machine(rng, small), gain=machine.gain, colours=machine.colours, place=machine.place,
        width_mm=machine.width_mm, offset=machine.offset,
    )  # fmt: skip
    exam = _someone(rng)
    size = screen_size(image, SIZE)
    drawing = vary_drawing(drawing, rng, small)
    scan = compose_scan(drawing, machine, small, rng, size=size, frames=1, words=_words(exam))
    picture = _picture(exam, drawing, machine, scan, size=size, difficulty="standard")
    return replace(picture, derived_from=derived_from)


def _read(truths: tuple[Truth, ...], difficulty: str, rng: np.random.Generator) -> tuple[Truth, ...]:
    """What two readers say of the same scan, each alone."""
    exact = get_preset(difficulty).grade_exact
    return tuple(
        replace(told, reader=reader, value=str(simulate_reading(rng, int(told.value), _HIGHEST, exact)))
        for reader in READERS
        for told in truths
    )


def _someone(rng: np.random.Generator) -> _Exam:
    patient, taken = draw_patient(0, rng)
    return _Exam(patient=patient, taken=taken, side=str(rng.choice(("L", "R"))), site=str(rng.choice(SITES)))


def _scanned(grades: Grades, rng: np.random.Generator) -> list[tuple[str, str]]:
    """The joint that is worst, which is why a scan is made, and another one."""
    joints = [(side, site) for side in ("L", "R") for site in SITES]
    order = [joints[int(place)] for place in rng.permutation(len(joints))]
    worst = max(order, key=lambda joint: sum(grades[joint]))
    return [worst, next(joint for joint in order if joint != worst)]


def _drawing(rng: np.random.Generator, grade: int, grey_grade: int | None, chosen: VariationRanges) -> Drawing:
    of_grade = bases_of_grade(grade)
    drawing = of_grade[int(rng.integers(len(of_grade)))]
    drawing = with_grey_grade(drawing, drawing.grey_grade if grey_grade is None else grey_grade)
    groups = SPOTS[int(rng.integers(len(SPOTS)))] if grade == 1 else ()
    signal = replace(drawing.signal, groups=groups, radius=float(rng.uniform(*chosen.vessel_mm)))
    return vary_drawing(replace(drawing, signal=signal), rng, chosen)


def _words(exam: _Exam) -> tuple[str, ...]:
    return f"{exam.side} {exam.site}", "DORSAL LONG"


def _picture(exam: _Exam, drawing: Drawing, machine: Machine, scan: Scan, *, size: Size, difficulty: str) -> Picture:
    grades = {"grade": drawing.grade, "grey_grade": drawing.grey_grade}
    if machine.box is None:
        del grades["grade"]  # without power Doppler nobody can tell it
    truths = tuple(
        Truth(study=_STUDY, target=target, value=str(value), side=exam.side, site=exam.site)
        for target, value in grades.items()
    )
    return Picture(
        frames=scan.frames, modality="US", body_part="joint", bits=8,
        spacing_mm=round(float(scan.details["pitch"]), 4), patient=exam.patient, taken=exam.taken, visit=exam.visit,
        laterality=exam.side, region=machine.region(size), truths=truths, difficulty=difficulty, details=scan.details,
    )  # fmt: skip
