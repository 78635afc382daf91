"""Archives to their input objects, down through nested ones, a member at a time and never on disk."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from rajobs.imaging import file_types
from rajobs.imaging.archives import streams, tars, zips
from rajobs.imaging.archives.streams import Inflated, Peeked, Source
from rajobs.imaging.archives.zips import ZipMember
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject

WITHIN = "!/"


@dataclass(frozen=True, kw_only=True, eq=False)
class ArchiveMember:
    """An input object: its bytes, or why there are none. `size` is what is known of its length."""

    path: str
    data: bytes = b""
    reject: Reject | None = None
    size: int = 0


class Broken(Exception):
    """The archive at `path` can't be read further: how a break finds its archive, past members and nested archives."""

    def __init__(self, path: str, reject: Reject) -> None:
        super().__init__(path)
        self.path, self.reject = path, reject


class Owned:
    """A source whose failures are its archive's, not those of the member that happens to be read."""

    def __init__(self, path: str, source: Source, size: int | None = None) -> None:
        self._path, self._source, self._left = path, source, size

    def read(self, size: int, /) -> bytes:
        wanted = size if self._left is None else min(size, self._left)
        try:
            data = self._source.read(wanted)
        except Reject as reject:
            raise Broken(self._path, reject) from None
        if self._left is not None:
            if len(data) < wanted:
                raise Broken(self._path, Reject("truncated", "archive", "archive ends within a member"))
            self._left -= len(data)
        return data


def is_unsafe(name: str) -> bool:
    """Absolute, with a drive letter, or pointing out of its archive."""
    parts = re.split(r"[/\\]", name)
    return name[:1] in ("/", "\\") or ".." in parts or re.match(r"[A-Za-z]:", name) is not None


def container(
    path: str, source: Source, depth: int, limits: Limits, window: BinaryIO | None = None
) -> Iterator[ArchiveMember]:
    """The objects of an archive; one that can't be opened or breaks on the way is one object more, with its reject."""
    try:
        if depth > limits.depth:
            raise Reject("too-deep", "archive")
        yield from _opened(path, source, depth, limits, window)
    except Reject as reject:
        yield ArchiveMember(path=path, reject=reject)
    except Broken as broken:
        if broken.path != path:
            raise
        yield ArchiveMember(path=path, reject=broken.reject)


def _opened(path: str, source: Source, depth: int, limits: Limits, window: BinaryIO | None) -> Iterator[ArchiveMember]:
    peeked = Peeked(source)
    kind = file_types.archive_of(peeked.head)
    if kind == "zip":
        # A directory at the end needs seeking: in place if the bytes lie there as they are, else held.
        file = window or io.BytesIO(streams.read_all(peeked, limits.held_bytes))
        yield from zip_members(path, file, depth, limits)
    elif kind == "tar":
        yield from tar_members(path, tars.Forward(peeked), depth, limits)
    elif kind is not None:
        inner = Peeked(Owned(path, Inflated(peeked, kind, limits)))
        if file_types.archive_of(inner.head) == "tar":
            yield from tar_members(path, tars.Forward(inner), depth, limits)
        else:
            yield from _leaf(f"{path}{WITHIN}{_without_suffix(path)}", inner, None, depth, limits)
    else:
        raise Reject("corrupt", "archive", "no archive")


def _without_suffix(path: str) -> str:
    name = path.rpartition("/")[2]
    return re.sub(r"\.(gz|bz2|xz)$", "", name, flags=re.IGNORECASE) or "content"


def zip_members(path: str, file: BinaryIO, depth: int, limits: Limits) -> Iterator[ArchiveMember]:
    """All objects of a zip."""
    directory = zips.read_directory(file)
    for _ in zips.all_members(file, directory, limits):
        pass  # to its end, where it says whether the archive is sound, before anything is taken from it
    for member in zips.all_members(file, directory, limits):
        yield from zip_member(path, file, member, directory.shift, depth, limits)


def zip_member(
    path: str, file: BinaryIO, member: ZipMember, shift: int, depth: int, limits: Limits
) -> Iterator[ArchiveMember]:
    """The object or objects of one zip member."""
    if member.is_folder:
        return
    inner = f"{path}{WITHIN}{member.name}"
    try:
        if is_unsafe(member.name):
            raise Reject("unsafe-path", "archive")
        source, window = zips.open_member(file, member, shift, limits)
    except Reject as reject:
        yield ArchiveMember(path=inner, reject=reject, size=member.size)
        return
    yield from _leaf(inner, source, member.size, depth, limits, window)


def tar_members(path: str, source: tars.Forward, depth: int, limits: Limits) -> Iterator[ArchiveMember]:
    """All objects of a tar, from where it stands."""
    for member in tars.members(source, limits):
        yield from tar_member(path, source, member, depth, limits)


def tar_member(
    path: str, source: tars.Forward, member: tars.TarMember, depth: int, limits: Limits
) -> Iterator[ArchiveMember]:
    """The object or objects of one tar member; a link or a device is no file to be followed."""
    if member.is_folder:
        return
    inner = f"{path}{WITHIN}{member.name}"
    if is_unsafe(member.name) or not member.is_file:
        yield ArchiveMember(path=inner, reject=Reject("unsafe-path", "archive"), size=member.size)
    elif member.size > limits.member_bytes:
        yield ArchiveMember(
            path=inner, reject=Reject("too-large", "archive", "a member above the limit"), size=member.size
        )
    else:
        owned = Owned(path, source, member.size)
        yield from _leaf(inner, owned, member.size, depth, limits, source.window(member.data, member.size))


def _leaf(
    path: str, source: Source, size: int | None, depth: int, limits: Limits, window: BinaryIO | None = None
) -> Iterator[ArchiveMember]:
    """A member: an object, or a container of its own."""
    try:
        peeked = Peeked(source, size)
        if file_types.archive_of(peeked.head) is None:
            data = streams.read_all(peeked, limits.member_bytes, size)
            yield ArchiveMember(path=path, data=data, size=len(data))
            return
    except Reject as reject:
        yield ArchiveMember(path=path, reject=reject, size=size or 0)
        return
    yield from container(path, peeked, depth + 1, limits, window)
