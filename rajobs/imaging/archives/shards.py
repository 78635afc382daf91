"""Archives and folders split into shards: bounded, deterministic pieces of work that do not list their members' names.

An archive is recognised by its content. Zips are split by their central directory and tars by their headers, both with
range reads; what cannot seek (tar.gz and the like) is one shard, read as a stream. Loose files are grouped into shards.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rajobs.imaging import file_types
from rajobs.imaging.archives import tar_archive, zip_archive
from rajobs.imaging.archives.archive_members import (
    ArchiveMember,
    BrokenArchive,
    read_archive,
    read_tar_member,
    read_zip_member,
)
from rajobs.imaging.archives.tar_archive import BLOCK, SeekableTar, padded_size
from rajobs.imaging.limits import DEFAULT_LIMITS, MIB, Limits
from rajobs.records.errors import Reject
from rajobs.records.store import Entry, Store
from rajobs.records.store.seekable import open_object

_BUFFER = 64 << 10  # reading a header also reads the small members behind it


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A piece of a source: loose files, consecutive members of an archive, or an archive that is read as a stream.

    `members` depends on `kind`. files: the files' entries. zip: first and last index (exclusive), the same of the bytes
    of their entries in the central directory, and the number of bytes before the archive. tar: first and last index
    (exclusive), the same of their bytes. stream: empty.
    """

    source: str
    key: str
    kind: str  # files | zip | tar | stream
    members: tuple[Any, ...]
    size: int
    etag: str

    @property
    def id(self) -> str:
        """A hash of the content: the same archive in another source, or copied later, has the same shards."""
        members = [(e.key, e.size, e.etag) for e in self.members] if self.kind == "files" else self.members
        content = json.dumps([self.key, self.kind, members, self.size, self.etag])
        return hashlib.sha256(content.encode()).hexdigest()[:24]

    @property
    def origin(self) -> str:
        """The archive, and the index of the first member unless it is 0: an archive may hold one name twice."""
        first = self.members[0] if self.kind in ("zip", "tar") else 0
        return f"{self.etag}/{first}" if first else self.etag

    @property
    def count(self) -> int:
        """Members, as far as is known: an archive that is read as a stream counts as one."""
        if self.kind == "files":
            return len(self.members)
        return int(self.members[1] - self.members[0]) if self.members else 1

    def to_json(self) -> str:
        members = [[e.key, e.size, e.etag] for e in self.members] if self.kind == "files" else self.members
        return json.dumps({**vars(self), "members": members})

    @classmethod
    def from_json(cls, text: str) -> "Shard":
        content = json.loads(text)
        loose = content["kind"] == "files"
        members = [Entry(key=m[0], size=m[1], etag=m[2]) if loose else m for m in content["members"]]
        return cls(**{**content, "members": tuple(members)})


@dataclass(frozen=True, kw_only=True)
class _MemberRange:
    """A member's index, the range of bytes by which it is located, and the bytes that it counts for."""

    index: int
    start: int
    stop: int
    weight: int


def split_into_shards(
    store: Store, entries: Iterable[Entry], *, max_bytes: int = 64 * MIB, max_members: int = 512
) -> Iterator[Shard]:
    """The shards of a source's entries: every archive split, adjacent loose files grouped."""
    loose: list[Entry] = []
    loose_bytes = 0
    for entry in entries:
        kind = _archive_kind(store, entry)
        if kind is not None:
            yield from _split_archive(store, entry, kind, max_bytes, max_members)
            continue
        if loose and (loose_bytes + entry.size > max_bytes or len(loose) >= max_members):
            yield _files_shard(store, loose)
            loose, loose_bytes = [], 0
        loose.append(entry)
        loose_bytes += entry.size
    if loose:
        yield _files_shard(store, loose)


def _archive_kind(store: Store, entry: Entry) -> str | None:
    return file_types.detect_archive_type(
        store.read_range(entry.key, 0, min(file_types.HEAD_BYTES, entry.size), entry.etag)
    )


def _files_shard(store: Store, entries: list[Entry]) -> Shard:
    first, size = entries[0], sum(entry.size for entry in entries)
    return Shard(source=store.uri, key=first.key, kind="files", members=tuple(entries), size=size, etag=first.etag)


def _split_archive(store: Store, entry: Entry, kind: str, max_bytes: int, max_members: int) -> list[Shard]:
    """The shards of an archive. One that cannot be opened is read as a stream, which then reports the reason."""
    runs = None
    if kind == "zip":
        runs = _split_zip(store, entry, max_bytes, max_members)
    elif kind == "tar":
        runs = list(_group_into_runs(_tar_ranges(store, entry), max_bytes, max_members))
    if runs is None:
        return [_archive_shard(store, entry, "stream", ())]
    return [_archive_shard(store, entry, kind, run) for run in runs]


def _archive_shard(store: Store, entry: Entry, kind: str, run: tuple[int, ...]) -> Shard:
    return Shard(source=store.uri, key=entry.key, kind=kind, members=run, size=entry.size, etag=entry.etag)


def _split_zip(store: Store, entry: Entry, max_bytes: int, max_members: int) -> list[tuple[int, ...]] | None:
    """The runs of a zip, None if it must be judged as a whole because it is broken or all its members are encrypted."""
    try:
        with open_object(store, entry.key, buffer=_BUFFER, etag=entry.etag) as file:
            directory = zip_archive.find_directory(file)
            ranges = (
                _MemberRange(index=m.index, start=m.entry_start, stop=m.entry_stop, weight=max(m.compressed, m.size))
                for m in zip_archive.iterate_all_members(file, directory, DEFAULT_LIMITS)
            )
            return [(*run, directory.shift) for run in _group_into_runs(ranges, max_bytes, max_members)]
    except Reject:
        return None


def _tar_ranges(store: Store, entry: Entry) -> Iterator[_MemberRange]:
    """The members of a tar; if it breaks off, one range more, so that reading the last run comes to the break."""
    with open_object(store, entry.key, buffer=_BUFFER, etag=entry.etag) as file:
        index = stop = 0
        try:
            for member in tar_archive.iterate_members(SeekableTar(file, 0, entry.size), DEFAULT_LIMITS):
                stop = member.data_start + padded_size(member.size)
                yield _MemberRange(index=index, start=member.header_start, stop=stop, weight=member.size)
                index += 1
        except Reject:
            yield _MemberRange(index=index, start=stop, stop=entry.size + BLOCK, weight=0)


def _group_into_runs(ranges: Iterator[_MemberRange], max_bytes: int, max_members: int) -> Iterator[tuple[int, ...]]:
    """Runs of consecutive members, bounded in bytes and in number: first and last index, first and last byte."""
    run: list[int] = []
    run_bytes = 0
    for member in ranges:
        if run and (run_bytes + member.weight > max_bytes or member.index - run[0] >= max_members):
            yield tuple(run)
            run, run_bytes = [], 0
        first, start = (run[0], run[2]) if run else (member.index, member.start)
        run = [first, member.index + 1, start, member.stop]
        run_bytes += member.weight
    if run:
        yield tuple(run)


def read_members(store: Store, shard: Shard, limits: Limits = DEFAULT_LIMITS) -> Iterator[ArchiveMember]:
    """The files of a shard, one after the other; those that cannot be read come with their reject."""
    if shard.kind == "files":
        for entry in shard.members:
            yield _read_loose_file(store, entry, limits)
        return
    with open_object(store, shard.key, etag=shard.etag) as file:
        if shard.kind == "stream":
            yield from read_archive(shard.key, file, 1, limits, file)
            return
        try:
            if shard.kind == "zip":
                first, _, start, stop, shift = shard.members
                for zip_member in zip_archive.iterate_members(file, start, stop, first, limits):
                    yield from read_zip_member(shard.key, file, zip_member, shift, 1, limits)
            else:
                _, _, start, stop = shard.members
                tar = SeekableTar(file, start, shard.size)
                for tar_member in tar_archive.iterate_members(tar, limits, stop=stop):
                    yield from read_tar_member(shard.key, tar, tar_member, 1, limits)
        except (Reject, BrokenArchive) as error:
            reject = error.reject if isinstance(error, BrokenArchive) else error
            yield ArchiveMember(path=shard.key, reject=reject, size=shard.size)


def _read_loose_file(store: Store, entry: Entry, limits: Limits) -> ArchiveMember:
    if entry.size > limits.member_bytes:
        reject = Reject("too-large", "archive", "a file above the limit")
        return ArchiveMember(path=entry.key, reject=reject, size=entry.size)
    return ArchiveMember(path=entry.key, data=store.get(entry.key, entry.etag), size=entry.size)
