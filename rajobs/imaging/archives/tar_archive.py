"""Tar archives by their headers: members are skipped by seeking where the file allows it, else by reading on."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from rajobs.imaging.archives.byte_streams import ByteStream, FileRange
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject

BLOCK = 512
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_FILES = (b"0", b"\0", b"7")
_FOLDER = b"5"
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes
_HEADERS_PER_MEMBER = 4  # at most: long name, long link, pax, and the member's own


@dataclass(frozen=True, kw_only=True)
class TarMember:
    """A member: its first header starts at byte `header_start` of the archive, its content at `data_start`."""

    name: str
    size: int
    header_start: int
    data_start: int
    is_file: bool
    is_folder: bool


class TarStream:
    """A tar that can only be read forward."""

    def __init__(self, source: ByteStream, position: int = 0) -> None:
        self._source, self.position = source, position

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self.position += len(data)
        return data

    def skip_to(self, position: int) -> None:
        """Move forward to a byte."""
        while self.position < position:
            if not self.read(min(MIB, position - self.position)):
                raise Reject("truncated", "archive", "tar")

    def open_range(self, start: int, size: int) -> BinaryIO | None:
        """A member as a seekable file, None where the tar itself cannot seek."""
        return None


class SeekableTar(TarStream):
    """A tar in a file that can seek."""

    def __init__(self, file: BinaryIO, position: int, file_size: int) -> None:
        super().__init__(file, position)
        self._file, self._file_size = file, file_size
        file.seek(position)

    def skip_to(self, position: int) -> None:
        if position > self._file_size:
            raise Reject("truncated", "archive", "tar")
        self._file.seek(position)  # always: reading a range may have moved the file's position
        self.position = position

    def open_range(self, start: int, size: int) -> BinaryIO | None:
        return FileRange(self._file, start, size)  # type: ignore[return-value]


def iterate_members(source: TarStream, limits: Limits, *, stop: int | None = None) -> Iterator[TarMember]:
    """The members from the current position on; read a member's content before asking for the next one."""
    name: str | None = None
    size: int | None = None
    header_start = source.position
    for _ in range(_HEADERS_PER_MEMBER * limits.members):
        if stop is not None and source.position >= stop:
            return
        info = _read_header(source)
        if info is None:
            return
        data_start = source.position
        if info.type in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            body = _read_extension(source, info.size)
            if info.type == _LONG_NAME:
                name = body.split(b"\0")[0].decode("utf-8", "replace")
            elif info.type == _PAX:
                name, size = _parse_pax(body, name, size)
            source.skip_to(data_start + padded_size(info.size))
            continue
        data_size = 0 if info.type in _WITHOUT_DATA else info.size if size is None else size
        yield TarMember(
            name=info.name if name is None else name,
            size=data_size,
            header_start=header_start,
            data_start=data_start,
            is_file=info.type in _FILES and not info.name.endswith("/"),
            is_folder=info.type == _FOLDER or (info.type in _FILES and info.name.endswith("/")),
        )
        source.skip_to(data_start + padded_size(data_size))
        name, size, header_start = None, None, source.position


def _read_header(source: TarStream) -> tarfile.TarInfo | None:
    """The next header, None at the end of the archive."""
    block = source.read(BLOCK)
    if not block or block == bytes(BLOCK):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError:
        raise Reject("corrupt" if len(block) == BLOCK else "truncated", "archive", "tar header") from None
    if info.size < 0:
        raise Reject("corrupt", "archive", "tar header")
    return info


def _read_extension(source: TarStream, size: int) -> bytes:
    """The content of a header that extends the next one: a long name or pax records."""
    if size > MIB:
        raise Reject("too-large", "archive", "tar name")
    data = source.read(size)
    if len(data) < size:
        raise Reject("truncated", "archive", "tar")
    return data


def padded_size(size: int) -> int:
    """The bytes that content of this size takes in a tar."""
    return -(-size // BLOCK) * BLOCK


def _parse_pax(body: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Name and size from "length key=value" records; the present ones where the records do not name them."""
    at = 0
    try:
        while at < len(body):
            digits, _, _ = body[at:].partition(b" ")
            length = int(digits)
            key, _, value = body[at + len(digits) + 1 : at + length - 1].partition(b"=")
            if key == b"path":
                name = value.decode("utf-8", "replace")
            elif key == b"size":
                size = int(value)
            if length <= 0:
                break
            at += length
    except ValueError:
        raise Reject("corrupt", "archive", "tar header") from None
    if size is not None and size < 0:
        raise Reject("corrupt", "archive", "tar header")
    return name, size
