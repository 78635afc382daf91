"""The two contours of a joint, below a pixel: the plate of the base and the outline of the head.

The base of a phalanx is a cup. The beam runs along its floor, which shows as a bright plate, and its lips lie over the
space as a grey seam. The contour of the base is the edge of the plate, not that of the seam.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.joint_space.frame import STEP, Frame, Grey, Numbers, Surroundings
from rajobs.imaging.joint_space.valleys import Valley

_COLUMNS, _SAMPLES = 33, 56
MIDDLE = slice(6, 27)  # the columns that are measured: the middle third of the base
_SHOWN = 1.6 / 3  # of a base's half width that the columns cover
_BEYOND = 0.055  # on either side of the valley
_BLUR_PX, _BLUR = 0.7, 0.002  # standard deviation along a column: whichever is more
_LIP = 0.03  # standard deviation of how far from the valley the plate may lie
_PLATE = 0.012  # from the plate's brightest line to its edge, at most
_APART = 0.012  # of two plates
_RISE = 0.010  # how far before the outline of a head the dark of the space is looked for
_TILTS = np.array([-0.016, -0.008, 0.0, 0.008, 0.016])
_ARCHES = np.array([-0.024, -0.016, -0.008, 0.0, 0.008, 0.016])
_STARTS = np.arange(0, _SAMPLES, 2)


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Samples along the normals of a valley's curve, a column each, from the base to the head."""

    grey: Grey
    s: Numbers  # of each sample, in units; 0 on the curve
    columns: Numbers  # of the film, at each sample
    rows: Numbers
    length: float  # of the curve, in units

    def is_inside(self, shape: tuple[int, int]) -> bool:
        """Whether what is measured lies on a film of this shape."""
        columns, rows = self.columns[:, MIDDLE], self.rows[:, MIDDLE]
        low, high = min(columns.min(), rows.min()), (columns.max() - shape[1] + 1, rows.max() - shape[0] + 1)
        return bool(low >= 0 and max(high) <= 0)

    def to_film(self, places: Numbers) -> Numbers:
        """Columns and rows of the film where each column of the strip is at its place."""
        at = np.clip((places - self.s[0]) / (self.s[1] - self.s[0]), 0, len(self.s) - 1.001)
        sample, rest = at.astype(np.intp), at % 1
        each = np.arange(len(places))
        ends = ((grid[sample, each], grid[sample + 1, each]) for grid in (self.columns, self.rows))
        return np.column_stack([first * (1 - rest) + last * rest for first, last in ends])


@dataclass(frozen=True, kw_only=True)
class Contours:
    """Base and head in a strip."""

    raw: Numbers  # (2, columns): the steepest places
    places: Numbers  # smoothed
    steepness: Grey  # at them
    rival: float  # strength of the second likeliest plate, as a share of the likeliest one's
    grey: Grey  # the strip without noise


def sample_strip(around: Surroundings, frame: Frame, valley: Valley, middle: float, half: float) -> Strip:
    """The strip of a joint whose bones have this middle and half width."""
    x = np.linspace(-_SHOWN * half, _SHOWN * half, _COLUMNS)
    y = valley.y() + valley.slope * (x + middle) + valley.bend(x)
    rise = np.gradient(y, x[1] - x[0])
    long = np.hypot(rise, 1)
    reach = valley.width * STEP / 2 + _BEYOND
    s = np.linspace(-reach, reach, _SAMPLES)
    columns, rows = frame.to_film(x + middle - s[:, None] * (rise / long), y + s[:, None] / long)
    grey = cv2.remap(
        around.pixels, (columns - around.origin[0]).astype(np.float32), (rows - around.origin[1]).astype(np.float32),
        cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    grey = np.clip(grey, around.pixels.min(), around.pixels.max())  # cubic curves go beyond what is there
    return Strip(grey=np.asarray(grey, np.float32), s=s, columns=columns, rows=rows, length=2 * _SHOWN * half)


def trace(strip: Strip, valley: Valley, unit: float) -> Contours:
    """The contours of a joint: where brightness changes most."""
    s = strip.s
    step, half = float(s[1] - s[0]), valley.width * STEP / 2
    grey = _without_noise(strip.grey, max(_BLUR_PX / unit, _BLUR) / step)
    rises = np.zeros_like(grey)
    rises[1:-1] = (grey[2:] - grey[:-2]) / 2
    falls, rises = np.maximum(-rises, 0), np.maximum(rises, 0)
    dark = _evened(grey[np.abs(s) <= max(half, 0.006)].min(axis=0))
    bright = _evened((grey * _bump(s + half, 0.035, 9.0)[:, None])[s < 0].max(axis=0))
    span = np.maximum(bright - dark, 1e-6)
    level = np.clip((grey - dark) / span, 0, 1.2)  # 0 in the space, 1 on the plate
    near = 0.006 + 0.2 * half
    plates = _ridges(grey, max(1, round(0.007 / step))) / span * level**2 * _bump(s + half, _LIP, near)[:, None]
    # A sesamoid lies over the head and is brighter: its edge does not rise from the dark, as the head's does.
    lag = max(1, round(_RISE / step))
    before = np.vstack([np.repeat(level[:1], lag, axis=0), level[:-lag]])
    rises *= np.clip(1.1 - before, 0, 1).astype(np.float32) ** 2
    outlines = rises * _bump(s - half, near, 0.012)[:, None]
    (plate, outline), rival = _best_parabolas(np.stack([plates, outlines]), step)
    plate, outline = plate * step + s[0], outline * step + s[0]
    plate = _median_of_five(s[(plates * _hat(s[:, None] - plate, 0.014)).argmax(axis=0)])
    head = rises * _hat(s[:, None] - outline, 0.014)
    base = _blurred(falls * _edges_of_plate(s[:, None] - plate, level, max(1, round(0.004 / step))), 5)
    base = base * _hat(s[:, None] - _median_of_five(s[base.argmax(axis=0)]), 0.012)
    raw = np.stack([_steepest(base, falls, s), _steepest(head, rises, s)])
    at = np.clip(np.rint((raw - s[0]) / step).astype(np.intp), 0, len(s) - 1)
    each = np.arange(_COLUMNS)
    steepness = np.stack([falls[at[0], each], rises[at[1], each]])
    return Contours(raw=raw, places=_smoothed(raw), steepness=steepness, rival=rival, grey=grey)


def _without_noise(grey: Grey, sigma: float) -> Grey:
    """Blurred, much along the joint and little across it."""
    along = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1], np.float32) / 25
    across = cv2.getGaussianKernel(2 * int(np.ceil(2.5 * sigma)) + 1, sigma, cv2.CV_32F)
    return np.asarray(cv2.sepFilter2D(grey, -1, along, across, borderType=cv2.BORDER_REPLICATE), np.float32)


def _blurred(grey: Grey, columns: int) -> Grey:
    return np.asarray(cv2.blur(grey, (columns, 1), borderType=cv2.BORDER_REPLICATE), np.float32)


def _evened(line: Grey) -> Grey:
    even: Grey = _blurred(line[None], 9)[0]
    return even


def _median_of_five(line: Numbers) -> Numbers:
    smooth: Numbers = np.asarray(cv2.medianBlur(line.astype(np.float32)[None], 5), np.float64)[0]
    return smooth


def _bump(away: Numbers, before: float, after: float) -> Grey:
    """A weight of 1 that falls off with these standard deviations."""
    bump: Grey = np.exp(-0.5 * (away / np.where(away < 0, before, after)) ** 2).astype(np.float32)
    return bump


def _hat(away: Numbers, reach: float) -> Grey:
    """A weight of 1 that falls to 0 at `reach`."""
    hat: Grey = np.maximum(1 - np.abs(away.astype(np.float32)) / np.float32(reach), 0)
    return hat


def _ridges(grey: Grey, reach: int) -> Grey:
    """How much brighter a sample is than those on either side of it in its column."""
    ridges = np.zeros_like(grey)
    ridges[reach:-reach] = np.maximum(2 * grey[reach:-reach] - grey[2 * reach :] - grey[: -2 * reach], 0)
    return ridges


@cache
def _parabolas(step: float) -> tuple[Numbers, NDArray[np.intp]]:
    """Curves through every second column, in samples, and where their samples lie: column, curve, start."""
    columns = (_COLUMNS + 1) // 2
    x = np.linspace(-1, 1, columns)
    curves = ((_TILTS[:, None, None] * x + _ARCHES[:, None] * (x * x - 0.33)) / step).reshape(-1, columns)
    rows = np.clip(np.rint(curves.T).astype(np.intp)[..., None] + _STARTS, 0, _SAMPLES - 1)
    return curves, rows * columns + np.arange(columns)[:, None, None]


def _best_parabolas(strengths: Grey, step: float) -> tuple[Numbers, float]:
    """For each strength (sample, column) the sample of each column on the parabola along which it is largest.

    And how strong the first strength's best parabola elsewhere is, as a share of its best one.
    """
    strengths = np.stack([_blurred(strength, 3)[:, ::2] for strength in strengths])
    usual = np.median(strengths.max(axis=1), axis=1)[:, None, None] + np.float32(1e-6)
    strengths = np.minimum(strengths / usual, np.float32(1.2))
    curves, at = _parabolas(step)
    sums = [strength.reshape(-1).take(at).sum(axis=0) for strength in strengths]
    best = [divmod(int(each.argmax()), len(_STARTS)) for each in sums]
    every = np.arange(_COLUMNS)
    places = [np.clip(curves[curve] + _STARTS[number], 0, _SAMPLES - 1) for curve, number in best]
    elsewhere = sums[0][:, np.abs(_STARTS - _STARTS[best[0][1]]) * step > _APART]
    rival = float(elsewhere.max()) / max(float(sums[0].max()), 1e-6) if elsewhere.size else 0.0
    return np.array([np.interp(every, every[::2], line) for line in places]), rival


def _edges_of_plate(behind: Numbers, level: Grey, lag: int) -> NDArray[np.float32]:
    """Weights of the samples `behind` the plate's brightest line: just behind it, and next to what is bright."""
    bright = np.vstack([np.repeat(level[:1], lag, axis=0), level[:-lag]])
    just_behind = (behind >= -0.001) * _bump(np.maximum(behind - _PLATE, 0), 1.0, 0.006)
    weights: NDArray[np.float32] = np.minimum(bright, 1) ** 2 * just_behind
    return weights


def _steepest(weight: Grey, edge: Grey, s: Numbers) -> Numbers:
    """Where each column's edge is steepest, between samples, near where its weight is largest."""
    at = np.clip(weight.argmax(axis=0), 1, len(s) - 2)
    each = np.arange(weight.shape[1])
    before, here, after = edge[at - 1, each], edge[at, each], edge[at + 1, each]
    bent = np.minimum(before - 2 * here + after, -1e-9)
    places: Numbers = s[at] + np.clip((before - after) / bent / 2, -1, 1) * (s[1] - s[0])
    return places


def _smoothed(raw: Numbers) -> Numbers:
    """Contours without stray columns."""
    usual = np.stack([_median_of_five(line) for line in raw])
    kept = np.where(np.abs(raw - usual) > 0.008, usual, raw)
    kernel = np.array([[1.0, 2, 3, 2, 1]]) / 9
    return np.asarray(cv2.filter2D(kept, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float64)
