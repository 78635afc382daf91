"""What comes out of a file: images with the allow-listed part of their header, and the options they are read with."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.limits import DEFAULT, Limits
from rajobs.records.errors import UsageError

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last ones included, as in a region sequence."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """All that is read out of a header. The identifiers are for the pseudonyms only; nothing else leaves a file."""

    sop_uid: str | None = None
    patient_id: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    study_date: date | None = None
    sex: str | None = None  # M | F | O
    age_years: int | None = None
    modality: str  # CR | DX | RG | US
    body_part: str | None = None
    view_position: str | None = None
    laterality: str | None = None  # L | R | B
    manufacturer: str | None = None
    spacing_mm: float | None = None
    burned_in: bool | None = None
    source_uid: str | None = None  # the instance that a derived image was made from


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """A film, a picture or a frame: grey MONOCHROME2 (uint8, uint16) or RGB (uint8, rows x columns x 3).

    `bits` is the range of the grey values (0 .. 2**bits - 1); `window` (centre, width) is in the units of `pixels`.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    bits: int
    window: tuple[float, float] | None
    frame: int
    doppler: bool
    header: Header


@dataclass(frozen=True, kw_only=True)
class Mask:
    """Where the ultrasound is on the screen of one machine. None stands for any; pictures have no maker or model."""

    manufacturer: str | None
    model: str | None
    rows: int
    columns: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the user decides about files that do not tell, or tell too much."""

    pictures: str | None = None  # ultrasound | radiograph: what files without a header show
    ultrasound_regions: str = "tagged"  # tagged | all
    masks: tuple[Mask, ...] = ()
    burned_in: bool = False  # keep radiographs whose header says that text is in the pixels
    limits: Limits = field(default=DEFAULT)

    def __post_init__(self) -> None:
        if self.pictures not in (None, "ultrasound", "radiograph"):
            raise UsageError("--pictures must be ultrasound or radiograph")
        if self.ultrasound_regions not in ("tagged", "all"):
            raise UsageError("--ultrasound-regions must be tagged or all")
