"""Tar archives by their headers: members are skipped by seeking where the file allows it, else by reading on."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from rajobs.imaging.archives.byte_streams import ByteStream, FileRange
from rajobs.imaging.archives.tar_extensions import BLOCK, LARGEST, PaxRecords, SparseMap, read_gnu_map
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject

_ZEROS = bytes(BLOCK)
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_GNU_SPARSE = b"S"
_FILES = (b"0", b"\0", b"7", _GNU_SPARSE)
_FOLDER = b"5"
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes
_EXTENSION_BYTES = 4 * MIB  # of headers that extend one member's


@dataclass(frozen=True, kw_only=True)
class TarMember:
    """A member: its first header starts at byte `header_start` of the archive, its content at `data_start`."""

    name: str
    size: int
    header_start: int
    data_start: int
    is_file: bool
    is_folder: bool
    sparse: SparseMap | None = None  # where its content lies in the file that was packed


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

    def __init__(self, file: BinaryIO, position: int) -> None:
        super().__init__(file, position)
        self._file, self.file_size = file, file.seek(0, io.SEEK_END)
        file.seek(position)

    def skip_to(self, position: int) -> None:
        if position > self.file_size:
            raise Reject("truncated", "archive", "tar")
        self._file.seek(position)  # always: reading a range may have moved the file's position
        self.position = position

    def open_range(self, start: int, size: int) -> BinaryIO | None:
        return FileRange(self._file, start, size)  # type: ignore[return-value]


def iterate_members(source: TarStream, limits: Limits, *, stop: int | None = None) -> Iterator[TarMember]:
    """The members from the current position on; read a member's content before asking for the next one."""
    for _ in range(limits.members):
        if stop is not None and source.position >= stop:
            return
        member = _read_member_header(source)
        if member is None:
            return
        yield member
        source.skip_to(member.data_start + padded_size(member.size))


def _read_member_header(source: TarStream) -> TarMember | None:
    """The next member by its header and those that extend it, None at the end of the file."""
    extensions = PaxRecords()
    start: int | None = None
    while (header := _read_header(source)) is not None:
        info, block = header
        data_start = source.position
        start = data_start - BLOCK if start is None else start
        if info.type not in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            return _make_member(info, block, extensions, start, source)
        if data_start - start > _EXTENSION_BYTES:
            raise Reject("too-large", "archive", "tar headers of one member")
        body = _read_extension(source, info.size)
        if info.type == _LONG_NAME:
            extensions = extensions.rename(body)
        elif info.type == _PAX:
            extensions = extensions.add(body)
        source.skip_to(data_start + padded_size(info.size))
    return None


def _make_member(
    info: tarfile.TarInfo, block: bytes, extensions: PaxRecords, start: int, source: TarStream
) -> TarMember:
    is_gnu_sparse, in_folder = info.type == _GNU_SPARSE, info.name.endswith("/")
    sparse = read_gnu_map(block, source) if is_gnu_sparse else extensions.sparse  # its map lies before the data
    size = info.size if extensions.size is None else extensions.size
    return TarMember(
        name=info.name if extensions.name is None else extensions.name,
        size=0 if info.type in _WITHOUT_DATA else size,
        header_start=start,
        data_start=source.position,
        is_file=info.type in _FILES and not in_folder,
        is_folder=info.type == _FOLDER or (info.type in _FILES and in_folder),
        sparse=sparse,
    )


def _read_header(source: TarStream) -> tuple[tarfile.TarInfo, bytes] | None:
    """The next header and its block, None at the end of the file: zeros end a tar, but another may follow them."""
    block, after_zeros = source.read(BLOCK), False
    while len(block) == BLOCK and block == _ZEROS:
        block, after_zeros = source.read(BLOCK), True
    if not block.strip(b"\0"):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError:
        if after_zeros:
            raise Reject("corrupt", "archive", "bytes after the end of a tar") from None
        raise Reject("corrupt" if len(block) == BLOCK else "truncated", "archive", "tar header") from None
    if not 0 <= info.size <= LARGEST:
        raise Reject("corrupt", "archive", "tar header")
    return info, block


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
