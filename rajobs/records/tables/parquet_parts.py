"""Tables as Parquet parts on a store: checked when written and when read, the same bytes for the same rows."""

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from rajobs.records.errors import BadTable, StoreError
from rajobs.records.store import Store
from rajobs.records.store.seekable import open_object
from rajobs.records.tables.schemas import SCHEMA_VERSION
from rajobs.records.tables.table_schema import TableSchema

FILM_ROWS = 16
"""Rows of a row group where pixels are among the columns: a film that is not wanted is then not fetched."""


CODED = ("pixels", "preview")  # compressed before they get here


def to_parquet(
    table: pa.Table, schema: TableSchema, *, group_rows: int | None = None, about: Mapping[str, str] | None = None
) -> bytes:
    """A checked table as the bytes of one Parquet part; `about` is kept in the file beside the schema."""
    checked = schema.check(table).cast(schema.arrow)
    told = {"rajobs.table": schema.name, "rajobs.schema": str(SCHEMA_VERSION), **(about or {})}
    checked = checked.replace_schema_metadata(told)
    sink = io.BytesIO()
    pq.write_table(
        checked,
        sink,
        row_group_size=group_rows or (FILM_ROWS if "pixels" in schema.names else None),
        compression={name: "none" if name in CODED else "zstd" for name in schema.names},
        use_dictionary=[name for name in schema.names if name not in CODED],
        write_statistics=[name for name in schema.names if name not in CODED],
    )
    return sink.getvalue()


def list_parts(store: Store, folder: str) -> list[str]:
    """The keys of a table's parts, in order."""
    return [entry.key for entry in store.list(f"{folder}/") if entry.key.endswith(".parquet")]


def open_part(store: Store, key: str, schema: TableSchema) -> pq.ParquetFile:
    """One part, its schema checked; columns and row groups are read as they are asked for."""
    try:
        file = pq.ParquetFile(open_object(store, key))
    except (pa.ArrowInvalid, OSError):
        raise BadTable(
            f"a part of {schema.name} at {store.uri} is no Parquet file; remove it and run the job again"
        ) from None
    version = (file.schema_arrow.metadata or {}).get(b"rajobs.schema", b"none").decode()
    if version != str(SCHEMA_VERSION):
        raise BadTable(f"{schema.name} at {store.uri} has schema {version}, this version reads {SCHEMA_VERSION}")
    return file


def check_predictions(store: Store, key: str, uri: str, option: str) -> None:
    """A user's own file is not to be removed, as a broken part of ours is."""
    entry, mark = store.stat(key), b"PAR1"
    if entry is None:
        raise StoreError(f"there is no predictions table {uri}")
    ends = {store.read_range(key, 0, len(mark)), store.read_range(key, max(entry.size - len(mark), 0), len(mark))}
    if ends != {mark}:
        raise BadTable(f"{uri} is no Parquet file; {option} takes a table as evaluate writes it to predictions.parquet")


def read_part(store: Store, key: str, schema: TableSchema, columns: Sequence[str] | None = None) -> pa.Table:
    """One part whole, or its chosen columns."""
    with open_part(store, key, schema) as file:
        table = file.read(columns=list(columns) if columns else None)
    return schema.check(table, columns)


def read_table(store: Store, folder: str, schema: TableSchema, columns: Sequence[str] | None = None) -> pa.Table:
    """All parts of a table as one; no part is an empty table."""
    found = [read_part(store, key, schema, columns) for key in list_parts(store, folder)]
    empty = schema.arrow.empty_table()
    table = pa.concat_tables(found) if found else (empty.select(list(columns)) if columns else empty)
    return table.replace_schema_metadata(None)


def read_file(store: Store, key: str, schema: TableSchema) -> pa.Table:
    """A table that is one Parquet file of ours."""
    if store.stat(key) is None:
        raise StoreError(f"there is no {key} at {store.uri}")
    return read_part(store, key, schema).replace_schema_metadata(None)


def iterate_parts(
    store: Store, folder: str, schema: TableSchema, columns: Sequence[str]
) -> Iterator[tuple[str, pa.Table]]:
    """Part by part, key and chosen columns: for tables too large to hold."""
    for key in list_parts(store, folder):
        yield key, read_part(store, key, schema, columns)


def to_csv(table: pa.Table) -> bytes:
    """A table as CSV; lists are joined by spaces."""
    sink = io.BytesIO()
    pyarrow.csv.write_csv(_flat(table), sink)
    return sink.getvalue()


@contextmanager
def csv_file(store: Store, key: str, schema: TableSchema) -> Iterator[Callable[[pa.Table], None]]:
    """A table as one CSV on the store, given piece by piece: on the way it is a file, so that it may be large."""
    with tempfile.TemporaryDirectory(prefix="rajobs-csv-") as folder:
        file = Path(folder) / "table.csv"
        with pyarrow.csv.CSVWriter(str(file), _flat(schema.arrow.empty_table()).schema) as writer:
            yield lambda table: writer.write_table(_flat(table))
        store.put_file(key, file)


def _flat(table: pa.Table) -> pa.Table:
    """A table's columns as a CSV can hold them."""
    names = table.column_names
    lists = [name for name in names if pa.types.is_list(table.schema.field(name).type)]
    joined = {name: pc.binary_join(table.column(name).cast(pa.list_(pa.string())), " ") for name in lists}
    return pa.table([joined.get(name, table.column(name)) for name in names], names=names)
