"""Clips of hands that a cascade learns from: about the joints, and about none of them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import BONES
from rajobs.learning.cascade.haar import Patches
from rajobs.learning.points import PointNames, joint_widths
from rajobs.learning.recipe import Augment

P = NDArray[np.float64]
Boxes = NDArray[np.float64]
"""Column and row of the middle, and side, in pixels."""

NEAR, ALIKE = 0.4, 1.5  # of a clip: a window nearer to a joint, at most that much larger or smaller, is not none
BEYOND = 0.6  # of a finger's bone: so far past its outer joint lies the next one, which nobody labels (DIP)
MARGIN = 0.1  # of the side, about a hand's places: what lies beyond it may be another hand's


@dataclass(frozen=True, kw_only=True)
class Hands:
    """Images of hands with the places in them, in shares of the side; not a number: not there."""

    image: Callable[[int], Patches]
    side: int  # pixels
    points: P  # hands x places x 2
    point_names: PointNames
    sought: NDArray[np.int64]  # the places that are to be found

    def __len__(self) -> int:
        return len(self.points)

    def joints(self, number: int, clip: float) -> Boxes:
        """A box about each place of a hand that is to be found and is there, so many joint's widths wide."""
        mine = self.points[number]
        boxes = np.column_stack([mine, clip * joint_widths(self.point_names, mine[None])[0]])[self.sought] * self.side
        return boxes[np.isfinite(boxes).all(axis=1)]

    def elsewhere(self, number: int, clip: float, boxes: Boxes) -> Boxes:
        """Those of some boxes that lie in the hand and are about no joint, labelled or not."""
        joints, points = self.joints(number, clip), self.points[number] * self.side
        if not len(joints):
            return boxes[:0]
        low, high = np.nanmin(points, axis=0) - MARGIN * self.side, np.nanmax(points, axis=0) + MARGIN * self.side
        inside = ((boxes[:, :2] > low) & (boxes[:, :2] < high)).all(axis=1)
        side = joints[0, 2]
        beyond = _near(boxes, self._beyond(points), 2 * NEAR * side)
        ratio = np.maximum(boxes[:, 2] / side, side / boxes[:, 2])
        return boxes[inside & ~beyond & ~(_near(boxes, joints[:, :2], NEAR * side) & (ratio <= ALIKE))]

    def _beyond(self, points: P) -> P:
        """Where a finger's next joint lies."""
        at = dict(zip(self.point_names, points))
        fingers = [
            ((side, near), (side, far)) for side in {side for side, _ in self.point_names} for near, far in BONES
        ]
        ends = [at[far] + BEYOND * (at[far] - at[near]) for near, far in fingers if near in at and far in at]
        return np.array(ends).reshape(-1, 2)


def _near(boxes: Boxes, points: P, reach: float) -> NDArray[np.bool_]:
    away = np.linalg.norm(boxes[:, None, :2] - points, axis=2)
    return np.asarray((away < reach).any(axis=1))


def cut(image: Patches, boxes: Boxes, window: int, turns: P | None = None) -> Patches:
    """The pixels of boxes, each turned, read as OpenCV reads an image of another size."""
    found = np.empty((len(boxes), window, window), np.uint8)
    for at, (x, y, side) in enumerate(boxes):
        turn = 0.0 if turns is None else turns[at]
        matrix = side / window * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        corner = np.array([x, y]) - 0.5 - matrix @ np.full(2, (window - 1) / 2)
        to_image = np.column_stack([matrix, corner])
        found[at] = cv2.warpAffine(image, to_image, (window, window), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return found


def moved(boxes: Boxes, how: Augment, rng: np.random.Generator) -> tuple[Boxes, P]:
    """Boxes put off by a share of their side and of another size, and how far each is turned."""
    x, y, zoom, turn = rng.uniform(-1, 1, (4, len(boxes)))
    off = np.column_stack([x * how.shift, y * how.shift, zoom * how.zoom]) * boxes[:, 2:]
    return boxes + off, np.deg2rad(turn * how.rotate)
