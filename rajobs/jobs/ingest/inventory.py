"""What there is to take in: the sources listed once, and cut into shards by tasks, less what is done already.

Names are kept in files of this machine, not in memory: an archive may hold tens of millions.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import IO

import ray

from rajobs.imaging.archives.shards import Shard, split_into_shards
from rajobs.imaging.limits import GIB
from rajobs.jobs.ingest.markers import DoneShards
from rajobs.records.errors import StoreError
from rajobs.records.store import Entry, Store, absolute, open_store, split_uri

BATCH, BATCH_BYTES = 512, 4 * GIB  # objects and bytes that one task cuts: a large archive has a task of its own
AHEAD = 4  # tasks under way for each core
FEW = 16  # batches


class LineSpool:
    """Lines of text in an unnamed file, which is gone with the spool."""

    def __init__(self) -> None:
        self._file: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed with the spool
        self.count = 0

    def __enter__(self) -> "LineSpool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, line: str) -> None:
        self._file.write(line + "\n")
        self.count += 1

    def lines(self) -> Iterator[str]:
        self._file.seek(0)
        for line in self._file:
            yield line.rstrip("\n")


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Everything the sources hold, in batches, and a hash of it."""

    batches: LineSpool
    objects: int
    hash: str


def take_inventory(uris: Sequence[str], spool: LineSpool) -> Inventory:
    """What the sources hold; an empty one is a mistake."""
    digest, objects = hashlib.sha256(), 0
    for uri in uris:
        store, entries = _source(uri)
        before = objects
        for batch in _batches(entries):
            plain = [[entry.key, entry.size, entry.etag] for entry in batch]
            digest.update(json.dumps(plain).encode())
            spool.add(json.dumps([store.uri, plain]))
            objects += len(batch)
        if objects == before:
            raise StoreError(f"there is nothing at {uri}; name a file, or a folder or prefix that holds some")
    return Inventory(batches=spool, objects=objects, hash=digest.hexdigest()[:16])


def _source(uri: str) -> tuple[Store, Iterator[Entry]]:
    """A source and what it holds: the objects below a folder or prefix, else the one file that it names itself."""
    store = open_store(uri)
    entries = store.list()
    first = next(entries, None)
    if first is not None:
        return store, chain((first,), entries)
    place, name = split_uri(absolute(uri))
    alone = open_store(place).stat(name) if place != "s3:/" else None  # a bucket lies in nothing
    return (store, iter(())) if alone is None else (open_store(place), iter((alone,)))


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    held = 0
    for entry in entries:
        if batch and (len(batch) == BATCH or held + entry.size > BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(entry)
        held += entry.size
    if batch:
        yield batch


def shards_to_do(listing: Inventory, done: DoneShards, limit: int | None, todo: LineSpool) -> None:
    """The shards that are left, as text, in the order of the listing; of the first `limit` files where there is one."""
    seen, members = set(done.shards), 0
    for found in _cut_all(listing, done):
        for name, size, text in found:
            if limit is not None and members >= limit:
                return
            members += size
            if text is not None and name not in seen:
                todo.add(text)
                seen.add(name)


Cut = list[tuple[str, int, str | None]]
"""Of each shard: its id, how many members it has as far as is known, and itself as text if it is to be read."""


def _cut_all(listing: Inventory, done: DoneShards) -> Iterator[Cut]:
    """The batches' shards in their order, some batches ahead; a few are cut here, before a task would have begun."""
    if listing.batches.count <= FEW:
        with ThreadPoolExecutor(FEW) as pool:
            yield from pool.map(partial(cut_batch, done=done), listing.batches.lines())
        return
    task = ray.remote(cut_batch).options(num_cpus=1, max_retries=3)
    held = ray.put(done)
    ahead = max(1, int(ray.cluster_resources()["CPU"])) * AHEAD
    waiting: deque[ray.ObjectRef[Cut]] = deque()
    for line in listing.batches.lines():
        waiting.append(task.remote(line, held))
        if len(waiting) >= ahead:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())


def cut_batch(line: str, done: DoneShards) -> Cut:
    """The shards of one batch of the listing."""
    uri, plain = json.loads(line)
    entries = [Entry(key=key, size=size, etag=etag) for key, size, etag in plain]
    found: Cut = []
    for shard in split_into_shards(open_store(uri), entries):
        left = None if shard.id in done.shards else shard if shard.id in done.again else _left(shard, done)
        found.append(((left or shard).id, _members(shard), None if left is None else to_text(left)))
    return found


def _left(shard: Shard, done: DoneShards) -> Shard | None:
    """A shard without the loose files that came in with another one, before there were more beside them.

    What is left of a shard follows from that shard alone, whatever else is done: a job that was killed ends the same.
    """
    if shard.kind != "files":
        return shard
    there = done.has([entry_name(entry) for entry in shard.members])
    members = tuple(entry for entry, known in zip(shard.members, there) if not known)
    if len(members) in (0, len(shard.members)):
        return shard if members else None
    size = sum(entry.size for entry in members)
    return dataclasses.replace(shard, key=members[0].key, members=members, size=size, etag=members[0].etag)


def entry_name(entry: Entry) -> str:
    """What stands for a loose file in a shard's marker: no name, and another one when its content changes."""
    told = f"{entry.key} {entry.size} {entry.etag}".encode(errors="surrogateescape")
    return hashlib.sha256(told).hexdigest()[:16]


def _members(shard: Shard) -> int:
    if shard.kind == "files":
        return len(shard.members)
    return shard.members[1] - shard.members[0] if shard.members else 1


def to_text(shard: Shard) -> str:
    """A shard as Ray Data carries it."""
    members = [[e.key, e.size, e.etag] for e in shard.members] if shard.kind == "files" else shard.members
    return json.dumps({**{f.name: getattr(shard, f.name) for f in dataclasses.fields(shard)}, "members": members})


def from_text(text: str) -> Shard:
    """The shard that `to_text` told of."""
    plain = json.loads(text)
    loose = plain["kind"] == "files"
    members = [Entry(key=m[0], size=m[1], etag=m[2]) if loose else m for m in plain["members"]]
    return Shard(**{**plain, "members": tuple(members)})
