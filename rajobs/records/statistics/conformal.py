"""Split-conformal prediction by patient: how wide a set or an interval must be to hold the truth of a new patient."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rajobs.records.statistics.count_statistics import Ints, Reals

MOST_LEFT_OUT = 100  # patients, from which on the guarantee alone holds hardly more than it says
HALVINGS = 12  # of the interval in which a share is looked for
ROUNDING = 1e-9
LEVEL = 0.9  # share of truths that sets and intervals hold


def conformal_bound(misfit: Reals, patients: NDArray[np.str_], level: float = LEVEL) -> float | None:
    """The misfit that a row of a new patient exceeds with a probability of at most 1 - level; None: too few patients.

    Each patient has the same weight, and the new one counts as one more whose misfit may be any: Lee, Barber and
    Willett 2023, hierarchical conformal prediction. 90 % take nine patients. That holds too much where a patient's rows
    differ among themselves; then the bound is as low as leaving each patient out in turn allows.
    """
    _, number, rows = np.unique(patients, return_inverse=True, return_counts=True)
    order = np.argsort(misfit, kind="stable")
    weight = 1 / rows[number[order]]
    mass, whole = np.cumsum(weight), len(rows) + 1
    if level * whole > len(rows) + ROUNDING:
        return None
    if len(rows) <= MOST_LEFT_OUT:
        level = min(level, _share_for_others(misfit[order], number[order], weight, level))
    return float(misfit[order[np.flatnonzero(mass >= level * whole - ROUNDING)[0]]])


def _share_for_others(misfit: Reals, number: Ints, weight: Reals, level: float) -> float:
    """The least share of patients, one more among them, whose bound has on average `level` of a patient left out.

    Rows are sorted by misfit.
    """
    patients = int(number.max()) + 1
    own = np.cumsum(np.where(number == np.arange(patients)[:, None], weight, 0), axis=1)
    others = np.cumsum(weight) - own
    # Beyond the last row lies a bound that holds everything.
    own, others = (
        np.pad(own, ((0, 0), (0, 1)), constant_values=1),
        np.pad(others, ((0, 0), (0, 1)), constant_values=patients),
    )
    last_equal = np.append(np.searchsorted(misfit, misfit, side="right") - 1, len(misfit))
    each, low, high, share = np.arange(patients), level / 2, 1.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        first = (others < middle * patients - ROUNDING).sum(axis=1)
        if own[each, last_equal[first]].mean() >= level:
            high, share = middle, float(others[each, first].mean()) / patients
        else:
            low = middle
    return share


def score_set(p: Sequence[float], answer: int, least_p: float) -> list[int]:
    """The scores that are likely enough, and the answer, so that no set is empty."""
    return [score for score, share in enumerate(p) if share >= least_p or score == answer]
