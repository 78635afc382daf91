"""The markers of JPEG, JPEG-LS and JPEG 2000: what a compressed frame says about itself, and whether it is complete.

Decoders silently fill in what is missing. A codestream that is cut off, or whose lengths do not lead from one marker to
the next, is therefore rejected before any decoder reads it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rajobs.records.errors import Reject

_FRAME_HEADERS = {0xC0: "dct", 0xC1: "dct", 0xC2: "dct", 0xC3: "lossless", 0xF7: "ls"}
_UNSUPPORTED_FRAME_HEADERS = {*range(0xC5, 0xD0)} - {0xC8, 0xCC}
_MOST_PADDING = 64  # bytes behind a codestream
_MOST_SEGMENTS = 10_000  # before the scan; an ICC profile or Exif data of many megabytes has hundreds
_MOST_SCANS = 500  # a progressive JPEG has about ten, and each takes as long as the whole picture
_MOST_FILL_BYTES = 1 << 16  # before one marker
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}


@dataclass(frozen=True, kw_only=True)
class Codestream:
    """One compressed frame. `kind` is dct, lossless, ls, j2k or htj2k; `rgb` is None where a JPEG does not say it."""

    kind: str
    data: bytes | memoryview
    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False
    rgb: bool | None = None


def _corrupt(detail: str) -> Reject:
    return Reject("corrupt", "decode", detail)


def _strip_padding(data: memoryview) -> memoryview:
    """The codestream without padding bytes; it must end with the end marker, which is FFD9 in all codings."""
    tail = bytes(data[-_MOST_PADDING:])
    end = tail.rfind(b"\xff\xd9") + 2
    if end > 1 and not tail[end:].strip(b"\x00\xff"):
        return data[: len(data) - len(tail) + end]
    raise Reject("truncated", "decode", "codestream without its end marker")


def parse_codestream(data: memoryview) -> Codestream:
    """Parse a codestream and check it from its first marker to its last."""
    head = bytes(data[:12])
    if head.startswith(b"\xff\xd8\xff"):
        return _parse_jpeg(_strip_padding(data))
    if head.startswith(b"\x00\x00\x00\x0cjP  "):
        data = _extract_from_jp2(data)
        head = bytes(data[:4])
    if head.startswith(b"\xff\x4f\xff\x51"):
        return _parse_j2k(_strip_padding(data))
    raise _corrupt("no codestream")


def _extract_from_jp2(data: memoryview) -> memoryview:
    """The codestream in a JP2 file, which some writers put into DICOM."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            length, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        if kind == b"jp2c":
            return data[at + head : at + length if length else len(data)]
        if length < head:
            break
        at += length
    raise _corrupt("JP2 without codestream")


# ---- JPEG and JPEG-LS


def _parse_jpeg(data: memoryview) -> Codestream:
    frame_header: tuple[str, int, int, int, int, bytes] | None = None
    applications: dict[int, bytes] = {}
    at = 2
    for marker, body, at in _read_segments(data):  # noqa: B007 - where the scan begins
        if marker in _FRAME_HEADERS:
            if frame_header:
                raise _corrupt("two frame headers")
            frame_header = _parse_frame_header(marker, body)
        elif marker in _UNSUPPORTED_FRAME_HEADERS:
            raise Reject("unsupported-syntax", "decode", "hierarchical or arithmetic JPEG")
        elif marker in (0xE0, 0xEE):
            applications.setdefault(marker, body)
    if frame_header is None:
        raise _corrupt("scan without a frame header")
    kind, precision, rows, columns, samples, component_ids = frame_header
    if kind != "ls":
        _check_scan(data, at)
    rgb = _is_rgb(applications, component_ids)
    return Codestream(kind=kind, data=data, rows=rows, columns=columns, samples=samples, precision=precision, rgb=rgb)


def _read_segments(data: memoryview) -> Iterator[tuple[int, bytes, int]]:
    """The marker, body and end of each segment up to the first scan's."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker, body, at = _read_segment(data, at)
        yield marker, body, at
        if marker == 0xDA:
            return
    raise Reject("too-large", "decode", "JPEG segments above the limit")


def _read_segment(data: memoryview, at: int) -> tuple[int, bytes, int]:
    """The marker, body and end of the segment at a position."""
    filled = bytes(data[at : at + _MOST_FILL_BYTES + 2])
    fill_bytes = len(filled) - len(filled.lstrip(b"\xff")) if filled[:2] == b"\xff\xff" else 1
    if fill_bytes > _MOST_FILL_BYTES:
        raise Reject("too-large", "decode", "JPEG fill bytes above the limit")
    at += max(fill_bytes - 1, 0)
    if at + 4 > len(data) or data[at] != 0xFF:
        raise _corrupt("markers that do not follow each other")
    marker = data[at + 1]
    if marker in _WITHOUT_LENGTH:
        return marker, b"", at + 2
    (length,) = struct.unpack_from(">H", data, at + 2)
    if length < 2 or at + 2 + length > len(data):
        raise Reject("truncated", "decode", "JPEG segment")
    return marker, bytes(data[at + 4 : at + 2 + length]), at + 2 + length


def _parse_frame_header(marker: int, body: bytes) -> tuple[str, int, int, int, int, bytes]:
    if len(body) < 6:
        raise _corrupt("frame header")
    precision, rows, columns, samples = struct.unpack_from(">BHHB", body)
    if len(body) != 6 + 3 * samples or not rows or not columns or not 2 <= precision <= 16:
        raise _corrupt("frame header")
    return _FRAME_HEADERS[marker], precision, rows, columns, samples, body[6::3]


def _is_rgb(applications: dict[int, bytes], component_ids: bytes) -> bool | None:
    """Whether the colours are RGB, by Adobe's segment, else the components' ids, else a JFIF segment (never RGB)."""
    adobe = applications.get(0xEE, b"")
    if adobe[:5] == b"Adobe" and len(adobe) >= 12:
        return adobe[11] == 0
    if component_ids == b"RGB":
        return True
    return False if applications.get(0xE0, b"")[:4] == b"JFIF" else None


def _check_scan(data: memoryview, at: int) -> None:
    """In a scan only stuffed zeros and restart markers in their order may follow FF, until the next segment."""
    scan = np.frombuffer(data, np.uint8)[at:]
    first, second = scan[:-1], scan[1:]
    positions = np.flatnonzero((first == 0xFF) & (second != 0) & (second != 0xFF))
    markers = second[positions]
    others = np.flatnonzero((markers < 0xD0) | (markers > 0xD7))
    if not len(others):
        raise Reject("truncated", "decode", "scan without end")
    if np.count_nonzero(markers == 0xDA) > _MOST_SCANS:
        raise Reject("too-large", "decode", "JPEG scans above the limit")
    restarts = markers[: others[0]]
    if not np.array_equal(restarts, 0xD0 + np.arange(len(restarts)) % 8):
        raise _corrupt("restart markers out of order")
    marker, end = int(markers[others[0]]), int(positions[others[0]]) + 2
    if marker == 0xD9 and end != len(scan):
        raise _corrupt("data after the end marker")
    if marker not in (0xD9, 0xC4, 0xDA, 0xDB, 0xDD, 0xFE) and not 0xE0 <= marker <= 0xEF:
        raise _corrupt("a marker within a scan")


# ---- JPEG 2000


def _parse_j2k(data: memoryview) -> Codestream:
    kind, at = "j2k", 2
    size: tuple[int, int, int, int, bool] | None = None
    while True:
        if at + 4 > len(data) or data[at] != 0xFF:
            raise _corrupt("main header")
        marker = data[at + 1]
        if marker in (0x90, 0xD9):
            break
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker == 0x51:
            size = _parse_image_size(data[at + 4 : at + 2 + length])
        elif marker == 0x50:
            kind = "htj2k"  # only part 15 has the capabilities segment
        at += 2 + length
    if size is None:
        raise _corrupt("no image size")
    _check_tiles(data, at)
    rows, columns, samples, precision, signed = size
    return Codestream(
        kind=kind, data=data, rows=rows, columns=columns, samples=samples, precision=precision, signed=signed
    )


def _parse_image_size(body: memoryview) -> tuple[int, int, int, int, bool]:
    if len(body) < 36:
        raise _corrupt("image size")
    x1, y1, x0, y0, tile_x, tile_y, _, _, samples = struct.unpack_from(">8IH", body, 2)
    if x1 <= x0 or y1 <= y0 or not tile_x or not tile_y or len(body) != 36 + 3 * samples or not samples:
        raise _corrupt("image size")
    if -(-(x1 - x0) // tile_x) * -(-(y1 - y0) // tile_y) > 65535:
        raise _corrupt("tiles")
    components = bytes(body[36:])
    if len({components[i : i + 3] for i in range(0, len(components), 3)}) != 1:
        raise Reject("unsupported-syntax", "decode", "JPEG 2000 components of different size or depth")
    return y1 - y0, x1 - x0, samples, (components[0] & 0x7F) + 1, bool(components[0] & 0x80)


def _check_tiles(data: memoryview, at: int) -> None:
    """Each tile-part's length must lead to the next tile-part, the last one to the end marker."""
    end = len(data) - 2
    while at < end:
        if at + 12 > end or bytes(data[at : at + 4]) != b"\xff\x90\x00\x0a":
            raise _corrupt("tile-parts that do not follow each other")
        (length,) = struct.unpack_from(">I", data, at + 6)
        if length == 0:
            return
        if length < 14 or at + length > end:
            raise Reject("truncated", "decode", "tile-part")
        at += length
