"""CSV files: lists in one cell, and tables written piece by piece are the same as written whole."""

from pathlib import Path

from rajobs.records.store import open_store
from rajobs.records.tables.csv_files import csv_file, to_csv
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
