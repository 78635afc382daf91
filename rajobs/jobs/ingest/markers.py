"""What ingest has done: one marker per shard on the store, put by a worker after the shard's parts.

Beside them are the attempts: how often a worker began a shard. A dead worker cannot count, a file on the store can.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.records.errors import Reject
from rajobs.records.manifest import to_json
from rajobs.records.store import Store, get_many

FOLDER, ATTEMPTS = "shards", "attempts"
MOST_DEATHS = 2
"""Workers that one file may take with it before it counts as unreadable."""
CHOSEN_REJECTS = ("reject:no-region", "reject:no-modality", "reject:burned-in-annotation")
"""Rejects that follow from a setting, not from a fault of the file: they don't count towards --max-rejects."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """A shard that is done: its parts, and what they were read with."""

    shard: str
    settings: str  # digest of the read options
    parts: tuple[str, ...]  # keys
    counts: Mapping[str, int]
    files: tuple[str, ...]  # hashes of its loose files
    hints: str = ""  # digest of what labels said
    undescribed: tuple[str, ...] = ()  # pseudonyms of the paths of pictures that labels did not describe
    centre: str | None = None  # the user's word for where its files come from

    def to_json(self) -> dict[str, Any]:
        return {
            "shard": self.shard, "settings": self.settings, "parts": list(self.parts), "counts": dict(self.counts),
            "files": list(self.files), "hints": self.hints, "undescribed": list(self.undescribed),
            "centre": self.centre,
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Marker":
        lists = {name: tuple(content[name]) for name in ("parts", "files", "undescribed")}
        return cls(**{**content, **lists})


def read_markers(store: Store) -> Iterator[Marker]:
    """All markers, in the order of the shards' names."""
    for data in get_many(store, [entry.key for entry in store.list(f"{FOLDER}/")]):
        yield Marker.from_json(json.loads(data))


def put_marker(store: Store, marker: Marker) -> None:
    store.put(f"{FOLDER}/{marker.shard}.json", to_json(marker.to_json()))


def has_marker(store: Store, shard: str) -> bool:
    return store.stat(f"{FOLDER}/{shard}.json") is not None


def read_marker(store: Store, shard: str) -> Marker:
    return Marker.from_json(json.loads(store.get(f"{FOLDER}/{shard}.json")))


@dataclass(frozen=True, kw_only=True, eq=False)
class DoneShards:
    """What need not be read again: shards, and the loose files in them (the first 8 bytes of their hashes, sorted)."""

    shards: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()  # done with other settings or labels, which treated some files differently
    loose: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def has_files(self, hashes: Sequence[str]) -> NDArray[np.bool_]:
        """Which loose files, by the hashes of their entries, are in a shard that is done."""
        return np.isin(_as_numbers(hashes), self.loose)


@dataclass(frozen=True, kw_only=True)
class LabelChanges:
    """What labels say about how files are read, for shards that were read before they said it."""

    hints: str = ""  # digest of all of it
    described: frozenset[str] = frozenset()  # pseudonyms of the paths of pictures whose content labels describe
    outdated: frozenset[str] = frozenset()  # shards with another patient or source than labels give


def read_done(
    store: Store, settings: str, changes: LabelChanges = LabelChanges(), centre: str | None = None
) -> DoneShards:
    """What is done, for a run with these settings and labels, and with this centre if it names one."""
    done: set[str] = set()
    again: set[str] = set()
    loose: list[NDArray[np.uint64]] = []
    for marker in read_markers(store):
        renamed = centre is not None and marker.centre != centre
        (again if renamed or _must_be_read_again(marker, settings, changes) else done).add(marker.shard)
        loose.append(_as_numbers(marker.files))
    return DoneShards(
        shards=frozenset(done),
        again=frozenset(again),
        loose=np.unique(np.concatenate(loose)) if loose else np.empty(0, np.uint64),
    )


def _must_be_read_again(marker: Marker, settings: str, changes: LabelChanges) -> bool:
    """Whether other settings turned files away, or labels now say more about its files."""
    if marker.settings != settings and any(marker.counts.get(name) for name in CHOSEN_REJECTS):
        return True
    if changes.hints == marker.hints:
        return False
    return marker.shard in changes.outdated or not changes.described.isdisjoint(marker.undescribed)


def _as_numbers(hashes: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([int(name, 16) for name in hashes], np.uint64)


@dataclass(frozen=True, kw_only=True)
class IngestCounts:
    """The counts of all shards that are done, and their parts' keys."""

    counts: Counter[str]
    parts: list[str]


def read_counts(store: Store) -> IngestCounts:
    counts: Counter[str] = Counter()
    parts: list[str] = []
    for marker in read_markers(store):
        counts.update({**marker.counts, "shards": 1})
        parts += marker.parts
    return IngestCounts(counts=counts, parts=sorted(parts))


class Attempts:
    """The attempts at one shard. After a first worker's death each file is noted before it is read.

    A death counts only while the same driver runs: a driver that is killed takes its workers with it, and no file is to
    blame.
    """

    def __init__(self, store: Store, shard: str, run: str) -> None:
        self.store, self.run, self.key = store, run, f"{ATTEMPTS}/{shard}.json"
        last: dict[str, Any] = json.loads(store.get(self.key)) if store.stat(self.key) is not None else {"run": ""}
        self.careful = last["run"] == run
        self.deaths: Counter[int] = Counter()
        if self.careful:
            self.deaths.update({int(number): deaths for number, deaths in last["deaths"].items()})
            if last["at"] is not None:
                self.deaths[last["at"]] += 1
        self._note(None)

    def _note(self, at: int | None) -> None:
        deaths = {str(number): deaths for number, deaths in self.deaths.items()}
        self.store.put(self.key, to_json({"run": self.run, "at": at, "deaths": deaths}))

    def watch(self, members: Iterator[ArchiveMember]) -> Iterator[ArchiveMember]:
        """The members; one that has taken too many workers with it is rejected."""
        for number, member in enumerate(members):
            if self.deaths[number] >= MOST_DEATHS:
                yield ArchiveMember(path=member.path, reject=Reject("decoder-crashed", "decode"), size=len(member.data))
                continue
            if self.careful:
                self._note(number)
            yield member

    def finish(self) -> None:
        """The shard is done."""
        self.store.delete(self.key)
