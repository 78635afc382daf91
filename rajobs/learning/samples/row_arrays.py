"""Views of an images part's rows, a row group of films at a time; an image is decoded once for all that ask for it."""

import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.rows import Row, Visit
from rajobs.imaging.views import ViewInput, show
from rajobs.learning.study import Array, View
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import open_part
from rajobs.records.tables.schemas import IMAGES

_READS = {"preview": ["preview", "columns"], "pixels": ["pixels", "window_centre", "window_width"]}


@dataclass(frozen=True, kw_only=True)
class ViewRequest:
    """Some rows, in the order of the part, to be seen in one view."""

    view: View
    settings: Mapping[str, Any]
    rows: Sequence[Row]


def draw_views(store: Store, key: str, asks: Mapping[str, ViewRequest]) -> dict[str, Array]:
    """The arrays of each ask, a row each. Row groups that nobody asks for are not read."""
    drawn: dict[str, list[Array]] = {name: [] for name in asks}
    with open_part(store, key, IMAGES) as file:
        first = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            mine = {name: [row for row in ask.rows if first <= row.at < first + count] for name, ask in asks.items()}
            reads = sorted({asks[name].view.reads for name, rows in mine.items() if rows})
            if reads:
                columns = [column for kind in reads for column in _READS[kind]]
                records = file.read_row_group(group, columns=columns).to_pylist()
                for name, arrays in _draw_group(records, first, asks, mine).items():
                    drawn[name] += arrays
            first += count
    empty: Array = np.empty((0, 1, 1), np.uint8)
    return {name: typing.cast(Array, np.stack(arrays)) if arrays else empty for name, arrays in drawn.items()}


def _draw_group(
    records: Sequence[Mapping[str, Any]], first: int, asks: Mapping[str, ViewRequest], mine: Mapping[str, Sequence[Row]]
) -> dict[str, list[Array]]:
    """Image by image, so that only one is held decoded."""
    drawn: dict[str, list[Array]] = {name: [] for name in asks}
    for number, record in enumerate(records):
        shown: dict[str, ViewInput] = {}
        for name, ask in asks.items():
            for row in mine[name]:
                if row.at == first + number:
                    if ask.view.reads not in shown:
                        shown[ask.view.reads] = show(record, ask.view.reads)
                    settings = ask.view.with_settings(ask.settings)
                    drawn[name].append(ask.view.draw(shown[ask.view.reads], row, **settings))
    return drawn


def draw_visits(visits: Sequence[Visit], asks: Mapping[str, ViewRequest]) -> dict[str, Array]:
    """The arrays of each ask, whose rows are numbered as the visits are."""
    drawn: dict[str, Array] = {}
    for name, ask in asks.items():
        settings = ask.view.with_settings(ask.settings)
        arrays = [ask.view.draw(visits[row.at].findings, row, **settings) for row in ask.rows]
        drawn[name] = typing.cast(Array, np.stack(arrays)) if arrays else np.empty((0, 1, 1), np.uint8)
    return drawn


def shown_films(store: Store, wanted: Collection[str], keys: Iterable[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Some films of these parts as they are shown, by image_id; only the row groups that they stand in are read."""
    left = set(wanted)
    for key in keys:
        with open_part(store, key, IMAGES) as file:
            ids = file.read(columns=["image_id"]).column(0).to_pylist()
            at = [number for number, name in enumerate(ids) if name in left]
            first = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                mine = [number - first for number in at if first <= number < first + count]
                if mine:
                    records = file.read_row_group(group, columns=_READS["pixels"]).to_pylist()
                    for number in mine:
                        yield ids[first + number], show(records[number], "pixels").pixels
                first += count
            left -= set(ids)
        if not left:
            return
