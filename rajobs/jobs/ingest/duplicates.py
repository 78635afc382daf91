"""The same image in several shards is kept once: in the shard whose name sorts first, whatever was done first."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.jobs import console
from rajobs.jobs.ingest.markers import ATTEMPTS, PART_TABLES, Marker, put_marker, shard_of
from rajobs.jobs.ingest.markers import FOLDER as MARKERS
from rajobs.records.store import Store
from rajobs.records.store.lease import Fence, number_of, numbered, without_number
from rajobs.records.tables.parquet_parts import read_part, to_parquet
from rajobs.records.tables.part_index import in_order, measure, stored_sizes
from rajobs.records.tables.schemas import IGNORED, IMAGES, OBJECT_PLACES
from rajobs.records.tables.table_schema import TableSchema

UNIQUE_SUFFIX = "-unique"
"""How the name of a part ends that was written again without duplicates."""


def plain_name(part: str) -> str:
    """A part's file name without the run that wrote it, and as it was before duplicates were taken out."""
    return without_number(part.rpartition("/")[2]).replace(UNIQUE_SUFFIX, "")


def drop_duplicates(fence: Fence, markers: Mapping[str, Marker]) -> dict[str, Marker]:
    """The shards' markers once the later ones are written again without what an earlier one has, under other keys."""
    left = dict(markers)
    keys = in_order(part for marker in markers.values() for part in marker.parts if part.startswith("places/"))
    store = fence.store
    ids_of_parts = [read_part(store, key, OBJECT_PLACES, ["image_id"]).column("image_id").to_pylist() for key in keys]
    # Eight bytes per image: ten million are 80 MB.
    numbers = [np.array([int(name[:16], 16) for name in ids], np.uint64) for ids in ids_of_parts]
    if not numbers:
        return left
    everything = np.concatenate(numbers)
    _, first = np.unique(everything, return_index=True)
    is_later = np.ones(len(everything), bool)
    is_later[first] = False
    start = 0
    for key, of_part in zip(keys, numbers):
        duplicate = is_later[start : start + len(of_part)]
        start += len(of_part)
        if duplicate.any():
            shard = shard_of(key)
            left[shard] = _write_without(fence, left[shard], key, duplicate)
    return left


def _write_without(fence: Fence, marker: Marker, key: str, duplicate: NDArray[np.bool_]) -> Marker:
    """Write the parts of a places part again without its duplicate objects, which are then ignored; their marker."""
    store = fence.store
    file = key.rpartition("/")[2]
    name = without_number(file).removesuffix(".parquet")
    places = read_part(store, key, OBJECT_PLACES)
    dropped = places.filter(pa.array(duplicate))
    old = [part for part in marker.parts if without_number(part).rpartition("/")[2] == f"{name}.parquet"]
    new: dict[str, tuple[int, int]] = {}

    def write(schema: TableSchema, table: pa.Table) -> None:
        if table.num_rows:
            part = numbered(f"{schema.name}/{name}{UNIQUE_SUFFIX}.parquet", fence.number)
            data = to_parquet(table, schema)
            store.put(part, data)
            new[part] = measure(data)

    write(OBJECT_PLACES, places.filter(pa.array(~duplicate)))
    images = read_part(store, f"images/{file}", IMAGES)
    keep = _frames_to_keep(images, places, duplicate)
    write(IMAGES, images.filter(keep))
    reasons = pa.array(["duplicate"] * dropped.num_rows)
    more = pa.table({"source": dropped["source"], "bytes": dropped["bytes"], "reason": reasons}, schema=IGNORED.arrow)
    ignored = [read_part(store, part, IGNORED) for part in old if part.startswith("ignored/")]
    write(IGNORED, pa.concat_tables([*ignored, more]))
    counts = Counter(marker.counts)
    counts += Counter({"ignored:duplicate": dropped.num_rows})
    counts.subtract({"images": dropped.num_rows, "frames": images.num_rows - int(pc.sum(keep).as_py())})
    replaced = {part for part in old if not part.startswith("rejects/")}
    kept = {part: size for part, size in marker.parts.items() if part not in replaced}
    after = replace(marker, parts={**kept, **new}, counts=counts)
    put_marker(fence, after)
    return after


def _frames_to_keep(images: pa.Table, places: pa.Table, duplicate: NDArray[np.bool_]) -> pa.Array:
    """An object's frames stand together, in the order of the places."""
    frames = places.column("frames").to_numpy()
    assert int(frames.sum()) == images.num_rows, "places and images of one part have different frames"
    return pa.array(np.repeat(~duplicate, frames))


def sweep(fence: Fence, markers: Mapping[str, Marker]) -> None:
    """Remove what this run, and those in whose place it has come, made and then replaced or did not finish.

    A part is replaced if the marker of its shard names others. One of a shard without a marker was not finished if an
    attempt says so; any other is left alone, and no table has it: perhaps a listing lacks the marker.
    """
    store = fence.store
    fence.check(now=True)
    attempts = {shard_of(entry.key): entry.key for entry in store.list(f"{ATTEMPTS}/")}
    marked = {part for marker in markers.values() for part in marker.parts}
    unmarked = [part for part in stored_sizes(store, PART_TABLES) if part not in marked]
    unknown = 0
    for part in unmarked:
        if number_of(part) <= fence.number and (shard_of(part) in markers or shard_of(part) in attempts):
            fence.check()
            store.delete(part)
        else:
            unknown += 1
    for key in [*attempts.values(), *_replaced_markers(store)]:
        store.delete(key)
    store.sweep()
    if unknown:
        console.line(
            f"{unknown} parts at {store.uri} belong to no finished shard; no table has them, they may be removed"
        )


def _replaced_markers(store: Store) -> list[str]:
    """The keys of markers in whose place a later one has come."""
    keys = sorted((entry.key for entry in store.list(f"{MARKERS}/")), key=number_of)
    newest = {shard_of(key): key for key in keys}
    return [key for key in keys if newest[shard_of(key)] != key]
