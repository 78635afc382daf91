"""One label out of several readers' labels: the consensus that a study learns from, and each reader's own values."""

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.records.errors import BadTable

ADJUDICATED = ("consensus", "truth")
"""Readers whose value is final; the first of them wins."""

Place = tuple[str, str | None, str | None]
"""image_id, side and site of a label."""


def consensus(labels: pa.Table, study: str, target: str, *, ordered: bool, whole: bool = False) -> dict[Place, str]:
    """One value per place: an adjudicated one, else the upper median of scores or the majority of names (a tie: none).

    With `whole` the place is the image, whatever side and site a reader names: all readers mean the same thing.
    """
    readings_by_place: dict[Place, list[tuple[str, str]]] = {}
    for row in _rows_of_target(labels, study, target):
        place = (row["image_id"], None, None) if whole else (row["image_id"], row["side"], row["site"])
        readings_by_place.setdefault(place, []).append((row["reader"], row["value"]))
    try:
        agreed = {place: _agreed_value(readings, ordered) for place, readings in readings_by_place.items()}
    except ValueError:  # its own message quotes the value
        raise BadTable(
            f"labels {target} of {study} have values that are no numbers; correct them and ingest again"
        ) from None
    return {place: value for place, value in agreed.items() if value is not None}


def readers(labels: pa.Table, study: str, target: str) -> dict[str, dict[Place, str]]:
    """The values of each reader by place; the adjudicating ones are readers of their own."""
    by_reader: dict[str, dict[Place, str]] = {}
    for row in _rows_of_target(labels, study, target):
        by_reader.setdefault(row["reader"], {})[(row["image_id"], row["side"], row["site"])] = row["value"]
    return by_reader


def _rows_of_target(labels: pa.Table, study: str, target: str) -> Iterable[dict[str, str]]:
    is_target = pc.and_(pc.equal(labels["study"], study), pc.equal(labels["target"], target))
    columns = ["image_id", "side", "site", "value", "reader"]
    rows: Iterable[dict[str, str]] = labels.filter(is_target).select(columns).to_pylist()
    return rows


def _agreed_value(readings: list[tuple[str, str]], ordered: bool) -> str | None:
    for adjudicator in ADJUDICATED:
        final = [value for reader, value in readings if reader == adjudicator]
        if final:
            return final[-1]
    values = [value for _, value in readings]
    if ordered:
        return sorted(values, key=float)[len(values) // 2]
    (first, most), *rest = Counter(values).most_common(2)
    return None if rest and rest[0][1] == most else first
