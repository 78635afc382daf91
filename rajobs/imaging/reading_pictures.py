"""Pictures for a person who reads films: a hand cut out upright at full depth, and the form in which a page holds it.

A browser shows 8 bits of a 16-bit PNG. So values are packed as differences from their neighbours, deflated, which every
browser can undo (`reports/sheet/picture.js`); a window then means what it means at a workstation.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.extremities import Affine, invert, move_points
from rajobs.imaging.hand_geometry import JOINT_SIDE
from rajobs.imaging.rows import Row

LONGEST = 1600
"""Pixels of the longer side of a picture: a hand of 19 cm at 0.12 mm."""
STRAIGHT = 12.0
"""Degrees up to which a hand is left as it lies: turning by a small angle blurs fine bone."""
ABOVE, BESIDE, BELOW = 1.3, 0.8, 0.7
"""Margins around the outermost joints, in lengths MCP3-PIP3: fingertips, thumb and skin, forearm."""
WRIST = 3.0
"""From MCP3 to below the wrist, in the same lengths: where the wrist has no places."""

Pixels = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ReadingPicture:
    """What a page shows of a film, and the map from its columns and rows to the film's."""

    pixels: Pixels
    to_film: Affine


def whole_film(pixels: Pixels, longest: int) -> ReadingPicture:
    """A film without its joints, at most `longest` pixels on its longer side."""
    return _shrink(pixels, np.eye(2, 3), longest)


def upright_hand(pixels: Pixels, row: Row) -> ReadingPicture:
    """A hand or foot with its fingers or toes up, as it lies on the film (a left hand stays a left hand)."""
    angle = row.angle if abs(row.angle) > STRAIGHT else 0.0
    turn = np.deg2rad(-angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    rows, columns = pixels.shape[:2]
    corners = np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]], np.float64) @ matrix.T
    low, high = _extent(row, matrix)
    low, high = np.maximum(low, corners.min(axis=0)), np.minimum(high, corners.max(axis=0))
    left, top = (int(value) for value in np.floor(low))
    width, height = (int(value) for value in np.maximum(np.ceil(high) - (left, top), 1))
    to_picture = np.column_stack([matrix, [-left, -top]])
    if angle:
        turned = cv2.warpAffine(pixels, to_picture, (width, height), flags=cv2.INTER_CUBIC)
    else:
        turned = pixels[top : top + height, left : left + width]
    return _shrink(turned, invert(to_picture), LONGEST)


def _extent(row: Row, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The upper left and the lower right corner of what a reader wants to see, after turning."""
    places = {joint.site: matrix @ _middle(joint) for joint in row.joints}
    at = np.array(list(places.values()))
    length = joint_side(row) / JOINT_SIDE
    low = at.min(axis=0) - np.array([BESIDE, ABOVE]) * length
    high = at.max(axis=0) + np.array([BESIDE, BELOW]) * length
    if "MCP3" in places:
        high[1] = max(high[1], places["MCP3"][1] + WRIST * length)
    return low, high


def _middle(joint: Row) -> NDArray[np.float64]:
    assert joint.box is not None, joint
    x0, y0, x1, y1 = joint.box
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])


def joint_side(row: Row) -> float:
    """The side of the boxes of a hand's joints, in the film's pixels."""
    box = row.joints[0].box
    assert box is not None, row
    return box[2] - box[0]


def joint_places(row: Row, picture: ReadingPicture) -> dict[str, tuple[float, float]]:
    """Column and row of each joint in a picture of its hand."""
    to_picture = invert(picture.to_film)
    moved = move_points(np.array([_middle(joint) for joint in row.joints]), to_picture)
    return {joint.site: (float(x), float(y)) for joint, (x, y) in zip(row.joints, moved)}


def _shrink(pixels: Pixels, to_film: Affine, longest: int) -> ReadingPicture:
    rows, columns = pixels.shape[:2]
    scale = longest / max(rows, columns)
    if scale >= 1:
        return ReadingPicture(pixels=pixels, to_film=np.asarray(to_film, np.float64))
    width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    across, down = columns / width, rows / height
    unshrink = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    return ReadingPicture(pixels=small, to_film=np.asarray(to_film @ unshrink, np.float64))


def pack(pixels: Pixels) -> bytes:
    """Grey values (rows x columns, up to 16 bits), deflated.

    Each value is told by its difference from the mean of its neighbours to the left and above, modulo 65,536, folded to
    0, -1, 1, -2, ... as 0, 1, 2, 3, ...; first all low bytes, then all high bytes.
    """
    values = pixels.astype(np.uint16)
    left, above = np.roll(values, 1, axis=1), np.roll(values, 1, axis=0)
    guess = ((left.astype(np.uint32) + above) >> 1).astype(np.uint16)
    guess[0], guess[:, 0] = left[0], above[:, 0]
    guess[0, 0] = 0
    difference = (values - guess).view(np.int16)
    folded = ((difference << 1) ^ (difference >> 15)).view(np.uint16)
    planes = np.concatenate([folded.ravel() & 0xFF, folded.ravel() >> 8]).astype(np.uint8)
    return zlib.compress(planes.tobytes(), 6)
