"""The jobs with every URI on an S3 server, the sweep's trials in workers of a cluster."""

from pathlib import Path

import pytest

from rajobs.__main__ import main
from rajobs.records.store import open_store
from rajobs.records.tables import schemas
from rajobs.records.tables.parquet_parts import read_table
from tests.jobs.conftest import SPACE
from tests.jobs.in_process import in_process

pytestmark = pytest.mark.ray


def test_every_job_reads_and_writes_s3(
    s3: str, ray_cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, recipe = f"{s3}/phantom/labels.csv", f"{s3}/sweep/hand_filter/best.toml"
    score = ["score", f"{s3}/data", f"{s3}/models", f"{s3}/tables"]
    open_store(s3).put("space.toml", SPACE.encode())
    with in_process():
        main(["phantom", f"{s3}/phantom", "--patients", "3", "--size", "SMALL", "--damage", "0"])
        main(["ingest", f"{s3}/phantom/archives", f"{s3}/data", "--labels", labels, "--ledger", f"{s3}/ledger"])
    search = ["--space", f"{s3}/space.toml", "--trials", "1", "--budget", "0.05"]
    main(["tune", "hand_filter", f"{s3}/data", f"{s3}/sweep", *search])
    with in_process():
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
