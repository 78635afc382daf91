"""Which parts a table consists of: the index that a run leaves beside its tables before its manifest.

    OUT/index/images.2.json   the parts of images as run 2 leaves them, with their rows and bytes

Of several the highest number counts. What lies beside the parts that it names (of a worker that was cut off, of a
driver that woke up late) is no row of the table; and a part that a listing leaves out is missed.
"""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from rajobs.records.errors import MissingParts
from rajobs.records.manifest import to_json
from rajobs.records.store import Store, get_many
from rajobs.records.store.lease import Fence, number_of, numbered, without_number

FOLDER = "index"

Sizes = Mapping[str, tuple[int, int]]
"""Rows and bytes of parts, by their keys."""


def measure(part: bytes) -> tuple[int, int]:
    """Rows, by its own footer, and bytes of a part."""
    return pq.read_metadata(io.BytesIO(part)).num_rows, len(part)


def in_order(parts: Iterable[str]) -> list[str]:
    """Keys of parts in an order that does not depend on the runs which wrote them."""
    return sorted(parts, key=lambda key: (without_number(key), number_of(key)))


def put_index(fence: Fence, tables: Mapping[str, Sizes]) -> None:
    """Write the parts of tables as this run leaves them. An equal index is not written again."""
    fence.check(now=True)
    before = read_indexes(fence.store)
    for table, sizes in tables.items():
        if before.get(table) != dict(sizes):
            parts = {key: list(size) for key, size in sizes.items()}
            fence.store.put(numbered(f"{FOLDER}/{table}.json", fence.number), to_json(parts))


def read_index(store: Store, table: str) -> dict[str, tuple[int, int]] | None:
    """The parts that the last run names, or None if no run has named any."""
    return read_indexes(store, f"{table}.").get(table)


def read_indexes(store: Store, prefix: str = "") -> dict[str, dict[str, tuple[int, int]]]:
    """The parts that the last run names, by table."""
    newest = _newest([entry.key for entry in store.list(f"{FOLDER}/{prefix}")])
    indexes = {}
    for name, data in zip(newest, get_many(store, list(newest.values())), strict=True):
        parts = json.loads(data)
        indexes[Path(name).stem] = {key: (rows, size) for key, (rows, size) in parts.items()}
    return indexes


def _newest(keys: Iterable[str]) -> dict[str, str]:
    """The keys with the highest numbers, by what they are without them."""
    return {without_number(key): key for key in sorted(keys, key=number_of)}


def drop_older_indexes(fence: Fence) -> None:
    """Remove indexes in whose place a later one has come."""
    keys = [entry.key for entry in fence.store.list(f"{FOLDER}/")]
    newest = set(_newest(keys).values())
    for key in keys:
        if key not in newest:
            fence.store.delete(key)


def stored_sizes(store: Store, tables: Iterable[str]) -> dict[str, int]:
    """The bytes of every part that the store holds, by a listing."""
    return {
        entry.key: entry.size for table in tables for entry in store.list(f"{table}/") if entry.key.endswith(".parquet")
    }


def is_stored(store: Store, tables: Mapping[str, Sizes]) -> bool:
    """Whether the store holds every part of tables as it was written."""
    return not _count_others(store, tables)


def check_stored(store: Store, tables: Mapping[str, Sizes]) -> None:
    """MissingParts unless the store holds every part of tables as it was written."""
    others = _count_others(store, tables)
    if others:
        raise MissingParts(
            f"{others} parts at {store.uri} are gone, or not as they were written; start the job again with all files"
        )


def _count_others(store: Store, tables: Mapping[str, Sizes]) -> int:
    stored = stored_sizes(store, tables)
    return sum(stored.get(key) != size for sizes in tables.values() for key, (_, size) in sizes.items())


def describe_stored(tables: Mapping[str, Sizes]) -> str:
    """A line for the summary, once the counts have been compared with what the store holds."""
    sizes = [size for of_table in tables.values() for size in of_table.values()]
    return f"counts equal what the store holds: {sum(rows for rows, _ in sizes):,} rows in {len(sizes):,} parts"
