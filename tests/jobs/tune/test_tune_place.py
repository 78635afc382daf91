"""Whose place a sweep's recipe is: another search is refused, and grown data search anew."""

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from rajobs.jobs.tune import job
from rajobs.jobs.tune.job import TuneRequest, tune
from rajobs.jobs.tune.results import OUT_OF_TIME, ResultStore, TrialResult
from rajobs.learning.recipe import from_toml, replace
from rajobs.learning.space import Space
from rajobs.learning.study import Study
from rajobs.records.errors import DataError, LeaseHeld, LeaseLost, UsageError
from rajobs.records.store import lease, open_store
from tests.jobs.conftest import SPACE


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Sweeps without a cluster: which data there are, and what becomes of trials on them."""
    there: dict[str, Any] = {"data": "first", "epochs": 3, "state": "finished", "cause": None}

    def search(order: TuneRequest, study: Study, space: Space, search: ResultStore, *_: object) -> None:
        recipe = replace(study.recipe("default"), "training.epochs", there["epochs"])
        for number in range(order.trials):
            search.put(TrialResult(
                number=number, name="", settings={}, recipe=recipe, fixed=True, epochs=1, score=0.5, low=0.4, high=0.6,
                hours=0.1, curve=(0.5,), state=there["state"], cause=there["cause"],
            ))  # fmt: skip

    for name, stub in {
        "_search": search, "prepare": lambda *_: SimpleNamespace(shape=(1, 8, 8)),
        "frozen_split": lambda *_: (pa.table({"split": ["train", "validation", "test"]}), "s"),
        "open_placed_data": lambda *_: SimpleNamespace(data_hash=there["data"], key="k", finders=None),
    }.items():  # fmt: skip
        monkeypatch.setattr(f"rajobs.jobs.tune.job.{name}", stub)
    monkeypatch.setattr("rajobs.jobs.cluster.connected", nullcontext)
    monkeypatch.setattr("rajobs.jobs.tune.resources.exclusive_sweep", nullcontext)
    return there


@pytest.mark.slow
def test_another_search_does_not_take_a_recipe_s_place_and_grown_data_do_once_they_have_one(
    searched: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = TuneRequest(study="hand_filter", data="", out=str(tmp_path), trials=2)
    (tmp_path / "hand_filter" / "a-model").mkdir(parents=True)
    (tmp_path / "hand_filter" / "a-model" / "bundle.json").write_text("{}")
    best = Path(tune(order))
    first = best.read_bytes()
    capsys.readouterr()
    assert tune(order) == str(best) and "nothing to do" in capsys.readouterr().out
    (tmp_path / "space.toml").write_text(SPACE)
    for other, words in (
        ({"budget": 0.5}, "was made with budget 1.0, not 0.5; choose another OUT"),
        ({"mode": "published"}, "was made with mode clean, not published; choose another OUT"),
        ({"space": str(tmp_path / "space.toml")}, "was made with another tune space; choose another OUT"),
    ):
        with pytest.raises(UsageError, match=words):
            tune(dataclasses.replace(order, **other))
    assert best.read_bytes() == first
    searched |= {"data": "grown", "epochs": 4, "state": "stopped", "cause": OUT_OF_TIME}
    tune(dataclasses.replace(order, hours=1e-9))
    assert best.read_bytes() == first and "the data have changed since" in capsys.readouterr().out
    searched |= {"state": "finished", "cause": None}
    tune(order)
    assert from_toml(best.read_text()).training.epochs == 4 and "nothing to do" not in capsys.readouterr().out
    searched["data"] = "first"
    tune(order)
    assert best.read_bytes() == first, "what there is to do is told by what was searched, not by a page that is there"


def test_a_search_that_found_nothing_keeps_no_place_from_a_mended_one(searched: dict[str, Any], tmp_path: Path) -> None:
    order = TuneRequest(study="hand_filter", data="", out=str(tmp_path), trials=1)
    searched |= {"state": "failed", "cause": "ValueError: no"}
    with pytest.raises(DataError, match="no trial of hand_filter finished; ValueError: no"):
        tune(order)
    searched |= {"state": "finished", "cause": None}
    assert Path(tune(dataclasses.replace(order, budget=0.5))).is_file()


def test_a_sweep_that_is_at_work_is_left_alone_and_one_that_was_taken_over_writes_no_recipe(
    searched: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = TuneRequest(study="hand_filter", data="", out=str(tmp_path), trials=1)
    store = open_store(tmp_path / "hand_filter")
    with lease.hold(store, "tune"), pytest.raises(LeaseHeld, match="is being written by rajobs tune on"):
        tune(order)
    assert [entry.key for entry in store.list()] == ["lease/000001.json"]
    search = job._search

    def taken_over(*arguments: Any) -> None:
        search(*arguments)
        with lease.hold(store, "tune", take_over=True):
            pass

    monkeypatch.setattr(job, "_search", taken_over)
    with pytest.raises(LeaseLost):
        tune(order)
    assert not store.stat("best.toml") and not store.stat("manifest.json")
    monkeypatch.setattr(job, "_search", search)
    assert Path(tune(order)).is_file()
