"""Prepared arrays: a view of every row, drawn once, put beside the data, read memory-mapped by every trial and epoch.

    DATA/prepared/<view>/<part>.npy       one array a row
    DATA/prepared/<view>/<part>.parquet   the rows; put last, so that a part without it is not there

A part is named after the part of the images or clinic table that it comes from, and after the positions its rows were
cut by.
"""

import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.imaging.rows import COLUMNS, POSITION_STUDY, Positions, rows_of_part, visits_of_clinic
from rajobs.learning.samples.row_arrays import ViewRequest, draw_views, draw_visits
from rajobs.learning.study import Array, Study
from rajobs.records.errors import DataError
from rajobs.records.manifest import digest
from rajobs.records.store import LocalStore, Store
from rajobs.records.tables.parquet_parts import list_parts, read_part, to_parquet
from rajobs.records.tables.schemas import CLINIC, IMAGES, PREPARED


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Rows with their arrays, which stay on disk."""

    rows: pa.Table
    arrays: tuple[Array, ...]
    starts: NDArray[np.int64]  # of each array, in the rows

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, rows, columns of one sample."""
        shape = self.arrays[0].shape[1:]
        return (shape[2], *shape[:2]) if len(shape) == 3 else (1, *shape)

    def take(self, at: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Samples by row number, as (n, channels, rows, columns)."""
        part = np.searchsorted(self.starts, at, side="right") - 1
        out = np.empty((len(at), *self.arrays[0].shape[1:]), self.arrays[0].dtype)
        for number, (which, row) in enumerate(zip(part.tolist(), (at - self.starts[part]).tolist())):
            out[number] = self.arrays[which][row]
        return np.ascontiguousarray(out.transpose(0, 3, 1, 2)) if out.ndim == 4 else out[:, None]


def folder(study: Study, settings: Mapping[str, Any]) -> str:
    """Where the arrays of a view lie; views that are the same lie in the same place, whichever study asks."""
    return f"prepared/{digest([study.rows, study.view.identity(settings)])}"


def part_name(images_key: str, positions: Positions, ids: Sequence[str]) -> str:
    """The name of the prepared part of an images part."""
    mine = {name: [[p.site, p.side, p.x, p.y] for p in positions[name]] for name in ids if name in positions}
    stem = Path(images_key).stem
    return f"{stem}-{digest(mine)}" if mine else stem


def table_of(study: Study) -> str:
    """The table whose parts a study's rows come from."""
    return "clinic" if study.rows == "visits" else "images"


def missing(store: Store, study: Study, settings: Mapping[str, Any], positions: Positions) -> list[str]:
    """Keys of the parts whose arrays are not there yet."""
    there = {entry.key for entry in store.list(f"{folder(study, settings)}/")}
    return [
        key
        for key in list_parts(store, table_of(study))
        if f"{folder(study, settings)}/{_name(store, key, study, positions)}.parquet" not in there
    ]


def _name(store: Store, key: str, study: Study, positions: Positions) -> str:
    if study.rows not in ("hands", "joints"):
        return part_name(key, {}, [])
    ids = read_part(store, key, IMAGES, ["image_id"]).column("image_id").to_pylist()
    return part_name(key, positions, ids)


def prepare(store: Store, key: str, study: Study, settings: Mapping[str, Any], positions: Positions) -> int:
    """Draw and put the arrays of one part; how many."""
    told, arrays = (_visits if study.rows == "visits" else _images)(store, key, study, settings, positions)
    name = f"{folder(study, settings)}/{_name(store, key, study, positions)}"
    sink = io.BytesIO()
    np.save(sink, arrays, allow_pickle=False)
    store.put(f"{name}.npy", sink.getvalue())
    store.put(f"{name}.parquet", to_parquet(PREPARED.rows(told), PREPARED))
    return len(told)


def _images(
    store: Store, key: str, study: Study, settings: Mapping[str, Any], positions: Positions
) -> tuple[list[dict[str, object]], Array]:
    images = read_part(store, key, IMAGES, COLUMNS)
    rows = rows_of_part(study.rows, images, positions)
    patients, sources = images.column("patient").to_pylist(), images.column("derived_from").to_pylist()
    told: list[dict[str, object]] = [
        {
            "image_id": row.image_id, "hand": row.hand, "site": row.site, "side": row.side,
            "patient": patients[row.at], "derived_from": sources[row.at],
        }
        for row in rows
    ]  # fmt: skip
    return told, draw_views(store, key, {"": ViewRequest(view=study.view, settings=settings, rows=rows)})[""]


def _visits(
    store: Store, key: str, study: Study, settings: Mapping[str, Any], positions: Positions
) -> tuple[list[dict[str, object]], Array]:
    table = read_part(store, key, CLINIC)
    found, rows = visits_of_clinic(table), rows_of_part(study.rows, table, positions)
    told: list[dict[str, object]] = []
    for visit, row in zip(found, rows):
        whose = {"image_id": visit.image_id, "patient": visit.patient, "derived_from": visit.derived_from}
        told.append({**whose, "hand": row.hand, "site": row.site, "side": row.side})
    return told, draw_visits(found, {"": ViewRequest(view=study.view, settings=settings, rows=rows)})[""]


def read_prepared(store: Store, study: Study, settings: Mapping[str, Any], positions: Positions) -> Prepared:
    """All arrays of a view, memory-mapped; from an object store a copy is kept on this machine."""
    tables, arrays = [], []
    for key in list_parts(store, table_of(study)):
        name = f"{folder(study, settings)}/{_name(store, key, study, positions)}"
        rows = read_part(store, f"{name}.parquet", PREPARED)
        if rows.num_rows:
            tables.append(rows)
            arrays.append(np.load(local_path(store, f"{name}.npy"), mmap_mode="r", allow_pickle=False))
    if not tables:
        raise DataError(
            f"{store.uri} has no rows of the kind {study.rows} that {study.name} learns from; {_mend(study)}"
        )
    starts = np.cumsum([0, *(len(array) for array in arrays[:-1])])
    return Prepared(rows=pa.concat_tables(tables), arrays=tuple(arrays), starts=starts)


def _mend(study: Study) -> str:
    """Where a study's rows come from."""
    if study.rows == "visits":
        return "ingest a clinic table that has some, with --clinic FILE"
    if study.rows in ("hands", "joints"):
        return (
            f"they are cut out of films by the labels x and y of {POSITION_STUDY}: ingest again with --labels FILE "
            f"that holds them too (`rajobs studies {study.name}` shows how)"
        )
    return "ingest archives that hold some"


def local_path(store: Store, key: str) -> Path:
    """An object as a file of this machine: itself, or a copy fetched once to `RAJOBS_CACHE` (or a temporary place)."""
    if isinstance(store, LocalStore):
        return store.root / key
    entry = store.stat(key)
    if entry is None:
        raise DataError(f"prepared arrays are gone from {store.uri}; start the job again")
    base = os.environ.get("RAJOBS_CACHE") or str(Path(tempfile.gettempdir()) / f"rajobs-{os.getuid()}")
    cache = LocalStore(base)
    name = f"{digest([store.uri, key, entry.etag])}.npy"
    if cache.stat(name) is None:
        cache.put(name, store.get(key))
    return cache.root / name
