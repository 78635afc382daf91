"""The ways samples of a picture are stored: depth, sign, tables, windows, and bits stored that are not so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from rajobs.phantoms.headers import item, make_header
from rajobs.phantoms.picture import Picture

Array = NDArray[np.generic]

FORMS = (
    "plain",
    "loose",  # bits stored says 16 of fewer
    "narrow",  # bits stored says two fewer than there are; only where the coding itself tells how many
    "eight",
    "ten",
    "twelve",
    "sixteen",
    "signed",
    "rescaled",
    "modality-lut",
    "voi-lut",
    "two-windows",
    "no-window",
    "padded",
)
_DEPTHS = {"eight": 8, "ten": 10, "twelve": 12, "sixteen": 16}
_LUT_DEPTH = 12  # a table of more entries does not fit an element of short length


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A dataset whose pixels are not coded yet; `depth` is the number of bits its samples really have."""

    dataset: Dataset
    frames: tuple[Array, ...]
    depth: int


def draft_film(picture: Picture, *, seed: int, serial: str, form: str = "plain") -> Draft:
    """The header with all that describes the samples, and the samples as they will be stored."""
    assert form in FORMS, form
    dataset = make_header(picture, seed=seed, serial=serial)
    if picture.frames[0].ndim == 3:
        return _draft_colour(picture, dataset)
    depth = _DEPTHS.get(form, min(picture.bits, _LUT_DEPTH) if form.endswith("lut") else picture.bits)
    shift = depth - picture.bits
    frames = tuple(_shifted(frame, shift) for frame in picture.frames)
    window = None if picture.window is None else tuple(value * 2.0**shift for value in picture.window)
    dtype = np.uint8 if depth <= 8 else np.uint16
    draft = Draft(dataset=dataset, frames=tuple(frame.astype(dtype) for frame in frames), depth=depth)
    _describe(draft, samples=1, photometric="MONOCHROME1" if picture.inverted else "MONOCHROME2")
    if picture.modality == "DX":
        dataset.PresentationLUTShape = "INVERSE" if picture.inverted else "IDENTITY"
    return _formed(draft, form, window)


def _shifted(frame: Array, shift: int) -> Array:
    return frame if shift == 0 else np.left_shift(frame, shift) if shift > 0 else np.right_shift(frame, -shift)


def _describe(draft: Draft, *, samples: int, photometric: str) -> None:
    dataset, frame = draft.dataset, draft.frames[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = samples, photometric
    if len(draft.frames) > 1:
        dataset.NumberOfFrames = len(draft.frames)
    dataset.Rows, dataset.Columns = frame.shape[:2]
    dataset.BitsAllocated = 8 * frame.itemsize
    dataset.BitsStored, dataset.HighBit = draft.depth, draft.depth - 1
    dataset.PixelRepresentation = 0


def _draft_colour(picture: Picture, dataset: Dataset) -> Draft:
    draft = Draft(dataset=dataset, frames=picture.frames, depth=8)
    _describe(draft, samples=3, photometric="RGB")
    dataset.PlanarConfiguration = 0
    if picture.region is not None:
        x0, y0, x1, y1 = picture.region
        region = item(
            RegionSpatialFormat=1,
            RegionDataType=1,
            RegionFlags=0,
            RegionLocationMinX0=x0,
            RegionLocationMinY0=y0,
            RegionLocationMaxX1=x1,
            RegionLocationMaxY1=y1,
            PhysicalUnitsXDirection=3,
            PhysicalUnitsYDirection=3,
            PhysicalDeltaX=(picture.spacing_mm or 0.1) / 10,
            PhysicalDeltaY=(picture.spacing_mm or 0.1) / 10,
        )
        dataset.SequenceOfUltrasoundRegions = Sequence([region])
    return draft


def _formed(draft: Draft, form: str, window: tuple[float, ...] | None) -> Draft:
    """The draft in one of the ways to store grey samples."""
    if window is not None and form not in ("modality-lut", "voi-lut", "no-window"):
        scaled = (window[0] * 0.5 - 100, window[1] * 0.5) if form == "rescaled" else window
        _put_window(draft.dataset, scaled, twice=form == "two-windows")
    _put_tables(draft, form)
    return Draft(dataset=draft.dataset, frames=_form_samples(draft, form), depth=draft.depth)


def _form_samples(draft: Draft, form: str) -> tuple[Array, ...]:
    dataset, depth, frames = draft.dataset, draft.depth, draft.frames
    if form == "loose":
        dataset.BitsStored, dataset.HighBit = dataset.BitsAllocated, dataset.BitsAllocated - 1
    elif form == "narrow":
        dataset.BitsStored, dataset.HighBit = depth - 2, depth - 3
    elif form == "signed":
        half = 1 << (depth - 1)
        dataset.BitsAllocated, dataset.PixelRepresentation = 16, 1
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = half, 1, "US"
        return tuple((frame.astype(np.int32) - half).astype(np.int16) for frame in frames)
    elif form == "padded":
        dataset.PixelPaddingValue = (1 << depth) - 1
        return tuple(_padded(frame, (1 << depth) - 1) for frame in frames)
    return frames


def _put_tables(draft: Draft, form: str) -> None:
    dataset, depth = draft.dataset, draft.depth
    if form == "rescaled":
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -100, "0.5", "US"
    elif form == "modality-lut":
        dataset.ModalityLUTSequence = Sequence([_lut(depth, 0.8)])
        dataset.ModalityLUTSequence[0].ModalityLUTType = "US"
    elif form == "voi-lut":
        dataset.VOILUTSequence = Sequence([_lut(depth, 1.3)])


def _put_window(dataset: Dataset, window: tuple[float, ...], *, twice: bool) -> None:
    centre, width = f"{window[0]:.6g}", f"{max(window[1], 1):.6g}"
    dataset.WindowCenter = [centre, f"{window[0] * 0.8:.6g}"] if twice else centre
    dataset.WindowWidth = [width, width] if twice else width
    if twice:
        dataset.WindowCenterWidthExplanation = ["NORMAL", "BONE"]


def _lut(depth: int, power: float) -> Dataset:
    """A rising table from samples to 16 bits."""
    assert depth <= _LUT_DEPTH, depth
    entries = 1 << depth
    table = np.rint(65535 * (np.arange(entries) / (entries - 1)) ** power).astype(int)
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [entries, 0, 16])
    lut.add_new("LUTData", "US", table.tolist())
    return lut


def _padded(frame: Array, value: int) -> Array:
    """The film with a rim at its foot that no ray has seen."""
    frame = frame.copy()
    frame[-max(2, frame.shape[0] // 100) :] = value
    return frame
