"""rajobs tune: search a study's space for a better recipe.

The driver alone writes, one result per trial that has ended; a second start reads them and runs what is left, on
whatever cluster there is. Nothing of Ray's own state is needed to resume.
"""

import importlib.util
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import ray.tune

from rajobs import studies
from rajobs.jobs import cluster, console
from rajobs.jobs.builtin import NAME
from rajobs.jobs.train.dataset import LabelledData, open_placed_data, prepare
from rajobs.jobs.train.places import absolute_finders
from rajobs.jobs.train.splits import frozen_split
from rajobs.jobs.train.worker import WorkerResources, check_workers
from rajobs.jobs.tune import resources
from rajobs.jobs.tune.results import ResultStore, TrialRecorder, TrialResult, ended_trials
from rajobs.jobs.tune.search import Candidates, Deadline, SuccessiveHalving, TrialSearcher, importance
from rajobs.jobs.tune.trial import run_trial, unpack_answers
from rajobs.jobs.tune.trial_config import SweepPlace, TrialConfig
from rajobs.learning.ensemble import build_member
from rajobs.learning.networks import architectures
from rajobs.learning.recipe import Recipe, Settings, to_dict, to_toml
from rajobs.learning.space import Space, read_space, space_text
from rajobs.learning.study import Study
from rajobs.learning.training.members import scale_epochs
from rajobs.records import metrics
from rajobs.records.errors import DataError, NotThereYet, RajobsError, UsageError
from rajobs.records.manifest import (
    MANIFEST,
    RUN,
    check_claim,
    claim,
    digest,
    put_manifest,
    read_manifest,
    refuse_others,
)
from rajobs.records.store import absolute, lease, open_store, read_text
from rajobs.reports.sweep_page import PairedDifference, SweepFacts, TrialRow, sweep_page

PAGE = "report.html"
BEST = "best.toml"
TRIALS = "trials.parquet"
MOST_RESTARTS = 2  # times that a trial whose process or node is lost begins again


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
    finders: str = NAME
    ray: str | None = None
    take_over: bool = False


def tune(request: TuneRequest) -> str:
    """Search until there are as many trials as asked for, or the time is up; the place of the best recipe."""
    study = studies.find(request.study)
    space = _read_space(request, study)
    for name in {*space.first, space.base}:
        check_workers(study.recipe(name), request.workers)
    study = study.for_recipe(study.recipe(space.base))
    deadline = _deadline(request)
    source = open_placed_data(request.data, study, request.finders, request.ray, request.mode)
    refuse_others(open_store(request.out), "a sweep")
    place = f"{request.out}/{study.name}"
    store = open_store(place)
    split, split_hash = frozen_split(source, request.mode)
    if "validation" not in split.column("split").to_pylist():
        raise UsageError(
            f"paper {study.paper} has no validation part, by which a sweep of {study.name} could choose: leave "
            f"--mode {request.mode} out"
        )
    views = _distinct_views(study, space)
    search = {
        "study": study.name, "mode": request.mode, "budget": request.budget,
        "space": digest([space.base, space.first, [vars(axis) for axis in space.axes]]),
    }  # fmt: skip
    # Data may grow under one OUT, and trials then begin anew; another search would take the place of this one's recipe.
    identity = {"key": source.key, **search}
    check_claim(store, "tune", identity, shared=True)
    results = ResultStore(store=store, identity={**search, **_data_identity(source), "split": split_hash})
    ended, manifest = len(ended_trials(results.results())), read_manifest(store)
    same_input = manifest is not None and manifest["input"] == digest(results.identity)
    if same_input and ended >= request.trials:
        console.line(f"nothing to do: {place} holds {ended} trials already")
        return f"{place}/{BEST}"
    with lease.hold(store, "tune", take_over=request.take_over) as fence:
        claim(store, "tune", identity, shared=True)
        if manifest is not None and not same_input:
            console.line(
                f"the data have changed since this sweep ended: {BEST} stays until a trial on them has finished"
            )
        results = replace(results, fence=fence)
        if ended < request.trials:
            token = digest([absolute(place), results.identity])
            with cluster.connected(request.ray), resources.exclusive_sweep(token) as name:
                # Drawing waits for cores: only now is free what a sweep without a driver held.
                shapes = [prepare(source, view, request.ray).shape for view in views]
                results.check_fence()
                store.delete(MANIFEST)
                _search(request, study, space, results, deadline, max(shapes), name)
        results.check_fence()
        return _finish(request, study, space, results, deadline)


def _data_identity(source: LabelledData) -> dict[str, object]:
    """What trials learn from: the data, and the models that place joints where labels are silent."""
    finders = {"finders": list(source.finders.hashes)} if source.finders is not None else {}
    return {"data": source.data_hash, **finders}


def _deadline(request: TuneRequest) -> Deadline:
    """When the sweep ends; a request that cannot be meant is refused."""
    if request.workers < 1:
        raise UsageError(f"--workers must be 1 or more, not {request.workers}")
    if request.trials < 1 or not 0 < request.budget <= 1:
        raise UsageError("--trials must be 1 or more, --budget above 0 and at most 1")
    if request.hours is not None and request.until is not None:
        raise UsageError("--hours and --until both say when to end; give one of them")
    if request.until is not None:
        return Deadline(at=_next_time(request.until))
    if request.hours is None:
        return Deadline()
    if not 0 < request.hours < math.inf:
        raise UsageError(f"--hours must be above 0, not {request.hours:g}")
    return Deadline(at=time.time() + request.hours * 3600)


def _next_time(clock: str) -> float:
    """The next time that the local clock shows this."""
    try:
        wanted = datetime.strptime(clock, "%H:%M").time()
    except ValueError:
        raise UsageError(f"--until takes a time of day as 07:00, not {clock!r}") from None
    now = datetime.now()
    at = datetime.combine(now.date(), wanted)
    return (at if at > now else at + timedelta(days=1)).timestamp()


def _read_space(request: TuneRequest, study: Study) -> Space:
    if request.space is None:
        return read_space(space_text(study.name), study)
    return read_space(read_text(request.space, "space file"), study)


def _distinct_views(study: Study, space: Space) -> list[Settings]:
    """The distinct views of a sweep, each of which is prepared once; the fixed recipes keep their own."""
    fixed, recipes = [study.recipe(name) for name in space.first], [study.recipe(space.base)]
    for axis in (axis for axis in space.axes if axis.setting.startswith("view.")):
        if not axis.choices:
            raise NotThereYet(f"axis {axis.setting}: a view setting needs choices, since each is prepared once")
        recipes = [space.recipe(recipe, {axis.setting: value}) for recipe in recipes for value in axis.choices]
    return list({study.view.identity(recipe.view): recipe.view for recipe in (*fixed, *recipes)}.values())


def _search(
    request: TuneRequest, study: Study, space: Space, results: ResultStore, deadline: Deadline, shape: tuple[int, ...],
    name: str,
) -> None:  # fmt: skip
    """Run the trials that are missing; the same numbers get the same seeds. `name` is the sweep's on the cluster."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    if os.environ.get("MLFLOW_TRACKING_URI") and importlib.util.find_spec("mlflow") is None:
        console.line("MLFLOW_TRACKING_URI is set, but mlflow is not installed: trials are not logged there")
    nodes = resources.ClusterNodes.now()
    base, ended = study.recipe(space.base), ended_trials(results.results())
    takes = nodes.resources(request.workers, _most_parameters(study, base, shape))
    resources.check_fits(nodes, takes)
    candidates = _candidates(study, space, results.results(), request.trials)
    place = SweepPlace(
        data=absolute(request.data), finders=absolute_finders(request.finders),
        out=absolute(f"{request.out}/{study.name}"), mode=request.mode, budget=request.budget,
        deadline=deadline.at, answers=results.folder, checkpoints=f"checkpoints/{digest(results.identity)}",
        run=results.run,
    )  # fmt: skip

    def configure(number: int, name: str, settings: Mapping[str, Any], recipe: Recipe) -> TrialConfig:
        return TrialConfig(
            number=number, name=name, fixed=bool(name), settings=settings, recipe=recipe, study=study.name,
            place=place, epochs=_epochs(recipe, request.budget),
            resources=nodes.resources(request.workers, _most_parameters(study, recipe, shape)),
        )  # fmt: skip

    halving = SuccessiveHalving(deadline=deadline, epochs=_longest(space, base, request.budget))
    searcher = TrialSearcher(candidates=candidates, past=ended, deadline=deadline, configure=configure)
    with (
        console.Progress("trials", len(candidates.numbers)) as progress,
        _tuner(
            request, searcher, halving, TrialRecorder(results=results, progress=progress, halving=halving),
            most_at_once=nodes.at_once(takes) if request.workers > 1 else None, name=name,
            samples=len(candidates.numbers),
        ) as tuner,
    ):  # fmt: skip
        tuner.fit()


@contextmanager
def _tuner(
    request: TuneRequest,
    searcher: TrialSearcher,
    halving: SuccessiveHalving,
    recorder: TrialRecorder,
    *,
    most_at_once: int | None,
    name: str,
    samples: int,
) -> Iterator[ray.tune.Tuner]:
    def request_resources(config: Mapping[str, Any]) -> resources.TrialPlacementGroup:
        return resources.placement_request(WorkerResources(**config["resources"]), name)

    with tempfile.TemporaryDirectory(prefix="rajobs-tune-") as folder:
        yield ray.tune.Tuner(
            ray.tune.with_resources(run_trial, request_resources),
            tune_config=ray.tune.TuneConfig(
                search_alg=searcher,
                scheduler=halving,
                num_samples=samples,
                max_concurrent_trials=most_at_once,
                reuse_actors=request.workers == 1,  # a stopped trial's workers end with its process
                trial_dirname_creator=lambda trial: f"{trial.config['number']:05d}",
            ),
            run_config=ray.tune.RunConfig(
                storage_path=folder,
                verbose=0,
                callbacks=[recorder],
                failure_config=ray.tune.FailureConfig(max_failures=MOST_RESTARTS),
            ),
        )


def _candidates(study: Study, space: Space, results: Sequence[TrialResult], trials: int) -> Candidates:
    ended = {result.number for result in ended_trials(results)}
    numbers = tuple(number for number in range(trials) if number not in ended)
    return Candidates(
        space=space,
        fixed={name: study.recipe(name) for name in space.first},
        base=study.recipe(space.base),
        numbers=numbers,
        repeated={result.number: result.settings for result in results if result.number in numbers},
    )


def _longest(space: Space, base: Recipe, budget: float) -> int:
    """The most epochs that a trial may run, by the ends of all axes."""
    ends = [{axis.setting: value} for axis in space.axes for value in axis.choices or (axis.low, axis.high)]
    return max(_epochs(recipe, budget) for recipe in (base, *(space.recipe(base, end) for end in ends)))


def _epochs(recipe: Recipe, budget: float) -> int:
    """Epochs of all of a recipe's networks, one after another."""
    each = [scale_epochs(recipe.training_of(member), budget).epochs for member in recipe.members]
    if isinstance(recipe.folds, str):
        raise UsageError(f'a sweep takes folds as a number, not "{recipe.folds}"; train leaves centres out')
    return sum(each) * max(1, recipe.folds)


def _most_parameters(study: Study, recipe: Recipe, shape: tuple[int, ...]) -> int:
    """Parameters of a recipe's largest network; if one cannot be built, its trial fails and says why."""
    try:
        return max(architectures.parameters(build_member(study, member, shape, 0)) for member in recipe.members)
    except RajobsError:
        return 0


def _finish(request: TuneRequest, study: Study, space: Space, sweep: ResultStore, deadline: Deadline) -> str:
    """Write the table, the recipe and the page anew."""
    import pandas as pd

    store, results = sweep.store, sweep.results()
    complete, ended = [result for result in results if result.is_complete], ended_trials(results)
    if not complete and not (deadline.is_over() and len(ended) < request.trials):
        if not store.stat(BEST):  # there is no recipe to keep from others: a mended space may have this place
            store.delete(RUN)
        causes = sorted({result.cause for result in results if result.cause})
        raise DataError(f"no trial of {study.name} finished; {causes[0] if causes else 'all were stopped early'}")
    best = max(complete, key=lambda result: (result.score or 0.0, -result.number)) if complete else None
    for key in (MANIFEST, TRIALS, PAGE, *((BEST,) if best is not None else ())):
        store.delete(key)
    store.put(TRIALS, pd.DataFrame([_flat(result) for result in results]).to_parquet(index=False))
    if best is not None:
        store.put(BEST, to_toml(best.recipe).encode())
    facts = SweepFacts(
        budget=request.budget, wanted=request.trials, importance=importance(space, ended),
        best=None if best is None else BEST,
        comparison=None if best is None else compare(study, sweep, best, complete),
    )  # fmt: skip
    store.put(PAGE, sweep_page(study, [_page_row(result) for result in results], facts).encode())
    if len(ended) >= request.trials:
        put_manifest(store, {"job": "tune", "input": digest(sweep.identity), "trials": len(results)})
    _print_summary(request, study, results, best, facts.comparison)
    return f"{request.out}/{study.name}/{BEST}"


def _flat(result: TrialResult) -> dict[str, Any]:
    """A result as a row of trials.parquet."""
    return {
        **result.to_json(), "settings": json.dumps(dict(result.settings)), "recipe": json.dumps(to_dict(result.recipe)),
    }  # fmt: skip


def _page_row(result: TrialResult) -> TrialRow:
    return TrialRow(
        number=result.number, name=result.name, state=result.state, score=result.score, settings=result.settings,
        epochs=result.epochs, hours=result.hours, cause=result.cause, curve=result.curve,
    )  # fmt: skip


def compare(
    study: Study, sweep: ResultStore, best: TrialResult, complete: Sequence[TrialResult]
) -> PairedDifference | None:
    """The best trial less trial 0, on the rows that both answered; None if they are the same, or if 0 failed."""
    first = next((result for result in complete if result.number == 0 and result.fixed), None)
    if first is None or first.number == best.number:
        return None
    keys = [sweep.answers_key(result.number) for result in (best, first)]
    if not all(sweep.store.stat(key) for key in keys):
        return None  # of a version that kept no answers
    one, other = unpack_answers(*(sweep.store.get(key) for key in keys))
    if not len(one.truth):
        return None
    lead = metrics.lead(metrics.METRICS[study.headline.partition(".")[2]], one, other)
    if math.isnan(lead["value"]):
        return None
    patients = len(set(one.patients.tolist()))
    return PairedDifference(
        against=f"the {first.name} recipe" if first.name else "trial 0", difference=lead["value"],
        low=lead["low"], high=lead["high"],
        on=f"{len(one.truth)} {study.rows} of {patients} patients of the validation part",
    )  # fmt: skip


def _print_summary(
    request: TuneRequest,
    study: Study,
    results: Sequence[TrialResult],
    best: TrialResult | None,
    comparison: PairedDifference | None,
) -> None:
    rows: dict[str, object] = {"best": "none has finished yet"}
    if best is not None:
        figure = {"value": best.score, "low": best.low, "high": best.high}
        rows["best"] = f"{best.name or best.number}, {console.figure(figure)}"
    if comparison is not None:
        rows[f"less {comparison.against}"] = f"{console.figure(comparison.figure)}; {comparison.verdict}"
    rows |= {result.name: f"{result.score:.3f}" for result in results if result.fixed and result.score is not None}
    rows["failed"] = sum(result.state == "failed" for result in results)
    left = request.trials - len(ended_trials(results))
    if left > 0:
        rows["left"] = f"{left} trials; the same command runs them"
    console.table(f"{study.name}: {len(results)} trials, scored by {study.headline} on the validation part", rows)
    recipe = f"recipe: {request.out}/{study.name}/{BEST}\n" if best is not None else ""
    console.line(f"{recipe}report: {request.out}/{study.name}/{PAGE}")
