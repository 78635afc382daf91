"""Haar-like features of small windows by integral images, computed as OpenCV's cascade classifier does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rajobs.learning.recipe import check_range
from rajobs.records.errors import BadRecipe

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Patches = NDArray[np.uint8]

FLAT = 10.0  # standard deviation in grey levels: OpenCV takes a window for empty up to it
_CELLS = ((2, 1), (1, 2), (3, 1), (1, 3), (2, 2))  # across and down: edges, lines and the diagonal of mode BASIC


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({
    "window": (8, 128), "clip": (0.1, 20), "stumps": (1, 10_000), "features": (1, 1_000_000),
    "positives": (1, 1_000_000), "negatives": (1, 1_000_000), "most": (0, 1), "step": (1, 10), "neighbours": (0, 1000),
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Haar:
    """Settings of a cascade of Haar-like features. 004 prints none of them: most are opencv_traincascade's own."""

    window: int = 24  # pixels of a side
    clip: float = 2.0  # side of the clip around a joint, in widths of the joint
    hit_rate: float = 0.995  # least share of the joints that pass a stage
    false_alarms: float = 0.5  # largest share of the windows without a joint that pass
    stumps: int = 100  # largest number in a stage
    features: int = 3000  # tried in a stage, drawn from all features of a window
    positives: int = 3720  # largest number of joint windows that a stage learns from: 004 had as many
    negatives: int = 3000  # largest number of windows without a joint
    least: float = 0.078  # side of the smallest detection, as a share of the image's side: 40 of 512 pixels
    most: float = 0.157  # side of the largest detection: 80 of 512 pixels
    step: float = 1.1  # factor from one window size to the next
    neighbours: int = 3  # overlapping windows that make a detection

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            check_range(f"{name} of haar", getattr(self, name), low, high)
        if not (0 < self.hit_rate <= 1 and 0 < self.false_alarms < 1 and self.step > 1 and 0 < self.least < self.most):
            raise BadRecipe("haar needs hit_rate and false_alarms within 0 and 1, step above 1, least below most")


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Patches in the form that a cascade reads."""

    sums: Floats  # windows x corners: integral images; exact, as they are whole numbers below 2^24
    scale: Floats  # 1 / (area x standard deviation) of the window without its rim; 0 for an empty window

    def __len__(self) -> int:
        return len(self.scale)

    @classmethod
    def concatenate(cls, parts: Sequence["Windows"]) -> "Windows":
        return cls(sums=np.concatenate([p.sums for p in parts]), scale=np.concatenate([p.scale for p in parts]))

    def take(self, at: NDArray[np.int64] | NDArray[np.bool_]) -> "Windows":
        return Windows(sums=self.sums[at], scale=self.scale[at])

    def values(self, features: Ints) -> Floats:
        """The value of every feature in every window: features x windows."""
        side = round(self.sums.shape[1] ** 0.5)
        values: Floats = (_corner_weights(features, side) @ self.sums.T) * self.scale
        return values


def read_windows(patches: Patches) -> Windows:
    """The windows of patches (n, side, side): integral images and scales."""
    count, side, _ = patches.shape
    pixels = patches.astype(np.float64)
    sums = np.zeros((count, side + 1, side + 1), np.float32)
    sums[:, 1:, 1:] = pixels.cumsum(axis=1).cumsum(axis=2)
    spread, area = pixels[:, 1:-1, 1:-1].std(axis=(1, 2)), (side - 2) ** 2
    scale = np.where(spread > FLAT, 1 / (area * np.maximum(spread, FLAT)), 0).astype(np.float32)
    return Windows(sums=sums.reshape(count, (side + 1) ** 2), scale=scale)


def every_feature(side: int) -> Ints:
    """All upright features of a window (n, 3 rectangles, x y width height weight).

    The weighted areas of a feature add up to 0.
    """
    features = []
    for across, down in _CELLS:
        wide, high = np.mgrid[1 : side // across + 1, 1 : side // down + 1].reshape(2, -1)
        for w, h in zip(wide.tolist(), high.tolist()):
            x, y = np.mgrid[: side - across * w + 1, : side - down * h + 1].reshape(2, -1)
            features.append(_place_rectangles(x, y, w, h, across, down))
    return np.concatenate(features).astype(np.int32)


def _place_rectangles(x: Ints, y: Ints, w: int, h: int, across: int, down: int) -> Ints:
    """The whole rectangle with weight -1, and the cells in it whose weights balance it."""
    one, none = np.ones_like(x), np.zeros_like(x)
    whole = (x, y, across * w * one, down * h * one, -one)
    if across == down:
        cells = [(x, y, w * one, h * one, 2 * one), (x + w, y + h, w * one, h * one, 2 * one)]
    else:
        inner = (x + (across > 1) * w, y + (down > 1) * h, w * one, h * one, max(across, down) * one)
        cells = [inner, (none,) * 5]
    return np.stack([np.stack(part, axis=1) for part in (whole, *cells)], axis=1)


def _corner_weights(features: Ints, side: int) -> Floats:
    """The weight of each corner of an integral image of `side` rows in each feature: features x corners."""
    weights = np.zeros((len(features), side * side), np.float32)
    at = np.arange(len(features))
    for x, y, w, h, weight in features.transpose(1, 2, 0):
        for column, row, sign in ((x, y, 1), (x + w, y, -1), (x, y + h, -1), (x + w, y + h, 1)):
            np.add.at(weights, (at, row * side + column), sign * weight)
    return weights
