"""Split-conformal prediction by patient: how wide a set or an interval must be to hold the truth of a new patient."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rajobs.records.statistics.count_statistics import Reals

LEVEL = 0.9  # share of truths that sets and intervals hold


def conformal_bound(misfit: Reals, patients: NDArray[np.str_], level: float = LEVEL) -> float | None:
    """The misfit that a row of a new patient exceeds with a probability of at most 1 - level; None: too few patients.

    Each patient has the same weight, and the new one counts as one more whose misfit may be any: Lee, Barber and
    Willett 2023, hierarchical conformal prediction. 90 % take nine patients.
    """
    _, number, rows = np.unique(patients, return_inverse=True, return_counts=True)
    weight = 1 / ((len(rows) + 1) * rows[number])
    order = np.argsort(misfit, kind="stable")
    reached = np.flatnonzero(np.cumsum(weight[order]) >= level - 1e-9)
    return float(misfit[order[reached[0]]]) if len(reached) else None


def score_set(p: Sequence[float], answer: int, least_p: float) -> list[int]:
    """The scores that are likely enough, and the answer, so that no set is empty."""
    return [score for score, share in enumerate(p) if share >= least_p or score == answer]
