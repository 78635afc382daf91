"""Where a joint lies on a film, and the pixels around it.

x runs across the finger and y from the finger's tip to the hand. Lengths are in units of the distance MCP3-PIP3, as
joints' boxes are.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import JOINT_SIDE
from rajobs.imaging.rows import Row

Grey = NDArray[np.float32]
Numbers = NDArray[np.float64]

STEP = 0.005  # between the pixels of a patch
UP, ACROSS = 44, 42  # steps from the middle of a patch to its ends
ROWS, COLUMNS = 2 * UP + 1, 2 * ACROSS + 1
_REACH = 0.32  # of the pixels around a joint: a patch's half diagonal
_SMALLEST = 40.0  # pixels of a unit: below it nothing of a joint can be measured


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The middle of a joint in the film's pixels, and where its finger points."""

    unit: float  # pixels
    centre: Numbers
    angle: float  # degrees clockwise from the film's top

    def axes(self) -> Numbers:
        """The directions of x and y."""
        turn = np.deg2rad(self.angle)
        return np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    def to_film(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Columns and rows of the film."""
        across, down = self.axes() * self.unit
        return self.centre[0] + x * across[0] + y * down[0], self.centre[1] + x * across[1] + y * down[1]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The pixels around a joint, and a copy of them whose pixels are about a step wide."""

    pixels: Grey
    origin: Numbers  # column and row of the first pixel
    small: Grey
    shrink: float
    shape: tuple[int, int]  # of the film


def unit_of(joint: Row) -> float:
    """The distance MCP3-PIP3 of the joint's hand in pixels."""
    assert joint.box is not None, joint
    return (joint.box[2] - joint.box[0]) / JOINT_SIDE


def frame_of(joint: Row) -> Frame:
    """The frame of a joint as its row places it."""
    assert joint.box is not None, joint
    x0, y0, x1, y1 = joint.box
    return Frame(unit=unit_of(joint), centre=np.array([(x0 + x1) / 2, (y0 + y1) / 2]), angle=joint.angle)


def cut_surroundings(pixels: NDArray[Any], frame: Frame) -> Surroundings | None:
    """The pixels around a joint, continued beyond the film's edges; None: it is off the film, or too small."""
    rows, columns = pixels.shape
    x, y = round(float(frame.centre[0])), round(float(frame.centre[1]))
    if frame.unit < _SMALLEST or not (0 <= x < columns and 0 <= y < rows):
        return None
    half = int(np.ceil(_REACH * frame.unit)) + 2
    top, left = max(y - half, 0), max(x - half, 0)
    part = pixels[top : y + half + 1, left : x + half + 1].astype(np.float32)
    above, before = top - (y - half), left - (x - half)
    below, behind = 2 * half + 1 - above - part.shape[0], 2 * half + 1 - before - part.shape[1]
    if above or below or before or behind:
        part = np.asarray(cv2.copyMakeBorder(part, above, below, before, behind, cv2.BORDER_REPLICATE), np.float32)
    side = round(part.shape[0] / (STEP * frame.unit))
    shrink = side / part.shape[0]
    how = cv2.INTER_AREA if shrink < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(part, (side, side), interpolation=how), np.float32)
    origin = np.array([x - half, y - half], np.float64)
    return Surroundings(pixels=part, origin=origin, small=small, shrink=shrink, shape=(rows, columns))


def upright_patch(around: Surroundings, frame: Frame) -> Grey:
    """The joint with its finger upwards, in steps."""
    middle = (frame.centre - around.origin + 0.5) * around.shrink - 0.5
    across, down = frame.axes() * (STEP * frame.unit * around.shrink)
    to_small = np.column_stack([across, down, middle - across * ACROSS - down * UP])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(around.small, to_small, (COLUMNS, ROWS), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(patch, np.float32)


def quantile(values: NDArray[Any], share: float) -> float:
    """The value below which a share of the values lies; several times faster than NumPy's on so few."""
    ordered = np.sort(values, axis=None)
    return float(ordered[round(share * (len(ordered) - 1))])
