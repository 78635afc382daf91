"""From samples as they are stored to pixels as they are meant: MONOCHROME2 after the modality LUT, or RGB.

A linear modality LUT of whole numbers is applied as it stands. One with fractions would lose levels or invent them, so
the stored values are kept and the window is moved into their units. Negative values are shifted to start at 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from rajobs.imaging.formats import dicom_header, transfer_syntaxes, ultrasound_regions
from rajobs.imaging.formats.dicom_header import PALETTE, Scan
from rajobs.imaging.formats.transfer_syntaxes import Frame, Layout
from rajobs.imaging.image import Image
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject

Window = tuple[float, float]


def images(scan: Scan, limits: Limits) -> Iterator[Image]:
    """The frames of a scan as images, one after the other."""
    layout = scan.layout
    if layout.syntax in transfer_syntaxes.NATIVE:
        frames = transfer_syntaxes.native_frames(layout, scan.pixels)
    else:
        frames = transfer_syntaxes.encapsulated_frames(layout, scan.pixels, limits)
    with dicom_header.quiet():
        tone = None if layout.samples == 3 or layout.photometric == PALETTE else Tone.of(scan.dataset, layout)
    radiograph = scan.header.modality != "US"
    for index, frame in enumerate(frames):
        if tone is not None:
            pixels, bits, window = tone.apply(frame)
        else:
            pixels, bits, window = _colour(frame, scan), 8, None
            if radiograph:
                pixels = grey_of(pixels)
        pixels = ultrasound_regions.blanked(pixels, scan.boxes)
        yield Image(
            pixels=pixels,
            bits=bits,
            window=window,
            frame=index,
            doppler=not radiograph and ultrasound_regions.has_colour(pixels),
            header=scan.header,
        )


# ---- Grey


@dataclass(frozen=True, kw_only=True, eq=False)
class Tone:
    """How stored grey values become MONOCHROME2: the same for all frames of an object."""

    layout: Layout
    table: NDArray[np.generic] | None  # modality LUT
    table_first: int
    table_bits: int
    slope: float
    intercept: float
    padding: tuple[int, int] | None  # lowest and highest stored value that is no image
    overlays: bool  # bits above the stored ones are drawings
    window: Window | None  # in units after the modality LUT

    @classmethod
    def of(cls, dataset: Dataset, layout: Layout) -> "Tone":
        table, first, bits = _table(dataset, "ModalityLUTSequence")
        slope, intercept = dicom_header.real(dataset, "RescaleSlope"), dicom_header.real(dataset, "RescaleIntercept")
        return cls(
            layout=layout,
            table=table,
            table_first=first,
            table_bits=bits,
            slope=slope or 1.0,
            intercept=intercept or 0.0,
            padding=_padding(dataset),
            overlays=any(dicom_header.number(dataset, tag) for tag in dicom_header.OVERLAY_BITS),
            window=_window(dataset),
        )

    def apply(self, frame: Frame) -> tuple[NDArray[Any], int, Window | None]:
        """Pixels, their bits and the window in their units."""
        stored, bits, signed = self._stored(frame)
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        window = self.window
        if self.table is not None:
            at = np.clip(stored.astype(np.int32) - self.table_first, 0, len(self.table) - 1)
            values, low, high = self.table[at], 0, (1 << self.table_bits) - 1
        else:
            values, low, high, window = self._rescaled(stored, low, high)
        inverted = (self.layout.photometric == "MONOCHROME1") != (self.table is None and self.slope < 0)
        out, bits = _from_zero(values, low, high, inverted)
        if window is not None:
            centre = high - window[0] + 1 if inverted else window[0] - low
            window = (float(centre), float(window[1]))
        if self.padding is not None:
            out = self._without_padding(out, stored)
        return out, bits, window

    def _stored(self, frame: Frame) -> tuple[NDArray[Any], int, bool]:
        """The stored values as whole numbers, and how many bits they really have."""
        raw, layout = frame.samples, self.layout
        if frame.precision is not None:
            return self._decoded(raw, frame.precision)
        unsigned = raw.view(f"u{raw.itemsize}")
        bits = layout.stored
        shift = layout.high + 1 - bits
        if shift > 0 and not (unsigned & ((1 << shift) - 1)).any():
            unsigned, raw = unsigned >> shift, raw >> shift  # type: ignore[operator]
        if self.overlays:
            unsigned = unsigned & unsigned.dtype.type((1 << bits) - 1)
            raw = unsigned.view(raw.dtype)
        if layout.signed:
            return *_signed(raw, bits), True
        return unsigned, max(bits, int(unsigned.max()).bit_length()), False

    def _decoded(self, raw: NDArray[Any], precision: int) -> tuple[NDArray[Any], int, bool]:
        """Decoders give unsigned numbers for signed ones, except where the codestream says signed."""
        layout = self.layout
        if not layout.signed:
            if raw.dtype.kind == "i":
                raw = raw.view(f"u{raw.itemsize}") & ((1 << precision) - 1)
            return raw, max(layout.stored, int(raw.max()).bit_length()), False
        if raw.dtype.kind == "u":
            raw = raw.view(f"i{raw.itemsize}")
        return *_signed(raw, min(precision, layout.stored)), True

    def _rescaled(self, stored: NDArray[Any], low: int, high: int) -> tuple[NDArray[Any], int, int, Window | None]:
        """Values, their lowest and highest, and the window in their units."""
        slope, intercept, window = self.slope, self.intercept, self.window
        if slope > 0 and slope.is_integer() and float(intercept).is_integer():
            factor, added = int(slope), int(intercept)
            bottom, top = low * factor + added, high * factor + added
            if top - min(bottom, 0) <= 65535 and (factor > 1 or bottom > 0):
                return stored.astype(np.int32) * factor + added, min(bottom, 0), top, window
        if window is not None:
            window = ((window[0] - intercept) / slope, window[1] / abs(slope))
        return stored, low, high, window

    def _without_padding(self, out: NDArray[Any], stored: NDArray[Any]) -> NDArray[Any]:
        assert self.padding is not None
        first, last = self.padding
        hit = stored == first if first == last else (stored >= first) & (stored <= last)
        if hit.any():
            out = out.copy()
            out[hit] = 0
        return out


def _signed(raw: NDArray[Any], bits: int) -> tuple[NDArray[Any], int]:
    """Two's complement of `bits`, or of the whole word where the values need more than the header says."""
    spare = raw.itemsize * 8 - bits
    if spare == 0:
        return raw, bits
    extended = (raw << spare) >> spare
    above = raw.view(f"u{raw.itemsize}") >> bits
    if bool(((extended == raw) | (above == 0)).all()):
        return extended, bits
    return raw, raw.itemsize * 8


def _from_zero(values: NDArray[Any], low: int, high: int, inverted: bool) -> tuple[NDArray[Any], int]:
    """Values of low .. high as 0 .. high - low, in the smallest word, inverted if asked."""
    bits = max(1, int(high - low).bit_length())
    word = np.uint8 if bits <= 8 else np.uint16
    if low == 0 and not inverted:
        return values.astype(word, copy=False), bits
    if low == 0 and values.dtype.kind == "u" and high <= np.iinfo(values.dtype).max:
        return np.subtract(values.dtype.type(high), values).astype(word, copy=False), bits
    wide = values.astype(np.int32)
    return (high - wide if inverted else wide - low).astype(word), bits


def _table(dataset: Dataset, name: str) -> tuple[NDArray[np.generic] | None, int, int]:
    """A lookup table: its entries, the first value mapped and the bits of an entry."""
    items = dicom_header.value(dataset, name)
    if not items:
        return None, 0, 0
    try:
        count, first, bits = _words(items[0], "LUTDescriptor")[:3]
        entries = np.array(_words(items[0], "LUTData"), np.uint16)
    except (AttributeError, TypeError, ValueError, KeyError, OverflowError):
        raise Reject("corrupt", "header", "lookup table") from None
    if dicom_header.number(dataset, "PixelRepresentation") == 1 and first > 32767:
        first -= 65536  # the first value mapped is of the pixels' kind
    if bits <= 8 and len(entries) * 2 in (count, count + 1):  # two entries of 8 bits a word
        entries = entries.view(np.uint8)[:count].astype(np.uint16)
    if len(entries) != (count or 65536) or not 8 <= bits <= 16:
        raise Reject("corrupt", "header", "lookup table of another length than its descriptor")
    return entries, first, max(bits, int(entries.max()).bit_length())


def _words(item: Dataset, name: str) -> list[int]:
    """16-bit words as unsigned numbers, whatever value representation an implicit or odd header gives them."""
    found = item[name].value
    if isinstance(found, bytes):
        order = "<" if item.original_encoding[1] is not False else ">"
        return np.frombuffer(found, f"{order}u2").tolist()
    return [int(v) & 0xFFFF for v in found]


def _padding(dataset: Dataset) -> tuple[int, int] | None:
    first = dicom_header.number(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = dicom_header.number(dataset, "PixelPaddingRangeLimit")
    return (first, first) if last is None else (min(first, last), max(first, last))


def _window(dataset: Dataset) -> Window | None:
    """The header's first window; without one, the input range of its VOI LUT."""
    centre, width = dicom_header.real(dataset, "WindowCenter"), dicom_header.real(dataset, "WindowWidth")
    if centre is not None and width is not None and 1 <= width <= 1e6 and abs(centre) <= 1e6:
        return centre, width
    table, first, _ = _table(dataset, "VOILUTSequence")
    if table is None:
        return None
    # The span in which the table does something: from where it leaves its lowest to where it reaches its highest.
    values = table.astype(np.int64)
    spread = int(values.max() - values.min())
    inside = np.flatnonzero((values > values.min() + spread * 0.01) & (values < values.max() - spread * 0.01))
    if not len(inside):
        return None
    return first + float(inside[0] + inside[-1]) / 2, float(max(1, inside[-1] - inside[0]))


# ---- Colour


def _colour(frame: Frame, scan: Scan) -> NDArray[np.uint8]:
    if frame.photometric == PALETTE:
        return _from_palette(frame, scan)
    samples = frame.samples
    if samples.dtype != np.uint8:
        bits = max(frame.precision or scan.layout.stored, 8)
        samples = (samples.view(f"u{samples.itemsize}") >> (bits - 8)).astype(np.uint8)
    if frame.photometric in ("YBR_FULL", "YBR_FULL_422"):
        return ybr_to_rgb(samples)
    if frame.photometric.startswith("YBR_PARTIAL"):
        return ybr_to_rgb(samples, partial=True)
    return samples.view(np.uint8)


def ybr_to_rgb(ybr: NDArray[np.generic], *, partial: bool = False) -> NDArray[np.uint8]:
    """PS3.3 C.7.6.3.1.2, to the nearest whole number; `partial` is the range of video (16 .. 235)."""
    y, cb, cr = (np.asarray(ybr[..., i], np.float32) for i in range(3))
    cb, cr = cb - 128, cr - 128
    if partial:
        y, cb, cr = (y - 16) * np.float32(255 / 219), cb * np.float32(255 / 224), cr * np.float32(255 / 224)
    rgb = np.stack((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb), axis=-1)
    return np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)


def _from_palette(frame: Frame, scan: Scan) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_color_lut

    try:
        with dicom_header.quiet():
            rgb = apply_color_lut(frame.samples.view(f"u{frame.samples.itemsize}"), scan.dataset)
    except (AttributeError, ValueError, IndexError, KeyError, TypeError, NotImplementedError, RecursionError) as error:
        raise Reject("corrupt", "decode", f"palette: {type(error).__name__}") from None
    if rgb.shape[-1] != 3:
        raise Reject("not-grey-or-colour", "decode", "palette")
    # A table of 16 bits whose values stay below 256 was meant as one of 8.
    return rgb if rgb.dtype == np.uint8 else (rgb >> 8 if rgb.max() > 255 else rgb).astype(np.uint8)


def grey_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A radiograph that was stored in colour as grey."""
    if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2]):
        return np.ascontiguousarray(pixels[..., 0])
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.clip(np.rint(pixels.astype(np.float32) @ weights), 0, 255).astype(np.uint8)
