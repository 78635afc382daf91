"""Zip archives by their central directory, read in slices: an archive of a million members takes no more memory."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from imagecodecs import DeflateError, deflate_crc32, deflate_decode

from rajobs.imaging.archives.byte_streams import ByteStream, DecompressedStream, FileRange
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_END_SIZE, _END64_SIZE, _LOCATOR64_SIZE = 22, 56, 20
_ENTRY_SIZE, _LOCAL_SIZE = 46, 30  # without names, extra fields and comments
_MAX_COMMENT = 0xFFFF
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_IN_ZIP64 = 0xFFFFFFFF  # replaces a value that is in the zip64 field
_SLICE = 1 << 18  # bytes of the central directory that are read at once
_INFLATE_AT_ONCE = 64 * MIB  # larger members are decompressed as they are read


@dataclass(frozen=True, kw_only=True)
class CentralDirectory:
    """Where the central directory is; `shift` is the number of bytes before the archive."""

    start: int
    length: int
    count: int
    shift: int


@dataclass(frozen=True, kw_only=True)
class ZipMember:
    """A member's entry in the central directory; the entry itself is between bytes `entry_start` and `entry_stop`."""

    index: int
    entry_start: int
    entry_stop: int
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


def find_directory(file: BinaryIO) -> CentralDirectory:
    """Find the central directory by the records at the end of a zip, 64-bit ones included."""
    file_size = file.seek(0, io.SEEK_END)
    tail_start = max(0, file_size - _END_SIZE - _MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read(file_size - tail_start)
    position = tail.rfind(_END)
    if position < 0 or position + _END_SIZE > len(tail):
        raise Reject("truncated", "archive", "zip without its directory")
    count, length, start = struct.unpack_from("<HLL", tail, position + 10)
    end = tail_start + position
    if _IN_ZIP64 in (length, start) or count == 0xFFFF:
        zip64 = _read_zip64_end(file, end)
        if zip64:
            count, length, start, end = zip64
    shift = end - length - start
    if shift < 0:
        raise Reject("corrupt", "archive", "zip directory beyond its place")
    return CentralDirectory(start=start + shift, length=length, count=count, shift=shift)


def _read_zip64_end(file: BinaryIO, end: int) -> tuple[int, int, int, int] | None:
    """Count, length and start of the directory and the position of the 64-bit end record, None without one."""
    if end < _LOCATOR64_SIZE:
        return None
    file.seek(end - _LOCATOR64_SIZE)
    locator = file.read(_LOCATOR64_SIZE)
    if locator[:4] != _LOCATOR64:
        return None
    (stated,) = struct.unpack_from("<Q", locator, 8)
    # Where the locator says, or directly before it if other bytes precede the archive.
    for position in (max(0, stated), max(0, end - _LOCATOR64_SIZE - _END64_SIZE)):
        file.seek(position)
        record = file.read(_END64_SIZE)
        if record[:4] == _END64 and len(record) == _END64_SIZE:
            count, length, start = struct.unpack_from("<QQQ", record, 32)
            return count, length, start, position
    raise Reject("corrupt", "archive", "zip64 end record")


def iterate_members(file: BinaryIO, start: int, stop: int, first: int, limits: Limits) -> Iterator[ZipMember]:
    """The entries between two bytes of the central directory; `first` is the index of the first one."""
    position, index = start, first
    buffer, buffer_start = b"", start
    while position < stop:
        entry = position - buffer_start
        if entry + _ENTRY_SIZE > len(buffer) or _entry_length(buffer, entry) > len(buffer) - entry:
            file.seek(position)
            buffer, buffer_start, entry = file.read(min(_SLICE, stop - position)), position, 0
        if buffer[entry : entry + 4] != _CENTRAL or len(buffer) - entry < _ENTRY_SIZE:
            raise Reject("corrupt", "archive", "zip directory")
        length = _entry_length(buffer, entry)
        if length > len(buffer) - entry:
            raise Reject("truncated", "archive", "zip directory")
        yield _parse_entry(buffer[entry : entry + length], index, position)
        position += length
        index += 1
        if index - first > limits.members:
            raise Reject("too-large", "archive", "members above the limit")


def iterate_all_members(file: BinaryIO, directory: CentralDirectory, limits: Limits) -> Iterator[ZipMember]:
    """Every entry; after the last one a Reject if none can be read, or if the members must overlap (a zip bomb)."""
    files = readable = compressed = 0
    for member in iterate_members(file, directory.start, directory.start + directory.length, 0, limits):
        files += not member.is_folder
        readable += not member.is_folder and not member.encrypted
        compressed += member.compressed
        yield member
    if files and not readable:
        raise Reject("encrypted", "archive")
    if compressed > directory.start:
        raise Reject("corrupt", "archive", "members on top of each other")


def _entry_length(buffer: bytes, entry: int) -> int:
    name, extra, comment = struct.unpack_from("<HHH", buffer, entry + 28)
    return _ENTRY_SIZE + int(name) + int(extra) + int(comment)


def _parse_entry(entry: bytes, index: int, position: int) -> ZipMember:
    flags, method = struct.unpack_from("<HH", entry, 8)
    crc, compressed, size, name_length, extra_length = struct.unpack_from("<LLLHH", entry, 16)
    (offset,) = struct.unpack_from("<L", entry, 42)
    name_stop = _ENTRY_SIZE + name_length
    raw_name = entry[_ENTRY_SIZE:name_stop].split(b"\0")[0]
    size, compressed, offset = _replace_zip64(entry[name_stop : name_stop + extra_length], size, compressed, offset)
    return ZipMember(
        index=index,
        entry_start=position,
        entry_stop=position + len(entry),
        name=raw_name.decode("utf-8" if flags & 0x800 else "cp437", "replace"),
        method=method,
        encrypted=bool(flags & 1),
        crc=crc,
        compressed=compressed,
        size=size,
        offset=offset,
    )


def _replace_zip64(extra: bytes, *values: int) -> list[int]:
    """The values, with those from the zip64 field that are too large for 32 bits."""
    out, at = list(values), 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if kind == 1:
            large = iter(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
            out = [next(large, value) if value == _IN_ZIP64 else value for value in out]
        at += 4 + length
    return out


class _VerifiedStream:
    """A member's content, with its length and checksum verified at the end."""

    def __init__(self, source: ByteStream, member: ZipMember) -> None:
        self._source, self._member, self._crc, self._size = source, member, 0, 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._crc = deflate_crc32(data, self._crc)
        self._size += len(data)
        if self._size > self._member.size:
            raise Reject("corrupt", "archive", "a member longer than its length says")
        if len(data) < size or self._size == self._member.size:
            if self._size < self._member.size:
                raise Reject("truncated", "archive", "a member ends before its length says")
            if self._crc != self._member.crc:
                raise Reject("corrupt", "archive", "sum of a member")
        return data


def _inflate_at_once(file_range: FileRange, member: ZipMember, limits: Limits) -> io.BytesIO:
    """Inflate a member of moderate size in one call, which is faster, into no more memory than its stated size."""
    if member.size > limits.ratio_from and member.size > limits.ratio * member.compressed:
        raise Reject("too-large", "archive", "compression ratio above the limit")
    data = file_range.read(member.compressed)
    if len(data) < member.compressed:
        raise Reject("truncated", "archive", "compressed data")
    try:
        return io.BytesIO(deflate_decode(data, raw=True, out=member.size))
    except DeflateError:
        raise Reject("corrupt", "archive", "compressed data") from None


def open_member(file: BinaryIO, member: ZipMember, shift: int, limits: Limits) -> tuple[ByteStream, BinaryIO | None]:
    """A member's verified content; also as a seekable file if it is stored without compression."""
    if member.encrypted:
        raise Reject("encrypted", "archive")
    if member.size > limits.member_bytes:
        raise Reject("too-large", "archive", "a member above the limit")
    file.seek(member.offset + shift)
    header = file.read(_LOCAL_SIZE)
    if header[:4] != _LOCAL or len(header) < _LOCAL_SIZE:
        raise Reject("corrupt", "archive", "header of a member")
    name, extra = struct.unpack_from("<HH", header, 26)
    file_range = FileRange(file, member.offset + shift + _LOCAL_SIZE + name + extra, member.compressed)
    if member.method == _STORED:
        if member.compressed != member.size:
            raise Reject("corrupt", "archive", "lengths of a stored member")
        return _VerifiedStream(file_range, member), file_range  # type: ignore[return-value]
    if member.method not in (_DEFLATED, _BZIP2):
        raise Reject("corrupt", "archive", "a compression method that is not read")
    if member.method == _DEFLATED and 0 < member.size <= _INFLATE_AT_ONCE and 0 < member.compressed <= _INFLATE_AT_ONCE:
        return _VerifiedStream(_inflate_at_once(file_range, member, limits), member), None
    content = DecompressedStream(file_range, member.method, limits, compressed_size=member.compressed)
    return _VerifiedStream(content, member), None
