"""The same image in several shards is kept once: in the shard whose name sorts first, whatever was done first."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.jobs.ingest.markers import ATTEMPTS, put_marker, read_marker, read_markers
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import list_parts, read_part, to_parquet
from rajobs.records.tables.schemas import IGNORED, IMAGES, OBJECT_PLACES, REJECTS

UNIQUE_SUFFIX = "-unique"
"""How the name of a part ends that was written again."""


def drop_duplicates(store: Store) -> None:
    """Write the later shards again without what an earlier one has, under keys that say so."""
    sweep_unmarked(store)
    keys = list_parts(store, "places")
    lots = [read_part(store, key, OBJECT_PLACES, ["image_id"]).column("image_id").to_pylist() for key in keys]
    # Eight bytes an image: ten million are 80 MB.
    ids = [np.array([int(name[:16], 16) for name in lot], np.uint64) for lot in lots]
    if not ids:
        return
    everything = np.concatenate(ids)
    _, first = np.unique(everything, return_index=True)
    later = np.ones(len(everything), bool)
    later[first] = False
    start = 0
    for key, mine in zip(keys, ids):
        again = later[start : start + len(mine)]
        start += len(mine)
        if again.any():
            _rewrite(store, key, again)


def sweep_unmarked(store: Store) -> None:
    """Remove parts that no marker names: what a worker left that died, or a rewriting that was cut short."""
    named = {part for mark in read_markers(store) for part in mark["parts"]}
    for schema in (IMAGES, REJECTS, IGNORED, OBJECT_PLACES):
        for part in list_parts(store, schema.name):
            if part not in named:
                store.delete(part)
    store.sweep()
    for entry in store.list(f"{ATTEMPTS}/"):
        store.delete(entry.key)


def _rewrite(store: Store, key: str, again: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
    name = key.rpartition("/")[2].removesuffix(".parquet")
    shard = name.removeprefix("part-").partition("-")[0]
    mark = read_marker(store, shard)
    places = read_part(store, key, OBJECT_PLACES)
    gone = places.filter(pa.array(again))
    fresh = f"{name}{UNIQUE_SUFFIX}"
    old = [part for part in mark["parts"] if part.rpartition("/")[2] == f"{name}.parquet"]
    put = []

    def write(schema: Any, table: pa.Table) -> None:
        if table.num_rows:
            part = f"{schema.name}/{fresh}.parquet"
            store.put(part, to_parquet(table, schema))
            put.append(part)

    write(OBJECT_PLACES, places.filter(pa.array(~again)))
    images_key = f"images/{name}.parquet"
    images = read_part(store, images_key, IMAGES)
    keep = _kept(images, places, again)
    write(IMAGES, images.filter(keep))
    reasons = pa.array(["duplicate"] * gone.num_rows)
    more = pa.table({"source": gone["source"], "bytes": gone["bytes"], "reason": reasons}, schema=IGNORED.arrow)
    held = [part for part in old if part.startswith("ignored/")]
    write(IGNORED, pa.concat_tables([*(read_part(store, part, IGNORED) for part in held), more]))
    counts = Counter(mark["counts"])
    frames = images.num_rows - int(pc.sum(keep).as_py())
    counts += Counter({"ignored:duplicate": gone.num_rows})
    counts.subtract({"images": gone.num_rows, "frames": frames})
    moved = [part for part in old if not part.startswith("rejects/")]
    kept = [part for part in mark["parts"] if part not in moved]
    put_marker(store, {**mark, "parts": sorted([*kept, *put]), "counts": dict(counts)})
    for part in moved:
        store.delete(part)


def _kept(images: pa.Table, places: pa.Table, again: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Array:
    """Which frames stay: an object's frames stand together, in the order of the places."""
    frames = places.column("frames").to_numpy()
    assert int(frames.sum()) == images.num_rows, "places and images of one part tell of different frames"
    return pa.array(np.repeat(~again, frames))
