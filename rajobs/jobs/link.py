"""rajobs link: a table with the original identifiers put back, for those who hold the ledger."""

import io
from types import MappingProxyType

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from rajobs.jobs import console
from rajobs.records.errors import BadTable, DataError, StoreError, UsageError
from rajobs.records.store import open_store, split_uri
from rajobs.records.store.seekable import open_object
from rajobs.records.tables.csv_files import to_csv
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import CROSSWALK

ORIGINALS = ("patient_id", "sop_uid", "exam_uid", "exam_date", "path")
Originals = dict[str, object]


def link(table: str, ledger: str, out: str) -> None:
    """Write `table` to `out` (.csv or .parquet) with the originals of its image_id and patient columns."""
    if not out.endswith((".csv", ".parquet")):
        raise UsageError(f"OUT must end in .csv or .parquet, not be {out}")
    given = _read(table)
    crosswalk = read_table(open_store(ledger), "crosswalk", CROSSWALK)
    if not crosswalk.num_rows:
        raise StoreError(f"{ledger} holds no crosswalk; name the place that was given to `rajobs ingest --ledger`")
    known = {name: by(crosswalk) for name, by in _BY.items() if name in given.column_names}
    if not known:
        raise BadTable(f"{table} has neither image_id nor patient; it has {', '.join(given.column_names)}")
    found: list[Originals] = [{} for _ in range(given.num_rows)]
    for column, originals in known.items():
        found = [row or originals.get(name, {}) for row, name in zip(found, given.column(column).to_pylist())]
    lost = sum(not row for row in found)
    if lost and lost == len(found):
        raise DataError(
            f"{ledger} knows none of the {lost} rows of {table}: it is another ingest's, or another key's; name the "
            "--ledger of the ingest that the table comes from"
        )
    for name in ORIGINALS:
        if name in CROSSWALK.names and any(name in row for row in found):
            values = pa.array([row.get(name) for row in found], CROSSWALK.arrow.field(name).type)
            given = given.append_column(name, values)
    place, key = split_uri(out)
    open_store(place, private=True).put(key, to_csv(given) if out.endswith(".csv") else _parquet(given))
    console.line(f"linked {given.num_rows - lost} of {given.num_rows} rows: {out}")
    console.line("this file names patients: keep it where the ledger is kept")


def _read(uri: str) -> pa.Table:
    """A table: one file, Parquet or CSV, or a folder of Parquet parts."""
    place, key = split_uri(uri)
    store = open_store(place)
    if store.stat(key) is not None:
        try:
            if key.endswith(".csv"):
                return pyarrow.csv.read_csv(io.BytesIO(store.get(key)))
            return pq.read_table(open_object(store, key))
        except pa.ArrowInvalid:
            raise BadTable(f"{uri} is neither CSV nor Parquet") from None
    below = [entry.key for entry in store.list(f"{key}/") if entry.key.endswith(".parquet")]
    keys = [name for name in below if "/" not in name.removeprefix(f"{key}/")]
    if not keys:
        raise StoreError(f"there is no table at {uri}; name a file, or a folder of parts such as OUT/films")
    return pa.concat_tables([pq.read_table(open_object(store, name)) for name in keys])


def _by_patient(crosswalk: pa.Table) -> dict[str, Originals]:
    rows = (row for row in crosswalk.to_pylist() if row["patient"] is not None)
    return {row["patient"]: {"patient_id": row["patient_id"]} for row in rows}


def _by_image(crosswalk: pa.Table) -> dict[str, Originals]:
    known: dict[str, Originals] = {}
    for row in crosswalk.to_pylist():
        for name in row["image_ids"]:
            # Of two copies the one that was kept and the other have the same originals, but for the path.
            known.setdefault(name, {key: row[key] for key in ORIGINALS})
    return known


_BY = MappingProxyType({"image_id": _by_image, "patient": _by_patient})
"""How a row is found, the image first: a visit has none, nor has a patient of the clinic table alone."""


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
