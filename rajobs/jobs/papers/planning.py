"""What is left of the papers' protocols, how long it takes here, and the budget that it gets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rajobs.jobs import console
from rajobs.jobs.builtin import NAME
from rajobs.jobs.train.estimate import Timed, TrainingTime, estimate_training
from rajobs.jobs.train.job import TrainRequest
from rajobs.learning.networks.starting_weights import apply_weights_option
from rajobs.learning.recipe import NONE
from rajobs.papers.protocols import PaperRun
from rajobs.records.errors import DataError, NotThereYet
from rajobs.records.manifest import to_json
from rajobs.records.store import open_store

PLAN = "plan.json"
MISSING_DATA = (DataError, NotThereYet)
"""What says that the data do not allow a protocol: too few rows of a class, no clinic table, no split."""

BUDGETS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.06, 0.04, 0.03, 0.02, 0.01)
MOST_SECONDS = 2 * 3600.0
MARGIN = 0.85  # of the time: reading, drawing arrays and making pages are not estimated


@dataclass(frozen=True, kw_only=True)
class PapersRequest:
    """What a person asks of papers."""

    data: str
    out: str
    only: tuple[str, ...] = ()  # numbers of papers; empty: all
    budget: float | None = None  # of the recipes that are meant for GPUs; None: so that all fits into two hours
    weights: str | None = None  # as of train, for the recipes that start from some
    finders: str = NAME
    ray: str | None = None
    take_over: bool = False


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """A run with its budget, which stays the same when the job is started again."""

    run: PaperRun
    budget: float
    missing: Mapping[str, str]  # by mode, why the data do not allow it


@dataclass(frozen=True, kw_only=True)
class TimedRun:
    """A run with the time that each of its modes takes."""

    run: PaperRun
    times: Mapping[str, TrainingTime]
    missing: Mapping[str, str]
    budget: float | None = None  # that it got before

    def seconds(self, budget: float) -> float:
        """Its time if recipes that are meant for GPUs have this budget; each trained network answers twice."""
        own = self.budget or (budget if self.run.is_heavy else 1.0)
        return sum(time.seconds(own) + time.seconds_of_answers() for time in self.times.values())


def train_request(request: PapersRequest, run: PaperRun, mode: str, budget: float = 1.0) -> TrainRequest:
    """What train is asked for; weights are for those recipes alone that start from some."""
    starts = any(member.weights != NONE for member in run.declared_recipe.members)
    return TrainRequest(
        study=run.study, data=request.data, out=f"{request.out}/{run.place}/models", recipe=run.recipe,
        weights=request.weights if starts else None, finders=request.finders, mode=mode, budget=budget,
        ray=request.ray, take_over=request.take_over,
    )  # fmt: skip


def plan_runs(request: PapersRequest, runs: Sequence[PaperRun]) -> list[RunPlan]:
    """Measure each run, choose a budget for those that have none, show the plan and keep it."""
    if not runs:
        return []
    timed = [_measure(request, run) for run in runs]
    budget = request.budget or choose_budget(timed)
    _show(timed, budget)
    store, plans = open_store(request.out), []
    for each in timed:
        own = each.budget or (budget if each.run.is_heavy else 1.0)
        if each.budget is None and each.times:
            store.put(f"{each.run.place}/{PLAN}", to_json({"budget": own}))
        plans.append(RunPlan(run=each.run, budget=own, missing=each.missing))
    return plans


def _measure(request: PapersRequest, run: PaperRun) -> TimedRun:
    """The time of each mode; the text of the error for a mode that the data do not allow."""
    store, key = open_store(request.out), f"{run.place}/{PLAN}"
    before = json.loads(store.get(key))["budget"] if store.stat(key) else None
    times, missing = {}, {}
    for mode in run.modes:
        asked = train_request(request, run, mode)
        timed = Timed(
            study=run.study, data=request.data, recipe=apply_weights_option(run.declared_recipe, asked.weights),
            finders=request.finders, mode=mode,
        )  # fmt: skip
        try:
            times[mode] = estimate_training(timed, request.ray)
        except MISSING_DATA as error:
            missing[mode] = str(error)
    return TimedRun(run=run, times=times, missing=missing, budget=before)


def choose_budget(timed: Sequence[TimedRun]) -> float:
    """The largest budget of the heavy recipes with which all runs fit into the time."""
    fitting = (each for each in BUDGETS if sum(run.seconds(each) for run in timed) <= MARGIN * MOST_SECONDS)
    return next(fitting, BUDGETS[-1])


def _show(timed: Sequence[TimedRun], budget: float) -> None:
    """One line for each run: its time and budget, or why it is left out."""
    rows: dict[str, str] = {}
    for each in timed:
        own = each.budget or (budget if each.run.is_heavy else 1.0)
        share = f"budget {own:g}" + (", meant for a GPU" if each.run.is_heavy and own < 1 else "")
        modes = " and ".join(each.times)
        line = f"about {console.clock(each.seconds(budget))}, {share}, {modes}" if each.times else "left out"
        rows[f"{each.run.paper} {each.run.name}"] = line
    rows["in all"] = f"about {console.clock(sum(each.seconds(budget) for each in timed))}"
    console.table("what is left to do, by a few steps of each network on this device", rows)
