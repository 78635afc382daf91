"""Transfer syntaxes: their decoders, which turn the pixel data into one array of samples per frame.

What is decoded is checked against the header and the codestream. Decoders other than those for NATIVE and RLE may hang
or crash on a hostile frame: the sandbox runs them in a child process.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.formats.codestreams import Codestream, parse_codestream
from rajobs.imaging.formats.jpeg_scans import check_jpeg_scans
from rajobs.imaging.formats.lossless_jpeg import check_lossless_jpeg
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
RLE = "1.2.840.10008.1.2.5"

# The kinds of codestream that each compressed syntax allows.
COMPRESSED: dict[str, tuple[str, ...]] = {
    "1.2.840.10008.1.2.4.50": ("dct",),
    "1.2.840.10008.1.2.4.51": ("dct",),
    "1.2.840.10008.1.2.4.57": ("lossless",),
    "1.2.840.10008.1.2.4.70": ("lossless",),
    "1.2.840.10008.1.2.4.80": ("ls",),
    "1.2.840.10008.1.2.4.81": ("ls",),
    "1.2.840.10008.1.2.4.90": ("j2k",),
    "1.2.840.10008.1.2.4.91": ("j2k",),
    "1.2.840.10008.1.2.4.201": ("htj2k",),
    "1.2.840.10008.1.2.4.202": ("htj2k",),
    "1.2.840.10008.1.2.4.203": ("htj2k",),
}


_PADDING = 3  # bytes: what makes a length even, or a multiple of four
LOSSY = tuple(f"1.2.840.10008.1.2.4.{end}" for end in ("50", "51", "81", "91", "203"))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the samples of an image are stored in its pixel data."""

    syntax: str
    rows: int
    columns: int
    samples: int
    frames: int
    allocated: int
    stored: int
    high: int
    signed: bool
    photometric: str
    planar: int
    words: bool  # the element's VR is OW: 8-bit samples are swapped in big endian

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return np.dtype(
            f"{'>' if self.syntax == BIG_ENDIAN else '<'}{'i' if self.signed else 'u'}{self.allocated // 8}"
        )

    @property
    def subsampled(self) -> bool:
        """Whether it is native 4:2:2, with one pair of chroma samples per two pixels."""
        return self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") and self.syntax in NATIVE

    @property
    def frame_bytes(self) -> int:
        samples = 2 if self.subsampled else self.samples
        return self.rows * self.columns * samples * self.allocated // 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One frame's samples as stored: rows x columns (x 3); `precision` is the codestream's bits per sample."""

    samples: NDArray[np.generic]
    photometric: str
    precision: int | None = None


def decode_native(layout: Layout, data: memoryview) -> Iterator[Frame]:
    """The frames of uncompressed pixel data, without a copy where their byte order allows it."""
    total = layout.frame_bytes * layout.frames
    excess = len(data) - total
    if excess < 0:
        raise Reject("truncated", "decode", "pixel data shorter than rows x columns x frames")
    # Some writers pad to a word, with any value, or to a block. Anything else after the frames is an error.
    if excess > _PADDING and (excess >= layout.frame_bytes // layout.rows or any(data[total:])):
        raise Reject("corrupt", "decode", "pixel data longer than rows x columns x frames")
    for index in range(layout.frames):
        part = data[index * layout.frame_bytes : (index + 1) * layout.frame_bytes]
        yield Frame(samples=_decode_native_frame(layout, part, index), photometric=layout.photometric)


def _decode_native_frame(layout: Layout, part: memoryview, index: int) -> NDArray[np.generic]:
    if layout.syntax == BIG_ENDIAN and layout.allocated == 8 and layout.words:
        if len(part) % 2 or (index * len(part)) % 2:
            raise Reject("unsupported-syntax", "decode", "8-bit words of odd length")
        flat: NDArray[np.generic] = np.frombuffer(part, np.uint16).byteswap().view(layout.dtype)
    else:
        flat = np.frombuffer(part, layout.dtype)
    if not flat.dtype.isnative:
        flat = flat.astype(flat.dtype.newbyteorder("="))
    if layout.subsampled:
        return _upsample(flat, layout)
    return _reshape(flat, layout)


def _reshape(flat: NDArray[np.generic], layout: Layout) -> NDArray[np.generic]:
    if layout.samples == 1:
        return flat.reshape(layout.rows, layout.columns)
    if layout.planar:
        return np.ascontiguousarray(flat.reshape(layout.samples, layout.rows, layout.columns).transpose(1, 2, 0))
    return flat.reshape(layout.rows, layout.columns, layout.samples)


def _upsample(flat: NDArray[np.generic], layout: Layout) -> NDArray[np.generic]:
    if layout.columns % 2 or layout.allocated != 8:
        raise Reject("unsupported-syntax", "decode", "4:2:2 with odd columns or more than 8 bits")
    pairs = flat.reshape(layout.rows, layout.columns // 2, 4)
    out = np.empty((layout.rows, layout.columns, 3), flat.dtype)
    out[:, 0::2, 0], out[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    out[:, 0::2, 1:] = out[:, 1::2, 1:] = pairs[..., 2:]
    return out


# ---- Encapsulated pixel data


def decode_encapsulated(layout: Layout, data: memoryview, limits: Limits) -> Iterator[Frame]:
    """The frames of compressed pixel data."""
    for part in _split_into_frames(layout, data):
        if layout.syntax == RLE:
            yield Frame(samples=_decode_rle(layout, part), photometric=layout.photometric)
        else:
            yield _decode_codestream(layout, part, limits)


def _read_fragments(data: memoryview) -> tuple[bytes, list[memoryview]]:
    """The offset table and the fragments. A missing delimiter at the end is tolerated, a cut item is not."""
    items: list[memoryview] = []
    at = 0
    while at < len(data):
        tag, length = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "little")
        if tag == b"\xfe\xff\xdd\xe0":
            break
        if tag != b"\xfe\xff\x00\xe0":
            raise Reject("corrupt", "decode", "fragments that do not follow each other")
        if length == 0xFFFFFFFF or at + 8 + length > len(data):
            raise Reject("truncated", "decode", "fragment")
        items.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    if not items:
        raise Reject("truncated", "decode", "no offset table")
    return bytes(items[0]), items[1:]


def _split_into_frames(layout: Layout, data: memoryview) -> list[memoryview]:
    """The bytes of each frame; a frame may be spread over several fragments."""
    table, fragments = _read_fragments(data)
    count = layout.frames
    if len(fragments) < count:
        raise Reject("truncated", "decode", "fewer fragments than frames")
    if len(fragments) == count:
        return fragments
    if layout.syntax == RLE:
        raise Reject("corrupt", "decode", "more RLE fragments than frames")
    starts = _find_frame_starts(fragments)
    if len(starts) != count or (len(table) == 4 * count and _read_frame_starts(table, fragments) != starts):
        raise Reject("corrupt", "decode", "frames in the pixel data differ from the header's number")
    stops = [*starts[1:], len(fragments)]
    return [memoryview(b"".join(fragments[start:stop])) for start, stop in zip(starts, stops)]


def _find_frame_starts(fragments: list[memoryview]) -> list[int]:
    """The indices of the fragments that begin with a codestream's first bytes."""
    heads = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
    return [i for i, part in enumerate(fragments) if bytes(part[:8]).startswith(heads)]


def _read_frame_starts(table: bytes, fragments: list[memoryview]) -> list[int]:
    """The indices of the fragments that the offset table points to, -1 for an offset within a fragment."""
    offsets = np.cumsum([0, *(len(part) + 8 for part in fragments)]).tolist()
    stated = np.frombuffer(table, "<u4").tolist()
    return [offsets.index(offset) if offset in offsets else -1 for offset in stated]


def _decode_rle(layout: Layout, part: memoryview) -> NDArray[np.generic]:
    # Not pylibjpeg-rle: on some broken segments it panics, which `except Exception` does not catch.
    from imagecodecs import DicomrleError, dicomrle_decode

    _check_rle(part, layout.samples * layout.allocated // 8)
    wanted = layout.rows * layout.columns * layout.samples * layout.dtype.itemsize
    try:
        planes = dicomrle_decode(bytes(part), layout.dtype, out=wanted)  # fails rather than that it takes more memory
    except (DicomrleError, ValueError):
        raise Reject("corrupt", "decode", "RLE segment") from None
    flat = np.frombuffer(planes, layout.dtype)
    if flat.size != layout.rows * layout.columns * layout.samples:
        raise Reject("corrupt", "decode", "RLE segments of another length than rows x columns")
    if layout.samples == 1:
        return flat.reshape(layout.rows, layout.columns)
    return np.ascontiguousarray(flat.reshape(layout.samples, layout.rows, layout.columns).transpose(1, 2, 0))


def _check_rle(part: memoryview, segments: int) -> None:
    offsets = np.frombuffer(bytes(part[:64]).ljust(64, b"\0"), "<u4").tolist()
    used = offsets[1 : 1 + segments]
    if len(part) < 64 or offsets[0] != segments or not used or used[0] != 64:
        raise Reject("corrupt", "decode", "RLE header")
    if used != sorted(used) or used[-1] >= len(part):
        raise Reject("corrupt", "decode", "RLE offsets")


def _decode_codestream(layout: Layout, part: memoryview, limits: Limits) -> Frame:
    stream = parse_codestream(part)
    if stream.kind not in COMPRESSED[layout.syntax] and not (
        stream.kind == "htj2k" and "j2k" in COMPRESSED[layout.syntax]
    ):
        raise Reject("corrupt", "decode", "another coding than the transfer syntax names")
    if (stream.rows, stream.columns, stream.samples) != (layout.rows, layout.columns, layout.samples):
        raise Reject("corrupt", "decode", "codestream of another size than the header's")
    if stream.precision > layout.allocated:
        raise Reject("corrupt", "decode", "codestream of more bits than allocated")
    _check_ratio(stream.rows * stream.columns * stream.samples * layout.allocated // 8, len(stream.data), limits)
    samples = _decode_samples(stream, rgb=layout.photometric == "RGB")
    # The decoder undoes a colour transform of the coding; one that only the header states is left to pixel_values.py.
    is_rgb = stream.samples == 3 and stream.kind == "dct"
    is_rgb |= stream.kind in ("j2k", "htj2k") and layout.photometric in ("YBR_RCT", "YBR_ICT")
    photometric = "RGB" if is_rgb else layout.photometric
    return Frame(samples=samples, photometric=photometric, precision=stream.precision)


def _check_ratio(size: int, compressed: int, limits: Limits) -> None:
    """Reject a frame whose stated size is implausibly large for its compressed size."""
    if size > limits.ratio_from and size > limits.ratio * compressed:
        raise Reject("too-large", "decode", "compression ratio above the limit")


def _decode_samples(stream: Codestream, *, rgb: bool) -> NDArray[np.generic]:
    """The samples of a checked codestream; `rgb` counts where the codestream does not say what its colours are."""
    import imagecodecs

    data = bytes(stream.data)
    try:
        if stream.kind == "ls":
            samples = imagecodecs.jpegls_decode(data)
        elif stream.kind in ("j2k", "htj2k"):
            # OpenJPH decodes HTJ2K twice as fast, but imagecodecs only prints its errors.
            samples = imagecodecs.jpeg2k_decode(data)
        else:
            samples = _decode_jpeg(stream, data, rgb)
    except (ValueError, RuntimeError, TypeError) as error:
        raise Reject("corrupt", "decode", type(error).__name__) from None
    expected = (stream.rows, stream.columns, stream.samples)[: 2 if stream.samples == 1 else 3]
    if samples.shape != expected:
        raise Reject("corrupt", "decode", "decoded to another size than the codestream's")
    if stream.kind == "lossless":
        check_lossless_jpeg(stream, samples)
    elif stream.kind == "dct" and stream.precision == 8:
        check_jpeg_scans(data)
    return samples


def _decode_jpeg(stream: Codestream, data: bytes, rgb: bool) -> NDArray[np.generic]:
    import imagecodecs

    if stream.samples == 1:
        return imagecodecs.jpeg8_decode(data)
    if stream.samples != 3:
        raise Reject("not-grey-or-colour", "decode", f"{stream.samples} components")
    if stream.kind == "lossless":  # without a colour transform: the header says what the colours are
        return imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
    is_rgb = rgb if stream.rgb is None else stream.rgb
    return imagecodecs.jpeg8_decode(data, colorspace="RGB" if is_rgb else "YCBCR", outcolorspace="RGB")
