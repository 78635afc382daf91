"""Parts: the same rows are the same bytes, films can be left unread, and another schema is refused."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from rajobs.records.errors import BadTable, StoreError
from rajobs.records.store import open_store
from rajobs.records.tables import parquet_parts
from rajobs.records.tables.schemas import EXTREMITIES, IMAGES, LABELS, ULTRASOUND, WHOLE
from rajobs.records.tables.table_schema import Column

LATER = Column(name="later", type=WHOLE, meaning="a column that came later", later=True)
LABEL = {"study": "hand_filter", "target": "view", "value": "both", "reader": "truth"}


def images(count: int) -> pa.Table:
    """Rows of the images table without a picture."""
    return IMAGES.rows([
        {
            "image_id": f"i{n}", "patient": "p", "modality": "DX", "rows": 1, "columns": 1, "bits": 8, "frame": 0,
            "doppler": False, "preview": b"p", "pixels": bytes([n]) * 100,
        }
        for n in range(count)
    ])  # fmt: skip


def test_the_same_rows_are_the_same_bytes_however_they_are_chunked() -> None:
    table = images(20)
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    assert parquet_parts.to_parquet(table, IMAGES) == parquet_parts.to_parquet(pieces, IMAGES)
    assert parquet_parts.to_parquet(table, IMAGES) != parquet_parts.to_parquet(images(19), IMAGES)


def test_films_are_in_row_groups_of_sixteen_and_are_read_back_whole(tmp_path: Path) -> None:
    store, table = open_store(tmp_path), images(40)
    store.put("images/part-a.parquet", parquet_parts.to_parquet(table, IMAGES))
    store.put("images/readme.txt", b"no part")
    with parquet_parts.open_part(store, "images/part-a.parquet", IMAGES) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sizes == [16, 16, 8]
    assert parquet_parts.read_table(store, "images", IMAGES) == table
    assert parquet_parts.read_part(store, "images/part-a.parquet", IMAGES, ["patient", "image_id"]).num_columns == 2
    assert parquet_parts.read_table(store, "labels", LABELS, ["value"]).schema.names == ["value"]


def test_lists_survive(tmp_path: Path) -> None:
    row = {
        "image_id": "i", "extremity": 0, "patient": "p", "part": "hand", "box": [0.0, 1.5, 2.0, 3.0],
        "bundles": ["a", "b"],
    }  # fmt: skip
    store, table = open_store(tmp_path), EXTREMITIES.rows([row])
    store.put("extremities/part-a.parquet", parquet_parts.to_parquet(table, EXTREMITIES))
    assert parquet_parts.read_table(store, "extremities", EXTREMITIES) == table


def test_a_part_from_before_a_column_is_known_and_read_with_nulls(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    scan = {"image_id": "i", "patient": "p", "frame": 0, "doppler": True, "bundles": ["a"], "grey_grade": 2}
    after = replace(ULTRASOUND, columns=(*ULTRASOUND.columns, LATER))
    store.put("ultrasound/part-a.parquet", parquet_parts.to_parquet(ULTRASOUND.rows([scan]), ULTRASOUND))
    store.put("ultrasound/part-b.parquet", parquet_parts.to_parquet(after.rows([{**scan, "later": 2}]), after))
    parts = parquet_parts.list_parts(store, "ultrasound")
    assert [parquet_parts.lacks_columns(store, key, after) for key in parts] == [True, False]
    assert parquet_parts.read_table(store, "ultrasound", after)["later"].to_pylist() == [None, 2]


def test_other_schemas_and_files_that_are_no_parts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    store.put("labels/part-a.parquet", parquet_parts.to_parquet(LABELS.rows([{"image_id": "i", **LABEL}]), LABELS))
    with pytest.raises(BadTable, match=r"extremities lacks extremity"):
        parquet_parts.read_part(store, "labels/part-a.parquet", EXTREMITIES)
    monkeypatch.setattr(parquet_parts, "SCHEMA_VERSION", 99)
    with pytest.raises(BadTable, match="has schema 2, this version reads 99; run `rajobs ingest` again"):
        parquet_parts.read_part(store, "labels/part-a.parquet", LABELS)
    store.put("labels/part-b.parquet", b"PAR1 and then nothing")
    with pytest.raises(BadTable, match="no Parquet file"):
        parquet_parts.read_part(store, "labels/part-b.parquet", LABELS)
    with pytest.raises(StoreError, match=r"there is no splits/x\.parquet"):
        parquet_parts.read_file(store, "splits/x.parquet", LABELS)


def test_a_table_that_does_not_fit_is_not_written() -> None:
    twice = pa.concat_tables([images(2), images(1)])
    with pytest.raises(BadTable, match="image_id occurs twice; every row needs its own"):
        parquet_parts.to_parquet(twice, IMAGES)
