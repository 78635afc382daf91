"""Labels become rows of the labels table, and newer readings take the place of older ones."""

from typing import Any

import pyarrow as pa
import pytest

from rajobs.records.errors import BadTable
from rajobs.records.identity import Key
from rajobs.records.labels.label_files import READ_LABELS
from rajobs.records.labels.merging import match_labels, merge_labels
from rajobs.records.labels.readers import reader_pseudonym, readers_crosswalk
from rajobs.records.tables.schemas import LABELS

KEY = Key(secret=b"0123456789abcdef0123456789abcdef")


def read(*rows: dict[str, Any]) -> pa.Table:
    plain = {"study": "s", "target": "jsn", "file": "labels.csv"}
    return pa.Table.from_pylist([{**plain, "row": at, **row} for at, row in enumerate(rows, 2)], schema=READ_LABELS)


def stored(value: str, reader: str = "truth", **place: Any) -> dict[str, Any]:
    row = {"image_id": "i", "study": "s", "target": "jsn", "reader": reader, "value": value, **place}
    return {**dict.fromkeys(LABELS.names), **row}


def test_labels_get_image_ids_and_those_without_an_image_stay_as_they_were_read() -> None:
    labels = read(
        {"image": "1.2.3", "value": "2", "frame": "4", "reader": "Ann", "patient": "P1"},
        {"image": "1.2.3", "value": "0"},
        {"image": "lost", "value": "1"},
    )
    matched = match_labels(labels, {("1.2.3", 4): "loop-4", ("1.2.3", 0): "loop-0"}, KEY)
    assert [(row["image_id"], row["reader"]) for row in matched.rows] == [
        ("loop-4", reader_pseudonym(KEY, "Ann")), ("loop-0", "reader"),
    ]  # fmt: skip
    assert [(row["image"], row["row"]) for row in matched.unmatched] == [("lost", 4)]
    assert not any(name in str(matched.rows) for name in ("P1", "Ann")), "originals"


def test_one_image_by_two_names_must_not_contradict_itself() -> None:
    ids = {("1.2.3", 0): "i", ("a/b.dcm", 0): "i"}
    same = read({"image": "1.2.3", "value": "2", "reader": "Ann"}, {"image": "a/b.dcm", "value": "2", "reader": "ann "})
    assert len(match_labels(same, ids, KEY).rows) == 2
    with pytest.raises(BadTable, match=r"labels\.csv, rows 2, 3: one reading has two values"):
        match_labels(read({"image": "1.2.3", "value": "2"}, {"image": "a/b.dcm", "value": "3"}), ids, KEY)
    labels = read({"image": "1.2.3", "value": "2"}, {"image": "1.2.3", "value": "3", "file": "later.csv"})
    table, replaced = merge_labels([], match_labels(labels, ids, KEY).rows)
    assert (table.column("value").to_pylist(), replaced) == (["3"], 1), "a later file may"


def test_the_newest_reading_stands_and_the_order_of_files_leaves_no_trace() -> None:
    older = [stored("1"), stored("2", site="MCP2"), stored("3", reader="reader-0000000a")]
    newer = [stored("4"), stored("2", site="MCP2"), stored("0", side="L")]
    table, replaced = merge_labels(older, newer)
    assert replaced == 1 and table.num_rows == 4
    values = {(row["side"], row["site"], row["reader"]): row["value"] for row in table.to_pylist()}
    assert values[None, None, "truth"] == "4" and values[None, None, "reader-0000000a"] == "3"
    again, replaced = merge_labels(table.to_pylist(), newer)
    assert replaced == 0 and again == table
    assert merge_labels(older[::-1], newer[::-1])[0] == table


def test_readers_are_staff_and_roles_are_none() -> None:
    names = ["Dr Roe", "dr roe ", "Truth", "consensus", "adjudicated", None, "Dr Poe"]
    pseudonyms = [reader_pseudonym(KEY, name) for name in names]
    assert pseudonyms[0] == pseudonyms[1] != pseudonyms[6] and pseudonyms[2:6] == [
        "truth", "consensus", "adjudicated", "reader",
    ]  # fmt: skip
    assert reader_pseudonym(KEY, pseudonyms[0]) == pseudonyms[0], "as a table has it, it comes back"
    assert reader_pseudonym(Key(secret=b"x" * 32), "Dr Roe") != pseudonyms[0]
    rows = readers_crosswalk(KEY, names).to_pylist()
    assert {(row["reader"], row["name"].casefold()) for row in rows} == {
        (pseudonyms[0], "dr roe"), (pseudonyms[6], "dr poe"),
    }  # fmt: skip
