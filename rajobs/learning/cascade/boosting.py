"""One stage of a cascade: stumps by gentle AdaBoost until the windows it lets through are few enough."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rajobs.learning.cascade.haar import F, Haar, I, Windows

CUTS = 256  # places, evenly among the windows, at which a feature is tried to part them
AT_ONCE = 256  # features in a core's cache
EPS = 1e-5  # what OpenCV takes off a stage's threshold

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Stumps that are added up, and the sum from which on a window passes."""

    features: I
    thresholds: F
    leaves: F  # stumps x 2: what a value below the threshold gives, and another
    least: float

    def sums(self, given: Windows) -> F:
        below = given.values(self.features) < self.thresholds[:, None]
        found: F = np.where(below, self.leaves[:, :1], self.leaves[:, 1:]).sum(axis=0)
        return found

    def passes(self, given: Windows) -> Bools:
        """Whether each window passes; an empty one does not."""
        through: Bools = (self.sums(given) >= self.least - EPS) & (given.scale > 0)
        return through


def grow(features: I, given: Windows, joint: Bools, settings: Haar) -> tuple[Stage, float]:
    """A stage, and its mean exponential loss on what it learnt from, joints and the other windows weighing the same.

    Stumps are added until few enough of the other windows pass with nearly all of the joints, or there are many.
    """
    cuts = _Cuts.of(given.values(features))
    truth = np.where(joint, 1.0, -1.0).astype(np.float32)
    weights = np.where(joint, 0.5 / joint.sum(), 0.5 / (~joint).sum()).astype(np.float32)
    start, sums = weights, np.zeros(len(truth), np.float32)
    chosen: list[int] = []
    thresholds: list[float] = []
    leaves: list[tuple[float, float]] = []
    alarms = 1.0
    while alarms > settings.false_alarms and len(chosen) < settings.stumps:
        at, threshold = cuts.best(weights, truth)
        below = cuts.values[at] < threshold
        chosen.append(at)
        thresholds.append(threshold)
        low, high = (_mean(truth, weights, which) for which in (below, ~below))
        leaves.append((low, high))
        step = np.where(below, np.float32(low), np.float32(high))
        sums = sums + step
        weights = weights * np.exp(-truth * step)
        weights = weights / weights.sum()
        least = float(np.quantile(sums[joint], 1 - settings.hit_rate, method="lower"))
        alarms = float((sums[~joint] >= least).mean())
    stage = Stage(
        features=features[chosen], thresholds=np.array(thresholds, np.float32), leaves=np.array(leaves, np.float32),
        least=least,
    )  # fmt: skip
    return stage, float((start * np.exp(-truth * sums)).sum())


def _mean(truth: F, weights: F, which: Bools) -> float:
    """The weighted mean: what gentle AdaBoost answers there."""
    return float((truth * weights)[which].sum() / max(weights[which].sum(), 1e-12))


@dataclass(frozen=True, kw_only=True)
class _Cuts:
    """Where each feature may part the windows."""

    values: F  # features x windows
    order: NDArray[np.int32]  # features x windows: from low to high, the last few that fill no block left out
    block: int  # windows from cut to cut
    thresholds: F  # features x cuts; not a number where equal values lie on both sides

    @classmethod
    def of(cls, values: F) -> "_Cuts":
        block = max(1, values.shape[1] // CUTS)
        usable = values.shape[1] // block * block
        order = np.argsort(values, axis=1)[:, :usable].astype(np.int32)
        ends = np.arange(block, usable, block)
        below, above = (np.take_along_axis(values, order[:, at], axis=1) for at in (ends - 1, ends))
        thresholds = np.where(below < above, (below + above) / 2, np.nan)
        return cls(values=values, order=order, block=block, thresholds=thresholds.astype(np.float32))

    def best(self, weights: F, truth: F) -> tuple[int, float]:
        """The feature and the value that part the windows with the least squared error."""
        signed, blocks = weights * truth, np.arange(0, self.order.shape[1], self.block)
        best, found = -np.inf, (0, 0)
        for start in range(0, len(self.order), AT_ONCE):
            some = self.order[start : start + AT_ONCE]
            left, pull = (np.add.reduceat(w[some], blocks, axis=1).cumsum(axis=1)[:, :-1] for w in (weights, signed))
            right, rest = weights.sum() - left, signed.sum() - pull
            gain = pull**2 / np.maximum(left, 1e-9) + rest**2 / np.maximum(right, 1e-9)
            gain[np.isnan(self.thresholds[start : start + AT_ONCE])] = -1
            at = int(gain.argmax())
            if gain.flat[at] > best:
                best, found = float(gain.flat[at]), (start + at // gain.shape[1], at % gain.shape[1])
        return found[0], float(self.thresholds[found])
