"""A sweep: what it writes, when it stops, whom it gives room, and that nothing is lost or run twice."""

import itertools
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import ray

from rajobs import studies
from rajobs.__main__ import main
from rajobs.jobs.tune.job import TuneRequest, _deadline, _distinct_views, compare
from rajobs.jobs.tune.resources import DRIVER, NAME, SHARE, SMALL, ClusterNodes, check_fits
from rajobs.jobs.tune.results import OUT_OF_TIME, ResultStore, TrialResult, report_to_mlflow
from rajobs.jobs.tune.search import Deadline, SuccessiveHalving
from rajobs.jobs.tune.trial import pack_answers
from rajobs.jobs.tune.trial_config import TrialReport
from rajobs.learning.judging.evaluation import Evaluation
from rajobs.learning.recipe import from_toml
from rajobs.learning.space import read_space, space_text
from rajobs.records.errors import UsageError
from rajobs.records.store import open_store
from tests.jobs.conftest import SPACE
from tests.jobs.kills import kill_driver, one_killed, wait_for_end

NOT_BUILT = SPACE.replace(
    '"members.settings.width" = { choices = [4, 8] }', '"members.settings.stages" = { choices = [8] }'
)
SECONDS = 120
TRIAL = b"ImplicitFunc.train"


def sweep_arguments(data: Path, out: Path, *more: str, space: str = SPACE, budget: str = "0.1") -> list[str]:
    (out / "space.toml").write_text(space)
    return ["tune", "hand_filter", str(data), str(out / "sweep"), "--space", str(out / "space.toml"),
            "--budget", budget, *more]  # fmt: skip


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(out.glob("sweep/hand_filter/trials/*/*.json"))]


def start_and_kill_driver(data: Path, out: Path, address: str) -> list[dict[str, Any]]:
    """A sweep of two trials whose driver is killed when the first has ended: the rows that are left."""
    command = [sys.executable, "-m", "rajobs", *sweep_arguments(data, out, "--trials", "2"), "--ray", address]
    kill_driver(command, lambda: bool(rows_of(out)), out)
    rows = rows_of(out)
    assert rows
    return rows


@pytest.mark.ray
def test_a_sweep_that_lost_its_driver_and_a_trial_s_process_ends_in_a_recipe_that_train_takes(
    ray_cluster: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, out = sweep_arguments(data, tmp_path, "--trials", "3"), tmp_path / "sweep" / "hand_filter"
    ended = start_and_kill_driver(data, tmp_path, ray_cluster)
    wait_for_end(TRIAL)
    with one_killed(TRIAL, lambda: True):
        main(arguments)
    rows = rows_of(tmp_path)
    assert [row["number"] for row in rows] == [0, 1, 2], "a sweep goes on where it stopped, and may grow"
    assert [row for row in rows if row["number"] in {old["number"] for old in ended}] == ended
    assert rows[0]["name"] == "default"
    finished = sum(row["state"] == "finished" for row in rows)
    assert finished and {row["state"] for row in rows} <= {"finished", "stopped"}, "what was lost is begun again"
    assert [len(row["curve"]) for row in rows] == [row["epochs"] for row in rows], "no epoch is counted twice"
    assert len(list(out.glob("trials/*/*.parquet"))) == finished
    assert {file.parent.name for file in out.glob("tensorboard/*/*/events*")} == {"00000", "00001", "00002"}
    assert len(pd.read_parquet(out / "trials.parquet")) == 3
    page, recipe = (out / "report.html").read_text(), out / "best.toml"
    assert "paired, on" in page or "No trial did better than trial 0" in page
    assert from_toml(recipe.read_text()).members
    capsys.readouterr()
    main(arguments)
    assert "nothing to do" in capsys.readouterr().out
    main(["status", str(tmp_path / "sweep")])
    assert "hand_filter trials ended  3" in capsys.readouterr().out
    main(["train", "hand_filter", str(data), str(tmp_path / "models"), "--recipe", str(recipe), "--budget", "0.05"])
    assert "model:" in capsys.readouterr().out


@pytest.mark.ray
@pytest.mark.long
def test_a_sweep_that_lost_its_driver_goes_on_on_a_fresh_cluster(ray_cluster: str, data: Path, tmp_path: Path) -> None:
    ended = start_and_kill_driver(data, tmp_path, ray_cluster)
    again = [sys.executable, "-m", "rajobs", *sweep_arguments(data, tmp_path, "--trials", "3")]
    subprocess.run(again, env=environment_without_a_cluster(), check=True, timeout=SECONDS)
    rows = rows_of(tmp_path)
    assert [row["number"] for row in rows] == [0, 1, 2]
    assert [row for row in rows if row["number"] in {old["number"] for old in ended}] == ended
    assert (tmp_path / "sweep" / "hand_filter" / "best.toml").exists()


@pytest.mark.ray
def test_on_s3_a_trial_that_fails_is_a_row_and_what_a_dead_driver_reserved_is_freed(
    s3: str, ray_cluster: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, here = open_store(f"{s3}/swept"), open_store(str(data))
    for blob in here.list():
        store.put(f"data/{blob.key}", here.get(blob.key))
    store.put("space.toml", NOT_BUILT.encode())
    leaked = ray.util.placement_group([{"CPU": 1.5}], name=f"{NAME}of-a-dead-driver")
    other = ray.util.placement_group([{"CPU": 0.5}])
    ray.get([leaked.ready(), other.ready()], timeout=30)
    try:
        # 8 stages need images of 256 pixels: the network cannot be built, which is known in the trial only.
        search = ["--space", f"{s3}/swept/space.toml", "--trials", "2", "--budget", "0.05"]
        main(["tune", "hand_filter", f"{s3}/swept/data", f"{s3}/swept/sweep", *search])
        assert ray.util.placement_group_table(other)["state"] == "CREATED", "what others reserved is theirs"
    finally:
        ray.util.remove_placement_group(other)
    output = capsys.readouterr().out
    assert "removed what a sweep without a driver still held: 1 placement groups with 1.5 cores" in output
    assert "others hold part of the cluster, for which trials may have to wait: 1 placement groups with 0.5" in output
    assert store.stat("sweep/hand_filter/best.toml") and store.stat("sweep/hand_filter/report.html")
    keys = sorted(blob.key for blob in store.list("sweep/hand_filter/trials/") if blob.key.endswith(".json"))
    failed = json.loads(store.get(keys[1]))
    assert failed["state"] == "failed"
    assert "256 pixels" in failed["cause"]


@pytest.mark.ray
def test_when_the_time_is_up_epochs_end_and_the_same_command_goes_on(
    ray_cluster: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its only trial is a drawn one, whose settings must come again.
    arguments = sweep_arguments(data, tmp_path, "--trials", "1", space=SPACE.replace('["default"]', "[]"))
    page = tmp_path / "sweep" / "hand_filter" / "report.html"
    main([*arguments, "--hours", "1e-9"])
    assert rows_of(tmp_path) == [] and "1 trial is left" in page.read_text()
    epochs: list[int] = []
    real = SuccessiveHalving.on_trial_result

    def noted(self: SuccessiveHalving, *reported: Any) -> str:
        epochs.append(1)  # the time is up as soon as an epoch has ended
        return real(self, *reported)

    with monkeypatch.context() as patched:
        patched.setattr(SuccessiveHalving, "on_trial_result", noted)
        patched.setattr(Deadline, "is_over", lambda self: bool(epochs))
        main([*arguments, "--hours", "1"])
    (late,) = rows_of(tmp_path)
    assert (late["state"], late["cause"], late["epochs"]) == ("stopped", OUT_OF_TIME, 1)
    assert "1 trial is left" in page.read_text() and not (page.parent / "best.toml").exists()
    main(arguments)
    (again,) = rows_of(tmp_path)
    assert again["state"] == "finished" and again["settings"] == late["settings"], "the same once more"
    assert "is left" not in page.read_text() and (page.parent / "best.toml").exists()


LOGICAL = """
import json, sys, threading, warnings
import ray
from rajobs.__main__ import main

def watch():
    while not over.wait(0.1):
        groups = [group for group in ray.util.placement_group_table().values() if group["state"] == "CREATED"]
        most.append(sum(b.get("GPU", 0) for group in groups for b in group["bundles"].values()))
        seen.update(json.dumps(sorted(group["bundles"].values(), key=str), sort_keys=True) for group in groups)

over, seen, most = threading.Event(), set(), [0]
ray.init("local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
thread = threading.Thread(target=watch)
thread.start()
try:
    main(sys.argv[1:])
finally:
    over.set()
    thread.join()
print("PLACED", json.dumps({"seen": sorted(seen), "most": max(most)}))
"""


@pytest.mark.ray
@pytest.mark.long  # a cluster of its own for each; which shares trials ask for is tested below without one
@pytest.mark.parametrize("trials", [1, 2])
def test_workers_of_trials_get_their_shares_of_gpus_and_nothing_waits(data: Path, tmp_path: Path, trials: int) -> None:
    arguments = sweep_arguments(data, tmp_path, "--trials", str(trials), "--workers", "2")
    environment = {**environment_without_a_cluster(), **cluster_settings()}
    done = subprocess.run(
        [sys.executable, "-c", LOGICAL, *arguments], env=environment,
        capture_output=True, text=True, timeout=3 * SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    placed = json.loads(done.stdout.rpartition("PLACED")[2])
    worker = {"CPU": 1 - DRIVER, "GPU": SHARE}
    assert [json.loads(text) for text in placed["seen"]] == [[{"CPU": DRIVER}], [worker, worker]]
    assert placed["most"] == 2 * trials * SHARE, "trials at once, each with two workers"
    rows = rows_of(tmp_path)
    assert [(row["state"], row["cause"], len(row["curve"])) for row in rows] == [("finished", None, 2)] * trials
    assert not list(tmp_path.rglob("checkpoints"))


def environment_without_a_cluster() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}


def cluster_settings() -> dict[str, str]:
    from rajobs.jobs.cluster import DRIVER as OF_DRIVERS
    from rajobs.jobs.cluster import QUIET

    return {**QUIET, **OF_DRIVERS}


def test_trials_side_by_side_are_no_more_than_find_room_with_their_drivers() -> None:
    laptop, gpus = ClusterNodes(nodes=((2.0, 0.0),)), ClusterNodes(nodes=((0.0, 0.0), (8.0, 1.0), (8.0, 1.0)))
    for there, workers, parameters, at_once, share in (
        (laptop, 1, SMALL, 2, 0.0),
        (laptop, 2, SMALL, 1, 0.0),
        (gpus, 1, SMALL, 8, SHARE),
        (gpus, 1, SMALL + 1, 2, 1.0),
        (gpus, 2, SMALL, 4, SHARE),
        (gpus, 2, SMALL + 1, 1, 1.0),
        (gpus, 3, SMALL + 1, 5, 0.0),  # three workers have two GPUs: they take cores
    ):
        takes = there.resources(workers, parameters)
        assert (there.at_once(takes), takes.gpus) == (at_once, share), (workers, parameters)
        needed = at_once * ((workers * takes.cpus + DRIVER) if workers > 1 else takes.cpus)
        assert needed <= sum(cpus for cpus, _ in there.nodes)
        check_fits(there, takes)
    with pytest.raises(UsageError, match="--workers 3 needs as many cores; the cluster has 2"):
        check_fits(laptop, laptop.resources(3, SMALL))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hours", "0"], "--hours must be above 0, not 0"),
        (["--hours", "nan"], "--hours must be above 0, not nan"),
        (["--hours", "soon"], "'soon' is not a valid float"),
        (["--until", "7 o'clock"], "--until takes a time of day as 07:00"),
        (["--until", "25:00"], "--until takes a time of day as 07:00"),
        (["--hours", "1", "--until", "07:00"], "both say when to end"),
        (["--workers", "0"], "--workers must be 1 or more"),
        (["--trials", "0"], "--trials must be 1 or more"),
    ],
)
def test_wrong_use_is_one_line(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(["tune", "hand_filter", str(tmp_path / "data"), str(tmp_path / "out"), *options], words, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ('"training.learning_rat" = { low = 0.1, high = 0.2 }', "did you mean learning_rate?"),
        ('"training.learning_rate" = { low = 0.2, high = 0.1 }', "low 0.2 is not below high 0.1"),
        ('"view.margin" = { choices = [0.0, 0.2] }', "unknown view setting 'margin'"),
    ],
)
def test_a_space_that_does_not_fit_is_one_line_before_anything_starts(
    axis: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = sweep_arguments(tmp_path / "data", tmp_path, space=f'study = "hand_filter"\n[axes]\n{axis}\n')
    refused(arguments, words, capsys)
    assert [file.name for file in tmp_path.iterdir()] == ["space.toml"]


@pytest.mark.parametrize("name", studies.names())
def test_every_view_that_a_trial_may_ask_for_is_prepared(name: str) -> None:
    study = studies.find(name)
    space = read_space(space_text(name), study)
    there = [study.view.identity(view) for view in _distinct_views(study, space)]
    assert len(there) == len(set(there))
    turned = [axis for axis in space.axes if axis.setting.startswith("view.")]
    asked = [study.recipe(name) for name in space.first]
    for values in itertools.product(*(axis.choices for axis in turned)):
        chosen = dict(zip((axis.setting for axis in turned), values))
        asked.append(space.recipe(study.recipe(space.base), chosen))
    assert {study.view.identity(recipe.view) for recipe in asked} == set(there)


def refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    output = capsys.readouterr().err
    assert left.value.code == 2
    assert words in output and output.count("\n") == 1


def a_result(number: int, name: str = "", **settings: Any) -> TrialResult:
    """A trial that has finished."""
    recipe = studies.find("hand_filter").recipe("default")
    return TrialResult(
        number=number, name=name, fixed=bool(name), settings=settings, recipe=recipe,
        state="finished", cause=None, epochs=1, score=0.5, low=0.4, high=0.6, hours=0.1, curve=(0.5,),
    )  # fmt: skip


def test_the_best_is_compared_with_trial_0_on_the_rows_that_both_answered(tmp_path: Path) -> None:
    study, store = studies.find("hand_filter"), open_store(str(tmp_path))
    search = ResultStore(store=store, identity={"a": 1})
    count = 40
    truth = np.arange(count) % 2
    rows = pa.table({
        "image_id": [f"i{at:03d}" for at in range(count)], "extremity": [0] * count, "site": [""] * count,
        "patient": [f"p{at // 2}" for at in range(count)],
    })  # fmt: skip
    wrong = np.where(np.arange(count) % 5 == 0, 1 - truth, truth)
    for number, predicted, at in ((0, wrong, np.arange(count)), (2, truth, np.arange(count)[::-1][:30])):
        verdict = Evaluation(
            study=study, at=at, patients=np.array(rows["patient"].to_pylist())[at], truth={"view": truth[at]},
            predicted={"view": predicted[at]}, p={"view": np.eye(4)[predicted[at]]},
        )  # fmt: skip
        store.put(search.answers_key(number), pack_answers(verdict, rows))
    first, best = a_result(0, "published"), a_result(2)
    difference = compare(study, search, best, [first, best])
    assert difference is not None
    assert difference.on == "30 films of 15 patients of the validation part"
    assert difference.against == "the published recipe"
    assert difference.difference == pytest.approx(np.mean(wrong[10:] != truth[10:])) and difference.low > 0
    assert compare(study, search, first, [first, best]) is None, "trial 0 itself is the best"
    assert compare(study, search, best, [best]) is None, "trial 0 did not finish"


def test_until_is_the_next_time_the_clock_shows_it() -> None:
    for minute in (1, 23 * 60 + 59):
        clock = datetime.fromtimestamp(time.time() + 60 * minute)
        at = _deadline(TuneRequest(study="hand_filter", data="", out="", until=f"{clock:%H:%M}")).at
        assert at is not None
        assert 0 < at - time.time() <= 86_400
        assert f"{datetime.fromtimestamp(at):%H:%M:%S}" == f"{clock:%H:%M}:00"


def test_mlflow_is_told_where_its_server_is_named_and_a_dead_one_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[Any, ...]] = []

    class Refused(Exception):
        pass

    class Run:
        def __init__(self, run_name: str) -> None:
            calls.append(("run", run_name))

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    def down(_: str) -> None:
        raise Refused("no server\nthere")

    fake = ModuleType("mlflow")
    fake.__dict__.update(
        exceptions=SimpleNamespace(MlflowException=Refused), set_experiment=lambda name: calls.append(("at", name)),
        start_run=Run, log_params=lambda values: calls.append(("params", values)), set_tags=lambda values: None,
        log_metrics=lambda values, step: calls.append((step, values)),
        log_metric=lambda name, value: calls.append((name, value)),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    result, curve = a_result(3, a=1), [TrialReport(epoch=1, score=0.4, loss=2.0)]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    report_to_mlflow("toy", result, curve)
    assert calls == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    report_to_mlflow("toy", result, curve)
    assert calls == [
        ("at", "rajobs-toy"), ("run", "00003"), ("params", {"a": 1}), (1, {"score": 0.4, "loss": 2.0}),
        ("validation", 0.5),
    ]  # fmt: skip
    fake.__dict__["set_experiment"] = down
    report_to_mlflow("toy", result, curve)
    assert "trial 3 is not in MLflow: no server\n" in capsys.readouterr().out
