"""The members of an archive, nested archives included, one after the other and never on disk."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from rajobs.imaging import file_types
from rajobs.imaging.archives import tar_archive, zip_archive
from rajobs.imaging.archives.byte_streams import ByteStream, DecompressedStream, PeekedStream, read_all
from rajobs.imaging.archives.tar_archive import TarMember, TarStream
from rajobs.imaging.archives.tar_extensions import LARGEST
from rajobs.imaging.archives.zip_archive import ZipMember
from rajobs.imaging.child_process.exchange import ExchangeBytes
from rajobs.imaging.image import Ignored
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject

WITHIN = "!/"  # between an archive's path and that of a member


@dataclass(frozen=True, kw_only=True, eq=False)
class ArchiveMember:
    """A file of a source, loose or in an archive: its bytes, or why there are none.

    `size` is its length as far as that is known.
    """

    path: str
    data: bytes | ExchangeBytes = b""
    reject: Reject | Ignored | None = None
    size: int = 0


class BrokenArchive(Exception):
    """The archive at `path` cannot be read any further.

    Not a Reject, so that it passes the members and nested archives that happen to be read and ends its own archive.
    """

    def __init__(self, path: str, reject: Reject) -> None:
        super().__init__(path)
        self.path, self.reject = path, reject


@contextmanager
def faults_as_rejects() -> Iterator[None]:
    """Whatever reading hostile bytes raises, as a Reject."""
    try:
        yield
    except (Reject, BrokenArchive):
        raise
    except MemoryError:
        raise Reject("too-large", "archive", "memory") from None
    except Exception as error:  # noqa: BLE001 - a library may raise anything
        raise Reject("corrupt", "archive", type(error).__name__) from None


class ArchiveStream:
    """A stream of an archive's own bytes: when it fails, the archive is broken and not only the member that is read."""

    def __init__(self, path: str, source: ByteStream, size: int | None = None) -> None:
        self._path, self._source, self._left = path, source, size

    def read(self, size: int, /) -> bytes:
        wanted = size if self._left is None else min(size, self._left)
        try:
            data = self._source.read(wanted)
        except Reject as reject:
            raise BrokenArchive(self._path, reject) from None
        if self._left is not None:
            if len(data) < wanted:
                raise BrokenArchive(self._path, Reject("truncated", "archive", "archive ends within a member"))
            self._left -= len(data)
        return data


def is_unsafe_path(name: str) -> bool:
    """Whether a member's name is absolute, has a drive letter or points out of its archive."""
    parts = re.split(r"[/\\]", name)
    return name[:1] in ("/", "\\") or ".." in parts or re.match(r"[A-Za-z]:", name) is not None


def read_archive(
    path: str, source: ByteStream, depth: int, limits: Limits, file: BinaryIO | None = None
) -> Iterator[ArchiveMember]:
    """The members of an archive; if it cannot be opened or breaks off, its reject comes last, under its own path.

    `file` is the same archive as a seekable file, where there is one.
    """
    try:
        with faults_as_rejects():
            if depth > limits.depth:
                raise Reject("too-deep", "archive")
            yield from _read_by_type(path, source, depth, limits, file)
    except Reject as reject:
        yield ArchiveMember(path=path, reject=reject)
    except BrokenArchive as broken:
        if broken.path != path:
            raise
        yield ArchiveMember(path=path, reject=broken.reject)


def _read_by_type(
    path: str, source: ByteStream, depth: int, limits: Limits, file: BinaryIO | None
) -> Iterator[ArchiveMember]:
    peeked = PeekedStream(source)
    kind = file_types.detect_archive_type(peeked.head)
    if kind == "zip":
        # The directory at the end needs seeking: in the file if there is one, else in memory.
        yield from _read_zip(path, file or io.BytesIO(read_all(peeked, limits.held_bytes)), depth, limits)
    elif kind == "tar":
        yield from _read_tar(path, TarStream(peeked), depth, limits)
    elif kind is not None:
        content = PeekedStream(ArchiveStream(path, DecompressedStream(peeked, kind, limits)))
        if file_types.detect_archive_type(content.head) == "tar":
            yield from _read_tar(path, TarStream(content), depth, limits)
        else:
            yield from _read_member(f"{path}{WITHIN}{_decompressed_name(path)}", content, None, depth, limits)
    else:
        raise Reject("corrupt", "archive", "no archive")


def _decompressed_name(path: str) -> str:
    name = path.rpartition("/")[2]
    return re.sub(r"\.(gz|bz2|xz)$", "", name, flags=re.IGNORECASE) or "content"


def _read_zip(path: str, file: BinaryIO, depth: int, limits: Limits) -> Iterator[ArchiveMember]:
    directory = zip_archive.find_directory(file)
    audit = zip_archive.DirectoryAudit(file, directory)
    for _ in zip_archive.iterate_all_members(file, directory, limits, audit):
        pass  # the Reject for an unsound archive comes after the last entry, so read them all before any content
    for member in zip_archive.iterate_members(file, directory.start, directory.stop, 0, limits):
        yield from read_zip_member(path, file, member, directory.shift, depth, limits)
    if audit.has_gaps():
        raise Reject("corrupt", "archive", "bytes that belong to no member")


def read_zip_member(
    path: str, file: BinaryIO, member: ZipMember, shift: int, depth: int, limits: Limits
) -> Iterator[ArchiveMember]:
    """A member of the zip at `path`, or its members if it is an archive itself."""
    if member.is_folder:
        return
    member_path = f"{path}{WITHIN}{member.name}"
    try:
        with faults_as_rejects():
            if is_unsafe_path(member.name):
                raise Reject("unsafe-path", "archive")
            source, member_file = zip_archive.open_member(file, member, shift, limits)
    except Reject as reject:
        yield ArchiveMember(path=member_path, reject=reject, size=_plausible(member.size))
        return
    yield from _read_member(member_path, source, member.size, depth, limits, member_file)


def _read_tar(path: str, source: TarStream, depth: int, limits: Limits) -> Iterator[ArchiveMember]:
    for member in tar_archive.iterate_members(source, limits):
        yield from read_tar_member(path, source, member, depth, limits)


def read_tar_member(
    path: str, source: TarStream, member: TarMember, depth: int, limits: Limits
) -> Iterator[ArchiveMember]:
    """A member of the tar at `path`, or its members if it is an archive itself; links and devices are rejected."""
    if member.is_folder:
        return
    member_path = f"{path}{WITHIN}{member.name}"
    if is_unsafe_path(member.name) or not member.is_file:
        yield ArchiveMember(path=member_path, reject=Reject("unsafe-path", "archive"), size=_plausible(member.size))
    elif member.size > limits.member_bytes:
        reject = Reject("too-large", "archive", "a member above the limit")
        yield ArchiveMember(path=member_path, reject=reject, size=_plausible(member.size))
    elif member.sparse is not None:
        yield from _read_sparse_member(member_path, ArchiveStream(path, source, member.size), member, depth, limits)
    else:
        content = ArchiveStream(path, source, member.size)
        member_file = source.open_range(member.data_start, member.size)
        yield from _read_member(member_path, content, member.size, depth, limits, member_file)


def _read_sparse_member(
    path: str, source: ByteStream, member: TarMember, depth: int, limits: Limits
) -> Iterator[ArchiveMember]:
    assert member.sparse is not None
    try:
        with faults_as_rejects():
            data = member.sparse.expand(source.read(member.size), limits)
    except Reject as reject:
        yield ArchiveMember(path=path, reject=reject, size=_plausible(member.size))
        return
    yield from _read_member(path, io.BytesIO(data), len(data), depth, limits, io.BytesIO(data))


def _plausible(size: int) -> int:
    """A stated size, 0 where it can only be wrong."""
    return size if size <= LARGEST else 0


def _read_member(
    path: str, source: ByteStream, size: int | None, depth: int, limits: Limits, file: BinaryIO | None = None
) -> Iterator[ArchiveMember]:
    """A member, or its members if it is an archive itself."""
    if isinstance(source, io.BytesIO):
        content = source.getvalue()  # no copy
        if file_types.detect_archive_type(content[: file_types.HEAD_BYTES]) is None:
            yield ArchiveMember(path=path, data=content, size=len(content))
            return
    try:
        with faults_as_rejects():
            peeked = PeekedStream(source, size)
            is_archive = file_types.detect_archive_type(peeked.head) is not None
            data = b"" if is_archive else read_all(peeked, limits.member_bytes, size)
    except Reject as reject:
        yield ArchiveMember(path=path, reject=reject, size=_plausible(size or 0))
        return
    if not is_archive:
        yield ArchiveMember(path=path, data=data, size=len(data))
        return
    yield from read_archive(path, peeked, depth + 1, limits, file)
