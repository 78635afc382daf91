"""The results of a sweep's trials: one file each on the store, and their curves for TensorBoard and MLflow."""

import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.tune
from ray.tune.experiment import Trial

from rajobs.jobs import console
from rajobs.jobs.train.driver import delete_folder
from rajobs.jobs.tune.search import SuccessiveHalving
from rajobs.jobs.tune.trial_config import TrialConfig, TrialReport
from rajobs.learning.recipe import Recipe, from_dict, to_dict
from rajobs.records.manifest import digest, to_json
from rajobs.records.store import Store
from rajobs.records.store.lease import Fence

OUT_OF_TIME = "out of time"


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """A trial that has ended."""

    number: int
    name: str  # of a fixed recipe, else empty
    fixed: bool
    settings: Mapping[str, Any]
    recipe: Recipe
    state: str  # finished | stopped | failed
    cause: str | None
    epochs: int
    score: float | None  # on the validation part
    low: float | None
    high: float | None
    hours: float
    curve: tuple[float, ...]  # score by epoch

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "settings": dict(self.settings), "recipe": to_dict(self.recipe), "curve": [*self.curve]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TrialResult":
        own = {"recipe": from_dict(content["recipe"]), "curve": tuple(content["curve"])}
        return cls(**{**content, **own})

    @property
    def needs_no_rerun(self) -> bool:
        return self.cause != OUT_OF_TIME

    @property
    def is_complete(self) -> bool:
        """Whether it finished with a score; only such a trial can be the best."""
        return self.state == "finished" and self.score is not None


def ended_trials(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials that need not be run again."""
    return [result for result in results if result.needs_no_rerun]


@dataclass(frozen=True, kw_only=True)
class ResultStore:
    """The results of one sweep: whatever dies, they are on the store."""

    store: Store
    identity: Mapping[str, Any]
    fence: Fence | None = None  # of the driver that adds results

    @property
    def folder(self) -> str:
        return f"trials/{digest(self.identity)}"

    def results(self) -> list[TrialResult]:
        """Every trial that has ended, including those that ran out of time."""
        keys = [entry.key for entry in self.store.list(f"{self.folder}/") if entry.key.endswith(".json")]
        return [TrialResult.from_json(json.loads(self.store.get(key))) for key in keys]

    @property
    def run(self) -> int:
        """The number of the driver's lease."""
        assert self.fence is not None, "only a driver with a lease adds results"
        return self.fence.number

    def check_fence(self) -> None:
        """LeaseLost if another driver has taken this one's place."""
        assert self.fence is not None, "only a driver with a lease adds results"
        self.fence.check(now=True)

    def put(self, result: TrialResult) -> None:
        self.store.put(f"{self.folder}/{result.number:05d}.json", to_json(result.to_json()))

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


class TrialRecorder(ray.tune.Callback):
    """Puts the result of every trial that has ended, the failed ones with their cause."""

    def __init__(self, *, results: ResultStore, progress: console.Progress, halving: SuccessiveHalving) -> None:
        self.results, self.progress, self.halving = results, progress, halving
        self.curves: dict[str, list[TrialReport]] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        report = TrialReport.from_result(result)
        if not report.last and not math.isnan(report.score):
            self.curves.setdefault(trial.trial_id, []).append(report)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self.curves.pop(trial.trial_id, None)  # it reports all its epochs again

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        report = TrialReport.from_result(trial.last_result)
        if report.failed:
            self._record(trial, "failed", report.failed)
        elif report.last:
            self._record(trial, "finished", None)
        else:
            self._record(trial, "stopped", OUT_OF_TIME if trial.trial_id in self.halving.late else None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self._record(trial, "failed", "the trial's process died: out of memory, or its node was lost")

    def _record(self, trial: Trial, state: str, cause: str | None) -> None:
        last, config = trial.last_result or {}, TrialConfig.from_json(trial.config)
        report = TrialReport.from_result(last)
        curve = self.curves.get(trial.trial_id, [])
        result = TrialResult(
            number=config.number, name=config.name, fixed=config.fixed, settings=config.settings,
            recipe=config.recipe, state=state, cause=cause, epochs=report.epoch,
            score=None if state == "failed" or math.isnan(report.score) else report.score,
            low=report.low, high=report.high, hours=last.get("time_total_s", 0.0) / 3600,
            curve=tuple(each.score for each in curve),
        )  # fmt: skip
        self.results.check_fence()
        with tempfile.TemporaryDirectory(prefix="rajobs-events-") as folder:
            write_events(Path(folder), result, curve)
            self.results.put_event_files(result.number, Path(folder))
        report_to_mlflow(config.study, result, curve)
        delete_folder(self.results.store, config.checkpoints)
        self.results.put(result)
        reached = "" if result.score is None else f", {result.score:.3f}"
        self.progress.step(note=f"{config.name or config.number} {cause or state}{reached}")


def write_events(folder: Path, result: TrialResult, curve: Sequence[TrialReport]) -> None:
    """A trial as TensorBoard reads it: its curves, and its settings with their score."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(logdir=str(folder)) as writer:
        for report in curve:
            writer.add_scalar("score", report.score, report.epoch)
            writer.add_scalar("loss", report.loss, report.epoch)
        plain = {
            name: value if isinstance(value, int | float) else str(value) for name, value in result.settings.items()
        }
        if result.score is not None and plain:
            writer.add_hparams(plain, {"validation": result.score}, name="settings", global_step=result.epochs)


def report_to_mlflow(study: str, result: TrialResult, curve: Sequence[TrialReport]) -> None:
    """A trial as a run of MLflow, if its server is named; a server that is down stops no sweep."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    try:
        import mlflow
    except ImportError:
        return  # the sweep's start says so, once
    try:
        mlflow.set_experiment(f"rajobs-{study}")
        with mlflow.start_run(run_name=f"{result.number:05d} {result.name}".strip()):
            mlflow.log_params(dict(result.settings))
            mlflow.set_tags({"state": result.state, "cause": result.cause or ""})
            for report in curve:
                mlflow.log_metrics({"score": report.score, "loss": report.loss}, step=report.epoch)
            if result.score is not None:
                mlflow.log_metric("validation", result.score)
    except mlflow.exceptions.MlflowException as error:
        console.line(f"trial {result.number} is not in MLflow: {str(error).splitlines()[0]}")
