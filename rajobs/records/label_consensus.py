"""Several readers' labels made into one: the consensus a study learns from, and how far the readers agree."""

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa

from rajobs.records.errors import BadTable

ADJUDICATED = ("consensus", "truth")
"""Readers that stand for all: where one of them has spoken, nobody else is asked."""

Place = tuple[str, str | None, str | None]
"""image_id, side, site: where a label belongs."""


def consensus(labels: pa.Table, study: str, target: str, *, ordered: bool, whole: bool = False) -> dict[Place, str]:
    """One value a place: an adjudicated one, else the majority (a tie of scores: the upper median; of names: none).

    Of `whole` images a place is the image, whatever side and site a reader names: they all speak of one thing.
    """
    spoken: dict[Place, list[tuple[str, str]]] = {}
    for row in _of(labels, study, target):
        place = (row["image_id"], None, None) if whole else (row["image_id"], row["side"], row["site"])
        spoken.setdefault(place, []).append((row["reader"], row["value"]))
    try:
        agreed = {place: _agree(readings, ordered) for place, readings in spoken.items()}
    except ValueError:  # its own message quotes the value
        raise BadTable(
            f"labels {target} of {study} have values that are no numbers; correct them and ingest again"
        ) from None
    return {place: value for place, value in agreed.items() if value is not None}


def readers(labels: pa.Table, study: str, target: str) -> dict[str, dict[Place, str]]:
    """Each reader's own values, adjudicated ones apart."""
    by_reader: dict[str, dict[Place, str]] = {}
    for row in _of(labels, study, target):
        by_reader.setdefault(row["reader"], {})[(row["image_id"], row["side"], row["site"])] = row["value"]
    return by_reader


def _of(labels: pa.Table, study: str, target: str) -> Iterable[dict[str, str]]:
    import pyarrow.compute as pc

    mine = pc.and_(pc.equal(labels["study"], study), pc.equal(labels["target"], target))
    return labels.filter(mine).select(["image_id", "side", "site", "value", "reader"]).to_pylist()


def _agree(readings: list[tuple[str, str]], ordered: bool) -> str | None:
    for chief in ADJUDICATED:
        final = [value for reader, value in readings if reader == chief]
        if final:
            return final[-1]
    values = [value for _, value in readings]
    if ordered:
        return sorted(values, key=float)[len(values) // 2]
    (first, most), *rest = Counter(values).most_common(2)
    return None if rest and rest[0][1] == most else first
