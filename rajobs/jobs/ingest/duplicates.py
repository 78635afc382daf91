"""The same image in several shards is kept once: in the shard whose name sorts first, whatever was done first."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.jobs.ingest.markers import ATTEMPTS, put_marker, read_marker, read_markers
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import list_parts, read_part, to_parquet
from rajobs.records.tables.schemas import IGNORED, IMAGES, OBJECT_PLACES, REJECTS
from rajobs.records.tables.table_schema import TableSchema

UNIQUE_SUFFIX = "-unique"
"""How the name of a part ends that was written again without duplicates."""


def drop_duplicates(store: Store) -> None:
    """Write later shards again without what an earlier one has, under keys that say so."""
    sweep_unmarked(store)
    keys = list_parts(store, OBJECT_PLACES.name)
    ids_of_parts = [read_part(store, key, OBJECT_PLACES, ["image_id"]).column("image_id").to_pylist() for key in keys]
    # Eight bytes per image: ten million are 80 MB.
    numbers = [np.array([int(name[:16], 16) for name in ids], np.uint64) for ids in ids_of_parts]
    if not numbers:
        return
    everything = np.concatenate(numbers)
    _, first = np.unique(everything, return_index=True)
    is_later = np.ones(len(everything), bool)
    is_later[first] = False
    start = 0
    for key, of_part in zip(keys, numbers):
        duplicate = is_later[start : start + len(of_part)]
        start += len(of_part)
        if duplicate.any():
            _write_without(store, key, duplicate)


def sweep_unmarked(store: Store) -> None:
    """Remove parts that no marker names: those of a worker that died, or of a rewriting that was interrupted."""
    marked = {part for marker in read_markers(store) for part in marker.parts}
    for schema in (IMAGES, REJECTS, IGNORED, OBJECT_PLACES):
        for part in list_parts(store, schema.name):
            if part not in marked:
                store.delete(part)
    store.sweep()
    for entry in store.list(f"{ATTEMPTS}/"):
        store.delete(entry.key)


def _write_without(store: Store, key: str, duplicate: NDArray[np.bool_]) -> None:
    """Write the parts of a places part again without its duplicate objects, which are then ignored."""
    name = key.rpartition("/")[2].removesuffix(".parquet")
    marker = read_marker(store, name.removeprefix("part-").partition("-")[0])
    places = read_part(store, key, OBJECT_PLACES)
    dropped = places.filter(pa.array(duplicate))
    old = [part for part in marker.parts if part.rpartition("/")[2] == f"{name}.parquet"]
    new: list[str] = []

    def write(schema: TableSchema, table: pa.Table) -> None:
        if table.num_rows:
            part = f"{schema.name}/{name}{UNIQUE_SUFFIX}.parquet"
            store.put(part, to_parquet(table, schema))
            new.append(part)

    write(OBJECT_PLACES, places.filter(pa.array(~duplicate)))
    images = read_part(store, f"images/{name}.parquet", IMAGES)
    keep = _frames_to_keep(images, places, duplicate)
    write(IMAGES, images.filter(keep))
    reasons = pa.array(["duplicate"] * dropped.num_rows)
    more = pa.table({"source": dropped["source"], "bytes": dropped["bytes"], "reason": reasons}, schema=IGNORED.arrow)
    ignored = [read_part(store, part, IGNORED) for part in old if part.startswith("ignored/")]
    write(IGNORED, pa.concat_tables([*ignored, more]))
    counts = Counter(marker.counts)
    counts += Counter({"ignored:duplicate": dropped.num_rows})
    counts.subtract({"images": dropped.num_rows, "frames": images.num_rows - int(pc.sum(keep).as_py())})
    replaced = [part for part in old if not part.startswith("rejects/")]
    kept = [part for part in marker.parts if part not in replaced]
    put_marker(store, replace(marker, parts=tuple(sorted([*kept, *new])), counts=counts))
    for part in replaced:
        store.delete(part)


def _frames_to_keep(images: pa.Table, places: pa.Table, duplicate: NDArray[np.bool_]) -> pa.Array:
    """An object's frames stand together, in the order of the places."""
    frames = places.column("frames").to_numpy()
    assert int(frames.sum()) == images.num_rows, "places and images of one part have different frames"
    return pa.array(np.repeat(~duplicate, frames))
