"""Tar archives, read forward: by seeking where the file can, else by reading on."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from rajobs.imaging.archives.streams import Source, Window
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject

_BLOCK = 512
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_FILES = (b"0", b"\0", b"7")
_FOLDER = b"5"


@dataclass(frozen=True, kw_only=True)
class TarMember:
    """A member: `at` is where its first header begins, `data` where its bytes do."""

    name: str
    size: int
    at: int
    data: int
    is_file: bool
    is_folder: bool


class Forward:
    """A source that knows its place and can skip."""

    def __init__(self, source: Source, at: int = 0) -> None:
        self._source, self.at = source, at

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self.at += len(data)
        return data

    def skip_to(self, place: int) -> None:
        """Moves to a later byte by reading."""
        while self.at < place:
            if not self.read(min(MIB, place - self.at)):
                raise Reject("truncated", "archive", "tar")

    def window(self, start: int, size: int) -> BinaryIO | None:
        """A member as a seekable file, where there is one."""
        return None


class Seekable(Forward):
    """The same over a file that can seek."""

    def __init__(self, file: BinaryIO, at: int, total: int) -> None:
        super().__init__(file, at)
        self._file, self._total = file, total
        file.seek(at)

    def skip_to(self, place: int) -> None:
        if place > self._total:
            raise Reject("truncated", "archive", "tar")
        self._file.seek(place)  # always: a window may have moved it
        self.at = place

    def window(self, start: int, size: int) -> BinaryIO | None:
        return Window(self._file, start, size)  # type: ignore[return-value]


def members(source: Forward, limits: Limits, *, stop: int | None = None) -> Iterator[TarMember]:
    """The members from where the source stands; their bytes may be read before the next one is asked for."""
    name: str | None = None
    size: int | None = None
    begin = source.at
    for _ in range(4 * limits.members):
        if stop is not None and source.at >= stop:
            return
        info = _header(source)
        if info is None:
            return
        data = source.at
        if info.type in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            body = _small(source, info.size)
            if info.type == _LONG_NAME:
                name = body.split(b"\0")[0].decode("utf-8", "replace")
            elif info.type == _PAX:
                name, size = _pax(body, name, size)
            source.skip_to(data + _padded(info.size))
            continue
        length = info.size if size is None else size
        holds = info.type not in (b"1", b"2", b"3", b"4", b"5", b"6")
        yield TarMember(
            name=info.name if name is None else name,
            size=length if holds else 0,
            at=begin,
            data=data,
            is_file=info.type in _FILES and not info.name.endswith("/"),
            is_folder=info.type == _FOLDER or (info.type in _FILES and info.name.endswith("/")),
        )
        source.skip_to(data + (_padded(length) if holds else 0))
        name, size, begin = None, None, source.at


def _header(source: Forward) -> tarfile.TarInfo | None:
    """The next header, None at the end of the archive."""
    block = source.read(_BLOCK)
    if not block or block == bytes(_BLOCK):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError:
        raise Reject("corrupt" if len(block) == _BLOCK else "truncated", "archive", "tar header") from None
    if info.size < 0:
        raise Reject("corrupt", "archive", "tar header")
    return info


def _small(source: Forward, size: int) -> bytes:
    if size > MIB:
        raise Reject("too-large", "archive", "tar name")
    data = source.read(size)
    if len(data) < size:
        raise Reject("truncated", "archive", "tar")
    return data


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _pax(body: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Name and size out of "length key=value" records."""
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
