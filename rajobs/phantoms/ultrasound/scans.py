"""Draws power-Doppler scans of MCP joints: one of a grade, a cohort's, the published 870, or one like an image."""

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
    SPOT_GROUPS,
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
"""Scans are drawn for so many visits of a patient, two joints each, to keep phantoms fast."""
_STUDY = "ultrasound_grading"
_HIGHEST_GRADE = 3
_READINGS = 1_000_003  # a random stream of its own, beside those of people.activity


@dataclass(frozen=True, kw_only=True)
class _Exam:
    """The patient, visit and joint of a scan."""

    patient: Patient
    taken: date
    visit: int = 0
    side: str = "R"
    site: str = "MCP2"


def sample_scan_with_masks(
    rng: np.random.Generator, *, grade: int, grey_grade: int | None = None, difficulty: str = "standard",
    size: Size = SIZE, frames: int = 1, ranges: VariationRanges | None = None, grey_only: bool = False,
) -> tuple[Picture, Scan]:  # fmt: skip
    """A scan of a joint with these grades, and the masks of what was drawn; `ranges` replace the difficulty's."""
    ranges = ranges or ranges_of_difficulty(difficulty)
    machine = draw_machine(rng, ranges, grey_only=grey_only)
    exam = _draw_exam(rng)
    drawing = _sample_drawing(rng, grade, grey_grade, ranges)
    scan = compose_scan(drawing, machine, ranges, rng, size=size, frames=frames, words=_screen_words(exam))
    return _make_picture(exam, drawing, machine, scan, size=size, difficulty=difficulty), scan


def sample_scan(
    rng: np.random.Generator, *, grade: int, grey_grade: int | None = None, difficulty: str = "standard",
    size: Size = SIZE, ranges: VariationRanges | None = None,
) -> Picture:  # fmt: skip
    """A scan of one frame of a joint with these grades, of a new person."""
    return sample_scan_with_masks(
        rng, grade=grade, grey_grade=grey_grade, difficulty=difficulty, size=size, ranges=ranges
    )[0]


def draw_published(seed: int, *, ranges: VariationRanges | None = None) -> Iterator[Picture]:
    """Drawings in the paper's numbers: 212, 236, 222 and 200 of grades 0 to 3, 870 in all."""
    for grade, count in enumerate(PUBLISHED_COUNTS):
        for number in range(count):
            yield sample_scan(np.random.default_rng([seed, grade, number]), grade=grade, ranges=ranges)


def draw_scans(*, patients: int, seed: int, difficulty: str = "standard") -> Iterator[Picture]:
    """The scans of a cohort: its patients and visits are those of the films, its grades those of the clinic rows."""
    ranges = ranges_of_difficulty(difficulty)
    for number in range(patients):
        plan = tuple(plan_patient(number, seed=seed, difficulty=difficulty))
        days = {film.visit: film.taken for film in plan}
        for visit, taken in list(days.items())[:MOST_VISITS]:
            rng = np.random.default_rng([seed, number, visit, 2])
            grades, reading_rng = joint_activity(plan, visit), visit_rng(plan, visit, _READINGS)
            for side, site in _choose_joints(grades, rng):
                exam = _Exam(patient=plan[0].patient, taken=taken, visit=visit, side=side, site=site)
                grey, doppler = grades[side, site]
                frames = int(rng.integers(8, 13)) if rng.random() < ranges.loops else 1
                machine = draw_machine(rng, ranges, grey_only=bool(rng.random() < ranges.grey_only))
                drawing = _sample_drawing(rng, doppler, grey, ranges)
                scan = compose_scan(drawing, machine, ranges, rng, size=SIZE, frames=frames, words=_screen_words(exam))
                picture = _make_picture(exam, drawing, machine, scan, size=SIZE, difficulty=difficulty)
                readings = _simulate_readings(picture.truths, difficulty, reading_rng)
                yield replace(picture, truths=picture.truths + readings)


def draw_like(
    image: NDArray[np.uint8], rng: np.random.Generator, *, derived_from: str, grade: int | None = None
) -> Picture:
    """A new drawing with parameters estimated from an image; `grade` is the true grade if it is known."""
    drawing, machine = estimate_parameters(image, grade=grade)
    ranges = replace(ranges_of_difficulty("easy"), scale=0.04, depth_mm=0.2, tilt=1.5)
    machine = replace(
        draw_machine(rng, ranges), gain=machine.gain, colours=machine.colours, region_share=machine.region_share,
        width_mm=machine.width_mm, joint_offset=machine.joint_offset,
    )  # fmt: skip
    exam = _draw_exam(rng)
    size = screen_size(image, SIZE)
    drawing = vary_drawing(drawing, rng, ranges)
    scan = compose_scan(drawing, machine, ranges, rng, size=size, frames=1, words=_screen_words(exam))
    picture = _make_picture(exam, drawing, machine, scan, size=size, difficulty="standard")
    return replace(picture, derived_from=derived_from)


def _simulate_readings(truths: tuple[Truth, ...], difficulty: str, rng: np.random.Generator) -> tuple[Truth, ...]:
    """The grades that two independent readers give to the same scan."""
    exact = get_preset(difficulty).grade_exact
    return tuple(
        replace(truth, reader=reader, value=str(simulate_reading(rng, int(truth.value), _HIGHEST_GRADE, exact)))
        for reader in READERS
        for truth in truths
    )


def _draw_exam(rng: np.random.Generator) -> _Exam:
    patient, taken = draw_patient(0, rng)
    return _Exam(patient=patient, taken=taken, side=str(rng.choice(("L", "R"))), site=str(rng.choice(SITES)))


def _choose_joints(grades: Grades, rng: np.random.Generator) -> list[tuple[str, str]]:
    """The two joints that are scanned: the most inflamed one, which is the reason for the scan, and another one."""
    joints = [(side, site) for side in ("L", "R") for site in SITES]
    order = [joints[int(index)] for index in rng.permutation(len(joints))]
    worst = max(order, key=lambda joint: sum(grades[joint]))
    return [worst, next(joint for joint in order if joint != worst)]


def _sample_drawing(rng: np.random.Generator, grade: int, grey_grade: int | None, ranges: VariationRanges) -> Drawing:
    bases = bases_of_grade(grade)
    drawing = bases[int(rng.integers(len(bases)))]
    drawing = with_grey_grade(drawing, drawing.grey_grade if grey_grade is None else grey_grade)
    groups = SPOT_GROUPS[int(rng.integers(len(SPOT_GROUPS)))] if grade == 1 else ()
    signal = replace(drawing.signal, groups=groups, radius=float(rng.uniform(*ranges.vessel_mm)))
    return vary_drawing(replace(drawing, signal=signal), rng, ranges)


def _screen_words(exam: _Exam) -> tuple[str, ...]:
    return f"{exam.side} {exam.site}", "DORSAL LONG"


def _make_picture(
    exam: _Exam, drawing: Drawing, machine: Machine, scan: Scan, *, size: Size, difficulty: str
) -> Picture:
    grades = {"grade": drawing.grade, "grey_grade": drawing.grey_grade}
    if machine.box_margins is None:
        del grades["grade"]  # it cannot be seen without power Doppler
    truths = tuple(
        Truth(study=_STUDY, target=target, value=str(value), side=exam.side, site=exam.site)
        for target, value in grades.items()
    )
    return Picture(
        frames=scan.frames, modality="US", body_part="joint", bits=8,
        spacing_mm=round(float(scan.details["pitch"]), 4), patient=exam.patient, taken=exam.taken, visit=exam.visit,
        laterality=exam.side, region=machine.region(size), truths=truths, difficulty=difficulty, details=scan.details,
    )  # fmt: skip
