"""Tables as Parquet parts on a store: checked when written and when read; the same rows give the same bytes."""

import io
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq

from rajobs.records.errors import BadTable, StoreError, describe_other_schema
from rajobs.records.store import Store
from rajobs.records.store.seekable import open_object
from rajobs.records.tables.part_index import in_order, read_index, stored_sizes
from rajobs.records.tables.schemas import SCHEMA_VERSION
from rajobs.records.tables.table_schema import TableSchema

FILM_ROWS = 16
"""Rows per row group of a table with pixels: a reader fetches whole groups, and most films are not wanted."""

CODED = ("pixels", "preview")
"""Columns of coded pictures, which neither compression nor a dictionary makes smaller."""

WRITTEN_BY: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "ingest": ("images", "labels", "clinic", "rejects", "ignored", "places", "crosswalk", "readers", "notes"),
    "train": ("prepared", "split", "history"),
    "evaluate": ("predictions",),
})  # fmt: skip
"""Tables by the job that writes them; all others are score's."""

_PARQUET_MAGIC = b"PAR1"  # the first and the last bytes of a Parquet file


def to_parquet(
    table: pa.Table, schema: TableSchema, *, group_rows: int | None = None, about: Mapping[str, str] | None = None
) -> bytes:
    """A checked table as the bytes of one Parquet part, with `about` in its metadata."""
    checked = schema.check(table).cast(schema.arrow)
    metadata = {"rajobs.table": schema.name, "rajobs.schema": str(SCHEMA_VERSION), **(about or {})}
    uncoded = [name for name in schema.names if name not in CODED]
    sink = io.BytesIO()
    pq.write_table(
        checked.replace_schema_metadata(metadata),
        sink,
        row_group_size=group_rows or (FILM_ROWS if "pixels" in schema.names else None),
        compression={name: "none" if name in CODED else "zstd" for name in schema.names},
        use_dictionary=uncoded,
        write_statistics=uncoded,
    )
    return sink.getvalue()


def list_parts(store: Store, folder: str) -> list[str]:
    """The keys of a table's parts, in order: those that the last run names, of a table without an index all of them."""
    index = read_index(store, folder)
    return in_order(stored_sizes(store, [folder]) if index is None else index)


def open_part(store: Store, key: str, schema: TableSchema) -> pq.ParquetFile:
    """One part, its schema's version checked; columns and row groups are fetched when they are read."""
    try:
        file = pq.ParquetFile(open_object(store, key))
    except (pa.ArrowInvalid, OSError):
        raise BadTable(
            f"a part of {schema.name} at {store.uri} is no Parquet file; remove it and run the job again"
        ) from None
    version = _read_version(file.schema_arrow)
    if version != str(SCHEMA_VERSION):
        raise BadTable(
            describe_other_schema(
                f"{schema.name} at {store.uri}", version or "none", SCHEMA_VERSION, _name_job(schema.name)
            )
        )
    return file


def check_schema_of_table(store: Store, schema: TableSchema) -> None:
    """BadTable if a table, whose parts are all of one schema, is of another one; a table without parts fits."""
    first = next((entry.key for entry in store.list(f"{schema.name}/") if entry.key.endswith(".parquet")), None)
    if first is not None:
        open_part(store, first, schema).close()


def check_schema_if_ours(uri: str, schema: pa.Schema) -> None:
    """BadTable if a table that a user names was written by rajobs in another schema; other tables have none."""
    version = _read_version(schema)
    if version not in ("", str(SCHEMA_VERSION)):
        name = (schema.metadata or {}).get(b"rajobs.table", b"").decode()
        raise BadTable(describe_other_schema(uri, version, SCHEMA_VERSION, _name_job(name)))


def _read_version(schema: pa.Schema) -> str:
    """The version of the tables' schema that a part was written with; empty if no rajobs wrote it."""
    return bytes((schema.metadata or {}).get(b"rajobs.schema", b"")).decode()


def _name_job(table: str) -> str:
    """The job that writes a table."""
    return next((job for job, names in WRITTEN_BY.items() if table in names), "score")


def lacks_columns(store: Store, key: str, schema: TableSchema) -> bool:
    """Whether a part was written before one of its schema's columns existed (`Column.later`)."""
    with open_part(store, key, schema) as file:
        return not set(schema.names) <= set(file.schema_arrow.names)


def check_predictions(store: Store, key: str, uri: str, option: str) -> None:
    """StoreError or BadTable unless a user's predictions file is Parquet.

    `open_part` would tell the user to remove it, which is right only for a part that a job can write again.
    """
    entry = store.stat(key)
    if entry is None:
        raise StoreError(f"there is no predictions table {uri}")
    length = len(_PARQUET_MAGIC)
    starts = (0, max(entry.size - length, 0))
    if {store.read_range(key, start, length) for start in starts} != {_PARQUET_MAGIC}:
        raise BadTable(f"{uri} is no Parquet file; {option} takes a table as evaluate writes it to predictions.parquet")


def read_part(store: Store, key: str, schema: TableSchema, columns: Sequence[str] | None = None) -> pa.Table:
    """One part whole, or its chosen columns."""
    with open_part(store, key, schema) as file:
        table = file.read(columns=list(columns) if columns else None)
    return schema.check(table, columns)


def read_table(store: Store, folder: str, schema: TableSchema, columns: Sequence[str] | None = None) -> pa.Table:
    """All parts of a table as one; without parts, an empty table."""
    parts = [read_part(store, key, schema, columns) for key in list_parts(store, folder)]
    empty = schema.arrow.empty_table()
    table = pa.concat_tables(parts) if parts else (empty.select(list(columns)) if columns else empty)
    return table.replace_schema_metadata(None)


def read_file(store: Store, key: str, schema: TableSchema) -> pa.Table:
    """A table that is one Parquet file, such as a split."""
    if store.stat(key) is None:
        raise StoreError(f"there is no {key} at {store.uri}")
    return read_part(store, key, schema).replace_schema_metadata(None)


def iterate_parts(
    store: Store, folder: str, schema: TableSchema, columns: Sequence[str]
) -> Iterator[tuple[str, pa.Table]]:
    """Key and chosen columns of each part, for tables larger than the memory."""
    for key in list_parts(store, folder):
        yield key, read_part(store, key, schema, columns)
