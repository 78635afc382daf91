"""Stored samples to pixels with a defined meaning: MONOCHROME2 after the modality LUT, or RGB.

A rescale with whole-number slope and intercept is applied. One with fractions would merge or invent grey levels, so the
stored values are kept and the window is converted to their units. Negative values are shifted so that they start at 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from rajobs.imaging.formats import transfer_syntaxes
from rajobs.imaging.formats.dicom_header import (
    OVERLAY_BIT_POSITIONS,
    PALETTE,
    DicomFile,
    read_float,
    read_int,
    read_value,
    silence_pydicom,
)
from rajobs.imaging.formats.doppler_colour import has_doppler_colour
from rajobs.imaging.formats.transfer_syntaxes import Frame, Layout
from rajobs.imaging.formats.ultrasound_regions import blank_outside
from rajobs.imaging.image import Image
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject

Window = tuple[float, float]
_FARTHEST = 1e6
_OVERSHOOT = 1.25  # of the highest stored value, by which a lossy coding may pass it


def decode_images(dicom: DicomFile, limits: Limits) -> Iterator[Image]:
    """The frames of a DICOM file as images, one after the other."""
    layout = dicom.layout
    if layout.syntax in transfer_syntaxes.NATIVE:
        frames = transfer_syntaxes.decode_native(layout, dicom.pixels)
    else:
        frames = transfer_syntaxes.decode_encapsulated(layout, dicom.pixels, limits)
    is_grey = layout.samples == 1 and layout.photometric != PALETTE
    with silence_pydicom():
        transform = GreyTransform.from_header(dicom.dataset, layout) if is_grey else None
    radiograph = dicom.header.modality != "US"
    for index, frame in enumerate(frames):
        if transform is not None:
            pixels, bits, window = transform.apply(frame)
        else:
            pixels, bits, window = _to_rgb(frame, dicom), 8, None
            if radiograph:
                pixels = rgb_to_grey(pixels)
        pixels = blank_outside(pixels, dicom.boxes)
        yield Image(
            pixels=pixels,
            bits=bits,
            window=window,
            frame=index,
            doppler=not radiograph and has_doppler_colour(pixels),
            header=dicom.header,
        )


# ---- Grey


@dataclass(frozen=True, kw_only=True, eq=False)
class _LookupTable:
    """A header's lookup table: its entries, the stored value of the first one, and their bits."""

    entries: NDArray[np.uint16]
    first: int
    bits: int


@dataclass(frozen=True, kw_only=True, eq=False)
class GreyTransform:
    """How stored grey values become MONOCHROME2: the same for all frames of a file."""

    layout: Layout
    modality_lut: _LookupTable | None
    slope: float
    intercept: float
    padding: tuple[int, int] | None  # lowest and highest stored value that is not part of the image
    overlays: bool  # the bits above the stored ones are drawings
    window: Window | None  # in units after the modality LUT

    @classmethod
    def from_header(cls, dataset: Dataset, layout: Layout) -> "GreyTransform":
        return cls(
            layout=layout,
            modality_lut=_read_lookup_table(dataset, "ModalityLUTSequence"),
            slope=read_float(dataset, "RescaleSlope") or 1.0,
            intercept=read_float(dataset, "RescaleIntercept") or 0.0,
            padding=_read_padding(dataset),
            overlays=any(read_int(dataset, tag) is not None for tag in OVERLAY_BIT_POSITIONS),
            window=_read_window(dataset),
        )

    def apply(self, frame: Frame) -> tuple[NDArray[Any], int, Window | None]:
        """A frame's pixels, their bits, and the window in their units."""
        stored, bits, signed = self._stored_values(frame)
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        window, lut = self.window, self.modality_lut
        if lut is not None:
            at = np.clip(stored.astype(np.int32) - lut.first, 0, len(lut.entries) - 1)
            values, low, high = lut.entries[at], 0, (1 << lut.bits) - 1
        else:
            values, low, high, window = self._rescale(stored, low, high)
        inverted = (self.layout.photometric == "MONOCHROME1") != (lut is None and self.slope < 0)
        out, bits = _shift_to_zero(values, low, high, inverted)
        if window is not None:
            centre = high - window[0] + 1 if inverted else window[0] - low
            window = (float(centre), float(window[1]))
            window = window if _is_plausible(window) else None
        if self.padding is not None:
            out = self._blacken_padding(out, stored)
        return out, bits, window

    def _stored_values(self, frame: Frame) -> tuple[NDArray[Any], int, bool]:
        """The stored values, how many bits they really have, and whether they are signed."""
        raw, layout = frame.samples, self.layout
        if frame.precision is not None:
            return self._decoded_values(raw, frame.precision)
        unsigned = raw.view(f"u{raw.itemsize}")
        bits = layout.stored
        shift = layout.high + 1 - bits
        if shift > 0 and not (unsigned & ((1 << shift) - 1)).any():
            unsigned, raw = unsigned >> shift, raw >> shift  # type: ignore[operator]
        if self.overlays or (not layout.signed and _has_drawings(unsigned, bits)):
            unsigned = unsigned & unsigned.dtype.type((1 << bits) - 1)
            raw = unsigned.view(raw.dtype)
        if layout.signed:
            return *_extend_sign(raw, bits), True
        return unsigned, max(bits, int(unsigned.max()).bit_length()), False

    def _decoded_values(self, raw: NDArray[Any], precision: int) -> tuple[NDArray[Any], int, bool]:
        """The same for a decoder's output, which is unsigned unless the codestream itself says signed."""
        layout = self.layout
        if not layout.signed:
            if raw.dtype.kind == "i":
                raw = raw.view(f"u{raw.itemsize}") & ((1 << precision) - 1)
            highest, most = int(raw.max()), (1 << layout.stored) - 1
            if layout.syntax in transfer_syntaxes.LOSSY and most < highest <= _OVERSHOOT * most:
                raw, highest = np.minimum(raw, most), most
            return raw, max(layout.stored, highest.bit_length()), False
        if raw.dtype.kind == "u":
            raw = raw.view(f"i{raw.itemsize}")
        return *_extend_sign(raw, min(precision, layout.stored)), True

    def _rescale(self, stored: NDArray[Any], low: int, high: int) -> tuple[NDArray[Any], int, int, Window | None]:
        """The values, the lowest and highest possible one, and the window in their units."""
        slope, intercept, window = self.slope, self.intercept, self.window
        if slope > 0 and slope.is_integer() and float(intercept).is_integer():
            factor, offset = int(slope), int(intercept)
            lowest, highest = low * factor + offset, high * factor + offset
            if highest - min(lowest, 0) <= 65535 and (factor > 1 or lowest > 0):
                return stored.astype(np.int32) * factor + offset, min(lowest, 0), highest, window
        if window is not None:
            window = ((window[0] - intercept) / slope, window[1] / abs(slope))
        return stored, low, high, window

    def _blacken_padding(self, out: NDArray[Any], stored: NDArray[Any]) -> NDArray[Any]:
        assert self.padding is not None
        first, last = self.padding
        is_padding = stored == first if first == last else (stored >= first) & (stored <= last)
        if is_padding.any():
            out = out.copy()
            out[is_padding] = 0
        return out


def _has_drawings(values: NDArray[Any], bits: int) -> bool:
    """Whether the bits above the stored ones are drawings, and not samples that need more bits than is stated.

    Samples change little from one to the next. Without their highest bits they jump, with a drawing's bits they jump.
    """
    if not int(values.max()) >> bits:
        return False
    wide = values.astype(np.int32)
    return _jumps(wide) > _jumps(wide & ((1 << bits) - 1))


def _jumps(values: NDArray[np.int32]) -> int:
    return sum(int(np.abs(np.diff(values, axis=axis)).sum(dtype=np.int64)) for axis in (0, 1))


def _extend_sign(raw: NDArray[Any], bits: int) -> tuple[NDArray[Any], int]:
    """Read values as two's complement of `bits`, or of the whole word where they need more bits than that."""
    spare = raw.itemsize * 8 - bits
    if spare == 0:
        return raw, bits
    extended = (raw << spare) >> spare
    above = raw.view(f"u{raw.itemsize}") >> bits
    if bool(((extended == raw) | (above == 0)).all()):
        return extended, bits
    return raw, raw.itemsize * 8


def _shift_to_zero(values: NDArray[Any], low: int, high: int, inverted: bool) -> tuple[NDArray[Any], int]:
    """Values of low .. high as 0 .. high - low in the smallest type, inverted if asked, and their bits."""
    bits = max(1, int(high - low).bit_length())
    word = np.uint8 if bits <= 8 else np.uint16
    if low == 0 and not inverted:
        return values.astype(word, copy=False), bits
    if low == 0 and values.dtype.kind == "u" and high <= np.iinfo(values.dtype).max:
        return np.subtract(values.dtype.type(high), values).astype(word, copy=False), bits
    wide = values.astype(np.int32)
    return (high - wide if inverted else wide - low).astype(word), bits


def _read_lookup_table(dataset: Dataset, name: str) -> _LookupTable | None:
    items = read_value(dataset, name)
    if not items:
        return None
    try:
        count, first, bits = _read_words(items[0], "LUTDescriptor")[:3]
        entries = np.array(_read_words(items[0], "LUTData"), np.uint16)
    except (AttributeError, TypeError, ValueError, KeyError, OverflowError):
        raise Reject("corrupt", "header", "lookup table") from None
    if read_int(dataset, "PixelRepresentation") == 1 and first > 32767:
        first -= 65536  # the first stored value is signed if the pixels are
    if bits <= 8 and len(entries) * 2 in (count, count + 1):  # two 8-bit entries in one word
        entries = entries.view(np.uint8)[:count].astype(np.uint16)
    if len(entries) != (count or 65536) or not 8 <= bits <= 16:
        raise Reject("corrupt", "header", "lookup table of another length than its descriptor")
    return _LookupTable(entries=entries, first=first, bits=max(bits, int(entries.max()).bit_length()))


def _read_words(item: Dataset, name: str) -> list[int]:
    """16-bit words as unsigned numbers, whatever value representation an implicit or odd header gives them."""
    value = item[name].value
    if isinstance(value, bytes):
        order = "<" if item.original_encoding[1] is not False else ">"
        words: list[int] = np.frombuffer(value, f"{order}u2").tolist()
        return words
    return [int(word) & 0xFFFF for word in value]


def _read_padding(dataset: Dataset) -> tuple[int, int] | None:
    first = read_int(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = read_int(dataset, "PixelPaddingRangeLimit")
    return (first, first) if last is None else (min(first, last), max(first, last))


def _is_plausible(window: Window) -> bool:
    """Whether a window can be one of 16-bit values, before or after a rescale."""
    return abs(window[0]) <= _FARTHEST and 0 < window[1] <= _FARTHEST


def _read_window(dataset: Dataset) -> Window | None:
    """The header's first window; without one, the input range of its VOI LUT."""
    centre, width = read_float(dataset, "WindowCenter"), read_float(dataset, "WindowWidth")
    if centre is not None and width is not None and width >= 1 and _is_plausible((centre, width)):
        return centre, width
    lut = _read_lookup_table(dataset, "VOILUTSequence")
    if lut is None:
        return None
    # The range in which the table rises: from where it leaves its lowest value to where it reaches its highest.
    values = lut.entries.astype(np.int64)
    margin = int(values.max() - values.min()) * 0.01
    inside = np.flatnonzero((values > values.min() + margin) & (values < values.max() - margin))
    if not len(inside):
        return None
    return lut.first + float(inside[0] + inside[-1]) / 2, float(max(1, inside[-1] - inside[0]))


# ---- Colour


def _to_rgb(frame: Frame, dicom: DicomFile) -> NDArray[np.uint8]:
    if frame.photometric == PALETTE:
        return _palette_to_rgb(frame, dicom)
    samples = frame.samples
    if samples.dtype != np.uint8:
        bits = max(frame.precision or dicom.layout.stored, 8)
        samples = (samples.view(f"u{samples.itemsize}") >> (bits - 8)).astype(np.uint8)
    if frame.photometric in ("YBR_FULL", "YBR_FULL_422"):
        return _ybr_to_rgb(samples)
    if frame.photometric.startswith("YBR_PARTIAL"):
        return _ybr_to_rgb(samples, partial=True)
    return samples.view(np.uint8)


def _ybr_to_rgb(ybr: NDArray[np.generic], *, partial: bool = False) -> NDArray[np.uint8]:
    """PS3.3 C.7.6.3.1.2, to the nearest whole number; `partial` is for the value range of video (16 .. 235)."""
    y, cb, cr = (np.asarray(ybr[..., i], np.float32) for i in range(3))
    cb, cr = cb - 128, cr - 128
    if partial:
        y, cb, cr = (y - 16) * np.float32(255 / 219), cb * np.float32(255 / 224), cr * np.float32(255 / 224)
    rgb = np.stack((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb), axis=-1)
    return np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)


def _palette_to_rgb(frame: Frame, dicom: DicomFile) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_color_lut

    try:
        with silence_pydicom():
            rgb = apply_color_lut(frame.samples.view(f"u{frame.samples.itemsize}"), dicom.dataset)
    except (AttributeError, ValueError, IndexError, KeyError, TypeError, NotImplementedError, RecursionError) as error:
        raise Reject("corrupt", "decode", f"palette: {type(error).__name__}") from None
    if rgb.shape[-1] != 3:
        raise Reject("not-grey-or-colour", "decode", "palette")
    # A 16-bit table whose values are all below 256 was meant as an 8-bit table.
    return rgb if rgb.dtype == np.uint8 else (rgb >> 8 if rgb.max() > 255 else rgb).astype(np.uint8)


def rgb_to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey values of a radiograph that was stored in colour."""
    if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2]):
        return np.ascontiguousarray(pixels[..., 0])
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    grey: NDArray[np.uint8] = np.clip(np.rint(pixels.astype(np.float32) @ weights), 0, 255).astype(np.uint8)
    return grey
