"""Detections named by anatomy: which joint of an upright hand each one is, if any (a DIP joint or a carpal is none)."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import BONES, JOINT_SIDE
from rajobs.learning.points import WIDTH, PointNames

Coordinates = NDArray[np.float64]
Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

_ROUNDS = 4  # of laying hands upon their mean
_TURNS = np.deg2rad(np.arange(-40, 41, 10))  # poses of a hand that are tried
_SIZES = (0.65, 0.8, 1.0, 1.2)
_ANCHORS = 16  # the surest detections, on each of which each place that does not swing is laid in turn
_SHIFT = 6.0  # of a joint's width: how far a hand may lie from where it usually does
_SWINGS = np.deg2rad((-30, -15, 0, 15, 30))  # of a finger about its inner joint
_SWING_WEIGHTS = np.exp(-0.5 * (_SWINGS / np.deg2rad(25)) ** 2)
_SPREAD = 0.6  # of a joint's width: standard deviation of a joint around its place in a pose
_REACH = 1.2  # of a joint's width: a detection farther away belongs to another joint
_CLOSE_POSES = 20  # the best poses, which are then aligned with the detections
_LEAST_FIT = 0.55  # of a perfect fit: drawn feet, whose joints are detected too, fit less well, and hands better


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The usual place of each point in an image, in shares of the side, and the point that it swings about."""

    places: Coordinates  # not a number for a point that the cascade does not look for
    about: Numbers  # its own number for a point that does not swing

    @classmethod
    def from_places(cls, point_names: PointNames, places: Coordinates) -> "Layout":
        number = {name: at for at, name in enumerate(point_names)}
        about = np.arange(len(point_names))
        for (side, site), at in number.items():
            for near, far in BONES:
                inner = number.get((side, near))
                if site == far and inner is not None and np.isfinite(places[inner]).all():
                    about[at] = inner
        return cls(places=places, about=about)

    @property
    def width(self) -> float:
        """A joint's width, by the bones of the fingers as in the joints' boxes."""
        bones = np.linalg.norm(self.places - self.places[self.about], axis=1)
        bones = bones[np.isfinite(bones) & (bones > 0)]
        return float(np.median(bones)) * JOINT_SIDE / 2 if len(bones) else WIDTH


def usual_shape(hands: Coordinates) -> Coordinates:
    """The mean of hands (hands x points x 2) laid upon one another, at their usual size, angle and place.

    Procrustes, with points as complex numbers: a product turns and resizes. Without it turned hands would cancel out.
    """
    points = hands[..., 0] + 1j * hands[..., 1]
    middles = points.mean(axis=1, keepdims=True)
    points = points - middles
    shape = points[0]
    for _ in range(_ROUNDS):
        onto = (points.conj() * shape).sum(axis=1) / (np.abs(points) ** 2).sum(axis=1)
        shape = (onto[:, None] * points).mean(axis=0)
    turn = (onto.conj() / np.abs(onto)).mean()
    usual = shape * np.median(1 / np.abs(onto)) * turn / np.abs(turn)
    return np.column_stack([usual.real + np.median(middles.real), usual.imag + np.median(middles.imag)])


def name_detections(layout: Layout, detections: Coordinates, confidence: Values) -> Values:
    """Column, row and confidence of each point: those of its detection, or its expected place with confidence 0.

    If the detections as a whole do not look like a hand, no point has one.
    """
    sought = np.flatnonzero(np.isfinite(layout.places[:, 0]))
    points = np.full((len(layout.places), 3), np.nan)
    points[sought] = np.column_stack([layout.places[sought], np.zeros(len(sought))])
    if not len(detections):
        return points
    inner = np.searchsorted(sought, layout.about[sought])
    places, scaled = layout.places[sought] / layout.width, detections / layout.width
    poses = _make_poses(places, inner, scaled[np.argsort(-confidence, kind="stable")[:_ANCHORS]])
    pose_scores = _measure_fits(poses, inner, scaled, confidence).max(axis=2).sum(axis=1)
    close = poses[np.argsort(-pose_scores, kind="stable")[:_CLOSE_POSES]]
    poses = np.stack([_align_pose(pose, inner, scaled, confidence) for pose in close])
    matches = [_match_detections(fits) for fits in _measure_fits(poses, inner, scaled, confidence)]
    best = int(np.argmax([score for _, score in matches]))
    if matches[best][1] < _LEAST_FIT * len(sought):
        return points
    for point, place, which in zip(sought, poses[best] * layout.width, matches[best][0]):
        points[point] = (*place, 0.0) if which < 0 else (*detections[which], confidence[which])
    return points


def _make_poses(places: Coordinates, inner: Numbers, anchors: Coordinates) -> Coordinates:
    """The places turned, resized and shifted in all combinations: poses x places x 2, all in widths of a joint.

    A shift lays one of the places that do not swing on an anchor; the usual place itself is a pose, too.
    """
    middle = places.mean(axis=0)
    forms = [(places - middle) * size @ _rotation(turn).T + middle for turn, size in product(_TURNS, _SIZES)]
    firm = np.flatnonzero(inner == np.arange(len(inner)))
    poses = [*forms]
    for form in forms:
        shifts = (anchors[:, None] - form[firm]).reshape(-1, 2)
        poses += [form + shift for shift in shifts[np.abs(shifts).max(axis=1) <= _SHIFT]]
    return np.stack(poses)


def _rotation(angle: float) -> Values:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _measure_fits(poses: Coordinates, inner: Numbers, detections: Coordinates, confidence: Values) -> Values:
    """How well each detection fits each place of each pose at the best swing: poses x places x detections.

    Poses and detections are in widths of a joint.
    """
    best = np.zeros((*poses.shape[:2], len(detections)))
    about = poses[:, inner]
    for angle, weight in zip(_SWINGS, _SWING_WEIGHTS):
        distance = np.linalg.norm((about + (poses - about) @ _rotation(angle).T)[:, :, None] - detections, axis=3)
        fit = weight * confidence * np.exp(-((distance / _SPREAD) ** 2) / 2)
        best = np.maximum(best, np.where(distance < _REACH, fit, 0))
    return best


def _match_detections(fits: Values) -> tuple[Numbers, float]:
    """The detection of each place (-1: none), best fits first and each detection once; and the sum of the fits."""
    left, matched, score = fits.copy(), np.full(len(fits), -1), 0.0
    while left.max() > 0:
        place, which = np.unravel_index(left.argmax(), left.shape)
        matched[place], score = which, score + left[place, which]
        left[place], left[:, which] = 0, 0
    return matched, float(score)


def _align_pose(pose: Coordinates, inner: Numbers, detections: Coordinates, confidence: Values) -> Coordinates:
    """The pose shifted by the mean offset of the detections from their places, for places that do not swing."""
    matched, _ = _match_detections(_measure_fits(pose[None], inner, detections, confidence)[0])
    firm = (matched >= 0) & (inner == np.arange(len(inner)))
    return pose + (detections[matched[firm]] - pose[firm]).mean(axis=0) if firm.any() else pose
