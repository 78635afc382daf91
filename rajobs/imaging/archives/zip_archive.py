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
_MOST_END_RECORDS = 64  # that are tried
_MARK_SIZE = 4  # at the start of a zip that could have been split
_DESCRIPTOR_SIZE = 24  # of the record that may follow a member's content, at most
_EXTRA_MORE = 64  # bytes of extra fields that a member's own header usually has beyond those in the directory
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_IN_ZIP64 = 0xFFFFFFFF  # replaces a value that is in the zip64 field
_SLICE = 1 << 18  # bytes of the central directory that are read at once
_AT_ONCE = 64 * MIB  # larger members are decompressed as they are read


@dataclass(frozen=True, kw_only=True)
class CentralDirectory:
    """Where the central directory is; `shift` is the number of bytes before the archive."""

    start: int
    length: int
    count: int  # of entries, as stated
    shift: int
    trailing: int  # bytes behind the last record

    @property
    def stop(self) -> int:
        return self.start + self.length


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
    name_bytes: int
    extra_bytes: int  # in the directory; a member's own header may have others

    @property
    def least_stop(self) -> int:
        """Where its content ends at the earliest, counted like `offset`."""
        return self.offset + _LOCAL_SIZE + self.name_bytes + self.compressed

    @property
    def is_folder(self) -> bool:
        return self.name.endswith(("/", "\\")) and self.size == 0


def find_directory(file: BinaryIO) -> CentralDirectory:
    """Find the central directory by the records at the end of a zip, 64-bit ones included.

    A comment may hold what looks like such a record: the last one counts whose directory is there and whose comment
    ends with the file, before one that is followed by other bytes and before one of an empty archive.
    """
    file_size = file.seek(0, io.SEEK_END)
    tail_start = max(0, file_size - _END_SIZE - _MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read(file_size - tail_start)
    positions = [at for at in _find_all(tail, _END) if at + _END_SIZE <= len(tail)]
    if not positions:
        raise Reject("truncated", "archive", "zip without its directory")
    best: CentralDirectory | None = None
    error: Reject | None = None
    for at in positions[: -_MOST_END_RECORDS - 1 : -1]:
        try:
            directory = _read_end_record(file, tail, at, tail_start)
        except Reject as reject:
            error = error or reject
            continue
        if directory.length and not directory.trailing:
            return directory
        if best is None or (directory.length and not best.length):
            best = directory
    if best is None:
        assert error is not None
        raise error
    return best


def _find_all(data: bytes, part: bytes) -> list[int]:
    positions, at = [], data.find(part)
    while at >= 0:
        positions.append(at)
        at = data.find(part, at + 1)
    return positions


def _read_end_record(file: BinaryIO, tail: bytes, at: int, tail_start: int) -> CentralDirectory:
    """The directory that the record at a position of the file's tail points to, if it is there."""
    count, length, start, comment = struct.unpack_from("<HLLH", tail, at + 10)
    trailing = len(tail) - at - _END_SIZE - comment
    end = tail_start + at
    if _IN_ZIP64 in (length, start) or count == 0xFFFF:
        zip64 = _read_zip64_end(file, end)
        if zip64:
            count, length, start, end = zip64
    shift = end - length - start
    if trailing < 0:
        raise Reject("truncated", "archive", "zip comment")
    if shift < 0:
        raise Reject("corrupt", "archive", "zip directory beyond its place")
    if length:
        file.seek(start + shift)
        if file.read(4) != _CENTRAL:
            raise Reject("corrupt", "archive", "zip directory")
    return CentralDirectory(start=start + shift, length=length, count=count, shift=shift, trailing=trailing)


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


def iterate_all_members(
    file: BinaryIO, directory: CentralDirectory, limits: Limits, audit: "DirectoryAudit"
) -> Iterator[ZipMember]:
    """Every entry; after the last one a Reject if none can be read, or if the members must overlap (a zip bomb)."""
    files = readable = compressed = 0
    for member in iterate_members(file, directory.start, directory.stop, 0, limits):
        files += not member.is_folder
        readable += not member.is_folder and not member.encrypted
        if member.least_stop <= directory.start - directory.shift:  # else it is no member and does not open
            compressed += member.compressed
            audit.add(member)
        yield member
    if files and not readable:
        raise Reject("encrypted", "archive")
    if compressed > directory.start:
        raise Reject("corrupt", "archive", "members on top of each other")


class DirectoryAudit:
    """Whether each byte of a zip belongs to a member: what no entry of the directory names would else be lost.

    Only a member's own header says where its content ends. It is read where the directory leaves more room than usual.
    """

    def __init__(self, file: BinaryIO, directory: CentralDirectory) -> None:
        self._file, self._directory = file, directory
        self._count = self._least_bytes = self._usual_bytes = 0
        self._last: ZipMember | None = None
        self._ordered, self._gaps = True, False

    def add(self, member: ZipMember) -> None:
        """The next entry of the directory."""
        self._count += 1
        self._least_bytes += member.least_stop - member.offset
        self._usual_bytes += _usual_extra(member)
        if self._last is not None and member.offset < self._last.offset:
            self._ordered = False
        elif self._ordered:
            self._gaps |= self._is_gap(member.offset)
        self._last = member

    def has_gaps(self) -> bool:
        """Whether there are bytes that belong to no member, once all entries were added."""
        directory = self._directory
        if directory.shift or directory.trailing:
            return True
        if not self._ordered:
            return self._least_bytes + self._usual_bytes < directory.start
        return self._gaps or self._is_gap(directory.start)

    def _is_gap(self, start: int) -> bool:
        """Whether there is something between the last member and the byte at which the next one starts."""
        if self._last is None:
            return start > _MARK_SIZE
        if start - self._last.least_stop <= _usual_extra(self._last):
            return False
        self._file.seek(self._last.offset + self._directory.shift)
        header = self._file.read(_LOCAL_SIZE)
        if header[:4] != _LOCAL or len(header) < _LOCAL_SIZE:
            return True
        name, extra = struct.unpack_from("<HH", header, 26)
        stop = self._last.offset + _LOCAL_SIZE + int(name) + int(extra) + self._last.compressed
        return start - stop > _DESCRIPTOR_SIZE


def _usual_extra(member: ZipMember) -> int:
    """Bytes that a member may take beyond its least ones: its header's extra fields, and what may follow it."""
    return member.extra_bytes + _EXTRA_MORE + _DESCRIPTOR_SIZE


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
        name_bytes=name_length,
        extra_bytes=extra_length,
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


def _read_at_once(file_range: FileRange, member: ZipMember, limits: Limits) -> io.BytesIO:
    """The verified content of a member of moderate size, which is faster, in no more memory than its stated size."""
    if member.size > limits.ratio_from and member.size > limits.ratio * member.compressed:
        raise Reject("too-large", "archive", "compression ratio above the limit")
    data = file_range.read(member.compressed)
    if len(data) < member.compressed:
        raise Reject("truncated", "archive", "compressed data")
    try:
        content = data if member.method == _STORED else deflate_decode(data, raw=True, out=member.size)
    except DeflateError:
        raise Reject("corrupt", "archive", "compressed data") from None
    if len(content) < member.size:
        raise Reject("truncated", "archive", "a member ends before its length says")
    if deflate_crc32(content) != member.crc:
        raise Reject("corrupt", "archive", "sum of a member")
    return io.BytesIO(content)


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
    if member.method == _STORED and member.compressed != member.size:
        raise Reject("corrupt", "archive", "lengths of a stored member")
    if member.method not in (_STORED, _DEFLATED, _BZIP2):
        raise Reject("corrupt", "archive", "a compression method that is not read")
    if member.method != _BZIP2 and 0 < member.size <= _AT_ONCE and 0 < member.compressed <= _AT_ONCE:
        content = _read_at_once(file_range, member, limits)
        return content, content
    if member.method == _STORED:
        return _VerifiedStream(file_range, member), file_range  # type: ignore[return-value]
    stream = DecompressedStream(file_range, member.method, limits, compressed_size=member.compressed)
    return _VerifiedStream(stream, member), None
