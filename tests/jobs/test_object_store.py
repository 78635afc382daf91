"""The jobs with every URI on an S3 server; a sweep there is among the tests of sweeps."""

import pytest

from rajobs import studies
from rajobs.__main__ import main
from rajobs.learning.recipe import to_toml
from rajobs.records.store import open_store
from rajobs.records.tables import schemas
from rajobs.records.tables.parquet_parts import read_table

pytestmark = pytest.mark.slow


def test_every_job_reads_and_writes_s3(s3: str, here: None, capsys: pytest.CaptureFixture[str]) -> None:
    labels, recipe = f"{s3}/phantom/labels.csv", f"{s3}/recipe.toml"
    score = ["score", f"{s3}/data", f"{s3}/models", f"{s3}/tables"]
    open_store(s3).put("recipe.toml", to_toml(studies.find("hand_filter").recipe("default")).encode())
    main(["phantom", f"{s3}/phantom", "--patients", "3", "--size", "SMALL", "--damage", "0"])
    main(["ingest", f"{s3}/phantom/archives", f"{s3}/data", "--labels", labels, "--ledger", f"{s3}/ledger"])
    main(["train", "hand_filter", f"{s3}/data", f"{s3}/models", "--recipe", recipe, "--budget", "0.05"])
    main(["evaluate", "hand_filter", f"{s3}/data", f"{s3}/models", f"{s3}/evaluation"])
    main(score)
    store = open_store(f"{s3}/tables")
    films = read_table(store, "films", schemas.FILMS)
    images = read_table(open_store(f"{s3}/data"), "images", schemas.IMAGES, ["image_id", "modality"])
    scans = sum(modality == "US" for modality in images.column("modality").to_pylist())
    assert films.num_rows == images.num_rows - scans > 0 < scans
    assert store.stat("report.html")
    capsys.readouterr()
    main(score)
    assert "nothing to do" in capsys.readouterr().out
