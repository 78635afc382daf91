"""Arrays of an images part's rows, read one row group at a time; an image is decoded once for all views."""

import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rajobs.imaging.clinic_visits import Visit
from rajobs.imaging.rows import Row
from rajobs.imaging.views import ViewInput, show
from rajobs.learning.recipe import Settings
from rajobs.learning.study import Array, View
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import open_part, read_part
from rajobs.records.tables.schemas import IMAGES

_COLUMNS = {"preview": ["preview", "columns"], "pixels": ["pixels", "window_centre", "window_width"]}
"""The columns of the images table that a view needs, by what it reads."""


@dataclass(frozen=True, kw_only=True)
class ViewRequest:
    """Rows to draw in one view, in the order of the part."""

    view: View
    settings: Settings
    rows: Sequence[Row]

    @property
    def reads(self) -> str:
        return self.view.source(self.settings)

    def draw(self, source: object, row: Row) -> Array:
        return self.view.draw(source, row, **self.view.with_settings(self.settings))


def draw_views(store: Store, key: str, requests: Mapping[str, ViewRequest]) -> dict[str, Array]:
    """The arrays of each request, one per row. Row groups without a requested row are not read."""
    drawn: dict[str, list[Array]] = {name: [] for name in requests}
    with open_part(store, key, IMAGES) as file:
        for group, first, count in _row_groups(file):
            rows = {
                name: [row for row in request.rows if first <= row.at < first + count]
                for name, request in requests.items()
            }
            reads = sorted({requests[name].reads for name, of_view in rows.items() if of_view})
            if reads:
                columns = [column for kind in reads for column in _COLUMNS[kind]]
                records = file.read_row_group(group, columns=columns).to_pylist()
                for name, arrays in _draw_group(records, first, requests, rows).items():
                    drawn[name] += arrays
    return {name: _stack(arrays) for name, arrays in drawn.items()}


def _row_groups(file: pq.ParquetFile) -> Iterator[tuple[int, int, int]]:
    """Number, first row and row count of each row group."""
    first = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        yield group, first, count
        first += count


def _stack(arrays: Sequence[Array]) -> Array:
    return typing.cast(Array, np.stack(arrays)) if arrays else np.empty((0, 1, 1), np.uint8)


def _draw_group(
    records: Sequence[Mapping[str, Any]],
    first: int,
    requests: Mapping[str, ViewRequest],
    rows: Mapping[str, Sequence[Row]],
) -> dict[str, list[Array]]:
    """The arrays of one row group, image by image, so that only one decoded image is in memory."""
    drawn: dict[str, list[Array]] = {name: [] for name in requests}
    for number, record in enumerate(records, first):
        decoded: dict[str, ViewInput] = {}
        for name, request in requests.items():
            for row in rows[name]:
                if row.at == number:
                    reads = request.reads
                    if reads not in decoded:
                        decoded[reads] = show(record, reads)
                    drawn[name].append(request.draw(decoded[reads], row))
    return drawn


def draw_visits(visits: Sequence[Visit], requests: Mapping[str, ViewRequest]) -> dict[str, Array]:
    """The arrays of each request; a row's number is the number of its visit."""
    return {
        name: _stack([request.draw(visits[row.at].findings, row) for row in request.rows])
        for name, request in requests.items()
    }


def shown_films(store: Store, wanted: Collection[str], keys: Iterable[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The wanted films of these parts through their windows, by image_id; other row groups are not read."""
    missing = set(wanted)
    for key in keys:
        with open_part(store, key, IMAGES) as file:
            ids = file.read(columns=["image_id"]).column(0).to_pylist()
            for group, first, count in _row_groups(file):
                numbers = [number for number in range(first, first + count) if ids[number] in missing]
                if numbers:
                    records = file.read_row_group(group, columns=_COLUMNS["pixels"]).to_pylist()
                    for number in numbers:
                        yield ids[number], show(records[number - first], "pixels").pixels
            missing -= set(ids)
        if not missing:
            return


def previews(store: Store, wanted: Collection[str], keys: Iterable[str]) -> dict[str, bytes]:
    """Previews of the wanted images of these parts, by image_id."""
    by_image: dict[str, bytes] = {}
    missing = set(wanted)
    for key in keys:
        if not missing:
            break
        ids = read_part(store, key, IMAGES, ["image_id"]).column("image_id").to_pylist()
        if not missing.isdisjoint(ids):
            column = read_part(store, key, IMAGES, ["preview"]).column("preview")
            by_image |= {name: column[at].as_py() for at, name in enumerate(ids) if name in missing}
            missing -= set(ids)
    return by_image
