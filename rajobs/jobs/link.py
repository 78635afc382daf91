"""rajobs link: puts the original identifiers back into a table, for users who have the ledger."""

import io
from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from rajobs.jobs import console
from rajobs.records.errors import BadTable, DataError, StoreError, UsageError
from rajobs.records.identity import split_patient
from rajobs.records.store import Store, absolute, open_store, split_uri
from rajobs.records.store.seekable import open_object
from rajobs.records.tables.csv_files import to_csv, unescape_cells
from rajobs.records.tables.parquet_parts import check_schema_if_ours, read_table
from rajobs.records.tables.schemas import CROSSWALK, READERS
from rajobs.records.user_tables import separator

PATIENT, ISSUER = "patient_id", "patient_issuer"
OF_FILE = ("sop_uid", "exam_uid", "exam_date", "path")
ORIGINALS = (PATIENT, ISSUER, *OF_FILE)
READER, READER_NAME = "reader", "reader_name"
Originals = dict[str, object]


def link(table: str, ledger: str, out: str) -> None:
    """Write `table` to `out` (.csv or .parquet) with the originals of its columns image_id, patient and reader."""
    if not out.endswith((".csv", ".parquet")):
        raise UsageError(f"OUT must end in .csv or .parquet, not be {out}")
    if absolute(out) == absolute(table):
        raise UsageError(f"OUT is TABLE itself, {out}: name another file, so that the table stays as it is")
    rows = _read_rows(table)
    _check_columns(table, rows)
    crosswalk = read_table(open_store(ledger), "crosswalk", CROSSWALK)
    if not crosswalk.num_rows:
        raise StoreError(f"{ledger} holds no crosswalk; name the place that was given to `rajobs ingest --ledger`")
    linked = _find_originals(rows, crosswalk, _reader_names(open_store(ledger)))
    missing = sum(not row for row in linked)
    if missing and missing == len(linked):
        raise DataError(
            f"{ledger} knows none of the {missing} rows of {table}: it belongs to another ingest or another key; name "
            "the --ledger of the ingest that the table comes from"
        )
    for name in (*ORIGINALS, READER_NAME):
        kind = CROSSWALK.arrow.field(name).type if name in OF_FILE else pa.string()
        if any(name in row for row in linked):
            rows = rows.append_column(name, pa.array([row.get(name) for row in linked], kind))
    place, key = split_uri(out)
    open_store(place, private=True).put(key, to_csv(rows) if out.endswith(".csv") else _to_parquet(rows))
    console.line(f"linked {rows.num_rows - missing} of {rows.num_rows} rows: {out}")
    console.line("this file names patients: keep it where the ledger is kept")


def _find_originals(rows: pa.Table, crosswalk: pa.Table, readers: Mapping[str, Originals]) -> list[Originals]:
    """What the ledger knows of each row: of its image, else of its patient, and its reader's name."""
    linked: list[Originals] = [{} for _ in range(rows.num_rows)]
    for column in (name for name in _INDEXES if name in rows.column_names):
        originals = _INDEXES[column](crosswalk)
        linked = [row or originals.get(name, {}) for row, name in zip(linked, rows.column(column).to_pylist())]
    if READER in rows.column_names:
        linked = [{**row, **readers.get(name, {})} for row, name in zip(linked, rows.column(READER).to_pylist())]
    return linked


def _read_rows(uri: str) -> pa.Table:
    """A table: one Parquet or CSV file, or a folder of Parquet parts."""
    place, key = split_uri(uri)
    store = open_store(place)
    try:
        if store.stat(key) is not None:
            return _read_csv(store.get(key)) if key.endswith(".csv") else _read_parquet(store, key, uri)
        below = [entry.key for entry in store.list(f"{key}/") if entry.key.endswith(".parquet")]
        keys = [name for name in below if "/" not in name.removeprefix(f"{key}/")]
        if not keys:
            raise StoreError(f"there is no table at {uri}; name a file, or a folder of parts such as OUT/films")
        return pa.concat_tables([_read_parquet(store, name, uri) for name in keys])
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        # Arrow's own message quotes cells.
        raise BadTable(
            f"{uri} is no CSV in UTF-8 and no Parquet, or a folder of several tables; name a file or a folder of parts "
            "as score, sheet or ingest wrote it"
        ) from None


def _read_csv(data: bytes) -> pa.Table:
    header = data.partition(b"\n")[0].decode("utf-8-sig")
    parse = pyarrow.csv.ParseOptions(delimiter=separator(header), newlines_in_values=True)
    table = pyarrow.csv.read_csv(io.BytesIO(data), parse_options=parse)
    if any(pa.types.is_binary(kind) for kind in table.schema.types):
        raise pa.ArrowInvalid("text that is not in UTF-8")
    return unescape_cells(table)


def _check_columns(uri: str, rows: pa.Table) -> None:
    """BadTable for what cannot be linked. A file without a header has data in its first line: it is not quoted."""
    names = rows.column_names
    if len(set(names)) < len(names):
        raise BadTable(f"{uri} has two columns of one name; name the file as score, sheet or ingest wrote it")
    keys = [name for name in (*_INDEXES, READER) if name in names]
    if not keys:
        raise BadTable(
            f"{uri} has none of the columns {', '.join((*_INDEXES, READER))}, by one of which rows are linked; name a "
            "table as score, sheet or ingest wrote it"
        )
    linked = [name for name in (*ORIGINALS, READER_NAME) if name in names]
    if linked:
        raise BadTable(f"{uri} has {', '.join(linked)} already: it is linked, or the ledger's own")
    for name in keys:
        if pa.types.is_nested(rows.schema.field(name).type):
            raise BadTable(f"the column {name} of {uri} holds lists, not names; name a table of score, sheet or ingest")


def _read_parquet(store: Store, key: str, uri: str) -> pa.Table:
    table = pq.read_table(open_object(store, key))
    check_schema_if_ours(uri, table.schema)
    return table


def _index_by_patient(crosswalk: pa.Table) -> dict[str, Originals]:
    rows = (row for row in crosswalk.to_pylist() if row["patient"] is not None)
    return {row["patient"]: _original_patient(row["patient_id"]) for row in rows}


def _index_by_image(crosswalk: pa.Table) -> dict[str, Originals]:
    by_image: dict[str, Originals] = {}
    for row in crosswalk.to_pylist():
        for name in row["image_ids"]:
            # The kept and the ignored copy of a duplicate have the same originals except the path.
            by_image.setdefault(name, {**_original_patient(row["patient_id"]), **{key: row[key] for key in OF_FILE}})
    return by_image


def _original_patient(name: str | None) -> Originals:
    """The ID as a hospital's other tables have it, and its issuer beside."""
    return dict(zip((PATIENT, ISSUER), (None, None) if name is None else split_patient(name)))


def _reader_names(ledger: Store) -> dict[str, Originals]:
    """The name of each reader, by pseudonym; roles such as truth have none."""
    rows = read_table(ledger, READERS.name, READERS).to_pylist()
    return {row["reader"]: {READER_NAME: row["name"]} for row in reversed(rows)}  # of spellings the first


_INDEXES = MappingProxyType({"image_id": _index_by_image, "image": _index_by_image, "patient": _index_by_patient})
"""How the originals of a row are looked up: by its image (`image` in label files), or by its patient, as of a visit."""


def _to_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
