"""A predictions table gets what the data say of its rows: of their images, and what each reader says."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from rajobs import studies
from rajobs.jobs.train.dataset import open_labelled_data
from rajobs.jobs.train.row_facts import add_row_facts
from rajobs.learning.reader_agreement import compare_readers
from rajobs.learning.targets import scores
from rajobs.records.manifest import to_json
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS, PREDICTIONS

SCANS = replace(studies.find("ultrasound_grading"), targets=(scores("grade", 3),))


def scan(name: str, **more: Any) -> dict[str, Any]:
    return {
        "image_id": name, "patient": f"p {name}", "frame": 0, "modality": "US", "rows": 2, "columns": 2, "bits": 8,
        "doppler": True, "preview": b"", "pixels": b"", **more,
    }  # fmt: skip


def test_a_row_gets_its_image_s_facts_and_its_readers_whatever_side_and_site_they_name(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    names = [f"i{at}" for at in range(4)]
    images = [scan(name, manufacturer="GE", visit_date=date(2012, 5, 1), sex="F", age_years=61) for name in names]
    labels = [
        {
            "image_id": image, "side": "R", "study": SCANS.name, "target": "grade", "site": "MCP2", "value": "1",
            "reader": reader,
        }
        for reader, read in {"truth": names, "anna": names, "bert": []}.items()
        for image in ("another", *read)
    ]  # fmt: skip
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows([*images, scan("unasked")]), IMAGES))
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    asked = [
        {
            "image_id": name, "extremity": 0, "site": "", "patient": f"p {name}", "target": "grade", "truth": "1",
            "predicted": str(at), "p": [0.0] * 4, "split": "test", "bundles": ["b"],
            **({"manufacturer": "Esaote"} if at == 3 else {}),
        }
        for at, name in enumerate(names)
    ]  # fmt: skip
    table = add_row_facts(open_labelled_data(str(tmp_path), SCANS), PREDICTIONS.rows(asked))
    first, *_, last = table.to_pylist()
    assert (first["manufacturer"], first["visit_date"], first["sex"], first["age_years"]) == (
        "GE", date(2012, 5, 1), "F", 61,
    )  # fmt: skip
    assert first["centre"] is None and last["manufacturer"] == "Esaote", "what a user's own table says stays"
    assert (first["readers"], first["readings"]) == (["anna", "truth"], ["1", "1"])
    rows = {(row.who, row.against): row.rows for row in compare_readers(SCANS, table)}
    assert rows == {("model", "reference"): 4, ("anna", "reference"): 4, ("model", "anna"): 4}
