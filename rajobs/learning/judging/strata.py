"""The answers by maker, sex, age, side, view position and centre, and the strata that are worse than the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import special

from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.judging.reliability import TOTAL_STATISTICS, Figure, figures_of_pairs
from rajobs.learning.judging.totals import hand_totals
from rajobs.learning.study import Study
from rajobs.learning.targets import Target
from rajobs.records import metrics
from rajobs.records.statistics.by_patient import LEAST_PATIENTS
from rajobs.records.statistics.count_statistics import Reals

ERROR_RATE = 0.05  # of naming any stratum where none is worse, over all that are looked at
UNKNOWN = "not known"
VARIABLES = {
    "manufacturer": "maker", "sex": "sex", "age_years": "age", "side": "side", "view_position": "view position",
    "centre": "centre",
}  # fmt: skip
"""Columns of the predictions and what the page calls them."""
AGE_BANDS = ((18, "under 18"), (40, "18 to 39"), (55, "40 to 54"), (70, "55 to 69"), (200, "70 and over"))
METRICS = ("accuracy", "within_one", "qwk")
OF_NAMES = ("accuracy", "balanced_accuracy")  # where answers have no order
TOTAL_FIGURES = ("icc_agreement", "mean_difference", "low_limit", "high_limit")

Strings = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """The answers to one target in one stratum, and how much more they err than elsewhere."""

    target: str
    variable: str
    value: str
    rows: int
    patients: int
    figures: Mapping[str, Figure]
    excess: Figure | None = None  # of the mean error, at equal true scores; its interval allows for all strata
    worse: bool = False


@dataclass(frozen=True, kw_only=True)
class StratumTotals:
    """Expected totals of JSN and erosion and the readers', of hands or feet in one stratum."""

    part: str
    variable: str
    value: str
    rows: int
    patients: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True, kw_only=True)
class Strata:
    """All strata; `compared` of them were compared with the rest."""

    answers: tuple[Stratum, ...] = ()
    totals: tuple[StratumTotals, ...] = ()
    compared: int = 0

    @property
    def worse(self) -> list[Stratum]:
        return [each for each in self.answers if each.worse]

    def to_dict(self) -> dict[str, Any]:
        return {
            "answers": [dict(vars(each)) for each in self.answers],
            "totals": [dict(vars(each)) for each in self.totals],
            "compared": self.compared,
        }


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """The answers to one target, their rows and their excess errors."""

    target: Target
    rows: pa.Table
    answers: metrics.Answers
    excess: Reals


def judge_strata(study: Study, predictions: pa.Table) -> Strata:
    """The strata of the rows that judge; of a variable with one value there are none."""
    groups = [
        (of_target, variable, value, inside)
        for target in study.targets
        if (of_target := _answers(study, target, predictions)) is not None
        for variable, value, inside in _strata(of_target.rows)
    ]
    comparable = [_comparable(of_target.answers.patients, inside) for of_target, _, _, inside in groups]
    looks = sum(comparable)
    return Strata(
        answers=tuple(
            _stratum(*group, looks=looks if compared else 0) for group, compared in zip(groups, comparable)
        ),
        totals=tuple(_totals(predictions)), compared=looks,
    )  # fmt: skip


def _stratum(answered: _Answers, variable: str, value: str, inside: NDArray[np.bool_], *, looks: int) -> Stratum:
    of_stratum = answered.answers.take(np.flatnonzero(inside))
    excess = _compare(answered.excess, inside, answered.answers.patients, looks) if looks else None
    names = METRICS if answered.target.ordered else OF_NAMES
    return Stratum(
        target=answered.target.name, variable=variable, value=value, rows=len(of_stratum.truth),
        patients=len(np.unique(of_stratum.patients)),
        figures={name: metrics.figure(metrics.METRICS[name], of_stratum) for name in names},
        excess=excess, worse=excess is not None and excess["low"] > 0,
    )  # fmt: skip


def _strata(rows: pa.Table) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Variable, value and which rows have it; of variables that differ between rows."""
    for column, variable in VARIABLES.items():
        values = np.array([_value(column, value) for value in rows.column(column).to_pylist()], np.str_)
        names = np.unique(values)
        if len(names) > 1:
            for name in sorted(names.tolist(), key=_order):
                yield variable, name, values == name


def _value(column: str, value: Any) -> str:
    if value is None:
        return UNKNOWN
    return next(name for end, name in AGE_BANDS if value < end) if column == "age_years" else str(value)


def _order(name: str) -> tuple[int, str]:
    bands = [band for _, band in AGE_BANDS]
    return (len(bands) if name == UNKNOWN else bands.index(name) if name in bands else 0, name)


def _comparable(patients: Strings, inside: NDArray[np.bool_]) -> bool:
    """Whether there are five patients or more on both sides."""
    return all(len(np.unique(patients[rows])) >= LEAST_PATIENTS for rows in (inside, ~inside))


def _answers(study: Study, target: Target, predictions: pa.Table) -> _Answers | None:
    """With each row's error less the mean error of rows with the same true score at the same kind of site.

    Strata differ in how ill their patients are, and high scores are harder to tell: that is not what is looked for.
    """
    rows = predictions.filter(pc.equal(predictions.column("target"), target.name))
    answers = answers_of(target, rows)
    if answers is None:
        return None
    distance = abs(answers.predicted - answers.truth)
    error = (distance if target.ordered else distance > 0).astype(float)
    kinds = study.kinds_of(rows.column("site").to_pylist())
    alike = np.unique(np.char.add(kinds, answers.truth.astype(np.str_)), return_inverse=True)[1]
    usual = np.bincount(alike, weights=error) / np.bincount(alike)
    return _Answers(target=target, rows=rows, answers=answers, excess=error - usual[alike])


def _compare(errors: Reals, inside: NDArray[np.bool_], patients: Strings, looks: int) -> Figure:
    """The mean excess error of a stratum over that of the rest, with an interval that allows for all looks.

    The standard error leaves each patient out in turn; Student's t has as many degrees of freedom as the smaller side.
    """
    number = np.unique(patients, return_inverse=True)[1]
    sums = [np.bincount(number, weights=errors * side, minlength=number.max() + 1) for side in (inside, ~inside)]
    counts = [np.bincount(number, weights=side, minlength=number.max() + 1) for side in (inside, ~inside)]
    one, other = (each.sum() / count.sum() for each, count in zip(sums, counts))
    without = [(each.sum() - each) / (count.sum() - count) for each, count in zip(sums, counts)]
    differences = without[0] - without[1]
    several = len(differences)
    error = sqrt((several - 1) / several * float(((differences - differences.mean()) ** 2).sum()))
    freedom = min(int((count > 0).sum()) for count in counts) - 1
    half_width = float(special.stdtrit(freedom, 1 - ERROR_RATE / looks)) * error
    return {
        "value": float(one - other),
        "low": float(one - other) - half_width,
        "high": float(one - other) + half_width,
    }


def _totals(predictions: pa.Table) -> Iterator[StratumTotals]:
    """By hand or foot and stratum, of five patients or more."""
    places: dict[tuple[str, int], int] = {}
    ids = predictions.select(["image_id", "extremity"]).to_pylist()
    for number, row in enumerate(ids):
        places.setdefault((row["image_id"], row["extremity"]), number)
    totals = [each for each in hand_totals(predictions) if each.measure == "svdh"]
    for part in dict.fromkeys(each.part for each in totals):
        of_part = [each for each in totals if each.part == part]
        rows = predictions.take(pa.array([places[each.image_id, each.extremity] for each in of_part], pa.int64()))
        pairs = np.array([(each.expected.total, each.truth) for each in of_part], float)
        patients = np.array([each.patient for each in of_part], np.str_)
        for variable, value, inside in _strata(rows):
            count = len(np.unique(patients[inside]))
            if count >= LEAST_PATIENTS:
                statistics = {name: TOTAL_STATISTICS[name] for name in TOTAL_FIGURES}
                yield StratumTotals(
                    part=part, variable=variable, value=value, rows=int(inside.sum()), patients=count,
                    figures=figures_of_pairs(statistics, pairs[inside], patients[inside]),
                )  # fmt: skip
