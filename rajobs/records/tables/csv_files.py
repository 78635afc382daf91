"""Tables written as CSV, whole or piece by piece; a list becomes one cell, its values joined by spaces.

Excel takes a cell that begins with = + - @, a tab or a carriage return for a formula, and runs it. Such a cell gets an
apostrophe in front, a number does not; what reads a CSV back takes the apostrophe away again.
"""

import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from rajobs.records.store import Store
from rajobs.records.tables.table_schema import TableSchema

# Apostrophes count, so that a cell that has one already comes back with it.
_FORMULA, _ESCAPED = r"^'*[=+\-@\t\r]", r"^'('*[=+\-@\t\r])"
_DECIMAL = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_NUMBERS = rf"^{_DECIMAL}( {_DECIMAL})*$"


def escape_cell(cell: str) -> str:
    """The cell as Excel shows it without running it."""
    return f"'{cell}" if re.match(_FORMULA, cell) and not re.fullmatch(_NUMBERS, cell) else cell


def unescape_cell(cell: str) -> str:
    """What `escape_cell` was asked for."""
    return re.sub(_ESCAPED, r"\1", cell)


def unescape_cells(table: pa.Table) -> pa.Table:
    """A table that was read from a CSV, with its text cells and header as they were before they were escaped."""
    columns = [
        pc.replace_substring_regex(column, _ESCAPED, r"\1") if _is_text(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=[unescape_cell(name) for name in table.column_names])


def to_csv(table: pa.Table) -> bytes:
    """A table as the bytes of a CSV file."""
    sink = io.BytesIO()
    pyarrow.csv.write_csv(_to_cells(table), sink)
    return sink.getvalue()


def rows_to_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows of text, the header first, as the bytes of a CSV file that quotes only where it has to."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(escape_cell, row) for row in rows)
    return text.getvalue().encode()


@contextmanager
def csv_file(store: Store, key: str, schema: TableSchema) -> Iterator[Callable[[pa.Table], None]]:
    """Writes one CSV object, table by table: it grows in a temporary file, so that it may exceed the memory."""
    with tempfile.TemporaryDirectory(prefix="rajobs-csv-") as folder:
        file = Path(folder) / "table.csv"
        with pyarrow.csv.CSVWriter(str(file), _to_cells(schema.arrow.empty_table()).schema) as writer:
            yield lambda table: writer.write_table(_to_cells(table))
        store.put_file(key, file)


def _to_cells(table: pa.Table) -> pa.Table:
    """The table with its lists as text, since a CSV cell cannot be a list, and without formulas."""
    columns = [_escape_column(_join_list(column)) for column in table.columns]
    return pa.table(columns, names=[escape_cell(name) for name in table.column_names])


def _join_list(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join(column.cast(pa.list_(pa.string())), " ") if pa.types.is_list(column.type) else column


def _escape_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not _is_text(column.type):
        return column
    begins = pc.match_substring_regex(column, _FORMULA)
    if not pc.any(begins).as_py():
        return column
    dangerous = pc.and_(begins, pc.invert(pc.match_substring_regex(column, _NUMBERS)))
    return pc.if_else(dangerous, pc.binary_join_element_wise(pa.scalar("'", column.type), column, ""), column)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
