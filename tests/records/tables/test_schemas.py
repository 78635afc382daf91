"""The check of every table refuses what does not fit, in a message without any cell of the table."""

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from rajobs.records.errors import BadTable
from rajobs.records.tables.schemas import TABLES
from rajobs.records.tables.table_schema import Column, TableSchema

SECRET = "Doe^Jane"
VALUES = {
    pa.string(): "x", pa.int32(): 1, pa.int64(): 1, pa.float32(): 0.5, pa.binary(): b"x", pa.date32(): date(2001, 2, 3),
    pa.bool_(): True, pa.list_(pa.float32()): [0.5], pa.list_(pa.int32()): [1], pa.list_(pa.string()): ["x"],
}  # fmt: skip
EVERY = pytest.mark.parametrize("schema", TABLES.values(), ids=TABLES)


def one_row(schema: TableSchema, **changed: object) -> dict[str, object]:
    """A row that fits."""
    return {c.name: c.values[0] if c.values else VALUES[c.type] for c in schema.columns} | changed


def refused(schema: TableSchema, table: pa.Table) -> str:
    """The message with which a table is refused."""
    with pytest.raises(BadTable) as error:
        schema.check(table)
    assert SECRET not in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@EVERY
def test_a_full_and_a_bare_row_fit(schema: TableSchema) -> None:
    assert schema.rows([one_row(schema)]).schema == schema.arrow
    bare = {c.name: one_row(schema)[c.name] for c in schema.columns if not c.null}
    assert schema.rows([bare]).num_rows == 1
    assert schema.rows([]).num_rows == 0
    assert all(column.meaning for column in schema.columns)


@EVERY
def test_a_missing_and_an_extra_column_are_named(schema: TableSchema) -> None:
    table = schema.rows([one_row(schema)])
    last = [column.name for column in schema.columns if not column.later][-1]
    assert last in refused(schema, table.drop_columns([last])).partition("; it has")[0]
    assert "PatientName" in refused(schema, table.append_column("PatientName", pa.array([SECRET])))


@EVERY
def test_a_wrong_type_an_empty_value_and_one_outside_its_list_are_refused(schema: TableSchema) -> None:
    table = schema.rows([one_row(schema)])
    kinds = {(column.type, column.null, column.values): at for at, column in enumerate(schema.columns)}
    for at in kinds.values():
        column = schema.columns[at]
        where = f"{schema.name}.{column.name}"
        assert where in refused(schema, table.set_column(at, column.name, pa.array([1.5], pa.float64())))
        if not column.null:
            assert where in refused(schema, table.set_column(at, column.name, pa.nulls(1, column.type)))
        if column.values:
            assert where in refused(schema, table.set_column(at, column.name, pa.array([SECRET], column.type)))


@EVERY
def test_no_two_rows_share_the_key(schema: TableSchema) -> None:
    twice = pa.concat_tables([schema.rows([one_row(schema)])] * 2)
    if schema.key:
        assert "+".join(schema.key) in refused(schema, twice)
    else:
        assert schema.check(twice).num_rows == 2


def test_chosen_columns_are_checked_alone_and_come_in_the_schema_s_order() -> None:
    schema = TABLES["labels"]
    table = schema.rows([one_row(schema)])
    chosen = ["value", "image_id"]
    assert schema.check(table.select(chosen), chosen).column_names == ["image_id", "value"]
    with pytest.raises(BadTable, match="lacks value"):
        schema.check(table.select(["image_id"]), ["value", "image_id"])


def test_every_row_that_came_from_models_names_them_and_every_closed_list_is_closed() -> None:
    for name in ("films", "extremities", "joints", "ultrasound", "visits", "predictions"):
        assert "bundles" in TABLES[name].names
    texts: list[Column] = [c for c in TABLES["images"].columns if c.type == pa.string() and not c.values]
    # Free text in the images table is a pseudonym, chosen from a list when the header is read, or the user's word.
    assert {c.name for c in texts} == {
        "image_id",
        "patient",
        "exam",
        "series",
        "derived_from",
        "manufacturer",
        "centre",
    }


def test_a_table_from_before_a_column_has_nulls_in_it() -> None:
    before = TABLES["predictions"]
    later = Column(name="later", type=pa.int32(), meaning="a column that came later", later=True)
    after = replace(before, columns=(*before.columns, later))
    table = before.rows([one_row(before)])
    assert after.check(table).schema.names == after.names
    assert after.check(table).column("later").to_pylist() == [None]
