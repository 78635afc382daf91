"""Encodings of pixel samples: grey with different depths, signs, lookup tables and windows; RGB, YBR and palettes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from rajobs.phantoms.packaging.dicom_headers import make_header, make_item
from rajobs.phantoms.picture import Picture

Array = NDArray[np.generic]

FORMS = (
    "plain",
    "loose",  # BitsStored is 16 although fewer are used
    "narrow",  # BitsStored is two too low; only for syntaxes whose stream contains the right number
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
SCAN_FORMS = (
    "rgb",
    "planar",  # RGB, plane after plane
    "ybr",
    "ybr-422",  # of JPEG, whose encoder converts RGB to it
    "rct",  # of JPEG 2000
    "palette",
    "no-region",  # RGB without the region of the scan on the screen
)
_PHOTOMETRICS = {"ybr": "YBR_FULL", "ybr-422": "YBR_FULL_422", "rct": "YBR_RCT", "palette": "PALETTE COLOR"}
_DEPTHS = {"eight": 8, "ten": 10, "twelve": 12, "sixteen": 16}
_LUT_DEPTH = 12  # a longer table does not fit an element with a 16-bit length


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A dataset whose pixels are not yet encoded; `depth` is the true number of bits of its samples."""

    dataset: Dataset
    frames: tuple[Array, ...]
    depth: int


def draft_film(picture: Picture, *, seed: int, serial: str, form: str = "plain") -> Draft:
    """The header, with the elements that describe the samples, and the samples as they will be stored."""
    if picture.frames[0].ndim == 3:
        return _draft_scan(picture, seed, serial, "rgb" if form == "plain" else form)
    assert form in FORMS, form
    dataset = make_header(picture, seed=seed, serial=serial)
    depth = _DEPTHS.get(form, min(picture.bits, _LUT_DEPTH) if form.endswith("lut") else picture.bits)
    shift = depth - picture.bits
    frames = tuple(_shift_bits(frame, shift) for frame in picture.frames)
    window = None if picture.window is None else tuple(value * 2.0**shift for value in picture.window)
    dtype = np.uint8 if depth <= 8 else np.uint16
    draft = Draft(dataset=dataset, frames=tuple(frame.astype(dtype) for frame in frames), depth=depth)
    _describe_samples(draft, samples=1, photometric="MONOCHROME1" if picture.inverted else "MONOCHROME2")
    if picture.modality == "DX":
        dataset.PresentationLUTShape = "INVERSE" if picture.inverted else "IDENTITY"
    return _apply_form(draft, form, window)


def _shift_bits(frame: Array, shift: int) -> Array:
    return frame if shift == 0 else np.left_shift(frame, shift) if shift > 0 else np.right_shift(frame, -shift)


def _describe_samples(draft: Draft, *, samples: int, photometric: str) -> None:
    dataset, frame = draft.dataset, draft.frames[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = samples, photometric
    if len(draft.frames) > 1:
        dataset.NumberOfFrames = len(draft.frames)
    dataset.Rows, dataset.Columns = frame.shape[:2]
    dataset.BitsAllocated = 8 * frame.itemsize
    dataset.BitsStored, dataset.HighBit = draft.depth, draft.depth - 1
    dataset.PixelRepresentation = 0


def _draft_scan(picture: Picture, seed: int, serial: str, form: str) -> Draft:
    assert form in SCAN_FORMS, form
    dataset = make_header(picture, seed=seed, serial=serial)
    draft = Draft(dataset=dataset, frames=picture.frames, depth=8)
    palette = form == "palette"
    _describe_samples(draft, samples=1 if palette else 3, photometric=_PHOTOMETRICS.get(form, "RGB"))
    if not palette:
        dataset.PlanarConfiguration = int(form == "planar")
    if picture.region is not None and form != "no-region":
        dataset.SequenceOfUltrasoundRegions = Sequence([_make_region(picture.region, picture.spacing_mm or 0.1)])
    if palette:
        _add_palette(dataset)
    convert = {"planar": _to_planes, "ybr": _to_ybr, "palette": _to_palette}.get(form)
    return draft if convert is None else Draft(dataset=dataset, frames=tuple(map(convert, draft.frames)), depth=8)


def _make_region(region: tuple[int, int, int, int], spacing_mm: float) -> Dataset:
    x0, y0, x1, y1 = region
    return make_item(
        RegionSpatialFormat=1,
        RegionDataType=1,
        RegionFlags=0,
        RegionLocationMinX0=x0,
        RegionLocationMinY0=y0,
        RegionLocationMaxX1=x1,
        RegionLocationMaxY1=y1,
        PhysicalUnitsXDirection=3,  # centimetres
        PhysicalUnitsYDirection=3,
        PhysicalDeltaX=spacing_mm / 10,
        PhysicalDeltaY=spacing_mm / 10,
    )


def _to_planes(frame: Array) -> Array:
    return np.ascontiguousarray(frame.transpose(2, 0, 1))


def _to_ybr(frame: Array) -> Array:
    """RGB to YBR_FULL (PS3.3 C.7.6.3.1.2)."""
    ybr = frame.astype(np.float32) @ _YBR.T + np.array([0, 128, 128], np.float32)
    samples: Array = np.clip(np.rint(ybr), 0, 255).astype(np.uint8)
    return samples


_YBR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_GREYS = 128  # of the 256 entries of a palette; then 8 reds by 4 greens by 4 blues, as the signal is red and yellow
_COLOURED = 24  # difference between a pixel's channels from which it counts as coloured


def _to_palette(frame: Array) -> Array:
    rgb = frame.astype(np.int16)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    coloured = rgb.max(axis=2) - rgb.min(axis=2) >= _COLOURED
    colour = _GREYS + ((red >> 5) << 4 | (green >> 6) << 2 | blue >> 6)
    return np.where(coloured, colour, (red + green + blue) // 6).astype(np.uint8)


def _add_palette(dataset: Dataset) -> None:
    greys = np.arange(_GREYS) * 255 // (_GREYS - 1)
    index = np.arange(256 - _GREYS)
    tables = {"Red": (index >> 4) * 255 // 7, "Green": (index >> 2 & 3) * 85, "Blue": (index & 3) * 85}
    for name, table in tables.items():
        words = (np.concatenate([greys, table]) * 257).astype("<u2")
        dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", words.tobytes())


def _apply_form(draft: Draft, form: str, window: tuple[float, ...] | None) -> Draft:
    """The draft with its grey samples stored in this form."""
    if window is not None and form not in ("modality-lut", "voi-lut", "no-window"):
        scaled = (window[0] * 0.5 - 100, window[1] * 0.5) if form == "rescaled" else window
        _add_window(draft.dataset, scaled, twice=form == "two-windows")
    _add_value_mapping(draft, form)
    return Draft(dataset=draft.dataset, frames=_store_samples(draft, form), depth=draft.depth)


def _store_samples(draft: Draft, form: str) -> tuple[Array, ...]:
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
        return tuple(_add_padding(frame, (1 << depth) - 1) for frame in frames)
    return frames


def _add_value_mapping(draft: Draft, form: str) -> None:
    dataset, depth = draft.dataset, draft.depth
    if form == "rescaled":
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -100, "0.5", "US"
    elif form == "modality-lut":
        dataset.ModalityLUTSequence = Sequence([_make_lut(depth, 0.8)])
        dataset.ModalityLUTSequence[0].ModalityLUTType = "US"
    elif form == "voi-lut":
        dataset.VOILUTSequence = Sequence([_make_lut(depth, 1.3)])


def _add_window(dataset: Dataset, window: tuple[float, ...], *, twice: bool) -> None:
    centre, width = f"{window[0]:.6g}", f"{max(window[1], 1):.6g}"
    dataset.WindowCenter = [centre, f"{window[0] * 0.8:.6g}"] if twice else centre
    dataset.WindowWidth = [width, width] if twice else width
    if twice:
        dataset.WindowCenterWidthExplanation = ["NORMAL", "BONE"]


def _make_lut(depth: int, power: float) -> Dataset:
    """A rising lookup table from samples to 16 bits."""
    assert depth <= _LUT_DEPTH, depth
    entries = 1 << depth
    table = np.rint(65535 * (np.arange(entries) / (entries - 1)) ** power).astype(int)
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [entries, 0, 16])
    lut.add_new("LUTData", "US", table.tolist())
    return lut


def _add_padding(frame: Array, value: int) -> Array:
    """The film with a strip of padding at its lower edge; no other pixel has the padding's value."""
    frame = np.minimum(frame, frame.dtype.type(value - 1))
    frame[-max(2, frame.shape[0] // 100) :] = value
    return frame
