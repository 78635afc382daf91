"""Finds the space of a joint in its patch: a dark curve between two bright ones.

A child's growth plates are dark curves too. They lie a few millimetres beside the joint: of a phalanx, in front of it
(at its base); of a metacarpal of the fingers, behind it (at its head).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.joint_space.frame import ACROSS, COLUMNS, ROWS, STEP, UP, Grey, Numbers, quantile

_BANK = np.arange(-11, 12, 2)  # steps across of the columns in which curves are tried: the middle of every joint
_SLOPES = np.tan(np.deg2rad(np.arange(-24, 25, 8)))
_SHAPES = 4
_WIDTHS = (3, 4, 6, 8, 11, 15, 20)  # steps
_WIDER = 0.008  # contrast that each step of width must bring: what is wide is rarely dark by chance
_LEAST = 0.04  # contrast
_NEAR = 0.09  # standard deviation of where a joint lies about its place
_EPIPHYSIS = (0.05, 0.125)  # between a growth plate and its joint
_ENDS = 0.15  # a bone as dark as this behind a valley ends there: it is an epiphysis, and the valley its growth plate


@dataclass(frozen=True, kw_only=True)
class Valley:
    """A dark curve between two bright ones."""

    row: int  # steps from the patch's top to its middle
    width: int  # steps
    contrast: float  # to the darker of the two bright curves, as a share of the patch's range
    curve: int  # of those that are tried

    @property
    def slope(self) -> float:
        """Rows a column."""
        return float(_SLOPES[self.curve // _SHAPES])

    def bend(self, x: Numbers) -> Numbers:
        """How far the curve departs from a straight line, at x units from its middle."""
        return _bend(self.curve % _SHAPES, x)

    def y(self) -> float:
        """Its middle, in units from the patch's."""
        return (self.row - UP) * STEP


@dataclass(frozen=True, kw_only=True)
class Extent:
    """The part of a curve along which a bone is brighter than the space beside it, in units from the patch's middle."""

    middle: float
    half: float

    def is_joint(self) -> bool:
        """Whether a finger's bone can be so wide."""
        return 0.06 <= self.half <= 0.18


def _bend(shape: int, x: Numbers) -> Numbers:
    """Shapes of curves: nearly straight, round, rounder, and with two condyles."""
    if shape == 3:
        condyles: Numbers = 0.009 * np.cos(np.pi * np.clip(x, -0.09, 0.09) / 0.055)
        return condyles
    return (-0.3, 1.5, 3.3)[shape] * x * x


@cache
def _bank() -> NDArray[np.intp]:
    """Where the pixels of each curve lie in a patch: column, curve, row."""
    shapes = [_bend(shape, _BANK * np.float64(STEP)) / STEP for shape in range(_SHAPES)]
    offsets = np.array([slope * _BANK + bent for slope in _SLOPES for bent in shapes])
    rows = np.clip(np.arange(ROWS) + np.rint(offsets.T).astype(np.intp)[..., None], 0, ROWS - 1)
    return np.asarray(rows * COLUMNS + (ACROSS + _BANK)[:, None, None], np.intp)


def list_valleys(patch: Grey, tilt: float) -> list[Valley]:
    """The valleys of a patch from top to bottom, each along its best curve; `tilt` is how steep they may usually be."""
    profiles = patch.reshape(-1).take(_bank()).sum(axis=0) / np.float32(len(_BANK))
    middle = patch[::2, ACROSS - 26 : ACROSS + 27 : 2]
    scale = np.float32(max(quantile(middle, 0.97) - quantile(middle, 0.05), 1e-6))
    bright = np.asarray(cv2.blur(profiles, (3, 1), borderType=cv2.BORDER_REPLICATE), np.float32)
    likely = np.exp(-0.5 * (np.repeat(_SLOPES, _SHAPES) / tilt) ** 2).astype(np.float32)[:, None] / scale
    contrasts = np.full((len(_WIDTHS), *profiles.shape), -1, np.float32)
    for number, width in enumerate(_WIDTHS):
        away = width // 2 + 2  # of the bright curves
        dark = profiles if width < 4 else cv2.dilate(profiles, np.ones((1, width // 2 * 2 - 1), np.uint8))
        contrast = np.minimum(bright[:, : -2 * away], bright[:, 2 * away :]) - np.asarray(dark)[:, away:-away]
        contrasts[number, :, away:-away] = (contrast - np.float32(_WIDER * (width - 3)) * scale) * likely
    best = contrasts.max(axis=(0, 1))
    highest = np.asarray(cv2.dilate(best[None], np.ones((1, 9), np.uint8)))[0]
    valleys = []
    for row in np.flatnonzero((best > _LEAST) & (best >= highest)):
        number, curve = divmod(int(contrasts[:, :, row].argmax()), len(profiles))
        valleys.append(Valley(row=int(row), width=_WIDTHS[number], contrast=float(best[row]), curve=curve))
    return valleys


def choose_valley(valleys: Sequence[Valley], patch: Grey, site: str) -> Valley | None:
    """The joint among the valleys: the most contrasting one near the middle, or the one behind that growth plate."""
    if not valleys:
        return None
    chosen = max(valleys, key=lambda valley: valley.contrast * np.exp(-0.5 * (valley.y() / _NEAR) ** 2))
    if site.startswith("MCP"):
        chosen = _middle_of_three(valleys, chosen)
    while not any(_is_growth_plate_of(chosen, valley) for valley in valleys):
        ends = bone_behind(patch, chosen) < _ENDS
        behind = [valley for valley in valleys if _may_be_joint_of(chosen, valley, ends, site)]
        if not behind:
            return None if ends else chosen
        chosen = max(behind, key=lambda valley: valley.contrast)
    return chosen


def _middle_of_three(valleys: Sequence[Valley], last: Valley) -> Valley:
    """The joint where the chosen valley is the growth plate of a metacarpal's head: it lies between two of them."""
    before = (valley for valley in valleys if _is_growth_plate_of(last, valley) and abs(valley.y()) < abs(last.y()))
    return next((joint for joint in before if any(_is_growth_plate_of(joint, first) for first in valleys)), last)


def _is_growth_plate_of(joint: Valley, other: Valley) -> bool:
    """Whether a valley may be the growth plate of the bone in front of a joint."""
    away = (joint.row - other.row) * STEP
    return _EPIPHYSIS[0] < away < 0.14 and other.contrast > 0.4 * joint.contrast


def _may_be_joint_of(growth_plate: Valley, other: Valley, ends: bool, site: str) -> bool:
    """Whether a valley may be the joint behind what may be a growth plate, and surely is one where the bone `ends`."""
    away = (other.row - growth_plate.row) * STEP
    if ends:
        return 0.035 < away < 0.145 and other.contrast > max(0.05, 0.2 * growth_plate.contrast)
    # Metacarpals of fingers have a growth plate behind the joint, which must not be taken for one.
    least = 0.1 if site.startswith("MCP") else 0.08
    parallel = abs(other.slope - growth_plate.slope) < 0.3
    contrasts = other.contrast > max(least, 0.4 * growth_plate.contrast)
    return parallel and contrasts and _EPIPHYSIS[0] < away < _EPIPHYSIS[1]


def bone_behind(patch: Grey, valley: Valley) -> float:
    """How bright the darkest place of the bone behind a valley is: 1 as the valley's plates, 0 as the valley."""
    curve = patch.reshape(-1).take(_bank()[:, valley.curve])  # column, row
    row, half = valley.row, valley.width // 2
    middle, brightest = curve[3:9].mean(axis=0), curve.reshape(4, 3, -1).mean(axis=1).max(axis=0)
    dark = float(curve[:, max(row - 1, 0) : row + 2].mean())
    plates = middle[max(row - half - 4, 0) : row - half], middle[row + half + 1 : row + half + 5]
    first, last = min(row + half + 5, ROWS - 3), min(row + half + 26, ROWS)
    behind = cv2.blur(brightest[None, first:last], (3, 1))
    bright = min(float(plate.max()) for plate in plates)
    return (float(np.min(behind)) - dark) / max(bright - dark, 1e-6)


def along(patch: Grey, valley: Valley) -> Grey:
    """The brightness along the space, the base and the head of a joint: three lines across the patch."""
    x = np.arange(-ACROSS, ACROSS + 1)
    curve = valley.row + valley.slope * x + valley.bend(np.clip(x * STEP, -0.07, 0.07)) / STEP
    outside = valley.width / 2 + np.array([[6], [8], [10], [12]])
    rows = np.vstack([curve + np.array([[-1], [0], [1]]), curve - outside, curve + outside])
    grey = patch[np.clip(np.rint(rows), 0, ROWS - 1).astype(np.intp), ACROSS + x]
    lines = np.stack([grey[:3].mean(axis=0), grey[3:7].mean(axis=0), grey[7:].mean(axis=0)])
    return np.asarray(cv2.blur(lines, (5, 1), borderType=cv2.BORDER_REPLICATE), np.float32)


def extent_of(brighter: Grey) -> Extent:
    """Where a bone lies along a curve, from how much brighter than what is not bone it is there."""
    level = quantile(brighter[ACROSS - 18 : ACROSS + 19], 0.7)
    lit = (brighter > 0.35 * level).astype(np.uint8)
    lit = np.asarray(cv2.morphologyEx(lit[None], cv2.MORPH_CLOSE, np.ones((1, 9), np.uint8)), np.uint8)[0]
    runs = np.flatnonzero(np.diff(lit, prepend=0, append=0)).reshape(-1, 2)
    if level <= 0 or not len(runs):
        return Extent(middle=0.0, half=0.0)
    sums = np.concatenate([[0.0], np.cumsum(brighter)])
    first, last = runs[int(np.argmax(sums[runs[:, 1]] - sums[runs[:, 0]]))]
    return Extent(middle=((first + last - 1) / 2 - ACROSS) * STEP, half=(last - first) / 2 * STEP)
