"""The loop of paper 002 by commands alone: errors, new drawings like them, and their lineage in every later table."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rajobs.__main__ import main
from rajobs.records.store import open_store
from rajobs.records.tables import schemas
from rajobs.records.tables.parquet_parts import read_table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]


def test_drawings_like_a_model_s_errors_know_what_they_were_modelled_on(data: Path, tmp_path: Path) -> None:
    models, judged, drawn, taken = (str(tmp_path / name) for name in ("models", "judged", "drawn", "taken"))
    main(["train", "ultrasound_grading", str(data), models, "--budget", "0.1"])
    main(["evaluate", "ultrasound_grading", str(data), models, judged])
    predictions = pq.read_table(f"{judged}/predictions.parquet").to_pylist()
    place = (pq.read_schema(f"{judged}/predictions.parquet").metadata or {})[b"data"].decode()
    assert place == os.path.relpath(data, judged) and str(tmp_path) not in place, "no folder above both is named"
    wrong = {row["image_id"] for row in predictions if row["predicted"] != row["truth"]}
    assert wrong, "a network that has hardly learnt anything errs"
    main(["phantom", drawn, "--like", f"{judged}/predictions.parquet"])
    main(["ingest", f"{drawn}/archives", taken, "--labels", f"{drawn}/labels.csv", "--max-rejects", "0"])
    images = read_table(
        open_store(taken), "images", schemas.IMAGES, ["image_id", "derived_from", "patient"]
    ).to_pylist()
    assert {row["derived_from"] for row in images} == wrong
    seen = read_table(open_store(str(data)), "images", schemas.IMAGES, ["image_id", "patient"])
    for name in ("image_id", "patient"):
        assert not {row[name] for row in images} & set(seen.column(name).to_pylist()), "a drawing is nobody's before"
    labels = read_table(open_store(taken), "labels", schemas.LABELS)
    assert {row["image_id"] for row in labels.to_pylist()} == {row["image_id"] for row in images}
