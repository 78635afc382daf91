"""An ingest through an S3 server that fails and dawdles ends in the bytes of one through a server that does neither."""

import os
from pathlib import Path

import pytest

from rajobs.__main__ import main
from rajobs.records.store import open_store
from tests.jobs.ingest.flaky import FAULTS, flaky

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

ARCHIVES = 4


def test_a_flaky_store_changes_nothing(s3: str, phantom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_store(f"{s3}/bad-day/archives")
    for file in sorted((phantom / "archives").glob("*.*"))[:ARCHIVES]:
        source.put(file.name, file.read_bytes())

    def arguments(name: str) -> list[str]:
        place = f"{s3}/bad-day/{name}"
        tables = ["--labels", str(phantom / "labels.csv"), "--ledger", f"{place}/ledger"]
        return ["ingest", source.uri, f"{place}/data", *tables, "--max-rejects", "1"]

    main(arguments("calm"))
    with flaky(os.environ["AWS_ENDPOINT_URL"], share=0.1, seed=3) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        main(arguments("flaky"))
    monkeypatch.undo()
    assert all(server.faults[fault] for fault in FAULTS), f"too few requests were struck: {server.faults}"
    calm, after = (open_store(f"{s3}/bad-day/{name}") for name in ("calm", "flaky"))
    keys = [entry.key for entry in calm.list()]
    assert "data/manifest.json" in keys
    assert [entry.key for entry in after.list()] == keys
    assert [key for key in keys if after.get(key) != calm.get(key)] == []
