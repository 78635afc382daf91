"""A sweep's parts: what has ended, what is tried next, when a trial is stopped, and who writes it down."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
import ray.tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search import Searcher

from rajobs.jobs import say
from rajobs.learning.recipe import to_dict
from rajobs.learning.space import Axis, Space
from rajobs.learning.study import Study
from rajobs.records.manifest import digest, to_json
from rajobs.records.store import Store

SEED = 0
ENOUGH = 8  # trials from which on the axes' importance can be told


@dataclass(frozen=True, kw_only=True)
class Search:
    """The trials that have ended, a file each: whatever dies, they are there."""

    store: Store
    identity: Mapping[str, Any]

    @property
    def folder(self) -> str:
        return f"trials/{digest(self.identity)}"

    def ended(self) -> list[dict[str, Any]]:
        keys = [entry.key for entry in self.store.list(f"{self.folder}/")]
        return [json.loads(self.store.get(key)) for key in keys]

    def end(self, row: Mapping[str, Any]) -> None:
        self.store.put(f"{self.folder}/{row['number']:05d}.json", to_json(row))


class Asker(Searcher):
    """What is tried next: the fixed recipes first, then what Optuna makes of the trials that have ended."""

    def __init__(
        self, *, study: Study, space: Space, todo: list[int], ended: list[dict[str, Any]], place: dict[str, Any]
    ) -> None:
        super().__init__(metric="score", mode="max")
        self.study, self.space, self.todo, self.place = study, space, list(todo), place
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=SEED + len(ended), multivariate=True)
        self.optuna = optuna.create_study(direction="maximize", sampler=sampler)
        self.asked: dict[str, optuna.Trial] = {}
        remember(self.optuna, space, ended)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if not self.todo:
            return None
        number = self.todo.pop(0)
        values: dict[str, Any] = {}
        if number < len(self.space.first):
            name = self.space.first[number]
            recipe = self.study.recipe(name)
            values = self.space.values(recipe)
        else:
            name = ""
            self.asked[trial_id] = asked = self.optuna.ask(distributions(self.space.axes))
            values = dict(asked.params)
            recipe = self.space.recipe(self.study.recipe(self.space.base), values)
        return {
            "number": number, "name": name, "settings": values, "recipe": to_dict(recipe), "study": self.study.name,
            "fixed": number < len(self.space.first), "place": self.place,
        }  # fmt: skip

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        asked = self.asked.pop(trial_id, None)
        if asked is None:
            return
        score = (result or {}).get("score")
        if error or score is None or math.isnan(score):
            self.optuna.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            self.optuna.tell(asked, score)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the rows of the ended trials are what a second start goes on from."""

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a sweep goes on from its rows, never from Ray's state")


class Halving(AsyncHyperBandScheduler):
    """ASHA, but for the fixed recipes: they are never stopped early."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if trial.config["fixed"]:
            return str(self.CONTINUE)
        return str(super().on_trial_result(tune_controller, trial, result))


class Clerk(ray.tune.Callback):
    """Writes a row of every trial that has ended, the failed ones with their cause."""

    def __init__(self, *, search: Search, progress: say.Progress) -> None:
        self.search, self.progress = search, progress
        self.curves: dict[str, list[float]] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        if not result.get("last") and not math.isnan(result["score"]):
            self.curves.setdefault(trial.trial_id, []).append(result["score"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        last = trial.last_result
        if last.get("failed"):
            self._end(trial, "failed", last["failed"])
        else:
            self._end(trial, "finished" if last.get("last") else "stopped", None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self._end(trial, "failed", "the trial's process died: out of memory, or its node was lost")

    def _end(self, trial: Trial, state: str, cause: str | None) -> None:
        last, config = trial.last_result or {}, trial.config
        score = last.get("score")
        if state == "failed" or (score is not None and math.isnan(score)):
            score = None
        self.search.end({
            **{name: config[name] for name in ("number", "name", "settings", "recipe", "fixed")},
            "state": state, "cause": cause, "epochs": last.get("epoch", 0),
            "score": score, "low": last.get("low"), "high": last.get("high"),
            "hours": last.get("time_total_s", 0.0) / 3600, "curve": self.curves.get(trial.trial_id, []),
        })  # fmt: skip
        reached = "" if score is None else f", {score:.3f}"
        self.progress.step(note=f"{config['name'] or config['number']} {state}{reached}")


def distributions(axes: tuple[Axis, ...]) -> dict[str, optuna.distributions.BaseDistribution]:
    """The axes as Optuna knows them."""
    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for axis in axes:
        if axis.choices:
            found[axis.setting] = optuna.distributions.CategoricalDistribution(axis.choices)
        elif axis.whole:
            found[axis.setting] = optuna.distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        else:
            found[axis.setting] = optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)
    return found


def remember(held: optuna.Study, space: Space, ended: list[dict[str, Any]]) -> None:
    """Tell Optuna of trials that ended before this start."""
    for row in ended:
        if not row["fixed"] and row["score"] is not None:
            held.add_trial(
                optuna.trial.create_trial(
                    params=row["settings"], distributions=distributions(space.axes), value=row["score"]
                )
            )


def importance(space: Space, ended: list[dict[str, Any]]) -> dict[str, float]:
    """How much each axis matters, by Optuna's account; nothing where trials are too few to tell."""
    held = optuna.create_study(direction="maximize")
    remember(held, space, ended)
    if len(held.trials) < ENOUGH:
        return {}
    return dict(optuna.importance.get_param_importances(held))
