"""What a sweep tries next, and when it stops a trial: Optuna and ASHA behind Ray Tune's interfaces."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search import Searcher

from rajobs.jobs.tune.trial_config import TrialConfig, TrialReport
from rajobs.learning.recipe import Recipe
from rajobs.learning.space import Axis, Space

SEED = 0
ENOUGH_TRIALS = 8  # to say how much each axis matters


class PastTrial(Protocol):
    """What the search needs to know of a trial that has ended."""

    @property
    def fixed(self) -> bool: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def score(self) -> float | None: ...


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """When the sweep must end, in seconds of the clock; None: when its trials are done."""

    at: float | None = None

    def is_over(self) -> bool:
        return self.at is not None and time.time() >= self.at


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The trials of a sweep that are still to run."""

    space: Space
    fixed: Mapping[str, Recipe]  # by name: recipes tried first, as they are
    base: Recipe  # which the axes change
    numbers: tuple[int, ...]
    repeated: Mapping[int, Mapping[str, Any]]  # settings of trials that ran out of time, by number


class TrialSearcher(Searcher):
    """Suggests the fixed recipes first, then what Optuna makes of the trials that have ended."""

    def __init__(
        self,
        *,
        candidates: Candidates,
        past: Sequence[PastTrial],
        deadline: Deadline,
        configure: Callable[[int, str, Mapping[str, Any], Recipe], TrialConfig],
    ) -> None:
        super().__init__(metric="score", mode="max")
        self.candidates, self.deadline, self.configure = candidates, deadline, configure
        self.waiting = list(candidates.numbers)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=SEED + len(past), multivariate=True)
        self.optuna = optuna.create_study(direction="maximize", sampler=sampler)
        self.running: dict[str, optuna.Trial] = {}
        add_past_trials(self.optuna, candidates.space, past)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if not self.waiting or self.deadline.is_over():
            return Searcher.FINISHED  # type: ignore[return-value]  # a word, as its documentation says
        number, space = self.waiting.pop(0), self.candidates.space
        if number < len(space.first):
            name = space.first[number]
            recipe = self.candidates.fixed[name]
            return self.configure(number, name, space.values(recipe), recipe).to_json()
        if number in self.candidates.repeated:
            self.optuna.enqueue_trial(dict(self.candidates.repeated[number]))
        self.running[trial_id] = asked = self.optuna.ask(distributions(space.axes))
        settings = dict(asked.params)
        return self.configure(number, "", settings, space.recipe(self.candidates.base, settings)).to_json()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        asked = self.running.pop(trial_id, None)
        if asked is None:
            return
        score = (result or {}).get("score")
        if error or score is None or math.isnan(score):
            self.optuna.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            self.optuna.tell(asked, score)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a second start resumes from the results of the trials that have ended."""

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a sweep resumes from its results, never from Ray's state")


class SuccessiveHalving(AsyncHyperBandScheduler):
    """ASHA, except that fixed recipes are never stopped early, and that every trial stops once the time is up."""

    def __init__(self, *, deadline: Deadline, epochs: int) -> None:
        super().__init__(
            time_attr="epoch", metric="score", mode="max", max_t=max(2, epochs), grace_period=max(1, round(epochs / 9)),
            reduction_factor=3, stop_last_trials=False,
        )  # fmt: skip
        self.deadline = deadline
        self.late: set[str] = set()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        report = TrialReport.from_result(result)
        if report.last or report.failed:
            return str(self.CONTINUE)
        if self.deadline.is_over() or report.late:
            self.late.add(trial.trial_id)
            return str(self.STOP)
        if trial.config["fixed"] or math.isnan(report.score):
            return str(self.CONTINUE)
        action = str(super().on_trial_result(tune_controller, trial, result))
        # After its last epoch a trial only has to be evaluated.
        return str(self.CONTINUE) if report.epoch >= trial.config["epochs"] else action

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """The rungs hold what trials had reached there, without fixed recipes and without what is not a number."""
        if trial.config["fixed"] or math.isnan(result.get("score", math.nan)):
            self.on_trial_remove(tune_controller, trial)
        else:
            super().on_trial_complete(tune_controller, trial, result)


def distributions(axes: tuple[Axis, ...]) -> dict[str, optuna.distributions.BaseDistribution]:
    """The axes as Optuna knows them."""
    by_setting: dict[str, optuna.distributions.BaseDistribution] = {}
    for axis in axes:
        if axis.choices:
            by_setting[axis.setting] = optuna.distributions.CategoricalDistribution(axis.choices)
        elif axis.whole:
            low, high = int(axis.low), int(axis.high)
            by_setting[axis.setting] = optuna.distributions.IntDistribution(low, high, log=axis.log)
        else:
            by_setting[axis.setting] = optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)
    return by_setting


def add_past_trials(study: optuna.Study, space: Space, past: Sequence[PastTrial]) -> None:
    """Tell Optuna of trials that ended before this start."""
    for trial in past:
        if not trial.fixed and trial.score is not None:
            study.add_trial(
                optuna.trial.create_trial(
                    params=dict(trial.settings), distributions=distributions(space.axes), value=trial.score
                )
            )


def importance(space: Space, past: Sequence[PastTrial]) -> dict[str, float]:
    """How much each axis matters, by Optuna's estimate; empty if trials are too few to say."""
    study = optuna.create_study(direction="maximize")
    add_past_trials(study, space, past)
    if len(study.trials) < ENOUGH_TRIALS:
        return {}
    return dict(optuna.importance.get_param_importances(study))
