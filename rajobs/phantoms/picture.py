"""A drawn picture before it is written into an archive: its pixels, its truth, its patient and its visit."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

PHANTOM_VERSION = 7
"""Is raised whenever the same seed draws other pixels; every output made from phantoms contains it."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A drawn person. `number` counts from 0; all else follows from the seed."""

    number: int
    sex: str  # F | M
    birth: date
    ra: bool


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One label, as in the labels table; its reader is "truth" for what is drawn."""

    study: str
    target: str
    value: str
    side: str | None = None
    site: str | None = None
    reader: str = "truth"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawn film, or the frames of a drawn scan, with all that its header and its labels need."""

    frames: tuple[NDArray[np.generic], ...]  # uint16 grey (a film is one frame), or uint8 RGB
    modality: str  # CR | DX | US
    body_part: str  # what it really shows: hand, foot, chest, ..., joint
    bits: int  # stored bits per sample, 8 to 16
    spacing_mm: float | None
    patient: Patient
    taken: date
    visit: int
    laterality: str | None = None  # L | R where one side is shown
    view_position: str | None = None  # PA, AP, LL
    inverted: bool = False  # written as MONOCHROME1
    window: tuple[float, float] | None = None  # centre, width, in stored values
    region: tuple[int, int, int, int] | None = None  # ultrasound: x0, y0, x1, y1 of the image region
    truths: tuple[Truth, ...] = ()
    measures: tuple[Truth, ...] = ()  # what no reader labels, for benchmarks: the joint space in mm
    derived_from: str | None = None  # the image a drawing was modelled on
    difficulty: str = "standard"  # the named preset
    details: dict[str, float | str] = field(default_factory=dict)  # parameters of the drawing, for reports and tests
