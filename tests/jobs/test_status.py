"""What status says of an output, from the files that are there: without Ray."""

from pathlib import Path

import pytest

from rajobs import studies
from rajobs.jobs import builtin
from rajobs.jobs.score.job import ScoreRequest, score
from rajobs.jobs.status import status
from rajobs.learning.bundle_description import BundleDescription, Origin, put_description
from rajobs.records.manifest import claim, put_manifest, put_plan, read_manifest
from rajobs.records.store import Store, open_store

VERSION = "0123456789abcdef"


def shown_status(place: Path | str, capsys: pytest.CaptureFixture[str]) -> str:
    status(str(place))
    return " ".join(capsys.readouterr().out.split())


def test_nothing_is_finished_while_parts_are_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(tmp_path)
    claim(store, "score", {"key": "k"})
    for name in ("ledger/part-1.parquet", "ledger/part-2.parquet", "report.html"):
        store.put(name, b"")
    put_plan(store, 5)
    put_manifest(store, {"job": "score"})
    assert "parts done 2 parts left 3 state under way or stopped" in shown_status(tmp_path, capsys)
    put_plan(store, 2)
    assert "parts left 0 state finished" in shown_status(tmp_path, capsys)


def test_a_score_that_goes_on_is_no_finished_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = open_store(tmp_path / "data"), open_store(tmp_path / "out")
    put_manifest(data, {"job": "ingest", "key": "k", "hash": "h"})
    data.put("images/part-1.parquet", b"")
    claim(out, "score", {"key": "k", "scores": "asked for", "studies": {}})
    put_manifest(out, {"job": "score", "input": "of fewer images"})
    gathered = ("films.csv", "visits.csv", "visits/part-00000.parquet", "report.html")
    for name in gathered:
        out.put(name, b"")

    def killed(*_: object) -> None:
        assert read_manifest(out) is None and not [name for name in gathered if out.stat(name)]
        raise KeyboardInterrupt

    monkeypatch.setattr("rajobs.jobs.score.job.find_models", lambda *_: {})
    monkeypatch.setattr("rajobs.jobs.score.job._parts_to_score", killed)
    with pytest.raises(KeyboardInterrupt):
        score(ScoreRequest(data=str(tmp_path / "data"), models="", out=str(tmp_path / "out")))


@pytest.fixture
def shared(tmp_path: Path) -> Store:
    """A folder with models and a sweep of one study, one of each under way."""
    store = open_store(tmp_path / "models")
    origin = Origin(
        study="hand_filter", recipe=studies.find("hand_filter").recipe("default"), mode="clean", seed=3, budget=0.5,
        code="0", data="d", key="k", split="s",
    )  # fmt: skip
    description = BundleDescription(
        origin=origin, shape=(1, 8, 8), classes={}, parameters={}, epochs={}, learned={},
        rows={"train": 1200, "validation": 7}, validation={"view.accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}},
    )  # fmt: skip
    put_description(store, f"hand_filter/{VERSION}", description)
    store.put("hand_filter/fedcba9876543210/checkpoints/views/00001", b"")
    store.put(f"hand_filter/checkpoints/{VERSION}/00004/views/00001", b"")
    store.put(f"hand_filter/trials/{VERSION}/00000.json", b"{}")
    claim(open_store(tmp_path / "models" / "hand_filter"), "tune", {"key": "k"}, shared=True)
    return store


@pytest.mark.parametrize("below", ["", "hand_filter"])
def test_models_and_sweeps_are_told_wherever_one_looks(
    shared: Store, below: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown_status(f"{shared.uri}/{below}", capsys)
    assert f"hand_filter model {VERSION} finished" in text
    assert "hand_filter model fedcba9876543210 under way" in text
    assert "hand_filter trials under way" in text and "hand_filter trials ended 1" in text


def test_one_model_s_own_place_tells_of_it(shared: Store, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown_status(f"{shared.uri}/hand_filter/{VERSION}", capsys)
    assert "job train state finished study hand_filter mode clean seed 3 budget 0.5 rows, train 1,200" in text
    assert "view.accuracy (validation) 0.500 (0.250 to 0.750)" in text
    assert "model fedcba9876543210 under way" in shown_status(f"{shared.uri}/hand_filter/fedcba9876543210", capsys)
    assert "finished" in shown_status(f"{shared.uri}/hand_filter/{VERSION}/", capsys)
    assert "hand_filter model" in shown_status(builtin.package_folder(), capsys)
