"""One stage of a cascade: stumps by gentle AdaBoost until the stage lets few enough windows without a joint through."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rajobs.learning.cascade.haar import Floats, Haar, Ints, Windows

CUTS = 256  # thresholds tried per feature, at even ranks of the windows
FEATURES_AT_ONCE = 256  # so many fit a core's cache
OPENCV_TOLERANCE = 1e-5  # OpenCV subtracts it from a stage's threshold

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Stumps whose answers are summed, and the sum at which a window passes."""

    features: Ints
    thresholds: Floats
    leaves: Floats  # stumps x 2: the answer to a value below the threshold, and to any other
    least: float

    def sums(self, windows: Windows) -> Floats:
        below = windows.values(self.features) < self.thresholds[:, None]
        sums: Floats = np.where(below, self.leaves[:, :1], self.leaves[:, 1:]).sum(axis=0)
        return sums

    def passes(self, windows: Windows) -> Bools:
        """Whether each window passes; an empty one does not."""
        passing: Bools = (self.sums(windows) >= self.least - OPENCV_TOLERANCE) & (windows.scale > 0)
        return passing


def grow_stage(features: Ints, windows: Windows, is_joint: Bools, settings: Haar) -> tuple[Stage, float]:
    """A stage and its mean exponential loss on its windows; those with and without a joint have equal weight.

    Stumps are added until few enough windows without a joint pass with nearly all of the joints, or up to the limit.
    """
    cuts = _Cuts.from_values(windows.values(features))
    truth = np.where(is_joint, 1.0, -1.0).astype(np.float32)
    weights = np.where(is_joint, 0.5 / is_joint.sum(), 0.5 / (~is_joint).sum()).astype(np.float32)
    first_weights, sums = weights, np.zeros(len(truth), np.float32)
    chosen: list[int] = []
    thresholds: list[float] = []
    leaves: list[tuple[float, float]] = []
    false_alarms = 1.0
    while false_alarms > settings.false_alarms and len(chosen) < settings.stumps:
        feature, threshold = cuts.best(weights, truth)
        below = cuts.values[feature] < threshold
        chosen.append(feature)
        thresholds.append(threshold)
        low, high = (_weighted_mean(truth, weights, side) for side in (below, ~below))
        leaves.append((low, high))
        step = np.where(below, np.float32(low), np.float32(high))
        sums = sums + step
        weights = weights * np.exp(-truth * step)
        weights = weights / weights.sum()
        least = float(np.quantile(sums[is_joint], 1 - settings.hit_rate, method="lower"))
        false_alarms = float((sums[~is_joint] >= least).mean())
    stage = Stage(
        features=features[chosen], thresholds=np.array(thresholds, np.float32), leaves=np.array(leaves, np.float32),
        least=least,
    )  # fmt: skip
    return stage, float((first_weights * np.exp(-truth * sums)).sum())


def _weighted_mean(truth: Floats, weights: Floats, chosen: Bools) -> float:
    """The answer of gentle AdaBoost for these windows."""
    return float((truth * weights)[chosen].sum() / max(weights[chosen].sum(), 1e-12))


@dataclass(frozen=True, kw_only=True)
class _Cuts:
    """The thresholds at which each feature may split the windows."""

    values: Floats  # features x windows
    order: NDArray[np.int32]  # features x windows, from low to high; the last ones, too few for a block, are left out
    block: int  # windows between two thresholds
    thresholds: Floats  # features x cuts; not a number where the values on both sides are equal

    @classmethod
    def from_values(cls, values: Floats) -> "_Cuts":
        block = max(1, values.shape[1] // CUTS)
        usable = values.shape[1] // block * block
        order = np.argsort(values, axis=1)[:, :usable].astype(np.int32)
        ends = np.arange(block, usable, block)
        below, above = (np.take_along_axis(values, order[:, at], axis=1) for at in (ends - 1, ends))
        thresholds = np.where(below < above, (below + above) / 2, np.nan)
        return cls(values=values, order=order, block=block, thresholds=thresholds.astype(np.float32))

    def best(self, weights: Floats, truth: Floats) -> tuple[int, float]:
        """The feature and the threshold that split the windows with the least squared error."""
        signed, blocks = weights * truth, np.arange(0, self.order.shape[1], self.block)
        best_gain, best_cut = -np.inf, (0, 0)
        for start in range(0, len(self.order), FEATURES_AT_ONCE):
            order = self.order[start : start + FEATURES_AT_ONCE]
            left, left_signed = (
                np.add.reduceat(values[order], blocks, axis=1).cumsum(axis=1)[:, :-1] for values in (weights, signed)
            )
            right, right_signed = weights.sum() - left, signed.sum() - left_signed
            gain = left_signed**2 / np.maximum(left, 1e-9) + right_signed**2 / np.maximum(right, 1e-9)
            gain[np.isnan(self.thresholds[start : start + FEATURES_AT_ONCE])] = -1
            at = int(gain.argmax())
            if gain.flat[at] > best_gain:
                best_gain = float(gain.flat[at])
                best_cut = (start + at // gain.shape[1], at % gain.shape[1])
        return best_cut[0], float(self.thresholds[best_cut])
