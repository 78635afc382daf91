"""What reading a file gives: images with the allow-listed part of their header, or Ignored; and the read options."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.limits import DEFAULT_LIMITS, Limits
from rajobs.records.errors import IGNORE_REASONS, UsageError, show

OPTIONAL_MODALITIES = ("SC", "OT", "RF", "XA", "MG", "NM")
"""Modalities whose images are radiographs now and then, and are taken in where the user says so."""

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are inside the box, as in a region sequence."""


def modality_hint(name: str) -> str:
    """The detail of a reject that `--modalities` would bring back."""
    return f"{name} (--modalities {name})"


class Ignored(Exception):
    """A file that is left out although nothing is wrong with it. `reason` is one of IGNORE_REASONS."""

    def __init__(self, reason: str) -> None:
        assert reason in IGNORE_REASONS, reason
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Header:
    """All that is read from a header. The identifiers serve only to make pseudonyms; nothing else leaves the file."""

    sop_uid: str | None = None
    patient_id: str | None = None  # with its issuer: see identity.patient_name
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
    spacing_plane: str | None = None  # detector | patient: where spacing_mm is measured, as far as the tags say
    burned_in: bool | None = None
    source_uid: str | None = None  # SOP instance UID of the image that this one was derived from


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """A film, a picture or a frame of a loop: grey MONOCHROME2 (uint8, uint16) or RGB (uint8, rows x columns x 3).

    Grey values are 0 .. 2**bits - 1; `window` (centre, width) is in the units of `pixels`.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    bits: int
    window: tuple[float, float] | None
    frame: int
    doppler: bool
    header: Header
    blanked: int = 0  # boxes of burned-in text that were blanked


@dataclass(frozen=True, kw_only=True)
class Mask:
    """Where the ultrasound image is on one machine's screen. A None matches any; pictures have no maker or model."""

    manufacturer: str | None
    model: str | None
    rows: int
    columns: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the user decides about files whose header says too little or too much.

    Ingest stores a hash of the options in use, field names included: renaming a field makes it read shards again.
    """

    pictures: str | None = None  # ultrasound | radiograph: what files without a header show; None: they are rejected
    ultrasound_regions: str = "tagged"  # tagged | all
    masks: tuple[Mask, ...] = ()
    burned_in: bool = False  # keep text in the pixels: that which the header declares, and that which is found
    modalities: tuple[str, ...] = ()  # of OPTIONAL_MODALITIES: those that are taken in as radiographs
    limits: Limits = field(default=DEFAULT_LIMITS)

    def __post_init__(self) -> None:
        if self.pictures not in (None, "ultrasound", "radiograph"):
            raise UsageError("--pictures must be ultrasound or radiograph")
        if self.ultrasound_regions not in ("tagged", "all"):
            raise UsageError("--ultrasound-regions must be tagged or all")
        unknown = [name for name in self.modalities if name not in OPTIONAL_MODALITIES]
        if unknown:
            raise UsageError(f"--modalities takes a list of {', '.join(OPTIONAL_MODALITIES)}, not {show(unknown[0])}")
