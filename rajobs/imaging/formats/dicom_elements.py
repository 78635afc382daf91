"""A DICOM header as its elements, parsed by tags and lengths, without opening what is not needed.

pydicom's own parser builds every nested sequence, so that a small file can make it run out of stack, memory or time;
and what is never read cannot leak. The wanted values are returned as a pydicom data set.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from rajobs.imaging.file_types import META_START
from rajobs.imaging.formats.transfer_syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject

_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_START = {True: b"\xfe\xff\x00\xe0", False: b"\xff\xfe\xe0\x00"}  # by whether it is little endian
_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
_INFLATE_STEP = MIB
_LONGEST_UID = 128  # bytes; 64 by the standard
_SYNTAX, _CLASS = 0x00020010, 0x00020002
_PIXELS, _FLOAT_PIXELS = 0x7FE00010, (0x7FE00008, 0x7FE00009)


@dataclass(frozen=True, kw_only=True)
class ElementRange:
    """An element and the range of its value; with undefined length, `stop` is before the delimiter."""

    tag: int
    vr: str | None
    start: int
    stop: int
    undefined_length: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Elements:
    """The wanted elements of a file, and its pixel data where it has any."""

    dataset: Dataset
    syntax: str
    meta_sop_class: str  # as the file meta elements state it
    pixels: memoryview | None
    pixel_vr: str | None
    encapsulated: bool  # the pixel data has undefined length
    is_truncated: bool  # the file ends within an element


def read_elements(data: memoryview, wanted: frozenset[int], tables: frozenset[int], limits: Limits) -> Elements:
    """The wanted top-level elements before the pixel data, and the pixel data; `tables` may be long."""
    head = bytes(data[128:140])
    start = 132 if head[:4] == b"DICM" or head[4:] == META_START else 0
    meta, start = _read_meta(data, start, limits)
    syntax = meta.get(_SYNTAX, "")
    content = data
    if syntax == DEFLATED:
        content, start = memoryview(_inflate(content[start:], limits)), 0
    syntax = syntax or _guess_syntax(content, start)
    implicit, little = _is_implicit(content, start, syntax), syntax != BIG_ENDIAN
    parser = _ElementParser(content, start, implicit=implicit, little=little, limits=limits)
    raw: dict[BaseTag, RawDataElement] = {}
    pixels: ElementRange | None = None
    for element in parser.top_level():
        if element.tag in _FLOAT_PIXELS:
            raise Reject("not-grey-or-colour", "header", "floating point pixels")
        if element.tag == _PIXELS:
            pixels = element
            break
        if element.tag in wanted:
            raw[BaseTag(element.tag)] = _raw_element(content, element, implicit, little, tables, limits)
    dataset = Dataset(raw)  # type: ignore[arg-type]
    dataset.set_original_encoding(implicit, little)
    return Elements(
        dataset=dataset,
        syntax=syntax,
        meta_sop_class=meta.get(_CLASS, ""),
        pixels=content[pixels.start : pixels.stop] if pixels else None,
        pixel_vr=pixels.vr if pixels else None,
        encapsulated=bool(pixels and pixels.undefined_length),
        is_truncated=parser.is_truncated,
    )


def _raw_element(
    data: memoryview, element: ElementRange, implicit: bool, little: bool, tables: frozenset[int], limits: Limits
) -> RawDataElement:
    most = limits.header_value if element.tag in tables else limits.header_text
    if element.stop - element.start > most:
        raise Reject("too-large", "header", "a header value above the limit")
    value = bytes(data[element.start : element.stop])
    if value.count(_ITEM_START[little]) > limits.sequence_items:
        raise Reject("too-large", "header", "items of a sequence above the limit")
    return RawDataElement(BaseTag(element.tag), element.vr, len(value), value or None, element.start, implicit, little)


def _read_meta(data: memoryview, start: int, limits: Limits) -> tuple[dict[int, str], int]:
    """Transfer syntax and SOP class from the file meta elements, as far as there are any, and their end."""
    parser = _ElementParser(data, start, implicit=False, little=True, limits=limits)
    meta: dict[int, str] = {}
    stop = start
    if bytes(data[start : start + 2]) != b"\x02\x00":
        return meta, stop
    for element in parser.top_level(only_group=2):
        stop = element.stop
        if element.tag in (_SYNTAX, _CLASS):
            value = bytes(data[element.start : min(element.stop, element.start + _LONGEST_UID)])
            meta[element.tag] = value.rstrip(b"\0 ").decode("ascii", "replace")
    return meta, stop


def _inflate(data: memoryview, limits: Limits) -> bytearray:
    max_bytes = min(limits.held_bytes, max(limits.ratio_from, limits.ratio * len(data)))
    decompressor, out, at, left = zlib.decompressobj(-15), bytearray(), 0, b""
    try:
        while (left or at < len(data)) and not decompressor.eof and len(out) <= max_bytes:
            if not left:
                left, at = bytes(data[at : at + _INFLATE_STEP]), at + _INFLATE_STEP
            out += decompressor.decompress(left, _INFLATE_STEP)
            left = decompressor.unconsumed_tail
    except zlib.error:
        raise Reject("corrupt", "header", "deflated data set") from None
    if len(out) > max_bytes:
        raise Reject("too-large", "header", "deflated data set above the limit")
    if not decompressor.eof:
        raise Reject("truncated", "header", "deflated data set")
    return out


def _guess_syntax(data: memoryview, start: int) -> str:
    if bytes(data[start : start + 1]) == b"\0":
        return BIG_ENDIAN  # group 0008 begins with its high byte
    return EXPLICIT if _is_vr(bytes(data[start + 4 : start + 6])) else IMPLICIT


def _is_implicit(data: memoryview, start: int, syntax: str) -> bool:
    """Whether the first element has no VR, whatever the transfer syntax says: some writers contradict it."""
    vr = bytes(data[start + 4 : start + 6])
    return syntax == IMPLICIT if len(vr) < 2 else not _is_vr(vr)


def _is_vr(vr: bytes) -> bool:
    return len(vr) == 2 and all(65 <= c <= 90 for c in vr)


class _ElementParser:
    """Reads one element after the other; `is_truncated` is set if the file ends within one."""

    def __init__(self, data: memoryview, position: int, *, implicit: bool, little: bool, limits: Limits) -> None:
        self.data, self.position, self.is_truncated = data, position, False
        self.implicit, self.reads_left = implicit, limits.header_reads
        order = "<" if little else ">"
        self._tag_vr_length, self._long_length = struct.Struct(f"{order}HH2sH"), struct.Struct(f"{order}L")

    def top_level(self, only_group: int | None = None) -> Iterator[ElementRange]:
        """The elements, without those nested in them; up to the first one of another group if a group is named."""
        while self.position + 8 <= len(self.data):
            element_start = self.position
            tag, vr, length = self._read_element_header(self.implicit)
            if only_group is not None and tag >> 16 != only_group:
                self.position = element_start
                return
            start = self.position
            if length == _UNDEFINED_LENGTH:
                stop = self._skip_undefined_length(nested_implicit=self.implicit or vr == "UN", is_last=tag == _PIXELS)
                yield ElementRange(tag=tag, vr=vr, start=start, stop=stop, undefined_length=True)
            else:
                if start + length > len(self.data):
                    self.is_truncated = True
                self.position = min(start + length, len(self.data))
                yield ElementRange(tag=tag, vr=vr, start=start, stop=self.position, undefined_length=False)

    def _read_element_header(self, implicit: bool) -> tuple[int, str | None, int]:
        """The tag, VR and length at the position, which moves to the value."""
        self.reads_left -= 1
        if self.reads_left < 0:
            raise Reject("too-large", "header", "elements above the limit")
        group, number, vr, length = self._tag_vr_length.unpack_from(self.data, self.position)
        tag = group << 16 | number
        self.position += 8
        if implicit or group == 0xFFFE or not _is_vr(vr):
            (length,) = self._long_length.unpack_from(self.data, self.position - 4)
            return tag, None, length
        if vr in _LONG_VRS:
            if self.position + 4 > len(self.data):
                self.is_truncated = True
                return tag, vr.decode("ascii"), 0
            (length,) = self._long_length.unpack_from(self.data, self.position)
            self.position += 4
        return tag, vr.decode("ascii"), length

    def _skip_undefined_length(self, *, nested_implicit: bool, is_last: bool) -> int:
        """Move behind the delimiter of a sequence, or of encapsulated pixel data, however deep it is nested.

        Where the value ends. The delimiter of what comes last in a file may be missing or cut.
        """
        levels = [nested_implicit]
        while levels:
            if self.position + 8 > len(self.data):
                rest, stop = bytes(self.data[self.position :]), self.position
                self.is_truncated = not (is_last and len(levels) == 1 and _DELIMITER.startswith(rest))
                self.position = len(self.data)
                return len(self.data) if self.is_truncated else stop
            tag, vr, length = self._read_element_header(levels[-1])
            if tag == _SEQUENCE_END:
                levels.pop()
            elif length == _UNDEFINED_LENGTH:
                if tag != _ITEM:
                    levels.append(levels[-1] or vr == "UN")
            elif self.position + length > len(self.data):
                self.is_truncated, self.position = True, len(self.data)
                return self.position
            elif tag != _ITEM_END:
                self.position += length
        return self.position - 8
