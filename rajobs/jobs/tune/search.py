"""A sweep's parts: what has ended, what is tried next, when a trial is stopped, and who writes it down."""

import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import ray.tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search import Searcher

from rajobs.jobs import console
from rajobs.learning.recipe import Recipe, to_dict
from rajobs.learning.space import Axis, Space
from rajobs.learning.study import Study
from rajobs.records.manifest import digest, to_json
from rajobs.records.store import Store

SEED = 0
Row = dict[str, Any]
ENOUGH = 8  # trials from which on the axes' importance can be told
OUT_OF_TIME = "out of time"


@dataclass(frozen=True, kw_only=True)
class TrialStore:
    """The trials that have ended, a file each: whatever dies, they are there."""

    store: Store
    identity: Mapping[str, Any]

    @property
    def folder(self) -> str:
        return f"trials/{digest(self.identity)}"

    def rows(self) -> list[dict[str, Any]]:
        """Every trial that was told of, those among them that ran out of time."""
        keys = [entry.key for entry in self.store.list(f"{self.folder}/") if entry.key.endswith(".json")]
        return [json.loads(self.store.get(key)) for key in keys]

    def put_row(self, row: Mapping[str, Any]) -> None:
        self.store.put(f"{self.folder}/{row['number']:05d}.json", to_json(row))

    def answers_key(self, number: int) -> str:
        """Where a finished trial's answers to the validation part lie."""
        return f"{self.folder}/{number:05d}.parquet"

    def put_event_files(self, number: int, folder: Path) -> None:
        """Put a trial's event files where TensorBoard looks for them, in place of those of an earlier start."""
        place = f"tensorboard/{digest(self.identity)}/{number:05d}"
        for entry in list(self.store.list(f"{place}/")):
            self.store.delete(entry.key)
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.store.put(f"{place}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def ended_trials(rows: Sequence[Row]) -> list[Row]:
    """The trials that need not be run again."""
    return [row for row in rows if row["cause"] != OUT_OF_TIME]


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """When the sweep must end, in seconds of the clock; None: when its trials are done."""

    at: float | None = None

    def over(self) -> bool:
        return self.at is not None and time.time() >= self.at


class TrialSearcher(Searcher):
    """What is tried next: the fixed recipes first, then what Optuna makes of the trials that have ended."""

    def __init__(
        self,
        *,
        study: Study,
        space: Space,
        todo: Sequence[int],
        rows: Sequence[dict[str, Any]],
        place: Mapping[str, Any],
        deadline: Deadline,
        needs: Callable[[Recipe], Mapping[str, Any]],
    ) -> None:
        super().__init__(metric="score", mode="max")
        self.study, self.space, self.todo, self.place = study, space, list(todo), dict(place)
        self.deadline, self.needs = deadline, needs
        self.again = {row["number"]: row["settings"] for row in rows if row["number"] in self.todo}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=SEED + len(ended_trials(rows)), multivariate=True)
        self.optuna = optuna.create_study(direction="maximize", sampler=sampler)
        self.asked: dict[str, optuna.Trial] = {}
        add_past_trials(self.optuna, space, ended_trials(rows))

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if not self.todo or self.deadline.over():
            return Searcher.FINISHED  # type: ignore[return-value]  # a word, as its documentation says
        number = self.todo.pop(0)
        values: dict[str, Any] = {}
        if number < len(self.space.first):
            name = self.space.first[number]
            recipe = self.study.recipe(name)
            values = self.space.values(recipe)
        else:
            name = ""
            if number in self.again:
                self.optuna.enqueue_trial(self.again[number])  # it ran out of time: the same settings once more
            self.asked[trial_id] = asked = self.optuna.ask(distributions(self.space.axes))
            values = dict(asked.params)
            recipe = self.space.recipe(self.study.recipe(self.space.base), values)
        return {
            "number": number, "name": name, "settings": values, "recipe": to_dict(recipe), "study": self.study.name,
            "fixed": number < len(self.space.first), "place": self.place, **self.needs(recipe),
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


class SuccessiveHalving(AsyncHyperBandScheduler):
    """ASHA, but for the fixed recipes, which are never stopped early; and none goes on once the time is up."""

    def __init__(self, *, deadline: Deadline, epochs: int) -> None:
        super().__init__(
            time_attr="epoch", metric="score", mode="max", max_t=max(2, epochs), grace_period=max(1, round(epochs / 9)),
            reduction_factor=3, stop_last_trials=False,
        )  # fmt: skip
        self.deadline = deadline
        self.late: set[str] = set()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if result.get("last") or result.get("failed"):
            return str(self.CONTINUE)
        if self.deadline.over() or result.get("late"):
            self.late.add(trial.trial_id)
            return str(self.STOP)
        if trial.config["fixed"] or math.isnan(result["score"]):
            return str(self.CONTINUE)
        action = str(super().on_trial_result(tune_controller, trial, result))
        # After its last epoch a trial has but to be judged.
        return str(self.CONTINUE) if result["epoch"] >= trial.config["epochs"] else action

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """The rungs hold what trials had reached there: no fixed recipe's end, and nothing that is no number."""
        if trial.config["fixed"] or math.isnan(result.get("score", math.nan)):
            self.on_trial_remove(tune_controller, trial)
        else:
            super().on_trial_complete(tune_controller, trial, result)


class TrialRecorder(ray.tune.Callback):
    """Writes a row of every trial that has ended, the failed ones with their cause."""

    def __init__(self, *, search: TrialStore, progress: console.Progress, halving: SuccessiveHalving) -> None:
        self.search, self.progress, self.halving = search, progress, halving
        self.curves: dict[str, list[dict[str, Any]]] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        if not result.get("last") and not math.isnan(result["score"]):
            told = {name: result[name] for name in ("epoch", "score", "loss")}
            self.curves.setdefault(trial.trial_id, []).append(told)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self.curves.pop(trial.trial_id, None)  # it tells of all its epochs again

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        last = trial.last_result
        if last.get("failed"):
            self._end(trial, "failed", last["failed"])
        elif last.get("last"):
            self._end(trial, "finished", None)
        else:
            self._end(trial, "stopped", OUT_OF_TIME if trial.trial_id in self.halving.late else None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self._end(trial, "failed", "the trial's process died: out of memory, or its node was lost")

    def _end(self, trial: Trial, state: str, cause: str | None) -> None:
        last, config = trial.last_result or {}, trial.config
        score = last.get("score")
        if state == "failed" or (score is not None and math.isnan(score)):
            score = None
        curve = self.curves.get(trial.trial_id, [])
        row = {
            **{name: config[name] for name in ("number", "name", "settings", "recipe", "fixed")},
            "state": state, "cause": cause, "epochs": last.get("epoch", 0),
            "score": score, "low": last.get("low"), "high": last.get("high"),
            "hours": last.get("time_total_s", 0.0) / 3600, "curve": [told["score"] for told in curve],
        }  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="rajobs-events-") as folder:
            write_events(Path(folder), row, curve)
            self.search.put_event_files(row["number"], Path(folder))
        tell_mlflow(config["study"], row, curve)
        for entry in list(self.search.store.list(f"{config['place']['checkpoints']}/{row['number']:05d}/")):
            self.search.store.delete(entry.key)
        self.search.put_row(row)
        reached = "" if score is None else f", {score:.3f}"
        self.progress.step(note=f"{config['name'] or config['number']} {cause or state}{reached}")


def write_events(folder: Path, row: Mapping[str, Any], curve: Sequence[Mapping[str, Any]]) -> None:
    """A trial as TensorBoard reads it: its curves and, beside them, its settings with the score they came to."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(logdir=str(folder)) as writer:
        for told in curve:
            writer.add_scalar("score", told["score"], told["epoch"])
            writer.add_scalar("loss", told["loss"], told["epoch"])
        plain = {
            name: value if isinstance(value, int | float) else str(value) for name, value in row["settings"].items()
        }
        if row["score"] is not None and plain:
            writer.add_hparams(plain, {"validation": row["score"]}, name="settings", global_step=row["epochs"])


def tell_mlflow(study: str, row: Mapping[str, Any], curve: Sequence[Mapping[str, Any]]) -> None:
    """A trial as a run of MLflow, where its server is named; a server that is down stops no sweep."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    try:
        import mlflow
    except ImportError:
        return  # said once, when the sweep starts
    try:
        mlflow.set_experiment(f"rajobs-{study}")
        with mlflow.start_run(run_name=f"{row['number']:05d} {row['name']}".strip()):
            mlflow.log_params(row["settings"])
            mlflow.set_tags({"state": row["state"], "cause": row["cause"] or ""})
            for told in curve:
                mlflow.log_metrics({name: told[name] for name in ("score", "loss")}, step=told["epoch"])
            if row["score"] is not None:
                mlflow.log_metric("validation", row["score"])
    except mlflow.exceptions.MlflowException as error:
        console.line(f"MLflow was not told of trial {row['number']}: {str(error).splitlines()[0]}")


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


def add_past_trials(held: optuna.Study, space: Space, trials: Sequence[dict[str, Any]]) -> None:
    """Tell Optuna of trials that ended before this start."""
    for row in trials:
        if not row["fixed"] and row["score"] is not None:
            held.add_trial(
                optuna.trial.create_trial(
                    params=row["settings"], distributions=distributions(space.axes), value=row["score"]
                )
            )


def importance(space: Space, trials: Sequence[dict[str, Any]]) -> dict[str, float]:
    """How much each axis matters, by Optuna's account; nothing where trials are too few to tell."""
    held = optuna.create_study(direction="maximize")
    add_past_trials(held, space, trials)
    if len(held.trials) < ENOUGH:
        return {}
    return dict(optuna.importance.get_param_importances(held))
