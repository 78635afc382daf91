"""Parts of score's tables by two drivers: a later run's count, and a live driver's OUT is left alone."""

from pathlib import Path
from typing import Any

import pytest

from rajobs.jobs.score.job import ScoreRequest, score
from rajobs.jobs.score.parts import check_parts, scored_parts, sweep
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.jobs.score.tables import gather
from rajobs.jobs.status import status
from rajobs.records.changes import Precision
from rajobs.records.errors import DataError, LeaseHeld, LeaseLost
from rajobs.records.manifest import claim, put_manifest
from rajobs.records.store import Store, lease, open_store
from rajobs.records.store.lease import Fence, numbered
from rajobs.records.tables.parquet_parts import list_parts, read_table, to_parquet
from rajobs.records.tables.part_index import put_index, stored_sizes
from rajobs.records.tables.schemas import LEDGER

STEPS = ScoreSteps.of_all_studies()
IMAGES_PARTS = ("part-a.1.parquet", "part-b.1.parquet")


@pytest.fixture
def data(tmp_path: Path) -> Store:
    """Two images parts of one image each."""
    store = open_store(tmp_path / "data")
    put_index(Fence(store, 1), {"images": {f"images/{name}": (1, 100) for name in IMAGES_PARTS}})
    return store


@pytest.fixture
def out(tmp_path: Path) -> Store:
    return open_store(tmp_path / "out")


def put_scored(out: Store, images_part: str, number: int, fate: str) -> None:
    """Score a part, as the worker of a run does it."""
    row = {"image_id": images_part, "fate": fate, "why": "", "extremities": 0, "joints": 0}
    for name, schema in STEPS.part_tables.items():
        rows: list[dict[str, Any]] = [row] if schema is LEDGER else []
        out.put(f"{name}/{numbered(images_part, number)}", to_parquet(schema.rows(rows), schema))


def finish(data: Store, out: Store, number: int) -> None:
    """What a driver does at its end."""
    fence = Fence(out, number)
    sweep(fence, data, check_parts(data, fence, gather(data, fence, STEPS, {}, Precision()).parts))


def fates(out: Store) -> list[str]:
    return sorted(read_table(out, "ledger", LEDGER).column("fate").to_pylist())


def test_what_a_late_driver_scores_counts_nowhere_and_is_swept_by_the_next(data: Store, out: Store) -> None:
    put_scored(out, IMAGES_PARTS[0], 1, "scored")
    put_scored(out, IMAGES_PARTS[1], 2, "scored")
    out.put("lease/000002.json", b"{}")
    finish(data, out, 2)
    assert scored_parts(out) == {IMAGES_PARTS[0]: "part-a.1.1.parquet", IMAGES_PARTS[1]: "part-b.1.2.parquet"}
    put_scored(out, IMAGES_PARTS[1], 1, "no-hand")  # it wakes up: its worker first, then the driver itself
    before = {entry.key: out.get(entry.key) for entry in out.list()}
    with pytest.raises(LeaseLost):
        finish(data, out, 1)
    assert {entry.key: out.get(entry.key) for entry in out.list()} == before
    assert fates(out) == ["scored", "scored"] and len(stored_sizes(out, ["ledger"])) == 3
    finish(data, out, 3)
    assert fates(out) == ["scored", "scored"]
    assert sorted(stored_sizes(out, ["ledger", "joints"])) == sorted(
        list_parts(out, "ledger") + list_parts(out, "joints")
    )


def test_an_image_without_a_row_in_the_ledger_ends_the_job(data: Store, out: Store) -> None:
    put_index(Fence(data, 2), {"images": {f"images/{name}": (2, 100) for name in IMAGES_PARTS}})
    put_scored(out, IMAGES_PARTS[0], 1, "scored")
    with pytest.raises(DataError, match="2 images were to be scored but 1 are"):
        finish(data, out, 1)


def test_a_live_driver_s_tables_are_left_alone(
    tmp_path: Path, out: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_manifest(open_store(tmp_path / "data"), {"job": "ingest", "key": "k", "hash": "h"})
    monkeypatch.setattr("rajobs.jobs.score.job.find_models", lambda *_: {})
    claim(out, "score", {"key": "k", "scores": "asked for", "studies": {}})
    put_scored(out, IMAGES_PARTS[0], 1, "scored")
    out.put("visits/part-00000.1.parquet", b"")
    with lease.hold(out, "score"):
        before = {entry.key: out.get(entry.key) for entry in out.list()}
        with pytest.raises(LeaseHeld):
            score(ScoreRequest(data=str(tmp_path / "data"), models="", out=out.uri))
        assert {entry.key: out.get(entry.key) for entry in out.list()} == before
        status(out.uri)
        assert "under way: rajobs score on" in capsys.readouterr().out
