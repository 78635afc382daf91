"""rajobs tune: search a study's space for a better recipe.

The driver alone writes, a row a trial that has ended; a second start reads them and does what is left, on whatever
cluster there is. Nothing of Ray's own state is needed to go on.
"""

import contextlib
import dataclasses
import importlib.util
import json
import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import ray.tune

from rajobs import studies
from rajobs.jobs import cluster, console
from rajobs.jobs.train.dataset import frozen_split, open_labelled_data, prepare
from rajobs.jobs.train.worker import WorkerResources, check_workers
from rajobs.jobs.tune import resources
from rajobs.jobs.tune.search import (
    Deadline,
    Row,
    SuccessiveHalving,
    TrialRecorder,
    TrialSearcher,
    TrialStore,
    ended_trials,
    importance,
)
from rajobs.jobs.tune.trial import run_trial, unpack
from rajobs.learning.ensemble import build_member, scale_epochs
from rajobs.learning.networks import architectures
from rajobs.learning.recipe import Recipe, from_dict, to_toml
from rajobs.learning.space import Space, read_space, space_text
from rajobs.learning.study import Study
from rajobs.records import metrics
from rajobs.records.errors import DataError, NotThereYet, RajobsError, UsageError
from rajobs.records.manifest import MANIFEST, RUN, claim, digest, put_manifest, read_manifest, refuse_others
from rajobs.records.store import absolute, open_store, read_text
from rajobs.reports.sweep_page import PairedDifference, SweepFacts, TrialRow, sweep_page

PAGE = "report.html"
BEST = "best.toml"
MOST_RESTARTS = 2  # times that a trial whose process or node is lost is begun again
TRIALS = "trials.parquet"


@dataclass(frozen=True, kw_only=True)
class TuneRequest:
    """What a person asks of tune."""

    study: str
    data: str
    out: str
    space: str | None = None
    trials: int = 24
    hours: float | None = None
    until: str | None = None
    mode: str = "clean"
    budget: float = 1.0
    workers: int = 1
    ray: str | None = None


def tune(order: TuneRequest) -> str:
    """Search until there are as many trials as asked for, or the time is up; the place of the best recipe."""
    study = studies.find(order.study)
    space = _space(order, study)
    for name in {*space.first, space.base}:
        check_workers(study.recipe(name), order.workers)
    study = study.asked(study.recipe(space.base))
    deadline = _check(order)
    source = open_labelled_data(order.data, study)
    refuse_others(open_store(order.out), "a sweep")
    store = open_store(f"{order.out}/{study.name}")
    _, split_hash = frozen_split(source, order.mode)
    views = _views(study, space)
    asked = {
        "study": study.name, "mode": order.mode, "budget": order.budget,
        "space": digest([space.base, space.first, [vars(axis) for axis in space.axes]]),
    }  # fmt: skip
    # Data may grow under one OUT, and trials begin anew; another search would take the place of this one's recipe.
    claim(store, "tune", {"key": source.key, **asked}, shared=True)
    search = TrialStore(store=store, identity={**asked, "data": source.data_hash, "split": split_hash})
    held, done = len(ended_trials(search.rows())), read_manifest(store)
    if held >= order.trials and done and done["input"] == digest(search.identity):
        console.line(f"nothing to do: {order.out}/{study.name} holds {held} trials already")
        return f"{order.out}/{study.name}/{BEST}"
    if done and done["input"] != digest(search.identity):
        console.line(
            f"the data have changed since this sweep ended: {BEST} stays until a trial on them has come to its end"
        )
    shapes = [prepare(source, view, order.ray).shape for view in views]
    if held < order.trials:
        store.delete(MANIFEST)
        with cluster.connected(order.ray):
            _search(order, study, space, search, deadline, max(shapes))
    return _finish(order, study, space, search, deadline)


def _check(order: TuneRequest) -> Deadline:
    """Refuse what cannot be meant; when the sweep ends."""
    if order.workers < 1:
        raise UsageError(f"--workers must be 1 or more, not {order.workers}")
    if order.trials < 1 or not 0 < order.budget <= 1:
        raise UsageError("--trials must be 1 or more, --budget above 0 and at most 1")
    if order.hours is not None and order.until is not None:
        raise UsageError("--hours and --until both say when to end; give one of them")
    if order.until is not None:
        return Deadline(at=_next(order.until))
    if order.hours is None:
        return Deadline()
    if not 0 < order.hours < math.inf:
        raise UsageError(f"--hours must be above 0, not {order.hours:g}")
    return Deadline(at=time.time() + order.hours * 3600)


def _next(clock: str) -> float:
    """The next time that the local clock shows this."""
    try:
        wanted = datetime.strptime(clock, "%H:%M").time()
    except ValueError:
        raise UsageError(f"--until takes a time of day as 07:00, not {clock!r}") from None
    now = datetime.now()
    at = datetime.combine(now.date(), wanted)
    return (at if at > now else at + timedelta(days=1)).timestamp()


def _space(order: TuneRequest, study: Study) -> Space:
    if order.space is None:
        return read_space(space_text(study.name), study)
    return read_space(read_text(order.space, "space file"), study)


def _views(study: Study, space: Space) -> list[Mapping[str, Any]]:
    """The distinct views of a sweep, each to be prepared once: the fixed recipes have their own, whatever is turned."""
    fixed, recipes = [study.recipe(name) for name in space.first], [study.recipe(space.base)]
    turned = [axis for axis in space.axes if axis.setting.startswith("view.")]
    for axis in turned:
        if not axis.choices:
            raise NotThereYet(f"axis {axis.setting}: a view setting needs choices, since each is prepared once")
        recipes = [space.recipe(recipe, {axis.setting: value}) for recipe in recipes for value in axis.choices]
    distinct = {study.view.identity(recipe.view): recipe.view for recipe in (*fixed, *recipes)}
    return list(distinct.values())


def _search(
    order: TuneRequest, study: Study, space: Space, search: TrialStore, deadline: Deadline, shape: tuple[int, ...]
) -> None:
    """Run the trials that are missing; the same numbers get the same seeds."""
    rows = search.rows()
    taken = {row["number"] for row in ended_trials(rows)}
    todo = [number for number in range(order.trials) if number not in taken]
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    if os.environ.get("MLFLOW_TRACKING_URI") and importlib.util.find_spec("mlflow") is None:
        console.line("MLFLOW_TRACKING_URI is set, but mlflow is not installed: it is not told of the trials")
    there = resources.Cluster.now()

    def needs(recipe: Recipe) -> dict[str, Any]:
        room = there.room(order.workers, _largest(study, recipe, shape))
        return {"epochs": _epochs(recipe, order.budget), "room": dataclasses.asdict(room)}

    base = study.recipe(space.base)
    room = there.room(order.workers, _largest(study, base, shape))
    resources.check_room(there, room)
    place = {
        "data": absolute(order.data), "out": absolute(f"{order.out}/{study.name}"), "mode": order.mode,
        "budget": order.budget, "workers": order.workers, "deadline": deadline.at, "rows": search.folder,
        "checkpoints": f"checkpoints/{digest(search.identity)}",
    }  # fmt: skip
    ends = [{axis.setting: value} for axis in space.axes for value in axis.choices or (axis.low, axis.high)]
    longest = max(_epochs(recipe, order.budget) for recipe in (base, *(space.recipe(base, end) for end in ends)))
    halving = SuccessiveHalving(deadline=deadline, epochs=longest)
    asker = TrialSearcher(study=study, space=space, todo=todo, rows=rows, place=place, deadline=deadline, needs=needs)
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(resources.exclusive_sweep(digest([place["out"], search.identity])))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rajobs-tune-"))
        progress = stack.enter_context(console.Progress("trials", len(todo)))
        ray.tune.Tuner(
            ray.tune.with_resources(
                run_trial, lambda config: resources.request(WorkerResources(**config["room"]), name)
            ),
            tune_config=ray.tune.TuneConfig(
                search_alg=asker,
                scheduler=halving,
                num_samples=len(todo),
                max_concurrent_trials=there.at_once(room) if order.workers > 1 else None,
                reuse_actors=order.workers == 1,  # a stopped trial's workers end with its process
                trial_dirname_creator=lambda trial: f"{trial.config['number']:05d}",
            ),
            run_config=ray.tune.RunConfig(
                storage_path=folder,
                verbose=0,
                callbacks=[TrialRecorder(search=search, progress=progress, halving=halving)],
                failure_config=ray.tune.FailureConfig(max_failures=MOST_RESTARTS),
            ),
        ).fit()


def _epochs(recipe: Recipe, budget: float) -> int:
    """Epochs of all of a recipe's networks, one after another."""
    each = [scale_epochs(recipe.training_of(member), budget).epochs for member in recipe.members]
    return sum(each) * max(1, recipe.folds)


def _largest(study: Study, recipe: Recipe, shape: tuple[int, ...]) -> int:
    """Parameters of a recipe's largest network; of one that cannot be built, its trial tells."""
    try:
        return max(architectures.parameters(build_member(study, member, shape, 0)) for member in recipe.members)
    except RajobsError:
        return 0


def _finish(order: TuneRequest, study: Study, space: Space, search: TrialStore, deadline: Deadline) -> str:
    """Write the tables, the recipe and the page anew."""
    import pandas as pd

    store, rows = search.store, search.rows()
    whole = [row for row in rows if row["state"] == "finished" and row["score"] is not None]
    if not whole and not (deadline.over() and len(ended_trials(rows)) < order.trials):
        if not store.stat(BEST):  # there is no recipe to keep from others: a mended space may have this place
            store.delete(RUN)
        causes = sorted({row["cause"] for row in rows if row["cause"]})
        raise DataError(
            f"no trial of {study.name} came to its end; {causes[0] if causes else 'all were stopped early'}"
        )
    best = max(whole, key=lambda row: (row["score"], -row["number"])) if whole else None
    for key in (MANIFEST, TRIALS, PAGE, *((BEST,) if best is not None else ())):
        store.delete(key)
    flat = [{**row, "settings": json.dumps(row["settings"]), "recipe": json.dumps(row["recipe"])} for row in rows]
    store.put(TRIALS, pd.DataFrame(flat).to_parquet(index=False))
    if best is not None:
        store.put(BEST, to_toml(from_dict(best["recipe"])).encode())
    facts = SweepFacts(
        budget=order.budget,
        wanted=order.trials,
        importance=importance(space, ended_trials(rows)),
        best=None if best is None else BEST,
        comparison=None if best is None else compare(study, search, best, whole),
    )
    store.put(PAGE, sweep_page(study, [trial_row(row) for row in rows], facts).encode())
    if len(ended_trials(rows)) >= order.trials:
        put_manifest(store, {"job": "tune", "input": digest(search.identity), "trials": len(rows)})
    _summary(order, study, rows, best, facts.comparison)
    return f"{order.out}/{study.name}/{BEST}"


def trial_row(row: Row) -> TrialRow:
    """A stored trial as the page shows it."""
    names = ("number", "name", "state", "score", "settings", "epochs", "hours", "cause")
    return TrialRow(**{name: row[name] for name in names}, curve=tuple(row["curve"]))


def compare(
    study: Study, search: TrialStore, best: Mapping[str, Any], whole: Sequence[Mapping[str, Any]]
) -> PairedDifference | None:
    """The best trial beside trial 0 on the rows that both were asked about; None where they are one, or 0 failed."""
    first = next((row for row in whole if row["number"] == 0 and row["fixed"]), None)
    if first is None or first["number"] == best["number"]:
        return None
    keys = [search.answers_key(row["number"]) for row in (best, first)]
    if not all(search.store.stat(key) for key in keys):
        return None  # of a version that kept none
    one, other = unpack(*(search.store.get(key) for key in keys))
    if not len(one.truth):
        return None
    found = metrics.lead(metrics.METRICS[study.headline.partition(".")[2]], one, other)
    if math.isnan(found["value"]):
        return None
    patients = len(set(one.patients.tolist()))
    return PairedDifference(
        against=f"the {first['name']} recipe" if first["name"] else "trial 0", difference=found["value"],
        low=found["low"], high=found["high"],
        on=f"{len(one.truth)} {study.rows} of {patients} patients of the validation part",
    )  # fmt: skip


def _summary(
    order: TuneRequest,
    study: Study,
    rows: Sequence[Row],
    best: Mapping[str, Any] | None,
    comparison: PairedDifference | None,
) -> None:
    told: dict[str, object] = {"best": "none came to its end yet"}
    if best is not None:
        told["best"] = f"{best['name'] or best['number']}, {console.figure({**best, 'value': best['score']})}"
    if comparison:
        told[f"less {comparison.against}"] = f"{console.figure(comparison.figure)}; {comparison.verdict}"
    told |= {row["name"]: f"{row['score']:.3f}" for row in rows if row["fixed"] and row["score"] is not None}
    told["failed"] = sum(row["state"] == "failed" for row in rows)
    left = order.trials - len(ended_trials(rows))
    if left > 0:
        told["left"] = f"{left} trials; the same command goes on with them"
    console.table(f"{study.name}: {len(rows)} trials, scored by {study.headline} on the validation part", told)
    recipe = f"recipe: {order.out}/{study.name}/{BEST}\n" if best is not None else ""
    console.line(f"{recipe}report: {order.out}/{study.name}/{PAGE}")
