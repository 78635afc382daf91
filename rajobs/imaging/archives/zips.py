"""Zip archives by their central directory, a slice of it at a time: an archive of a million members costs no more."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from imagecodecs import DeflateError, deflate_crc32, deflate_decode

from rajobs.imaging.archives.streams import Inflated, Source, Window
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_WHOLE = 64 * MIB  # members up to this are inflated at one go


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Where the central directory lies; `shift` is the length of what stands before the archive."""

    start: int
    length: int
    count: int
    shift: int


@dataclass(frozen=True, kw_only=True)
class ZipMember:
    """A member as the central directory has it; `at` and `end` are its entry's place there."""

    index: int
    at: int
    end: int
    name: str
    method: int
    encrypted: bool
    crc: int
    compressed: int
    size: int
    offset: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith(("/", "\\")) and self.size == 0


def read_directory(file: BinaryIO) -> Directory:
    """The end records of a zip, 64-bit ones included."""
    total = file.seek(0, 2)
    tail_start = max(0, total - 65557)
    file.seek(tail_start)
    tail = file.read(total - tail_start)
    found = tail.rfind(_END)
    if found < 0 or found + 22 > len(tail):
        raise Reject("truncated", "archive", "zip without its directory")
    count, length, start = struct.unpack_from("<HLL", tail, found + 10)
    end = tail_start + found
    if 0xFFFFFFFF in (length, start) or count == 0xFFFF:
        wide = _read_end64(file, end)
        if wide:
            count, length, start, end = wide
    shift = end - length - start
    if shift < 0:
        raise Reject("corrupt", "archive", "zip directory beyond its place")
    return Directory(start=start + shift, length=length, count=count, shift=shift)


def _read_end64(file: BinaryIO, end: int) -> tuple[int, int, int, int] | None:
    if end < 20:
        return None
    file.seek(end - 20)
    locator = file.read(20)
    if locator[:4] != _LOCATOR64:
        return None
    (at,) = struct.unpack_from("<Q", locator, 8)
    for place in (at, end - 76):  # as stated; or right before, where something stands before the archive
        file.seek(max(0, place))
        record = file.read(56)
        if record[:4] == _END64 and len(record) == 56:
            count, length, start = struct.unpack_from("<QQQ", record, 32)
            return count, length, start, max(0, place)
    raise Reject("corrupt", "archive", "zip64 end record")


def members(file: BinaryIO, start: int, stop: int, first: int, limits: Limits) -> Iterator[ZipMember]:
    """The entries of the central directory between two of its bytes; `first` is the index of the first."""
    at, index = start, first
    held, base = b"", start
    while at < stop:
        if at - base + 46 > len(held) or _entry_length(held, at - base) > len(held) - (at - base):
            file.seek(at)
            held, base = file.read(min(1 << 18, stop - at)), at
        entry = at - base
        if held[entry : entry + 4] != _CENTRAL or len(held) - entry < 46:
            raise Reject("corrupt", "archive", "zip directory")
        length = _entry_length(held, entry)
        if length > len(held) - entry:
            raise Reject("truncated", "archive", "zip directory")
        yield _member(held[entry : entry + length], index, at)
        at += length
        index += 1
        if index - first > limits.members:
            raise Reject("too-large", "archive", "members above the limit")


def all_members(file: BinaryIO, directory: Directory, limits: Limits) -> Iterator[ZipMember]:
    """Every entry; at the end a Reject where none can be read, or where they can't all lie beside each other."""
    files = readable = held = 0
    for member in members(file, directory.start, directory.start + directory.length, 0, limits):
        files += not member.is_folder
        readable += not member.is_folder and not member.encrypted
        held += member.compressed
        yield member
    if files and not readable:
        raise Reject("encrypted", "archive")
    if held > directory.start:
        raise Reject("corrupt", "archive", "members on top of each other")


def _entry_length(held: bytes, at: int) -> int:
    name, extra, comment = struct.unpack_from("<HHH", held, at + 28)
    return 46 + int(name) + int(extra) + int(comment)


def _member(entry: bytes, index: int, at: int) -> ZipMember:
    flags, method = struct.unpack_from("<HH", entry, 8)
    crc, compressed, size, name_length, extra_length = struct.unpack_from("<LLLHH", entry, 16)
    (offset,) = struct.unpack_from("<L", entry, 42)
    raw = entry[46 : 46 + name_length].split(b"\0")[0]
    extra = entry[46 + name_length : 46 + name_length + extra_length]
    size, compressed, offset = _wide(extra, size, compressed, offset)
    return ZipMember(
        index=index,
        at=at,
        end=at + len(entry),
        name=raw.decode("utf-8" if flags & 0x800 else "cp437", "replace"),
        method=method,
        encrypted=bool(flags & 1),
        crc=crc,
        compressed=compressed,
        size=size,
        offset=offset,
    )


def _wide(extra: bytes, *values: int) -> list[int]:
    """Sizes and offset, from the zip64 field where they stand as all ones."""
    out, at = list(values), 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if kind == 1:
            wide = iter(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
            out = [next(wide, value) if value == 0xFFFFFFFF else value for value in out]
        at += 4 + length
    return out


class _Checked:
    """A member's bytes with its sum checked at the end."""

    def __init__(self, source: Source, member: ZipMember) -> None:
        self._source, self._member, self._sum, self._given = source, member, 0, 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._sum = deflate_crc32(data, self._sum)
        self._given += len(data)
        if self._given > self._member.size:
            raise Reject("corrupt", "archive", "a member longer than its length says")
        if len(data) < size or self._given == self._member.size:
            if self._given < self._member.size:
                raise Reject("truncated", "archive", "a member ends before its length says")
            if self._sum != self._member.crc:
                raise Reject("corrupt", "archive", "sum of a member")
        return data


def _inflated(window: Window, member: ZipMember, limits: Limits) -> io.BytesIO:
    """A member of moderate size at one go, into no more memory than it says it takes: faster than in pieces."""
    if member.size > limits.ratio_from and member.size > limits.ratio * member.compressed:
        raise Reject("too-large", "archive", "compression ratio above the limit")
    data = window.read(member.compressed)
    if len(data) < member.compressed:
        raise Reject("truncated", "archive", "compressed data")
    try:
        return io.BytesIO(deflate_decode(data, raw=True, out=member.size))
    except DeflateError:
        raise Reject("corrupt", "archive", "compressed data") from None


def open_member(file: BinaryIO, member: ZipMember, shift: int, limits: Limits) -> tuple[Source, BinaryIO | None]:
    """A member's bytes, checked; and as a seekable window where it lies there as it is."""
    if member.encrypted:
        raise Reject("encrypted", "archive")
    if member.size > limits.member_bytes:
        raise Reject("too-large", "archive", "a member above the limit")
    file.seek(member.offset + shift)
    local = file.read(30)
    if local[:4] != _LOCAL or len(local) < 30:
        raise Reject("corrupt", "archive", "header of a member")
    name, extra = struct.unpack_from("<HH", local, 26)
    window = Window(file, member.offset + shift + 30 + name + extra, member.compressed)
    if member.method == _STORED:
        if member.compressed != member.size:
            raise Reject("corrupt", "archive", "lengths of a stored member")
        return _Checked(window, member), window  # type: ignore[return-value]
    if member.method not in (_DEFLATED, _BZIP2):
        raise Reject("corrupt", "archive", "a compression method that is not read")
    if member.method == _DEFLATED and 0 < member.size <= _WHOLE and 0 < member.compressed <= _WHOLE:
        return _Checked(_inflated(window, member, limits), member), None
    return _Checked(Inflated(window, member.method, limits, compressed=member.compressed), member), None
