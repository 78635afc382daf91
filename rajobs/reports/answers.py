"""A predictions table as answers: class numbers and probabilities of one target in one part of the split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target
from rajobs.records import metrics


@dataclass(frozen=True, kw_only=True)
class TargetAnswers:
    """The answers to one target; without probabilities in the table, `answers.p` is 1 for the answer and 0 else."""

    target: Target
    classes: tuple[str, ...]
    answers: metrics.Answers
    has_probabilities: bool

    @property
    def rows(self) -> int:
        return len(self.answers.truth)


def target_answers(target: Target, predictions: pa.Table, part: str) -> TargetAnswers:
    """The labelled rows of a part."""
    rows = predictions.filter(
        pc.and_(pc.equal(predictions.column("target"), target.name), pc.equal(predictions.column("split"), part))
    )
    p, classes = _probabilities(rows), target.classes
    truth = _class_numbers(rows.column("truth").to_pylist(), classes)
    predicted = _class_numbers(rows.column("predicted").to_pylist(), classes)
    known = (truth != MISSING) & (predicted != MISSING)
    values = np.eye(len(classes))[np.maximum(predicted, 0)] if p is None else p
    patients = np.array(rows.column("patient").to_pylist(), dtype=np.str_)
    return TargetAnswers(
        target=target,
        classes=classes,
        answers=metrics.Answers(
            truth=truth[known], predicted=predicted[known], p=values[known], patients=patients[known]
        ),
        has_probabilities=p is not None,
    )


def answer_probability(study: Study, target: str, predicted: str, p: Sequence[float] | None) -> float | None:
    """The probability of a row's answer, which need not be the likeliest class."""
    if not p:
        return None
    return dict(zip(study.target(target).classes, p, strict=True)).get(predicted)


def _class_numbers(values: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers.get(value, MISSING) for value in values], dtype=np.int64)


def _probabilities(predictions: pa.Table) -> NDArray[np.float64] | None:
    """Rows by classes, or None where a row has none."""
    column = predictions.column("p").combine_chunks()
    if column.null_count or not len(column):
        return None
    flat = np.asarray(pc.list_flatten(column), dtype=np.float64)
    return flat.reshape(len(column), -1)
