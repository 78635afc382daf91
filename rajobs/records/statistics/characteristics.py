"""What distinguishes patients by class: one variable's values in each of them, as papers tabulate it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from rajobs.records.statistics.count_statistics import Reals


@dataclass(frozen=True, kw_only=True)
class Characteristic:
    """A variable by class."""

    variable: str
    classes: tuple[str, ...]
    rows: tuple[int, ...]  # by class, where it is known
    values: tuple[tuple[float, ...], ...]  # by class: a count, or the median, quartiles, lowest and highest value
    p: float | None  # that the classes do not differ; None unless there are two of them
    counted: bool  # whether it is yes or no

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def characteristic(variable: str, by_class: Mapping[str, Sequence[float]]) -> Characteristic:
    """A variable by its known values in each class; of yes and no (1 and 0) how many have it."""
    groups = [np.array(of_class, np.float64) for of_class in by_class.values()]
    counted = {value for group in groups for value in group.tolist()} <= {0.0, 1.0}
    return Characteristic(
        variable=variable, classes=tuple(by_class), rows=tuple(map(len, groups)),
        values=tuple((float(group.sum()),) if counted else _spread(group) for group in groups),
        p=_p_value(groups, counted=counted), counted=counted,
    )  # fmt: skip


def _spread(group: Reals) -> tuple[float, ...]:
    """Median, quartiles, and the lowest and the highest value; nothing of nobody."""
    return tuple(np.quantile(group, (0.5, 0.25, 0.75, 0.0, 1.0)).tolist()) if len(group) else ()


def _p_value(groups: Sequence[Reals], *, counted: bool) -> float | None:
    """Of two classes: Mann-Whitney's, of counts Pearson's chi-squared without a correction, as 000 has them."""
    if len(groups) != 2 or not all(map(len, groups)):
        return None
    if not counted:
        return float(stats.mannwhitneyu(*groups).pvalue)
    table = np.array([[group.sum(), len(group) - group.sum()] for group in groups])
    return float(stats.chi2_contingency(table, correction=False).pvalue) if table.sum(axis=0).all() else None
