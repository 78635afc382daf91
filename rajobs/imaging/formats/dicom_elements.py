"""A DICOM header as its elements: a walk over tags and lengths that opens nothing it does not need.

A walk of our own, because a header parser that builds every nested sequence can be made to run out of stack, memory or
time by a small file, and because what is never read can't leak. The values wanted become a pydicom data set.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from rajobs.imaging.file_types import META
from rajobs.imaging.formats.transfer_syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject

_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_OPEN = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_STEP = MIB
_SYNTAX, _CLASS = 0x00020010, 0x00020002
PIXELS = 0x7FE00010
_OTHER_PIXELS = (0x7FE00008, 0x7FE00009)


@dataclass(frozen=True, kw_only=True)
class Found:
    """An element's place: `start` and `stop` of its value, `stop` of an open one before its delimiter."""

    tag: int
    vr: str | None
    start: int
    stop: int
    open: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Elements:
    """The wanted elements of a file, and its pixel data where it has any.

    `cut`: the file ends within an element. `open`: the pixel data is of undefined length, hence encapsulated.
    """

    dataset: Dataset
    syntax: str
    stated_class: str  # by the file meta elements
    pixels: memoryview | None
    pixel_vr: str | None
    open: bool
    cut: bool


def read_elements(data: bytes, wanted: frozenset[int], limits: Limits) -> Elements:
    """The wanted top-level elements before the pixel data."""
    start = 132 if data[128:132] == b"DICM" or data[132:140] == META else 0
    meta, start = _meta(data, start, limits)
    syntax = meta.get(_SYNTAX, "")
    content = memoryview(data)
    if syntax == DEFLATED:
        content, start = memoryview(_inflated(content[start:], limits)), 0
    syntax = syntax or _guessed(content, start)
    implicit = _is_implicit(content, start, syntax)
    walk = _Walk(content, start, implicit=implicit, big=syntax == BIG_ENDIAN, limits=limits)
    raw: dict[BaseTag, RawDataElement] = {}
    pixels: Found | None = None
    for element in walk.top_level():
        if element.tag in _OTHER_PIXELS:
            raise Reject("not-grey-or-colour", "header", "floating point pixels")
        if element.tag == PIXELS:
            pixels = element
            break
        if element.tag in wanted:
            raw[BaseTag(element.tag)] = _raw(content, element, implicit, syntax != BIG_ENDIAN, limits)
    dataset = Dataset(raw)  # type: ignore[arg-type]
    dataset.set_original_encoding(implicit, syntax != BIG_ENDIAN)
    return Elements(
        dataset=dataset,
        syntax=syntax,
        stated_class=meta.get(_CLASS, ""),
        pixels=content[pixels.start : pixels.stop] if pixels else None,
        pixel_vr=pixels.vr if pixels else None,
        open=bool(pixels and pixels.open),
        cut=walk.cut,
    )


def _raw(data: memoryview, found: Found, implicit: bool, little: bool, limits: Limits) -> RawDataElement:
    if found.stop - found.start > limits.header_value:
        raise Reject("too-large", "header", "a header value above the limit")
    value = bytes(data[found.start : found.stop])
    return RawDataElement(BaseTag(found.tag), found.vr, len(value), value or None, found.start, implicit, little)


def _meta(data: bytes, start: int, limits: Limits) -> tuple[dict[int, str], int]:
    """Transfer syntax and object class of the file meta elements, as far as there are any, and where they end."""
    walk = _Walk(memoryview(data), start, implicit=False, big=False, limits=limits)
    found: dict[int, str] = {}
    stop = start
    if data[start : start + 2] != b"\x02\x00":
        return found, stop
    for element in walk.top_level(only_group=2):
        stop = element.stop
        if element.tag in (_SYNTAX, _CLASS):
            found[element.tag] = data[element.start : element.stop].rstrip(b"\0 ").decode("ascii", "replace")
    return found, stop


def _inflated(data: memoryview, limits: Limits) -> bytearray:
    most = min(limits.held_bytes, max(limits.ratio_from, limits.ratio * len(data)))
    engine, out, left = zlib.decompressobj(-15), bytearray(), bytes(data)
    try:
        while left and not engine.eof and len(out) <= most:
            out += engine.decompress(left, _STEP)
            left = engine.unconsumed_tail
    except zlib.error:
        raise Reject("corrupt", "header", "deflated data set") from None
    if len(out) > most:
        raise Reject("too-large", "header", "deflated data set above the limit")
    if not engine.eof:
        raise Reject("truncated", "header", "deflated data set")
    return out


def _guessed(data: memoryview, start: int) -> str:
    if bytes(data[start : start + 1]) == b"\0":
        return BIG_ENDIAN  # group 0008 with its high byte first
    return EXPLICIT if _is_vr(bytes(data[start + 4 : start + 6])) else IMPLICIT


def _is_implicit(data: memoryview, start: int, syntax: str) -> bool:
    """As the first element is, whatever the transfer syntax says: some writers say one and do the other."""
    vr = bytes(data[start + 4 : start + 6])
    return syntax == IMPLICIT if len(vr) < 2 else not _is_vr(vr)


def _is_vr(vr: bytes) -> bool:
    return len(vr) == 2 and all(65 <= c <= 90 for c in vr)


class _Walk:
    """Steps from element to element; `at` is the next byte, `cut` is set where the file ends within an element."""

    def __init__(self, data: memoryview, at: int, *, implicit: bool, big: bool, limits: Limits) -> None:
        self.data, self.at, self.cut = data, at, False
        self.implicit, self.left = implicit, limits.header_reads
        order = ">" if big else "<"
        self._head, self._long = struct.Struct(f"{order}HH2sH"), struct.Struct(f"{order}L")

    def top_level(self, only_group: int | None = None) -> Iterator[Found]:
        while self.at + 8 <= len(self.data):
            begin = self.at
            tag, vr, length = self._next(self.implicit)
            if only_group is not None and tag >> 16 != only_group:
                self.at = begin
                return
            start = self.at
            if length == _OPEN:
                self._skip_open(nested_implicit=self.implicit or vr == "UN")
                yield Found(tag=tag, vr=vr, start=start, stop=self.at - 8 * (not self.cut), open=True)
            elif start + length > len(self.data):
                self.cut = True
                yield Found(tag=tag, vr=vr, start=start, stop=len(self.data), open=False)
                self.at = len(self.data)
            else:
                self.at = start + length
                yield Found(tag=tag, vr=vr, start=start, stop=self.at, open=False)

    def _next(self, implicit: bool) -> tuple[int, str | None, int]:
        """The tag, VR and length at `at`, which moves to the value."""
        self.left -= 1
        if self.left < 0:
            raise Reject("too-large", "header", "elements above the limit")
        group, number, vr, length = self._head.unpack_from(self.data, self.at)
        tag = group << 16 | number
        self.at += 8
        if implicit or group == 0xFFFE or not _is_vr(vr):
            (length,) = self._long.unpack_from(self.data, self.at - 4)
            return tag, None, length
        if vr in _LONG_VRS:
            if self.at + 4 > len(self.data):
                self.cut = True
                return tag, vr.decode("ascii"), 0
            (length,) = self._long.unpack_from(self.data, self.at)
            self.at += 4
        return tag, vr.decode("ascii"), length

    def _skip_open(self, *, nested_implicit: bool) -> None:
        """Moves behind the delimiter of an open sequence, or of encapsulated pixel data, however deep it is."""
        levels = [nested_implicit]
        while levels:
            if self.at + 8 > len(self.data):
                self.cut, self.at = True, len(self.data)
                return
            tag, vr, length = self._next(levels[-1])
            if tag == _SEQUENCE_END:
                levels.pop()
            elif length == _OPEN:
                if tag != _ITEM:
                    levels.append(levels[-1] or vr == "UN")
            elif self.at + length > len(self.data):
                self.cut, self.at = True, len(self.data)
                return
            elif tag != _ITEM_END:
                self.at += length
