"""A paper's counts of rows by class and part, met as nearly as whole patients allow."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

STARTS = 20
TOTAL_WEIGHT = 4  # a part with a row too many is worse than one with a row of the wrong class

Counts = NDArray[np.int64]


def deal_whole_patients(
    classes_of: Mapping[str, Sequence[str]], wanted: Mapping[str, Mapping[str, int]], seed: int
) -> dict[str, str]:
    """The part of each patient that has one, out of the classes of every patient's rows and each part's counts.

    Patients with equal counts are alike, so the search exchanges kinds of patients: from several random starts, while
    an exchange between two parts (or with those in no part) brings the counts nearer.
    """
    classes = sorted({name for of_part in wanted.values() for name in of_part})
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for patient in sorted(classes_of):
        own = classes_of[patient]
        if own and set(own) <= set(classes):
            alike[tuple(own.count(name) for name in classes)].append(patient)
    kinds = np.array(sorted(alike), np.int64).reshape(len(alike), len(classes))
    there = np.array([len(alike[tuple(kind)]) for kind in kinds.tolist()], np.int64)
    goal = np.array([[of_part.get(name, 0) for name in classes] for of_part in wanted.values()], np.int64)
    rng = np.random.default_rng(seed)
    tried = [_improve(_start(kinds, there, goal, rng), kinds, goal) for _ in range(STARTS)]
    best = min(tried, key=lambda dealt: _cost(dealt[:-1] @ kinds - goal).sum())
    part_of: dict[str, str] = {}
    for kind, numbers in zip(kinds.tolist(), best.T.tolist()):
        names = iter(rng.permutation(alike[tuple(kind)]).tolist())
        part_of |= {next(names): part for part, count in zip(wanted, numbers) for _ in range(count)}
    return part_of


def _start(kinds: Counts, there: Counts, goal: Counts, rng: np.random.Generator) -> Counts:
    """Patients of each kind by part (the last row: in no part), as they come until each part has its rows."""
    dealt = np.zeros((len(goal) + 1, len(kinds)), np.int64)
    part, rows = 0, 0
    for kind in rng.permutation(np.repeat(np.arange(len(kinds)), there)).tolist():
        while part < len(goal) and rows >= goal[part].sum():
            part, rows = part + 1, 0
        dealt[part, kind] += 1
        rows += int(kinds[kind].sum())
    return dealt


def _improve(dealt: Counts, kinds: Counts, goal: Counts) -> Counts:
    """The counts after every exchange that brings them nearer, the best one first."""
    while True:
        best = min(_exchanges(dealt, kinds, goal), key=lambda exchange: exchange[0], default=(0, dealt))
        if best[0] >= 0:
            return dealt
        dealt = best[1]


def _exchanges(dealt: Counts, kinds: Counts, goal: Counts) -> Iterator[tuple[int, Counts]]:
    """For each two parts, by how much their best exchange changes the cost, and the counts after it.

    A part gives a patient and takes one, or does one of both: a kind without rows stands for nobody.
    """
    every = np.vstack([kinds, np.zeros_like(kinds[:1])])
    nobody = len(kinds)
    miss = np.vstack([dealt[:-1] @ kinds - goal, np.zeros_like(goal[:1])])
    for one in range(len(goal)):
        for other in range(one + 1, len(goal) + 1):
            gives, takes = (np.append(np.flatnonzero(dealt[part]), nobody) for part in (one, other))
            change = every[takes][None, :] - every[gives][:, None]
            cost = _cost(miss[one] + change) - _cost(miss[one])
            if other < len(goal):
                cost = cost + _cost(miss[other] - change) - _cost(miss[other])
            leaves, comes = np.unravel_index(int(cost.argmin()), cost.shape)
            after = np.hstack([dealt, np.zeros_like(dealt[:, :1])])
            for kind, source, target in ((gives[leaves], one, other), (takes[comes], other, one)):
                after[source, kind] -= 1
                after[target, kind] += 1
            yield int(cost[leaves, comes]), after[:, :nobody]


def _cost(miss: Counts) -> Counts:
    """How far counts (the last axis: classes) are from those wanted."""
    distance: Counts = np.abs(miss).sum(axis=-1) + TOTAL_WEIGHT * np.abs(miss.sum(axis=-1))
    return distance
