"""How well the model agrees with the readers: scores by kind of site, and totals of hands and feet."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.judging.totals import hand_totals
from rajobs.learning.study import Study
from rajobs.records import metrics
from rajobs.records.statistics.agreement import icc_agreement, icc_consistency, limits_of_agreement
from rajobs.records.statistics.by_patient import LEAST_PATIENTS, student_interval
from rajobs.records.statistics.count_statistics import Reals, pearson

Figure = Mapping[str, float]
Statistic = Callable[[Reals], float]
KIND_METRICS = ("accuracy", "within_one", "qwk", "kappa_linear", "any_sensitivity", "any_specificity")


@dataclass(frozen=True, kw_only=True)
class KindAgreement:
    """The scores of one target at one kind of site."""

    target: str
    kind: str
    rows: int
    patients: int
    figures: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class TotalAgreement:
    """The expected totals of hands or feet beside the readers'; differences are the model's less the readers'."""

    measure: str
    part: str
    patients: int
    truth: tuple[int, ...]
    expected: tuple[float, ...]
    figures: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("truth", "expected")}


def kind_agreement(study: Study, predictions: pa.Table) -> Iterator[KindAgreement]:
    """By target with an order and by kind of site, where a study has several kinds."""
    for target in study.targets:
        rows = predictions.filter(pc.equal(predictions.column("target"), target.name))
        answers = answers_of(target, rows)
        if answers is None or not target.ordered or not study.kinds:
            continue
        kinds = study.kinds_of(rows.column("site").to_pylist())
        for kind in dict.fromkeys(study.kinds.values()):
            of_kind = answers.take(np.flatnonzero(kinds == kind))
            if len(of_kind.truth):
                yield KindAgreement(
                    target=target.name, kind=kind, rows=len(of_kind.truth), patients=len(np.unique(of_kind.patients)),
                    figures={name: metrics.figure(metrics.METRICS[name], of_kind) for name in KIND_METRICS},
                )  # fmt: skip


def total_agreement(predictions: pa.Table) -> Iterator[TotalAgreement]:
    """By hand or foot and measure, where there are five patients or more."""
    totals = list(hand_totals(predictions))
    for part, measure in dict.fromkeys((each.part, each.measure) for each in totals):
        chosen = [each for each in totals if (each.part, each.measure) == (part, measure)]
        patients = np.array([each.patient for each in chosen], np.str_)
        if len(np.unique(patients)) < LEAST_PATIENTS:
            continue
        pairs = np.array([(each.expected.total, each.truth) for each in chosen], float)
        yield TotalAgreement(
            measure=measure, part=part, patients=len(np.unique(patients)),
            truth=tuple(each.truth for each in chosen), expected=tuple(each.expected.total for each in chosen),
            figures=figures_of_pairs(TOTAL_STATISTICS, pairs, patients),
        )  # fmt: skip


def figures_of_pairs(
    statistics: Mapping[str, Statistic], pairs: Reals, patients: NDArray[np.str_]
) -> dict[str, Figure]:
    """Statistics of two totals of each hand, with their intervals."""
    figures: dict[str, Figure] = {}
    for name, statistic in statistics.items():
        low, high = student_interval(lambda rows, rule=statistic: rule(pairs[rows]), patients)  # type: ignore[misc]
        most = 1.0 if name in CORRELATIONS else inf
        figures[name] = {"value": statistic(pairs), "low": max(low, -most), "high": min(high, most)}
    return figures


def pearson_of_pairs(pairs: Reals) -> float:
    """Pearson's correlation of the two columns."""
    return pearson(pairs[:, 0].tolist(), pairs[:, 1].tolist())


def _difference(end: str) -> Statistic:
    return lambda pairs: float(getattr(limits_of_agreement(pairs[:, 0] - pairs[:, 1]), end))


CORRELATIONS = ("icc_agreement", "icc_consistency", "pearson")
TOTAL_STATISTICS: Mapping[str, Statistic] = {
    "icc_agreement": icc_agreement,
    "icc_consistency": icc_consistency,
    "pearson": pearson_of_pairs,
    "mean_difference": _difference("mean"),
    "low_limit": _difference("low"),
    "high_limit": _difference("high"),
}
