"""One trial of a sweep: the same training as train's, in its own process or by workers of its own, epoch by epoch."""

import io
import json
import math
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray.tune

from rajobs import studies
from rajobs.jobs.train.checkpoints import Checkpoints
from rajobs.jobs.train.dataset import build_dataset, frozen_split, open_labelled_data
from rajobs.jobs.train.worker import WorkerResources, run_workers
from rajobs.learning.bundle import Model, TrainedNetwork
from rajobs.learning.ensemble import Dataset, build_member, build_run, check_rows_to_learn_from, train_member
from rajobs.learning.evaluation import Evaluation, evaluate_folds
from rajobs.learning.networks.starting_weights import find_starting_weights
from rajobs.learning.recipe import Member, Recipe, from_dict
from rajobs.learning.samples.prepared import read_prepared
from rajobs.learning.targets import MISSING
from rajobs.learning.training.cross_validation import fold_datasets, network_name
from rajobs.learning.training.loop import pick_device
from rajobs.learning.training.state import Epoch, TrainingState
from rajobs.records.metrics import Answers
from rajobs.records.store import open_store

NOTHING = {"epoch": 0, "score": math.nan, "loss": math.nan, "low": None, "high": None}
ROW = ("image_id", "hand", "site")

Told = Callable[[Mapping[str, Any]], None]
FittedMember = tuple[Any, TrainingState]
"""A network with the weights to keep, and its run."""


def run_trial(config: dict[str, Any]) -> None:
    """Whatever goes wrong in it is its row's cause, and the sweep goes on."""
    deadline = config["place"]["deadline"]
    if deadline is not None and time.time() >= deadline:
        ray.tune.report({**NOTHING, "late": True})
        return
    try:
        _run_trial(config)
    except Exception as error:  # noqa: BLE001 - a recipe can fail in any way that torch can
        ray.tune.report({**NOTHING, "failed": _cause(error)})


def _cause(error: BaseException) -> str:
    """A failure in a line: of workers that failed together, the first one's."""
    failures = getattr(error.__cause__, "worker_failures", None)
    first = next(iter(failures.values()), error) if failures else error
    text = str(first).strip().splitlines()
    return f"{type(first).__name__}: {text[-1 if failures else 0] if text else ''}"[:300]


def _run_trial(config: dict[str, Any]) -> None:
    place, recipe = config["place"], from_dict(config["recipe"])
    find_starting_weights(recipe, None)
    lesson = _lesson(_reads(config))
    study, arrays = lesson.study, lesson.arrays
    lessons, done = fold_datasets(lesson, recipe.folds), 0
    check_rows_to_learn_from(lessons, recipe)
    trained: dict[str, list[TrainedNetwork]] = {}

    def told(epoch: Mapping[str, Any]) -> None:
        score = math.nan if epoch["metric"] is None else epoch["metric"]
        ray.tune.report({**NOTHING, "epoch": done + epoch["epoch"], "score": score, "loss": epoch["loss"]})

    for number, member in enumerate(recipe.members):
        for turn, mine in enumerate(lessons):
            seed = config["number"] * 1000 + number
            fit = _fit_here if place["workers"] == 1 else _fit_together
            network, state = fit(config, mine, member, turn, seed, told)
            trained.setdefault(member.name, []).append(TrainedNetwork(network=network, temperature={}))
            done += len(state.history)
    model = Model(study=study, recipe=recipe, shape=arrays.shape, hash="", trained=trained, device=pick_device())
    verdict = evaluate_folds(model, lessons)
    figure = verdict.figures()[study.headline]
    open_store(place["out"]).put(f"{place['rows']}/{config['number']:05d}.parquet", pack(verdict, arrays.rows))
    told_last = {name: figure[name] for name in ("low", "high")}
    ray.tune.report({**NOTHING, "epoch": done, "score": figure["value"], "last": True, **told_last})


def _reads(config: Mapping[str, Any]) -> str:
    """What a trial reads, as JSON: the same for trials that differ in how they learn."""
    members = [
        {name: member[name] for name in ("name", "architecture", "targets")} for member in config["recipe"]["members"]
    ]
    told = {name: config["place"][name] for name in ("data", "mode", "budget")}
    return json.dumps({**told, "study": config["study"], "view": config["recipe"]["view"], "members": members})


@lru_cache(maxsize=1)  # a process runs one trial after another: what they share is read once
def _lesson(reads: str) -> Dataset:
    told = json.loads(reads)
    members = tuple(Member(**{**member, "targets": tuple(member["targets"])}) for member in told["members"])
    recipe = Recipe(view=told["view"], members=members)
    study = studies.find(told["study"]).asked(recipe)
    source = open_labelled_data(told["data"], study)
    split, _ = frozen_split(source, told["mode"])
    arrays = read_prepared(source.store, study, recipe.view, source.positions)
    return build_dataset(source, arrays, split, recipe, told["budget"])


def _fit_here(
    config: Mapping[str, Any], lesson: Dataset, member: Member, turn: int, seed: int, told: Told
) -> FittedMember:
    """In the trial's own process."""

    def on_epoch(epoch: Epoch, state: TrainingState) -> bool:
        told(vars(epoch))
        return True

    return train_member(lesson, from_dict(config["recipe"]), member, seed, on_epoch)


def _fit_together(
    config: Mapping[str, Any], lesson: Dataset, member: Member, turn: int, seed: int, told: Told
) -> FittedMember:
    """By workers of the trial's, who go on from their checkpoint where there is one."""
    place, recipe = config["place"], from_dict(config["recipe"])
    run = build_run(lesson, recipe, member, seed)
    network = build_member(lesson.study, member, lesson.arrays.shape, seed)  # one that cannot be built fails here
    name = network_name(member.name, turn, max(1, recipe.folds))
    task = {
        **{key: place[key] for key in ("data", "out", "mode", "budget")}, "study": config["study"],
        "recipe": config["recipe"], "member": member.name, "turn": turn, "seed": seed, "weights": None,
        "name": name, "folder": f"{place['checkpoints']}/{config['number']:05d}",
    }  # fmt: skip
    state = Checkpoints(store=open_store(place["out"]), folder=task["folder"], name=name).latest()
    for epoch in state.history if state else ():
        told(vars(epoch))
    state = run_workers(task, WorkerResources(**config["room"]), told, f"{config['number']:05d}-{name}")
    network = network.to(run.device)
    network.load_state_dict(state.best)
    return network.eval(), state


def pack(verdict: Evaluation, rows: pa.Table) -> bytes:
    """The answers to the headline's target with the rows they are of, as Parquet."""
    name = verdict.study.headline.partition(".")[0]
    there = verdict.truth[name] != MISSING
    labelled = pa.array(np.flatnonzero(there))
    table = verdict.rows(rows).select([*ROW, "patient"]).take(labelled)
    for column, values in (("truth", verdict.truth), ("predicted", verdict.predicted)):
        table = table.append_column(column, pa.array(values[name][there]))
    table = table.append_column("p", pa.array(list(verdict.p[name][there])))
    held = io.BytesIO()
    pq.write_table(table, held)
    return held.getvalue()


def unpack(one: bytes, other: bytes) -> tuple[Answers, Answers]:
    """Two trials' answers to the rows that both were asked about, in one order."""
    tables = [
        {tuple(row[key] for key in ROW): row for row in pq.read_table(io.BytesIO(d)).to_pylist()} for d in (one, other)
    ]
    both = sorted(tables[0].keys() & tables[1].keys(), key=str)
    first, second = (_answers([table[key] for key in both]) for table in tables)
    return first, second


def _answers(rows: list[dict[str, Any]]) -> Answers:
    return Answers(
        truth=np.array([row["truth"] for row in rows], np.int64),
        predicted=np.array([row["predicted"] for row in rows], np.int64),
        p=np.array([row["p"] for row in rows], np.float64),
        patients=np.array([row["patient"] for row in rows], np.str_),
    )
