"""Archives and folders as shards: bounded, deterministic pieces of work that name members without listing them.

An archive is known by its content. A zip is cut by its central directory, a tar by its headers, both by range reads;
what can't be sought in (tar.gz and the like) is one stream. Loose files are gathered into shards of their own.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rajobs.imaging import file_types
from rajobs.imaging.archives import tars, walk, zips
from rajobs.imaging.archives.walk import ArchiveMember
from rajobs.imaging.limits import DEFAULT, MIB, Limits
from rajobs.records.errors import Reject
from rajobs.records.store import Entry, Store
from rajobs.records.store.seekable import open_object

_HEAD = 512
_BUFFER = 64 << 10  # small members' bytes come along with the next header


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A piece of a source: loose files, a run of an archive's members, or an archive that is read in one go.

    `members` is the entries of `files`; for `zip` (first, stop, first and last byte of their slice of the directory,
    bytes before the archive), for `tar` (first, stop, first and last byte), for `stream` nothing.
    """

    source: str
    key: str
    kind: str  # files | zip | tar | stream
    members: tuple[Any, ...]
    size: int
    etag: str

    @property
    def id(self) -> str:
        """A hash of what it is: the same archive elsewhere, or copied later, has the same shards."""
        members = [(e.key, e.size, e.etag) for e in self.members] if self.kind == "files" else self.members
        what = json.dumps([self.key, self.kind, members, self.size, self.etag])
        return hashlib.sha256(what.encode()).hexdigest()[:24]

    @property
    def origin(self) -> str:
        """The archive, and where in it a later run begins: a name may stand in an archive twice."""
        first = self.members[0] if self.kind in ("zip", "tar") else 0
        return f"{self.etag}/{first}" if first else self.etag


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A member's index, the bytes to find it by and the bytes it counts for."""

    index: int
    start: int
    stop: int
    weight: int


def list_sources(store: Store) -> Iterator[Entry]:
    """Everything there is in a source, archives and loose files, in the order of keys."""
    return store.list()


def inventory(store: Store, *, max_bytes: int = 64 * MIB, max_members: int = 512) -> Iterator[Shard]:
    """All shards of a source."""
    return cut(store, list_sources(store), max_bytes=max_bytes, max_members=max_members)


def cut(
    store: Store, entries: Iterable[Entry], *, max_bytes: int = 64 * MIB, max_members: int = 512
) -> Iterator[Shard]:
    """The shards of some entries: archives cut, neighbouring loose files gathered."""
    loose: list[Entry] = []
    held = 0
    for entry in entries:
        if is_archive(store, entry):
            yield from cut_archive(store, entry, max_bytes=max_bytes, max_members=max_members)
            continue
        if loose and (held + entry.size > max_bytes or len(loose) >= max_members):
            yield _gathered(store, loose)
            loose, held = [], 0
        loose.append(entry)
        held += entry.size
    if loose:
        yield _gathered(store, loose)


def is_archive(store: Store, entry: Entry) -> bool:
    """Whether an object is an archive, by its first bytes."""
    return _kind(store, entry) is not None


def _kind(store: Store, entry: Entry) -> str | None:
    return file_types.archive_of(store.read_range(entry.key, 0, min(_HEAD, entry.size)))


def _gathered(store: Store, entries: list[Entry]) -> Shard:
    first, size = entries[0], sum(entry.size for entry in entries)
    return Shard(source=store.uri, key=first.key, kind="files", members=tuple(entries), size=size, etag=first.etag)


def cut_archive(
    store: Store, entry: Entry, *, max_bytes: int = 64 * MIB, max_members: int = 512, limits: Limits = DEFAULT
) -> list[Shard]:
    """The shards of one archive. One that can't be opened is a stream, and reading it tells why."""
    kind = _kind(store, entry)
    if kind == "zip":
        runs = _zip_runs(store, entry, max_bytes, max_members, limits)
    elif kind == "tar":
        runs = list(_runs(_tar_places(store, entry, limits), max_bytes, max_members))
    else:
        runs = None
    if runs is None:
        return [_shard(store, entry, "stream", ())]
    return [_shard(store, entry, str(kind), run) for run in runs]


def _shard(store: Store, entry: Entry, kind: str, run: tuple[int, ...]) -> Shard:
    return Shard(source=store.uri, key=entry.key, kind=kind, members=run, size=entry.size, etag=entry.etag)


def _zip_runs(
    store: Store, entry: Entry, max_bytes: int, max_members: int, limits: Limits
) -> list[tuple[int, ...]] | None:
    """The runs of a zip, None where it has to be looked at as a whole: broken, or encrypted throughout."""
    try:
        with open_object(store, entry.key, buffer=_BUFFER) as file:
            directory = zips.read_directory(file)
            places = (
                _Place(index=m.index, start=m.at, stop=m.end, weight=max(m.compressed, m.size))
                for m in zips.all_members(file, directory, limits)
            )
            return [(*run, directory.shift) for run in _runs(places, max_bytes, max_members)]
    except Reject:
        return None


def _tar_places(store: Store, entry: Entry, limits: Limits) -> Iterator[_Place]:
    """The members of a tar; where it breaks, one place more, so that reading the last run meets the break."""
    with open_object(store, entry.key, buffer=_BUFFER) as file:
        source = tars.Seekable(file, 0, entry.size)
        index = at = 0
        try:
            for member in tars.members(source, limits):
                at = member.data + -(-member.size // _HEAD) * _HEAD
                yield _Place(index=index, start=member.at, stop=at, weight=member.size)
                index += 1
        except Reject:
            yield _Place(index=index, start=at, stop=entry.size + _HEAD, weight=0)


def _runs(places: Iterator[_Place], max_bytes: int, max_members: int) -> Iterator[tuple[int, ...]]:
    """Runs of members, bounded in bytes and in number."""
    run: list[int] = []
    held = 0
    for place in places:
        if run and (held + place.weight > max_bytes or place.index - run[0] >= max_members):
            yield tuple(run)
            run, held = [], 0
        run = [run[0] if run else place.index, place.index + 1, run[2] if run else place.start, place.stop]
        held += place.weight
    if run:
        yield tuple(run)


def read_members(store: Store, shard: Shard, limits: Limits = DEFAULT) -> Iterator[ArchiveMember]:
    """The input objects of a shard, one after the other, those that can't be read with their reject."""
    if shard.kind == "files":
        for entry in shard.members:
            yield _loose(store, entry, limits)
        return
    with open_object(store, shard.key) as file:
        if shard.kind == "stream":
            yield from walk.container(shard.key, file, 1, limits, file)
            return
        try:
            if shard.kind == "zip":
                first, _, start, stop, shift = shard.members
                for zipped in zips.members(file, start, stop, first, limits):
                    yield from walk.zip_member(shard.key, file, zipped, shift, 1, limits)
            else:
                _, _, start, stop = shard.members
                source = tars.Seekable(file, start, shard.size)
                for tarred in tars.members(source, limits, stop=stop):
                    yield from walk.tar_member(shard.key, source, tarred, 1, limits)
        except (Reject, walk.Broken) as error:
            reject = error.reject if isinstance(error, walk.Broken) else error
            yield ArchiveMember(path=shard.key, reject=reject, size=shard.size)


def _loose(store: Store, entry: Entry, limits: Limits) -> ArchiveMember:
    if entry.size > limits.member_bytes:
        reject = Reject("too-large", "archive", "a file above the limit")
        return ArchiveMember(path=entry.key, reject=reject, size=entry.size)
    return ArchiveMember(path=entry.key, data=store.get(entry.key), size=entry.size)
