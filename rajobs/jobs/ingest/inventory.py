"""The inventory of the sources: listed once, and split into shards by tasks, without what is done already.

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
from ray.exceptions import RayTaskError

from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.archives.shards import Shard
from rajobs.imaging.limits import GIB
from rajobs.jobs.ingest.markers import DoneShards
from rajobs.records.errors import BadKey, StoreError
from rajobs.records.identity import Key
from rajobs.records.store import Entry, LocalStore, Store, absolute, open_store, split_uri

BATCH, BATCH_BYTES = 512, 4 * GIB  # objects and bytes that one task splits: a large archive has a task of its own
AHEAD = 256  # batches that tasks split or wait to split, whatever cores there are by then
FEW_BATCHES = 16


class LineSpool:
    """Lines of text in an unnamed file, which is deleted with the spool."""

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


def take_inventory(uris: Sequence[str], spool: LineSpool, *, follow_links: bool = False) -> Inventory:
    """List the sources; an empty one is a mistake."""
    digest, objects = hashlib.sha256(), 0
    for uri in uris:
        store, entries = _open_source(uri, follow_links)
        before = objects
        for batch in _batches(entries):
            plain = [[entry.key, entry.size, entry.etag] for entry in batch]
            digest.update(json.dumps(plain).encode())
            spool.add(json.dumps([store.uri, plain]))
            objects += len(batch)
        if objects == before:
            raise StoreError(f"there is nothing at {uri}; name a file, or a folder or prefix that holds some")
    return Inventory(batches=spool, objects=objects, hash=digest.hexdigest()[:16])


def _open_source(uri: str, follow_links: bool) -> tuple[Store, Iterator[Entry]]:
    """A source and its objects: those below a folder or prefix, else the one file that it names itself."""
    store = open_store(uri)
    entries = store.list_source(follow_links=follow_links) if isinstance(store, LocalStore) else store.list()
    first = next(entries, None)
    if first is not None:
        return store, chain((first,), entries)
    place, name = split_uri(absolute(uri))
    file = open_store(place).stat(name) if place != "s3:/" else None  # a bucket lies in nothing
    return (store, iter(())) if file is None else (open_store(place), iter((file,)))


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == BATCH or size + entry.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def spool_shards(
    inventory: Inventory, done: DoneShards, limit: int | None, spool: LineSpool, key: Key, key_env: str
) -> int:
    """Add the shards that are to be read, as JSON, in the inventory's order; with a limit, of the first files alone.

    Returns how many of them were never read before.
    """
    seen, members, new = set(done.shards), 0, 0
    for shards in _split_batches(inventory, done, key, key_env):
        for shard in shards:
            if limit is not None and members >= limit:
                return new
            members += shard.members
            if shard.to_read is not None and shard.name not in seen:
                spool.add(shard.to_read)
                seen.add(shard.name)
                new += shard.name not in done.again
    return new


@dataclass(frozen=True, kw_only=True)
class ListedShard:
    """A shard of the inventory."""

    name: str
    members: int  # as far as is known
    to_read: str | None  # the shard as JSON; None: it is done


def _split_batches(inventory: Inventory, done: DoneShards, key: Key, key_env: str) -> Iterator[list[ListedShard]]:
    """The batches' shards in their order. Few batches are split here, faster than a task begins; many by tasks."""
    if inventory.batches.count <= FEW_BATCHES:
        with ThreadPoolExecutor(FEW_BATCHES) as pool:
            yield from pool.map(partial(split_batch, done=done, key=key), inventory.batches.lines())
        return
    task = ray.remote(split_batch_on_node).options(num_cpus=1, max_retries=3)
    done_ref = ray.put(done)
    waiting: deque[tuple[str, ray.ObjectRef[list[ListedShard]]]] = deque()

    def take_first() -> list[ListedShard]:
        line, answer = waiting.popleft()
        try:
            return ray.get(answer)
        except RayTaskError as error:
            if isinstance(error.cause, BadKey):  # that node cannot name shards; this process can
                return split_batch(line, done, key)
            raise error.cause from None

    for line in inventory.batches.lines():
        waiting.append((line, task.remote(line, done_ref, key_env, key.fingerprint)))
        if len(waiting) >= AHEAD:
            yield take_first()
    while waiting:
        yield take_first()


def split_batch_on_node(line: str, done: DoneShards, key_env: str, fingerprint: str) -> list[ListedShard]:
    """The shards of one batch, by the key in the node's environment."""
    return split_batch(line, done, Key.of_node(key_env, fingerprint))


def split_batch(line: str, done: DoneShards, key: Key) -> list[ListedShard]:
    """The shards of one batch."""
    uri, plain = json.loads(line)
    entries = [Entry(key=name, size=size, etag=etag) for name, size, etag in plain]
    shards = []
    with ArchiveReader() as reader:
        for shard in reader.split(open_store(uri), entries):
            name = shard.name(key)
            known, again = name in done.shards, name in done.again
            unread = None if known else shard if again else _without_done(shard, done, key)
            to_read = None if unread is None else unread.to_json()
            name = name if unread is None else unread.name(key)
            shards.append(ListedShard(name=name, members=shard.count, to_read=to_read))
    return shards


def _without_done(shard: Shard, done: DoneShards, key: Key) -> Shard | None:
    """A shard without the loose files that are done as part of an earlier shard, when fewer files lay beside them.

    What is left of a shard follows from that shard alone, whatever else is done: a job that was killed ends the same.
    """
    if shard.kind != "files":
        return shard
    done_files = done.has_files([entry_hash(key, entry) for entry in shard.members])
    members = tuple(entry for entry, known in zip(shard.members, done_files) if not known)
    if len(members) in (0, len(shard.members)):
        return shard if members else None
    size = sum(entry.size for entry in members)
    return dataclasses.replace(shard, key=members[0].key, members=members, size=size, etag=members[0].etag)


def entry_hash(key: Key, entry: Entry) -> str:
    """What stands for a loose file in a marker: it holds no name, and changes with the file's content."""
    return key.pseudonym("shard", f"{entry.key} {entry.size} {entry.etag}")[:16]
