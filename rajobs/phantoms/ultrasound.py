"""Drawn power-Doppler scans of MCP joints: one of a grade, a cohort's, the published 870, or one like an image."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.cohort import Film, draw_patient, plan_patient
from rajobs.phantoms.disease import SOUND
from rajobs.phantoms.doppler import Colour, paint, share_power, spot_power
from rajobs.phantoms.picture import Picture, Truth
from rajobs.phantoms.presets import preset
from rajobs.phantoms.ultrasound_drawings import BASES, HEIGHTS, PUBLISHED_COUNTS, Drawing, bases, changed
from rajobs.phantoms.ultrasound_layers import Machine, blank_screen, flatten, region_of

SIZE = (480, 640)
MOST_SCANS = 4
"""The most scans of a patient in a cohort: the phantom stays quick."""
ACTIVITY: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "healthy": (0.88, 0.10, 0.02, 0.00),
        "undamaged": (0.45, 0.27, 0.20, 0.08),
        "damaged": (0.28, 0.26, 0.30, 0.16),
        "destroyed": (0.22, 0.22, 0.32, 0.24),
    }
)
"""Assumed chance of power-Doppler grade 0 to 3 of a joint: no RA; RA with JSN + erosion 0, 1 to 3, more."""
_SPREAD = {"easy": 0.06, "standard": 0.14, "hard": 0.24}
_SETTINGS = ("MSK  L12  PRF 0.8", "PD GAIN 62 %  WF 2")


def sample_scan(
    rng: np.random.Generator, *, grade: int, grey_grade: int | None = None, difficulty: str = "standard",
    size: tuple[int, int] = SIZE,
) -> Picture:  # fmt: skip
    """One frame of a joint with these grades, of a person nobody has seen before."""
    patient, taken = draw_patient(0, rng)
    film = Film(
        view="other", part="joint", sides=(), patient=patient, build_seed=0, age=0, taken=taken, visit=0, entropy=()
    )
    return _picture(film, _draw(rng, grade, grey_grade), rng, difficulty=difficulty, size=size)


def draw_published(seed: int) -> Iterator[Picture]:
    """The paper's 870 drawings: 212, 236, 222 and 200 of grades 0 to 3."""
    for grade, count in enumerate(PUBLISHED_COUNTS):
        for number in range(count):
            yield sample_scan(np.random.default_rng([seed, grade, number]), grade=grade)


def draw_scans(*, patients: int, seed: int, difficulty: str = "standard") -> Iterator[Picture]:
    """The scans of a cohort, two a visit, of the same patients and visits as the films."""
    for number in range(patients):
        films: dict[int, Film] = {}
        for film in plan_patient(number, seed=seed, difficulty=difficulty):
            kept = films.get(film.visit)
            if kept is None or (film.part == "hand" and kept.part != "hand"):
                films[film.visit] = film
        for film in list(films.values())[: MOST_SCANS // 2]:
            for site in ("MCP2", "MCP3"):
                rng = np.random.default_rng([seed, number, film.visit, int(site[-1]), 2])
                side = film.sides[0] if film.sides else "R"
                grade = int(rng.choice(4, p=ACTIVITY[_activity(film, side, site)]))
                frames = int(rng.integers(8, 13)) if rng.random() < 0.15 else 1
                drawing = _draw(rng, grade, None)
                yield _picture(film, drawing, rng, difficulty=difficulty, frames=frames, side=side, site=site)


def _activity(film: Film, side: str, site: str) -> str:
    if not film.patient.ra:
        return "healthy"
    score = film.scores.get(side, {}).get(site, SOUND) if film.part == "hand" else SOUND
    total = score.jsn + score.erosion
    return "undamaged" if total == 0 else "damaged" if total <= 3 else "destroyed"


def _draw(rng: np.random.Generator, grade: int, grey_grade: int | None) -> Drawing:
    of_grade = bases(grade)
    drawing = of_grade[int(rng.integers(len(of_grade)))]
    if grey_grade is not None:
        capsule = replace(drawing.capsule, height=HEIGHTS[grey_grade])
        drawing = replace(drawing, grey_grade=grey_grade, capsule=capsule)
    return changed(drawing, rng)


def _machine(rng: np.random.Generator, difficulty: str) -> Machine:
    spread = _SPREAD[preset(difficulty).name]
    gain = float(np.clip(1 + spread * rng.normal(), 0.5, 1.6))
    return Machine(gain=gain, fade=float(rng.uniform(0.2, 0.5)), mirrored=bool(rng.random() < 0.3))


def _picture(
    film: Film, drawing: Drawing, rng: np.random.Generator, *, difficulty: str, size: tuple[int, int] = SIZE,
    frames: int = 1, side: str = "R", site: str = "MCP2", machine: Machine | None = None,
    derived_from: str | None = None,
) -> Picture:  # fmt: skip
    machine = machine or _machine(rng, difficulty)
    shown, details = _frames(drawing, machine, size, frames, rng)
    grades = {"grade": drawing.grade, "grey_grade": drawing.grey_grade}
    truths = [
        Truth(study="ultrasound_grading", target=t, value=str(v), side=side, site=site) for t, v in grades.items()
    ]
    return Picture(
        frames=shown, modality="US", body_part="joint", bits=8, spacing_mm=round(details["pitch"], 4),
        patient=film.patient, taken=film.taken, visit=film.visit, laterality=side, region=region_of(size),
        truths=tuple(truths), derived_from=derived_from, difficulty=difficulty, details={**details},
    )  # fmt: skip


def _frames(
    drawing: Drawing, machine: Machine, size: tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[tuple[NDArray[Any], ...], dict[str, float]]:
    x0, y0, x1, y1 = region_of(size)
    plate = flatten(drawing, machine, (y1 - y0 + 1, x1 - x0 + 1), rng)
    signal, power = drawing.signal, None
    if signal.groups:
        power = spot_power(plate.capsule, signal.groups, signal.radius / plate.pitch, rng)
    elif signal.share:
        power = share_power(plate.capsule, signal.share, signal.centre, rng)
    screen = blank_screen(size, ("MCP", "DORSAL LONG"), _SETTINGS)
    left, top, width, height = cv2.boundingRect(plate.capsule)
    grey = cv2.cvtColor(plate.grey.astype(np.uint8), cv2.COLOR_GRAY2RGB)
    shown = []
    for number in range(count):
        scan: Colour = np.array(grey, np.uint8)
        if power is not None:
            # The pulse takes the weakest signal away, never so much that the grade changes.
            paint(scan, power, 0.04 * (1 - np.cos(2 * np.pi * number / 8)))
        cv2.rectangle(scan, (left - 14, max(2, top - 30)), (left + width + 14, top + height + 14), (225, 225, 225), 1)
        frame = screen.copy()
        frame[y0 : y1 + 1, x0 : x1 + 1] = scan[:, ::-1] if machine.mirrored else scan
        shown.append(frame)
    details = {
        "drawing": float(drawing.number), "gain": machine.gain, "pitch": plate.pitch, "head_mm": drawing.bone.head,
        "capsule_px": float(np.count_nonzero(plate.capsule)),
        "signal_px": 0.0 if power is None else float(np.count_nonzero(power > 0)),
    }  # fmt: skip
    return tuple(shown), details


def estimate(image: NDArray[np.uint8]) -> tuple[Drawing, Machine]:
    """The drawing and machine that come nearest to an image's region: colour's area and place, gain, bone's depth."""
    x0, y0, x1, y1 = region_of((image.shape[0], image.shape[1]))
    scan = image[y0 : y1 + 1, x0 : x1 + 1].astype(np.int16)
    colour = scan.max(axis=2) - scan.min(axis=2) > 60
    pitch = Machine().width_mm / scan.shape[1]
    area = float(np.count_nonzero(colour)) * pitch**2
    drawing = min(BASES, key=lambda base: abs(_signal_mm2(base) - area))
    grey = np.where(colour, 0, scan.mean(axis=2))
    low = grey[int(4.5 / pitch) :].astype(np.float32)
    rows = cv2.blur(low, (9, 5)).argmax(axis=0)
    depth = float(np.clip(np.percentile(rows, 30) * pitch + 4.5, 6, 10.5))
    bone = replace(drawing.bone, head=depth, base=depth + 0.5)
    centre = float(np.nonzero(colour)[1].mean() / scan.shape[1]) if colour.any() else 0.5
    signal = replace(drawing.signal, centre=float(np.clip(2 * centre - 0.5, 0, 1)))
    gain = float(np.clip(grey[: len(grey) // 2].mean() / 62, 0.5, 1.6))
    return replace(drawing, bone=bone, signal=signal), Machine(gain=gain)


def _signal_mm2(drawing: Drawing) -> float:
    capsule, signal = drawing.capsule, drawing.signal
    spots = sum(signal.groups) * np.pi * signal.radius**2
    return float(spots + signal.share * 0.8 * capsule.height * (capsule.proximal + capsule.distal))


def like(image: NDArray[np.uint8], rng: np.random.Generator, *, derived_from: str, grade: int | None = None) -> Picture:
    """A new drawing with an image's estimated parameters; `grade` is the true one where it is known."""
    drawing, machine = estimate(image)
    if grade is not None and grade != drawing.grade:
        drawing = replace(_draw(rng, grade, None), bone=drawing.bone)
    patient, taken = draw_patient(0, rng)
    film = Film(
        view="other", part="joint", sides=(), patient=patient, build_seed=0, age=0, taken=taken, visit=0, entropy=()
    )
    return _picture(film, changed(drawing, rng), rng, difficulty="standard", machine=machine, derived_from=derived_from)
