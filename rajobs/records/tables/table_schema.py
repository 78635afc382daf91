"""What a table is: columns with units, a key, and the strict check on writing and reading."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.records.errors import BadTable


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its Arrow type, its unit or meaning, whether it may have nulls, and its closed list if it has one.

    A `later` column was added without a new schema version; it is null in a table that was written without it.
    """

    name: str
    type: pa.DataType
    meaning: str
    null: bool = True
    values: tuple[str, ...] | None = None
    later: bool = False


def column(name: str, kind: pa.DataType, meaning: str, *, required: bool = False, values: Sequence[str] = ()) -> Column:
    return Column(name=name, type=kind, meaning=meaning, null=not required, values=tuple(values) or None)


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """A table: its columns in order, and the key columns that no two rows share (empty: no key)."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def arrow(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, nullable=c.null) for c in self.columns])

    def rows(self, rows: Sequence[dict[str, object]]) -> pa.Table:
        """Rows as a checked Arrow table; a column that a row does not name is null."""
        for row in rows:
            extra = row.keys() - set(self.names)
            assert not extra, f"{self.name} has no columns {sorted(extra)}"
        return self.check(pa.Table.from_pylist(list(rows), schema=self.arrow))

    def check(self, table: pa.Table, columns: Iterable[str] | None = None) -> pa.Table:
        """The table, or its chosen columns, in the schema's order; BadTable if it does not fit."""
        wanted = [c for c in self.columns if columns is None or c.name in set(columns)]
        for column in wanted:
            if column.later and column.name not in table.column_names:
                table = table.append_column(column.name, pa.nulls(table.num_rows, column.type))
        missing = [c.name for c in wanted if c.name not in table.column_names]
        if missing:
            raise BadTable(f"{self.name} lacks {_shorten(missing)}; it has {_shorten(table.column_names)}")
        extra = [name for name in table.column_names if name not in {c.name for c in wanted}]
        if extra:
            raise BadTable(f"{self.name} has columns outside its schema: {_shorten(extra)}")
        for column in wanted:
            self._check_column(column, table.column(column.name))
        if self.key and set(self.key) <= {c.name for c in wanted} and table.num_rows:
            keys = table.select(list(self.key)).group_by(list(self.key)).aggregate([])
            repeated = table.num_rows - keys.num_rows
            if repeated:
                raise BadTable(
                    f"{self.name} has {repeated} rows whose {'+'.join(self.key)} occurs twice; every row needs its own"
                )
        return table.select([c.name for c in wanted])

    def _check_column(self, column: Column, values: pa.ChunkedArray) -> None:
        where = f"{self.name}.{column.name}"
        if values.type != column.type:
            raise BadTable(f"{where} is of type {values.type}, not {column.type}")
        if not column.null and values.null_count:
            raise BadTable(f"{where} has {values.null_count} empty values; every row needs one")
        if column.values is not None:
            known = pc.is_in(values, value_set=pa.array(column.values, column.type), skip_nulls=True)
            unknown = pc.sum(pc.and_(pc.invert(known), pc.is_valid(values))).as_py() or 0
            if unknown:
                # The values themselves stay out of the message: they may name a patient.
                raise BadTable(f"{where} has {unknown} values that are none of {_shorten(column.values)}")


def _shorten(names: Iterable[str], most: int = 24) -> str:
    """At most so many names, and how many more there are."""
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
