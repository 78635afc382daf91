"""CSV files: lists in one cell, no cell that Excel runs, and tables written piece by piece are as written whole."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from rajobs.records.store import open_store
from rajobs.records.tables.csv_files import (
    csv_file,
    escape_cell,
    rows_to_csv,
    to_csv,
    unescape_cell,
    unescape_cells,
)
from rajobs.records.tables.schemas import EXTREMITIES

ROWS = [
    {
        "image_id": name, "extremity": 0, "patient": "p", "part": "hand", "box": [0.0, 1.5, 2.0, 3.0],
        "bundles": ["a", "b"],
    }
    for name in "ij"
]  # fmt: skip


def test_a_list_is_one_cell() -> None:
    table = EXTREMITIES.rows(ROWS[:1]).select(["image_id", "box", "stage", "bundles"])
    header, line = to_csv(table).decode().splitlines()
    assert header.replace('"', "") == "image_id,box,stage,bundles"
    assert line.replace('"', "") == "i,0 1.5 2 3,,a b"


def test_a_file_written_piece_by_piece_is_the_table(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with csv_file(store, "extremities.csv", EXTREMITIES) as write:
        for row in ROWS:
            write(EXTREMITIES.rows([row]))
    assert store.get("extremities.csv") == to_csv(EXTREMITIES.rows(ROWS))


FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=", "-", "'=1", "''+a", "-1e", "+1;2")
PLAIN = ("-1", "+3.5", "-.5e-3", "-0.5 -1.5 2 3", "a=1", "'quoted'", "", " =1", "1-2")


@pytest.mark.parametrize("cell", [*FORMULAS, *PLAIN])
def test_a_formula_is_escaped_and_read_back_and_a_number_stays(cell: str) -> None:
    table = pa.table({"a": [cell, None, "x"], "=b": [[cell], None, ["y", "z"]], "n": [-1.5, None, 2.0]})
    written = cell if cell in PLAIN else f"'{cell}"
    assert escape_cell(cell) == written and unescape_cell(written) == cell
    header, first, *_ = csv.reader(io.StringIO(to_csv(table).decode(), newline=""))
    assert header == ["a", "'=b", "n"]
    assert first == [written, written, "-1.5"]
    parse, text = pyarrow.csv.ParseOptions(newlines_in_values=True), dict.fromkeys(("a", "'=b"), pa.string())
    convert = pyarrow.csv.ConvertOptions(column_types=text, strings_can_be_null=False)
    back = unescape_cells(pyarrow.csv.read_csv(io.BytesIO(to_csv(table)), None, parse, convert))
    assert back.column_names == ["a", "=b", "n"] and back.column("=b").to_pylist() == [cell, "", "y z"]


def test_rows_of_text_are_escaped_too() -> None:
    assert rows_to_csv([["image", "=x"], ["-a,b", "-1"]]) == b"image,'=x\n\"'-a,b\",-1\n"
