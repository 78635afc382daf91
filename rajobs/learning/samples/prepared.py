"""Prepared arrays: a view of every row, drawn once, stored beside the data, and read memory-mapped for training.

    DATA/prepared/<view>/<part>.npy       one array per row
    DATA/prepared/<view>/<part>.parquet   the rows; written last, so that a part without it does not count

A part is named after its part of the images or clinic table, and after the positions that its rows were cut by.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.imaging.clinic_visits import visits_of_clinic
from rajobs.imaging.hand_geometry import Positions
from rajobs.imaging.rows import CLINIC_TABLE, COLUMNS, Row
from rajobs.learning.recipe import Settings
from rajobs.learning.samples.local_cache import local_path
from rajobs.learning.samples.row_arrays import ViewRequest, draw_views, draw_visits
from rajobs.learning.study import Array, Study
from rajobs.records.errors import DataError
from rajobs.records.manifest import digest
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import list_parts, read_part, to_parquet
from rajobs.records.tables.schemas import CLINIC, IMAGES, PREPARED


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Rows with their arrays, which stay on disk."""

    rows: pa.Table
    arrays: tuple[Array, ...]
    starts: NDArray[np.int64]  # number of each array's first row

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


def view_folder(study: Study, settings: Settings) -> str:
    """The folder of a view's arrays; equal views of several studies share one folder."""
    return f"prepared/{digest([study.rows.name, study.view.identity(settings)])}"


def part_name(source_key: str, positions: Positions, ids: Sequence[str]) -> str:
    """The name of the prepared part of an images or clinic part."""
    used = {
        name: [[p.site, p.side, *((p.crop,) if p.crop else (p.x, p.y))] for p in positions[name]]
        for name in ids
        if name in positions
    }
    stem = Path(source_key).stem
    return f"{stem}-{digest(used)}" if used else stem


def missing(store: Store, study: Study, settings: Settings, positions: Positions) -> list[str]:
    """Keys of the parts whose arrays are not drawn yet."""
    folder = view_folder(study, settings)
    present = {entry.key for entry in store.list(f"{folder}/")}
    return [
        key
        for key in list_parts(store, study.rows.table)
        if f"{_prepared_key(store, key, study, settings, positions)}.parquet" not in present
    ]


def _prepared_key(store: Store, key: str, study: Study, settings: Settings, positions: Positions) -> str:
    """The key of a part's prepared arrays, without its ending."""
    folder = view_folder(study, settings)
    if not study.rows.cut_by_positions:
        return f"{folder}/{part_name(key, {}, [])}"
    ids = read_part(store, key, IMAGES, ["image_id"]).column("image_id").to_pylist()
    return f"{folder}/{part_name(key, positions, ids)}"


def prepare(store: Store, key: str, study: Study, settings: Settings, positions: Positions) -> int:
    """Draw and store the arrays of one part; returns how many there are."""
    draw_rows = _draw_visit_rows if study.rows.table == CLINIC_TABLE else _draw_image_rows
    rows, arrays = draw_rows(store, key, study, settings, positions)
    place = _prepared_key(store, key, study, settings, positions)
    sink = io.BytesIO()
    np.save(sink, arrays, allow_pickle=False)
    store.put(f"{place}.npy", sink.getvalue())
    store.put(f"{place}.parquet", to_parquet(PREPARED.rows(rows), PREPARED))
    return len(rows)


def _prepared_row(row: Row, patient: str, derived_from: str | None) -> dict[str, object]:
    return {
        "image_id": row.image_id, "extremity": row.extremity, "site": row.site, "side": row.side, "patient": patient,
        "derived_from": derived_from,
    }  # fmt: skip


def _draw_image_rows(
    store: Store, key: str, study: Study, settings: Settings, positions: Positions
) -> tuple[list[dict[str, object]], Array]:
    images = read_part(store, key, IMAGES, COLUMNS)
    rows = study.rows.rows_of_part(images, positions)
    patients, sources = images.column("patient").to_pylist(), images.column("derived_from").to_pylist()
    arrays = draw_views(store, key, {"": ViewRequest(view=study.view, settings=settings, rows=rows)})[""]
    return [_prepared_row(row, patients[row.at], sources[row.at]) for row in rows], arrays


def _draw_visit_rows(
    store: Store, key: str, study: Study, settings: Settings, positions: Positions
) -> tuple[list[dict[str, object]], Array]:
    table = read_part(store, key, CLINIC)
    visits, rows = visits_of_clinic(table), study.rows.rows_of_part(table, positions)
    arrays = draw_visits(visits, {"": ViewRequest(view=study.view, settings=settings, rows=rows)})[""]
    return [_prepared_row(row, visit.patient, visit.derived_from) for visit, row in zip(visits, rows)], arrays


def read_prepared(store: Store, study: Study, settings: Settings, positions: Positions) -> Prepared:
    """All arrays of a view, memory-mapped; those of an object store are copied to this machine first."""
    tables, arrays = [], []
    for key in list_parts(store, study.rows.table):
        place = _prepared_key(store, key, study, settings, positions)
        rows = read_part(store, f"{place}.parquet", PREPARED)
        if rows.num_rows:
            tables.append(rows)
            arrays.append(_map_array(local_path(store, f"{place}.npy")))
    if not tables:
        raise DataError(
            f"{store.uri} has no rows of the kind {study.rows} that {study.name} learns from; {study.rows.source}"
        )
    starts = np.cumsum([0, *(len(array) for array in arrays[:-1])])
    return Prepared(rows=pa.concat_tables(tables), arrays=tuple(arrays), starts=starts)


def _map_array(path: Path) -> Array:
    """The array in a .npy file, memory-mapped; no descriptor stays open, of which a process has about a thousand."""
    with pa.memory_map(str(path)) as file:
        assert np.lib.format.read_magic(file) == (1, 0), path.name
        shape, by_columns, kind = np.lib.format.read_array_header_1_0(file)
        assert not by_columns, path.name
        return cast(Array, np.frombuffer(file.read_buffer(), kind).reshape(shape))
