"""What the data say of the rows of a predictions table: their images' makers, days and so on, and who read them."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.imaging.rows import CLINIC_TABLE
from rajobs.jobs.train.dataset import LabelledData, read_clinic_visits
from rajobs.records.label_consensus import readers
from rajobs.records.tables.parquet_parts import list_parts, read_part
from rajobs.records.tables.schemas import IMAGES, PREDICTIONS, ROW_FACTS
from rajobs.records.tables.table_schema import TableSchema


def add_row_facts(source: LabelledData, predictions: pa.Table, schema: TableSchema = PREDICTIONS) -> pa.Table:
    """The predictions with the columns that the data fill; those that a user's own table fills stay."""
    rows: list[dict[str, Any]] = predictions.to_pylist()
    facts = _facts_of_images(source, predictions.column("image_id").unique())
    read = {name: _readings_by_place(source, name) for name in set(predictions.column("target").to_pylist())}
    for row in rows:
        known = dict(facts.get(row["image_id"], {}))
        place = source.study.rows.label_place(row["image_id"], row["side"], row["site"])
        by_reader = read[row["target"]].get(place, {})
        if by_reader:
            known |= {"readers": list(by_reader), "readings": list(by_reader.values())}
        row |= {name: value for name, value in known.items() if row[name] is None}
    return schema.rows(rows)


def _facts_of_images(source: LabelledData, images: pa.Array) -> dict[str, dict[str, Any]]:
    """By image_id. Of a visit to the clinic its day and the patient's sex are known."""
    if source.study.rows.table == CLINIC_TABLE:
        visits = read_clinic_visits(source.store, ("sex",))
        return {visit.image_id: {"visit_date": visit.day, "sex": visit.findings["sex"]} for visit in visits}
    facts: dict[str, dict[str, Any]] = {}
    for key in list_parts(source.store, "images"):
        part = read_part(source.store, key, IMAGES, ["image_id", *ROW_FACTS])
        for row in part.filter(pc.is_in(part.column("image_id"), value_set=images)).to_pylist():
            facts[row.pop("image_id")] = row
    return facts


def _readings_by_place(source: LabelledData, target: str) -> dict[Any, dict[str, str]]:
    """What each reader says of each place, the readers in the order of their names."""
    by_place: dict[Any, dict[str, str]] = {}
    for reader, read in sorted(readers(source.readings, source.study.name, target).items()):
        for place, value in read.items():
            by_place.setdefault(source.study.rows.label_place(*place), {})[reader] = value
    return by_place
