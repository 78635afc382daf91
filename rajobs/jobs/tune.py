"""rajobs tune: search a study's space for a better recipe.

The driver alone writes, a row a trial that has ended; a second start reads them and does what is left, on whatever
cluster there is. Nothing of Ray's own state is needed to go on.
"""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
import ray.tune

from rajobs import studies
from rajobs.jobs import cluster, say
from rajobs.jobs.lesson import lesson_of, open_source, prepare, split_of
from rajobs.jobs.search import Asker, Clerk, Halving, Search, importance
from rajobs.learning.bundle import Model, Trained
from rajobs.learning.ensemble import fit_member
from rajobs.learning.judge import judge_turns
from rajobs.learning.prepared import read_prepared
from rajobs.learning.recipe import Recipe, from_dict, to_toml
from rajobs.learning.space import Space, read_space, space_text
from rajobs.learning.state import Epoch, State
from rajobs.learning.study import Study
from rajobs.learning.turns import turns
from rajobs.records.errors import DataError, NotThereYet, UsageError
from rajobs.records.manifest import digest, refuse_others
from rajobs.records.store import absolute, open_store, read_text
from rajobs.reports.sweep import sweep_page

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asks of tune."""

    study: str
    data: str
    out: str
    space: str | None = None
    trials: int = 24
    mode: str = "clean"
    budget: float = 1.0
    workers: int = 1
    ray: str | None = None


def tune(order: Order) -> str:
    """Search until there are as many trials as asked for; the place of the best recipe."""
    study = studies.find(order.study)
    space = _space(order, study)
    if order.workers != 1:
        raise NotThereYet("this version tunes with one worker a trial; leave --workers out")
    if order.trials < 1 or not 0 < order.budget <= 1:
        raise UsageError("--trials must be 1 or more, --budget above 0 and at most 1")
    source = open_source(order.data, study)
    refuse_others(open_store(order.out), "a sweep")
    store = open_store(f"{order.out}/{study.name}")
    _, split_hash = split_of(source, order.mode)
    identity = {
        "study": study.name, "data": source.data_hash, "split": split_hash, "mode": order.mode, "budget": order.budget,
        "space": digest([space.base, space.first, [vars(axis) for axis in space.axes]]),
    }  # fmt: skip
    search = Search(store=store, identity=identity)
    ended = search.ended()
    if len(ended) >= order.trials and store.stat(PAGE):
        say.line(f"nothing to do: {order.out}/{study.name} holds {len(ended)} trials already")
        return f"{order.out}/{study.name}/best.toml"
    for view in _views(study, space):
        prepare(source, view, order.ray)
    if len(ended) < order.trials:
        with cluster.connected(order.ray):
            _search(order, study, space, search, ended)
    return _finish(order, study, space, search)


def _space(order: Order, study: Study) -> Space:
    if order.space is None:
        return read_space(space_text(study.name), study)
    return read_space(read_text(order.space, "space file"), study)


def _views(study: Study, space: Space) -> list[Mapping[str, Any]]:
    """The distinct views of a sweep, each to be prepared once."""
    recipes = [study.recipe(name) for name in (*space.first, space.base)]
    turned = [axis for axis in space.axes if axis.setting.startswith("view.")]
    for axis in turned:
        if not axis.choices:
            raise NotThereYet(f"axis {axis.setting}: a view setting needs choices, since each is prepared once")
        recipes = [space.recipe(recipe, {axis.setting: value}) for recipe in recipes for value in axis.choices]
    distinct = {study.view.identity(recipe.view): recipe.view for recipe in recipes}
    return list(distinct.values())


def _search(order: Order, study: Study, space: Space, search: Search, ended: list[dict[str, Any]]) -> None:
    """Run the trials that are missing; the same numbers get the same seeds."""
    taken = {row["number"] for row in ended}
    todo = [number for number in range(order.trials) if number not in taken]
    if not todo:
        return
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    recipes = [study.recipe(name) for name in (*space.first, space.base)]
    epochs = max(recipe.training.epochs * len(recipe.members) * max(1, recipe.folds) for recipe in recipes)
    place = {"data": absolute(order.data), "study": study.name, "mode": order.mode, "budget": order.budget}
    gpus = ray.cluster_resources().get("GPU", 0)
    with tempfile.TemporaryDirectory(prefix="rajobs-tune-") as folder, say.Progress("trials", len(todo)) as progress:
        results = ray.tune.Tuner(
            ray.tune.with_resources(run_trial, {"cpu": 1, "gpu": 1 if gpus else 0}),
            tune_config=ray.tune.TuneConfig(
                search_alg=Asker(study=study, space=space, todo=todo, ended=ended, place=place),
                scheduler=Halving(
                    time_attr="epoch", metric="score", mode="max", max_t=max(2, round(epochs * order.budget)),
                    grace_period=max(1, round(epochs * order.budget / 9)), reduction_factor=3,
                ),
                num_samples=len(todo),
                trial_dirname_creator=lambda trial: f"{trial.config['number']:05d}",
            ),
            run_config=ray.tune.RunConfig(
                storage_path=folder, verbose=0, callbacks=[Clerk(search=search, progress=progress)]
            ),
        )  # fmt: skip
        results.fit()


def run_trial(config: dict[str, Any]) -> None:
    """One trial, in its own process; whatever goes wrong in it is its row's cause, and the sweep goes on."""
    try:
        _run_trial(config)
    except Exception as error:  # noqa: BLE001 - a recipe can fail in any way that torch can
        text = str(error).strip().splitlines()
        cause = f"{type(error).__name__}: {text[0] if text else ''}"[:300]
        ray.tune.report({"epoch": 0, "score": math.nan, "loss": math.nan, "low": None, "high": None, "failed": cause})


def _run_trial(config: dict[str, Any]) -> None:
    """The same loop as train, told of epoch by epoch."""
    study, place = studies.find(config["study"]), config["place"]
    recipe = from_dict(config["recipe"])
    source = open_source(place["data"], study)
    split, _ = split_of(source, place["mode"])
    arrays = read_prepared(source.store, study, recipe.view, source.positions)
    lesson = lesson_of(source, arrays, split, place["budget"])
    lessons, done = turns(lesson, recipe.folds), 0
    trained: dict[str, list[Trained]] = {}

    def told(epoch: Epoch, state: State) -> bool:
        score = math.nan if epoch.metric is None else epoch.metric
        ray.tune.report({"epoch": done + epoch.epoch, "score": score, "loss": epoch.loss, "low": None, "high": None})
        return True

    for number, member in enumerate(recipe.members):
        for mine in lessons:
            network, state = fit_member(mine, recipe, member, config["number"] * 1000 + number, told)
            trained.setdefault(member.name, []).append(Trained(network=network.eval(), temperature={}))
            done += len(state.history)
    device = str(next(network.parameters()).device)
    model = Model(study=study, recipe=recipe, shape=arrays.shape, hash="", trained=trained, device=device)
    figure = judge_turns(model, lessons).figures()[study.headline]
    told_last = {name: figure[name] for name in ("low", "high")}
    ray.tune.report({"epoch": done, "score": figure["value"], "loss": math.nan, "last": True, **told_last})


def _finish(order: Order, study: Study, space: Space, search: Search) -> str:
    import pandas as pd

    store, ended = search.store, search.ended()
    whole = [row for row in ended if row["state"] == "finished" and row["score"] is not None]
    if not whole:
        causes = sorted({row["cause"] for row in ended if row["cause"]})
        raise DataError(
            f"no trial of {study.name} came to its end; {causes[0] if causes else 'all were stopped early'}"
        )
    best = max(whole, key=lambda row: (row["score"], -row["number"]))
    recipe: Recipe = from_dict(best["recipe"])
    for key in ("trials.parquet", "best.toml", PAGE):
        store.delete(key)
    flat = [{**row, "settings": json.dumps(row["settings"]), "recipe": json.dumps(row["recipe"])} for row in ended]
    frame = pd.DataFrame(flat)
    store.put("trials.parquet", frame.to_parquet(index=False))
    store.put("best.toml", to_toml(recipe).encode())
    facts = {
        **search.identity,
        "best": "best.toml",
        "importance": importance(space, ended),
        "headline": study.headline,
    }
    store.put(PAGE, sweep_page(study, ended, facts).encode())
    say.table(
        f"{study.name}: {len(ended)} trials, scored by {study.headline} on the validation part",
        {
            "best": f"{best['name'] or best['number']}, {best['score']:.3f} ({best['low']:.3f} to {best['high']:.3f})",
            **{row["name"]: f"{row['score']:.3f}" for row in ended if row["fixed"] and row["score"] is not None},
            "failed": sum(row["state"] == "failed" for row in ended),
        },
    )
    say.line(f"recipe: {order.out}/{study.name}/best.toml\nreport: {order.out}/{study.name}/{PAGE}")
    return f"{order.out}/{study.name}/best.toml"
