"""What is left to do of a listing: the same whatever was done in between, and without what came in before."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.archives.shards import Shard
from rajobs.jobs.ingest import inventory
from rajobs.jobs.ingest.inventory import LineSpool, entry_hash, split_batch, take_inventory
from rajobs.jobs.ingest.markers import DoneShards
from rajobs.records.errors import StoreError
from rajobs.records.identity import Key
from rajobs.records.store import Entry, Store, open_store

KEY, OTHER = (Key(secret=letter * 32) for letter in (b"k", b"o"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and shards of a few files."""
    monkeypatch.setattr(inventory, "BATCH", 6)
    split = ArchiveReader.split

    def split_small(reader: ArchiveReader, store: Store, entries: list[Entry]) -> Iterator[Shard]:
        return split(reader, store, entries, max_bytes=100)

    monkeypatch.setattr(ArchiveReader, "split", split_small)


def fill(folder: Path, sizes: dict[str, int]) -> str:
    for name, size in sizes.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * size)
    return str(folder)


def lines_of(uri: str) -> list[str]:
    with LineSpool() as spool:
        take_inventory([uri], spool)
        return list(spool.lines())


def left(uri: str, done: DoneShards) -> list[Shard]:
    """The shards to be read, through their text."""
    listed = [shard for line in lines_of(uri) for shard in split_batch(line, done, KEY)]
    return [Shard.from_json(shard.to_read) for shard in listed if shard.to_read]


def done_with(*shards: Shard) -> DoneShards:
    names = [entry_hash(KEY, entry) for shard in shards for entry in shard.members]
    loose = np.unique(np.array([int(name, 16) for name in names], np.uint64))
    return DoneShards(shards=frozenset(shard.name(KEY) for shard in shards), loose=loose)


SIZES = {"a/1": 20, "a/2": 20, "b/3": 30, "b/4": 2, "c": 20, "d": 33, "e": 1, "f": 40, "g": 5, "h": 1}


def test_whatever_was_done_first_the_rest_is_cut_the_same(tmp_path: Path) -> None:
    uri = fill(tmp_path, SIZES)
    every = left(uri, DoneShards())
    assert len(every) > 4 and sum(len(shard.members) for shard in every) == len(SIZES)
    assert [Shard.from_json(shard.to_json()) for shard in every] == every
    for number, shard in enumerate(every):
        rest = left(uri, done_with(shard))
        assert rest == [*every[:number], *every[number + 1 :]], "a killed run would end in other shards"


def test_new_files_beside_old_ones_come_alone(tmp_path: Path) -> None:
    uri = fill(tmp_path, SIZES)
    first = left(uri, DoneShards())
    fill(tmp_path, {"a/1b": 3, "bb": 4, "z": 5})
    second = left(uri, done_with(*first))
    assert sorted(entry.key for shard in second for entry in shard.members) == ["a/1b", "bb", "z"]
    again = left(uri, done_with(*first, second[1]))
    assert again == [second[0], *second[2:]], "what is left of one shard hangs on that shard alone"
    (tmp_path / "bb").write_bytes(b"other")
    changed = left(uri, done_with(*first, *second))
    assert [entry.key for shard in changed for entry in shard.members] == ["bb"]


def test_what_was_done_with_other_settings_is_read_again(tmp_path: Path) -> None:
    uri = fill(tmp_path, SIZES)
    every = left(uri, DoneShards())
    done = done_with(*every)
    third = frozenset({every[2].name(KEY)})
    again = DoneShards(shards=done.shards - third, again=third, loose=done.loose)
    assert left(uri, again) == [every[2]]


def test_a_batch_is_bounded_and_an_empty_source_is_named(tmp_path: Path) -> None:
    uri = fill(tmp_path / "full", SIZES)
    assert [len(json.loads(line)[1]) for line in lines_of(uri)] == [6, 4]
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="there is nothing at"):
        lines_of(str(tmp_path / "empty"))


def test_a_source_may_be_one_file(tmp_path: Path, bucket: str) -> None:
    place = fill(tmp_path, SIZES)
    open_store(f"{bucket}/one").put("b/3", b"film")
    for folder in (place, f"{bucket}/one"):
        (shard,) = left(f"{folder}/b/3", DoneShards())
        assert (shard.source, [entry.key for entry in shard.members]) == (f"{folder}/b", ["3"])
        listed = next(open_store(f"{folder}/b").list())
        assert entry_hash(KEY, shard.members[0]) == entry_hash(KEY, listed) != entry_hash(OTHER, listed)


def test_without_the_key_nobody_can_tell_from_a_shard_s_name_which_file_it_is_of(tmp_path: Path) -> None:
    uri = fill(tmp_path, {"Doe^Jane": 20})
    (shard,) = left(uri, DoneShards())
    names = [shard.name(key) for key in (KEY, OTHER)]
    assert names[0] == shard.name(KEY) != names[1] and all(len(name) == 24 for name in names)
    content = json.dumps([shard.key, "files", [(e.key, e.size, e.etag) for e in shard.members], shard.size, shard.etag])
    assert hashlib.sha256(content.encode()).hexdigest()[:24] not in names
    assert KEY.pseudonym("uid", content) not in names, "no other domain has these names"
