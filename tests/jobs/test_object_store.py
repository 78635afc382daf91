"""The whole line with every URI on an S3 server."""

from pathlib import Path

import pytest

from rajobs.__main__ import main
from rajobs.records.store import open_store
from rajobs.records.tables import schemas
from rajobs.records.tables.parquet_parts import read_table
from tests.jobs.conftest import SPACE

pytestmark = pytest.mark.ray


def test_the_line_on_s3(s3: str, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["phantom", f"{s3}/phantom", "--patients", "5", "--size", "SMALL", "--damage", "0"])
    labels = f"{s3}/phantom/labels.csv"
    main(["ingest", f"{s3}/phantom/archives", f"{s3}/data", "--labels", labels, "--ledger", f"{s3}/ledger"])
    open_store(s3).put("space.toml", SPACE.encode())
    search = ["--space", f"{s3}/space.toml", "--trials", "1", "--budget", "0.05"]
    main(["tune", "hand_filter", f"{s3}/data", f"{s3}/sweep", *search])
    recipe = f"{s3}/sweep/hand_filter/best.toml"
    main(["train", "hand_filter", f"{s3}/data", f"{s3}/models", "--recipe", recipe, "--budget", "0.05"])
    main(["evaluate", "hand_filter", f"{s3}/data", f"{s3}/models", f"{s3}/evaluation"])
    main(["score", f"{s3}/data", f"{s3}/models", f"{s3}/tables"])
    store = open_store(f"{s3}/tables")
    films = read_table(store, "films", schemas.FILMS)
    images = read_table(open_store(f"{s3}/data"), "images", schemas.IMAGES, ["image_id", "modality"])
    scans = sum(modality == "US" for modality in images.column("modality").to_pylist())
    assert films.num_rows == images.num_rows - scans > 0 < scans
    assert store.stat("report.html")
    capsys.readouterr()
    main(["score", f"{s3}/data", f"{s3}/models", f"{s3}/tables"])
    assert "nothing to do" in capsys.readouterr().out
