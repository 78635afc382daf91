"""Tables written as CSV, whole or piece by piece; a list becomes one cell, its values joined by spaces."""

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from rajobs.records.store import Store
from rajobs.records.tables.table_schema import TableSchema


def to_csv(table: pa.Table) -> bytes:
    """A table as the bytes of a CSV file."""
    sink = io.BytesIO()
    pyarrow.csv.write_csv(_join_lists(table), sink)
    return sink.getvalue()


@contextmanager
def csv_file(store: Store, key: str, schema: TableSchema) -> Iterator[Callable[[pa.Table], None]]:
    """Writes one CSV object, table by table: it grows in a temporary file, so that it may exceed the memory."""
    with tempfile.TemporaryDirectory(prefix="rajobs-csv-") as folder:
        file = Path(folder) / "table.csv"
        with pyarrow.csv.CSVWriter(str(file), _join_lists(schema.arrow.empty_table()).schema) as writer:
            yield lambda table: writer.write_table(_join_lists(table))
        store.put_file(key, file)


def _join_lists(table: pa.Table) -> pa.Table:
    """The table with its lists as text, since a CSV cell cannot be a list."""
    names = table.column_names
    lists = [name for name in names if pa.types.is_list(table.schema.field(name).type)]
    joined = {name: pc.binary_join(table.column(name).cast(pa.list_(pa.string())), " ") for name in lists}
    return pa.table([joined.get(name, table.column(name)) for name in names], names=names)
