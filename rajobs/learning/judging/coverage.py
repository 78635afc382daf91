"""How often conformal sets of scores and intervals of expected totals hold the truth on rows that judge."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.judging.totals import hand_totals
from rajobs.learning.study import Study
from rajobs.records.statistics.by_patient import share_interval
from rajobs.records.statistics.count_statistics import Reals
from rajobs.records.tables.schemas import MEASURES


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Of the sets of one score at one kind of site, or of the intervals of one total of hands or feet."""

    what: str  # a target or a measure
    of: str  # kind of site, or hand or foot
    rows: int
    patients: int
    covered: Mapping[str, float]  # share of rows whose truth is inside, with its interval
    width: float  # mean number of scores in a set, or mean length of an interval
    error: float  # mean distance of the answer, or of the expected total, from the truth
    likeliest_error: float | None = None  # of totals, that of the sum of the likeliest scores

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def set_coverage(study: Study, predictions: pa.Table, calibration: Calibration) -> Iterator[Coverage]:
    """By target and kind of site, as far as there are sets."""
    for target in study.conformal_targets:
        rows = predictions.filter(pc.equal(predictions.column("target"), target.name))
        answers = answers_of(target, rows)
        if answers is None:
            continue
        kinds = study.kinds_of(rows.column("site").to_pylist())
        for kind, least_p in calibration.least_p.get(target.name, {}).items():
            chosen = np.flatnonzero(kinds == kind)
            if len(chosen):
                of_kind = answers.take(chosen)
                inside = of_kind.p >= least_p
                inside[np.arange(len(chosen)), of_kind.predicted] = True
                yield _coverage(
                    target.name, kind, inside[np.arange(len(chosen)), of_kind.truth], of_kind.patients,
                    inside.sum(axis=1), np.abs(of_kind.truth - of_kind.predicted),
                )  # fmt: skip


def total_coverage(predictions: pa.Table, calibration: Calibration) -> Iterator[Coverage]:
    """By hand or foot and measure, as far as there are intervals."""
    totals = list(hand_totals(predictions))
    for part, widths in calibration.widths.items():
        for measure in (name for name in MEASURES if name in widths):
            width = widths[measure]
            chosen = [each for each in totals if (each.part, each.measure) == (part, measure)]
            if chosen:
                truth = np.array([each.truth for each in chosen])
                ends = np.array([each.expected.interval(width) for each in chosen])
                yield _coverage(
                    measure, part, (ends[:, 0] <= truth) & (truth <= ends[:, 1]),
                    np.array([each.patient for each in chosen]), ends[:, 1] - ends[:, 0],
                    np.abs(truth - [each.expected.total for each in chosen]),
                    float(np.abs(truth - [each.likeliest for each in chosen]).mean()),
                )  # fmt: skip


def _coverage(
    what: str, of: str, inside: NDArray[np.bool_], patients: NDArray[np.str_], width: Reals, error: Reals,
    likeliest_error: float | None = None,
) -> Coverage:  # fmt: skip
    low, high = share_interval(inside, patients)
    return Coverage(
        what=what, of=of, rows=len(inside), patients=len(np.unique(patients)),
        covered={"value": float(inside.mean()), "low": low, "high": high}, width=float(width.mean()),
        error=float(error.mean()), likeliest_error=likeliest_error,
    )  # fmt: skip
