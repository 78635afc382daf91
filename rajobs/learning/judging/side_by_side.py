"""Several models of a study beside one another: each on its own test rows, and all on the rows that they share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import pyarrow as pa
import pyarrow.compute as pc

from rajobs.learning.judging.calibration import NO_CALIBRATION, Calibration
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.study import Study
from rajobs.learning.targets import Target
from rajobs.records import metrics
from rajobs.records.metrics import Answers

Figure = Mapping[str, float]
_PLACE = ("image_id", "side", "site")


@dataclass(frozen=True, kw_only=True)
class JudgedModel:
    """One model's answers to the rows of its own test part, as a predictions table."""

    table: pa.Table
    calibration: Calibration = NO_CALIBRATION


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One metric of one target for each model, in the order of the models; None for one that has no such figure."""

    target: str
    metric: str
    own: tuple[Figure | None, ...]  # on the model's own test rows
    own_rows: tuple[int, ...]
    shared: tuple[Figure | None, ...]  # on the rows that all of them are judged by
    shared_rows: int
    shared_patients: int
    lead: tuple[Figure | None, ...]  # over the first model, paired row by row on the shared rows

    @property
    def name(self) -> str:
        return f"{self.target}.{self.metric}"

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def measure_models(study: Study, models: Sequence[JudgedModel]) -> list[Measured]:
    """Every metric of the study; models that do not answer a target have no part in it."""
    return [measured for target in study.targets for measured in _measure_target(study, target, models)]


def _measure_target(study: Study, target: Target, models: Sequence[JudgedModel]) -> Iterator[Measured]:
    shared = _shared(target, models)
    own = [_answers(target, model, None) for model in models]
    same = [_answers(target, model, shared) for model in models]
    patients = next((set(answers.patients.tolist()) for answers in same if answers is not None), set())
    for name in study.metrics_of(target) if any(own) else ():
        yield Measured(
            target=target.name, metric=name, own=tuple(_figure(name, answers) for answers in own),
            own_rows=tuple(0 if answers is None else len(answers.truth) for answers in own),
            shared=tuple(_figure(name, answers) for answers in same),
            shared_rows=len(shared), shared_patients=len(patients),
            lead=(None, *(_lead(name, answers, same[0]) for answers in same[1:])),
        )  # fmt: skip


def _of_target(target: Target, model: JudgedModel) -> pa.Table:
    return model.table.filter(pc.equal(model.table.column("target"), target.name))


def _places(table: pa.Table) -> list[tuple[str | None, ...]]:
    return [tuple(row.values()) for row in table.select(list(_PLACE)).to_pylist()]


def _shared(target: Target, models: Sequence[JudgedModel]) -> list[tuple[str | None, ...]]:
    """The places that every model which answers the target is judged by, in one order."""
    several = [set(_places(table)) for model in models if (table := _of_target(target, model)).num_rows]
    return sorted(set.intersection(*several), key=str) if several else []


def _answers(target: Target, model: JudgedModel, places: Sequence[tuple[str | None, ...]] | None) -> Answers | None:
    """The answers of a model, all or those to some places in their order; None if there is none."""
    table = _of_target(target, model)
    if places is not None and table.num_rows:
        number = {place: at for at, place in enumerate(_places(table))}
        table = table.take(pa.array([number[place] for place in places], pa.int64()))
    answers = answers_of(target, table)
    return None if answers is None else model.calibration.at_thresholds(target.name, answers)


def _has_figure(answers: Answers | None, metric: str) -> TypeGuard[Answers]:
    return answers is not None and metrics.is_known(metric, answers)


def _figure(metric: str, answers: Answers | None) -> Figure | None:
    return metrics.figure(metrics.METRICS[metric], answers) if _has_figure(answers, metric) else None


def _lead(metric: str, one: Answers | None, other: Answers | None) -> Figure | None:
    if not _has_figure(one, metric) or not _has_figure(other, metric):
        return None
    return metrics.lead(metrics.METRICS[metric], one, other)
