"""What ingest has done: a marker on the store for each shard, put by a worker after the shard's parts.

Beside them stand the attempts: how often a worker began a shard. One that died cannot count, a mark on the store can.
"""

import json
from collections import Counter
from collections.abc import Iterator
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
"""Workers that one file may take with it before it counts as one that can't be read."""
CHOICES = ("reject:no-region", "reject:no-modality", "reject:burned-in-annotation")
"""Rejects that are a setting's doing, not a fault of the file: they don't count towards --max-rejects."""


def read_markers(store: Store) -> Iterator[dict[str, Any]]:
    """The markers, in the order of the shards' names."""
    for data in get_many(store, [entry.key for entry in store.list(f"{FOLDER}/")]):
        yield json.loads(data)


def put_marker(store: Store, mark: dict[str, Any]) -> None:
    """A shard is done."""
    store.put(f"{FOLDER}/{mark['shard']}.json", to_json(mark))


def has_marker(store: Store, shard: str) -> bool:
    """Whether a shard has been done before."""
    return store.stat(f"{FOLDER}/{shard}.json") is not None


def read_marker(store: Store, shard: str) -> dict[str, Any]:
    """One shard's marker."""
    mark: dict[str, Any] = json.loads(store.get(f"{FOLDER}/{shard}.json"))
    return mark


@dataclass(frozen=True, kw_only=True, eq=False)
class DoneShards:
    """What needs no reading again: shards, and the loose files in them (the first 8 bytes of their hashes, sorted)."""

    shards: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()  # done with other settings, which turned some of their files away
    loose: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def has(self, names: list[str]) -> NDArray[np.bool_]:
        """Which loose files, by the hashes of their entries, are in a shard that is done."""
        return np.isin(_numbers(names), self.loose)


@dataclass(frozen=True, kw_only=True)
class LabelChanges:
    """What labels say of how files are read, for shards that were read before they said it."""

    hints: str = ""  # stands for all of it
    shown: frozenset[str] = frozenset()  # pseudonyms of the paths of pictures, of which it is told what they show
    outdated: frozenset[str] = frozenset()  # shards that hold another patient or source than is told


def read_done(store: Store, settings: str, news: LabelChanges = LabelChanges()) -> DoneShards:
    """What is done, for a run with these settings; files that other settings turned away are looked at again, and so
    are those that labels tell more of."""
    done: set[str] = set()
    again: set[str] = set()
    loose: list[NDArray[np.uint64]] = []
    for mark in read_markers(store):
        (again if _is_due(mark, settings, news) else done).add(mark["shard"])
        loose.append(_numbers(mark["files"]))
    return DoneShards(
        shards=frozenset(done),
        again=frozenset(again),
        loose=np.unique(np.concatenate(loose)) if loose else np.empty(0, np.uint64),
    )


def _is_due(mark: dict[str, Any], settings: str, news: LabelChanges) -> bool:
    if mark["settings"] != settings and any(mark["counts"].get(name) for name in CHOICES):
        return True
    if news.hints == mark.get("hints", ""):
        return False
    return mark["shard"] in news.outdated or not news.shown.isdisjoint(mark.get("untold", ()))


def _numbers(names: list[str]) -> NDArray[np.uint64]:
    return np.array([int(name, 16) for name in names], np.uint64)


@dataclass(frozen=True, kw_only=True)
class IngestCounts:
    """What all shards came to."""

    counts: Counter[str]
    parts: list[str]  # keys


def read_counts(store: Store) -> IngestCounts:
    """The counts and parts of all shards that are done."""
    counts: Counter[str] = Counter()
    parts: list[str] = []
    for mark in read_markers(store):
        counts.update({**mark["counts"], "shards": 1})
        parts += mark["parts"]
    return IngestCounts(counts=counts, parts=sorted(parts))


class Attempts:
    """Attempts at one shard. After a first worker's death each file is noted before it is read.

    A death counts only while one and the same driver runs: a driver that is killed takes its workers with it, and no
    file is to blame.
    """

    def __init__(self, store: Store, shard: str, run: str) -> None:
        self.store, self.run, self.key = store, run, f"{ATTEMPTS}/{shard}.json"
        held: dict[str, Any] = json.loads(store.get(self.key)) if store.stat(self.key) is not None else {"run": ""}
        self.careful = held["run"] == run
        self.deaths: Counter[int] = Counter()
        if self.careful:
            self.deaths.update({int(number): deaths for number, deaths in held["deaths"].items()})
            if held["at"] is not None:
                self.deaths[held["at"]] += 1
        self._note(None)

    def _note(self, at: int | None) -> None:
        deaths = {str(number): deaths for number, deaths in self.deaths.items()}
        self.store.put(self.key, to_json({"run": self.run, "at": at, "deaths": deaths}))

    def watch(self, members: Iterator[ArchiveMember]) -> Iterator[ArchiveMember]:
        """The members; one that has taken too many workers with it is turned away."""
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
