"""What a trial is given by the driver, and what it reports: typed on our side, plain data within Ray Tune."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rajobs.jobs.train.driver import TrainingPlan
from rajobs.jobs.train.worker import WorkerResources
from rajobs.learning.recipe import Recipe, from_dict, to_dict


@dataclass(frozen=True, kw_only=True)
class SweepPlace:
    """What all trials of a sweep have in common."""

    data: str
    finders: str
    out: str  # the study's folder
    mode: str
    budget: float
    deadline: float | None  # seconds of the clock
    answers: str  # folder of the trials' answers, in `out`
    checkpoints: str  # folder of the trials' checkpoints, in `out`
    run: int  # number of the driver's lease


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One trial."""

    number: int
    name: str  # of a fixed recipe, else empty
    fixed: bool  # a fixed recipe is never stopped early
    settings: Mapping[str, Any]  # by axis
    recipe: Recipe
    study: str
    place: SweepPlace
    epochs: int  # of all its networks, one after another
    resources: WorkerResources

    def to_json(self) -> dict[str, Any]:
        plain = {"settings": dict(self.settings), "recipe": to_dict(self.recipe)}
        return {**vars(self), **plain, "place": vars(self.place), "resources": vars(self.resources)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TrialConfig":
        own = {name: content[name] for name in cls.__dataclass_fields__}
        own |= {
            "recipe": from_dict(content["recipe"]), "place": SweepPlace(**content["place"]),
            "resources": WorkerResources(**content["resources"]),
        }  # fmt: skip
        return cls(**own)

    @property
    def file_stem(self) -> str:
        return f"{self.number:05d}"

    @property
    def checkpoints(self) -> str:
        return f"{self.place.checkpoints}/{self.file_stem}"

    @property
    def plan(self) -> TrainingPlan:
        return TrainingPlan(
            study=self.study, data=self.place.data, finders=self.place.finders, out=self.place.out,
            mode=self.place.mode, budget=self.place.budget, recipe=self.recipe, weights=None,
            number=self.number, folder=self.checkpoints, run=f"{self.file_stem}-",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """What a trial reports: an epoch, or its end."""

    epoch: int = 0
    score: float = math.nan
    loss: float = math.nan
    low: float | None = None  # of the score, once the trial has been evaluated
    high: float | None = None
    last: bool = False  # it has finished
    late: bool = False  # it did not begin, since the time was up
    failed: str = ""  # why, in a line

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> "TrialReport":
        """Out of what Ray Tune hands on, which has fields of its own beside them."""
        return cls(**{name: result[name] for name in cls.__dataclass_fields__ if name in result})
