"""What several readers' labels say together: one value for a place, and each reader's share of a score.

Readers who adjudicate stand alone. Else the value of a class is what most readers say, that of a score their median,
and that of a coordinate their mean. A score is also learnt as the readers' shares: two who say 0 and 3 teach both.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.records.errors import BadTable

ADJUDICATED = ("adjudicated", "consensus", "truth")
"""Readers whose value is final; the first of them wins."""
AXES = ("x", "y")
PRESENT = "present"
"""The label that says whether a joint is there at all; a joint that nobody labelled is unknown."""

CROP = "crop"
"""The label of a picture that shows one joint alone, cut out by its owner: the joint has no place on a film."""

Place = tuple[str, str | None, str | None]
"""image_id, side and site of a label."""
Readings = Mapping[str, str]
"""What each reader says of one place."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What readers say together about the places of a target."""

    values: Mapping[Place, str]
    shares: Mapping[Place, Mapping[str, float]]  # where scores differ: the share of readers by score
    without_majority: int = 0  # places whose class no majority of the readers names; they have no value


def agree(labels: pa.Table, study: str, target: str, *, ordered: bool, whole: bool = False) -> Agreement:
    """The readers' agreement on a target, whose values are scores or coordinates if it is `ordered`.

    With `whole` the place is the image, whatever side and site a reader names: all readers mean the same thing.
    """
    by_place = _readings_by_place(_rows_of_target(labels, study, target), whole=whole)
    final = {place: _final_readings(readings) for place, readings in by_place.items()}
    try:
        values = {place: _agreed_value(readings, target, ordered) for place, readings in final.items()}
    except ValueError:  # its own message quotes the value
        raise BadTable(
            f"labels {target} of {study} have values that are no numbers; correct them and ingest again"
        ) from None
    return Agreement(
        values={place: value for place, value in values.items() if value is not None},
        shares={
            place: {value: count / len(readings) for value, count in Counter(readings.values()).items()}
            for place, readings in final.items()
            if ordered and len(set(readings.values())) > 1
        },
        without_majority=sum(value is None for value in values.values()),
    )


def consensus(labels: pa.Table, study: str, target: str, *, ordered: bool, whole: bool = False) -> Mapping[Place, str]:
    """The readers' one value for each place (see `agree`)."""
    return agree(labels, study, target, ordered=ordered, whole=whole).values


def presence(labels: pa.Table, study: str) -> dict[Place, str | None]:
    """Whether a joint is there (1) or not (0), by readers who say so or who place it; None without a majority."""
    placed = [{**row, "value": "1"} for row in _rows_of_target(labels, study, AXES[0])]
    by_place = _readings_by_place([*placed, *_rows_of_target(labels, study, PRESENT)], whole=False)
    return {
        place: _agreed_value(_final_readings(readings), PRESENT, ordered=False) for place, readings in by_place.items()
    }


def coordinates(labels: pa.Table, study: str, there: Mapping[Place, str | None]) -> dict[str, dict[Place, str]]:
    """Columns and rows of the joints that are there (see `presence`), by axis."""
    return {
        axis: {
            place: value
            for place, value in consensus(labels, study, axis, ordered=True).items()
            if there.get(place) == "1"
        }
        for axis in AXES
    }  # fmt: skip


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


def _readings_by_place(rows: Iterable[dict[str, str]], *, whole: bool) -> dict[Place, dict[str, str]]:
    by_place: dict[Place, dict[str, str]] = {}
    for row in rows:
        place = (row["image_id"], None, None) if whole else (row["image_id"], row["side"], row["site"])
        by_place.setdefault(place, {})[row["reader"]] = row["value"]
    return by_place


def _final_readings(readings: Readings) -> Readings:
    """The adjudicated reading alone if there is one."""
    return next(({reader: readings[reader]} for reader in ADJUDICATED if reader in readings), readings)


def _agreed_value(readings: Readings, target: str, ordered: bool) -> str | None:
    values = list(readings.values())
    if not ordered:
        value, most = Counter(values).most_common(1)[0]
        return value if 2 * most > len(values) else None
    numbers = [float(value) for value in values]
    if len(set(values)) == 1:
        return values[0]
    if target in AXES:
        return f"{statistics.fmean(numbers):.10g}"
    # Between two middle scores a half goes to the even one, so that doubt shifts scores neither up nor down.
    return str(round(statistics.median(numbers)))
