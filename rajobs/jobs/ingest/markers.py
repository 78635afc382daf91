"""What ingest has done: one marker per shard on the store, put by a worker after the shard's parts.

    OUT/shards/<shard>.2.json   what run 2 has made of a shard; of several, the highest number counts

Beside them are the attempts: how often a worker began a shard. A dead worker cannot count, a file on the store can.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.image import OPTIONAL_MODALITIES
from rajobs.records.errors import DataError, Reject, WrongOutput
from rajobs.records.manifest import to_json
from rajobs.records.store import Store, get_many
from rajobs.records.store.lease import Fence, number_of, numbered
from rajobs.records.tables.part_index import Sizes, stored_sizes
from rajobs.records.tables.schemas import IGNORED, IMAGES, OBJECT_PLACES, REJECTS

FOLDER, ATTEMPTS = "shards", "attempts"
PART_TABLES = tuple(schema.name for schema in (IMAGES, REJECTS, IGNORED, OBJECT_PLACES))
MOST_DEATHS = 2
"""Workers that one file may take with it before it counts as unreadable."""
CHOSEN_REJECTS = ("reject:no-region", "reject:no-modality", "reject:burned-in-annotation")
"""Rejects that follow from a setting, not from a fault of the file: they don't count towards --max-rejects."""
_READ_AGAIN = (*CHOSEN_REJECTS, *(f"modality:{name}" for name in OPTIONAL_MODALITIES))
"""Counts of files that other settings may bring back."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """A shard that is done: its parts, and what they were read with."""

    shard: str
    settings: str  # digest of the read options
    parts: Sizes  # rows and bytes, by key
    counts: Mapping[str, int]
    loose: tuple[str, ...]  # keyed hashes of its loose files
    hints: str = ""  # digest of what labels said
    undescribed: tuple[str, ...] = ()  # pseudonyms of the paths of pictures that labels did not describe
    centre: str | None = None  # the user's word for where its files come from
    placeholders: tuple[str, ...] = ()  # pseudonyms of patients whose ID seems to stand for nobody

    def to_json(self) -> dict[str, Any]:
        return {
            "shard": self.shard, "settings": self.settings, "counts": dict(self.counts),
            "loose": list(self.loose), "hints": self.hints, "undescribed": list(self.undescribed),
            "centre": self.centre, "placeholders": list(self.placeholders),
            "parts": {key: list(size) for key, size in self.parts.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Marker":
        if isinstance(content["parts"], list) or "loose" not in content:  # its names have no run, or no key
            raise WrongOutput("an earlier version of rajobs began this ingest; start it anew, in an empty OUT")
        lists = {name: tuple(content[name]) for name in ("loose", "undescribed", "placeholders")}
        parts = {key: (rows, size) for key, (rows, size) in content["parts"].items()}
        return cls(**{**content, **lists, "parts": parts})

    def is_whole(self, stored: Mapping[str, int]) -> bool:
        """Whether the store holds every part as it was written; `stored`: bytes by key."""
        return all(stored.get(key) == size for key, (_, size) in self.parts.items())

    def rows(self, table: str) -> int:
        return sum(rows for key, (rows, _) in self.parts.items() if key.startswith(f"{table}/"))


def shard_of(key: str) -> str:
    """The shard that a marker, an attempt or a part is of."""
    return key.rpartition("/")[2].removeprefix("part-").partition(".")[0].partition("-")[0]


def read_markers(store: Store) -> dict[str, Marker]:
    """The marker of every shard that is done, in the order of the shards' names."""
    newest: dict[str, str] = {}
    for key in sorted((entry.key for entry in store.list(f"{FOLDER}/")), key=number_of):
        newest[shard_of(key)] = key
    shards = sorted(newest)
    read = get_many(store, [newest[shard] for shard in shards])
    return {shard: Marker.from_json(json.loads(data)) for shard, data in zip(shards, read, strict=True)}


def read_marker(store: Store, shard: str) -> Marker | None:
    """The marker of one shard, if it is done."""
    keys = [entry.key for entry in store.list(f"{FOLDER}/{shard}.")]
    return Marker.from_json(json.loads(store.get(max(keys, key=number_of)))) if keys else None


def put_marker(fence: Fence, marker: Marker) -> None:
    """The shard is done, unless another run has taken this one's place: then its rows do not count."""
    fence.check()
    fence.store.put(numbered(f"{FOLDER}/{marker.shard}.json", fence.number), to_json(marker.to_json()))


@dataclass(frozen=True, kw_only=True, eq=False)
class DoneShards:
    """What need not be read again: shards, and the loose files in them (the first 8 bytes of their hashes, sorted)."""

    shards: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()  # done with other settings or labels, which treated some files differently
    broken: frozenset[str] = frozenset()  # with a part that is gone, or not as it was written: not done
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
    broken: set[str] = set()
    loose: list[NDArray[np.uint64]] = []
    markers = read_markers(store)
    stored = stored_sizes(store, PART_TABLES) if markers else {}
    for marker in markers.values():
        if not marker.is_whole(stored):
            broken.add(marker.shard)
            continue
        renamed = centre is not None and marker.centre != centre
        (again if renamed or _must_be_read_again(marker, settings, changes) else done).add(marker.shard)
        loose.append(_as_numbers(marker.loose))
    return DoneShards(
        shards=frozenset(done),
        again=frozenset(again),
        broken=frozenset(broken),
        loose=np.unique(np.concatenate(loose)) if loose else np.empty(0, np.uint64),
    )


def _must_be_read_again(marker: Marker, settings: str, changes: LabelChanges) -> bool:
    """Whether other settings turned files away, or labels now say more about its files."""
    if marker.settings != settings and any(marker.counts.get(name) for name in _READ_AGAIN):
        return True
    if changes.hints == marker.hints:
        return False
    return marker.shard in changes.outdated or not changes.described.isdisjoint(marker.undescribed)


def _as_numbers(hashes: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([int(name, 16) for name in hashes], np.uint64)


def count(markers: Iterable[Marker]) -> Counter[str]:
    """The counts of all shards that are done."""
    counts: Counter[str] = Counter()
    for marker in markers:
        counts.update({**marker.counts, "shards": 1})
    return counts


def parts_by_table(markers: Iterable[Marker]) -> dict[str, dict[str, tuple[int, int]]]:
    """The parts of all shards that are done, by their table."""
    tables: dict[str, dict[str, tuple[int, int]]] = {table: {} for table in PART_TABLES}
    for marker in markers:
        for key, size in marker.parts.items():
            tables[key.partition("/")[0]][key] = size
    return tables


def check_counts(counts: Counter[str], tables: Mapping[str, Sizes]) -> None:
    """Every object has exactly one fate, and every fate its row in a part."""
    rejects, ignored = (
        sum(n for name, n in counts.items() if name.startswith(kind)) for kind in ("reject:", "ignored:")
    )
    fates = counts["images"] + rejects + ignored
    if fates != counts["objects"]:
        raise DataError(f"{counts['objects']} files came in but {fates} are accounted for; please report this")
    wanted = {IMAGES: counts["frames"], OBJECT_PLACES: counts["images"], REJECTS: rejects, IGNORED: ignored}
    for schema, number in wanted.items():
        rows = sum(rows for rows, _ in tables[schema.name].values())
        if rows != number:
            raise DataError(f"{number} rows of {schema.name} are counted but {rows} are stored; please report this")


class Attempts:
    """The attempts at one shard. After a first worker's death each file is noted before it is read.

    A death counts only while the same driver runs: a driver that is killed takes its workers with it, and no file is to
    blame.
    """

    def __init__(self, store: Store, shard: str, run: int) -> None:
        self.store, self.run, self.key = store, run, f"{ATTEMPTS}/{shard}.json"
        last: dict[str, Any] = json.loads(store.get(self.key)) if store.stat(self.key) is not None else {"run": 0}
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
