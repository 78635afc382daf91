"""Clips of hands that a cascade learns from: boxes around the joints, and boxes away from all joints."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import BONES
from rajobs.learning.cascade.haar import Patches
from rajobs.learning.points import PointNames, joint_widths
from rajobs.learning.recipe import Augment

Coordinates = NDArray[np.float64]
Boxes = NDArray[np.float64]
"""Column and row of the middle, and side, in pixels."""

NEAR, SIMILAR_SIZE = 0.4, 1.5  # a box within so many sides of a joint and of up to this size ratio shows that joint
BEYOND = 0.6  # of a finger's bone: so far beyond its outer joint lies the next one, which nobody labels (DIP)
MARGIN = 0.1  # of the side, around a hand's points: what lies farther out may be another hand's


@dataclass(frozen=True, kw_only=True)
class Hands:
    """Images of hands with their points, in shares of the side; a point that is not there is not a number."""

    image: Callable[[int], Patches]
    side: int  # pixels
    points: Coordinates  # hands x points x 2
    point_names: PointNames
    sought: NDArray[np.int64]  # numbers of the points that the cascade has to find
    all_known: NDArray[np.bool_]  # whether all sought points of a hand are labelled, as there or as not there

    def __len__(self) -> int:
        return len(self.points)

    def joint_boxes(self, number: int, clip: float) -> Boxes:
        """A box around each sought point that the hand has; its side is `clip` joint widths."""
        points = self.points[number]
        width = joint_widths(self.point_names, points[None])[0]
        boxes: Boxes = np.column_stack([points, clip * width])[self.sought] * self.side
        return boxes[np.isfinite(boxes).all(axis=1)]

    def without_joint(self, number: int, clip: float, boxes: Boxes) -> Boxes:
        """The boxes that lie in the hand and show no joint; none of a hand where nobody labelled some joint."""
        joints, points = self.joint_boxes(number, clip), self.points[number] * self.side
        if not len(joints) or not self.all_known[number]:
            return boxes[:0]
        low, high = np.nanmin(points, axis=0) - MARGIN * self.side, np.nanmax(points, axis=0) + MARGIN * self.side
        inside = ((boxes[:, :2] > low) & (boxes[:, :2] < high)).all(axis=1)
        side = joints[0, 2]
        near_unlabelled = _is_near(boxes, self._unlabelled_joints(points), 2 * NEAR * side)
        ratio = np.maximum(boxes[:, 2] / side, side / boxes[:, 2])
        shows_joint = _is_near(boxes, joints[:, :2], NEAR * side) & (ratio <= SIMILAR_SIZE)
        background: Boxes = boxes[inside & ~near_unlabelled & ~shows_joint]
        return background

    def _unlabelled_joints(self, points: Coordinates) -> Coordinates:
        """Where the next joint of each finger lies, which nobody labels."""
        at = dict(zip(self.point_names, points))
        fingers = [
            ((side, near), (side, far)) for side in {side for side, _ in self.point_names} for near, far in BONES
        ]
        ends = [at[far] + BEYOND * (at[far] - at[near]) for near, far in fingers if near in at and far in at]
        return np.array(ends).reshape(-1, 2)


def _is_near(boxes: Boxes, points: Coordinates, reach: float) -> NDArray[np.bool_]:
    """Whether the middle of each box is within reach of a point."""
    distances = np.linalg.norm(boxes[:, None, :2] - points, axis=2)
    return np.asarray((distances < reach).any(axis=1))


def cut_patches(image: Patches, boxes: Boxes, window: int, turns: Coordinates | None = None) -> Patches:
    """The pixels of boxes, each turned by its angle (radians), resampled as OpenCV resizes an image."""
    patches = np.empty((len(boxes), window, window), np.uint8)
    for at, (x, y, side) in enumerate(boxes):
        turn = 0.0 if turns is None else turns[at]
        matrix = side / window * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        corner = np.array([x, y]) - 0.5 - matrix @ np.full(2, (window - 1) / 2)
        to_image = np.column_stack([matrix, corner])
        patches[at] = cv2.warpAffine(image, to_image, (window, window), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return patches


def jitter_boxes(boxes: Boxes, augment: Augment, rng: np.random.Generator) -> tuple[Boxes, Coordinates]:
    """Boxes shifted and resized at random by shares of their side, and a random turn for each (radians)."""
    x, y, zoom, turn = rng.uniform(-1, 1, (4, len(boxes)))
    changes = np.column_stack([x * augment.shift, y * augment.shift, zoom * augment.zoom]) * boxes[:, 2:]
    return boxes + changes, np.deg2rad(turn * augment.rotate)
