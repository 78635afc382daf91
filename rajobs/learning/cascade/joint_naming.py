"""Finds named by anatomy: which is which joint of an upright hand, and which (a DIP joint, a carpal) is none."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import BONES
from rajobs.learning.points import WIDTH, PointNames

P = NDArray[np.float64]
Numbers = NDArray[np.int64]

_TURNS = np.deg2rad((-20, -10, 0, 10, 20))  # poses that a hand is tried in
_SIZES = (0.85, 1.0, 1.15)
_SHIFTS = np.arange(-2, 3) * 0.8 * WIDTH
_SWINGS = np.deg2rad((-30, -15, 0, 15, 30))  # of a finger about its inner joint
_LIKELY = np.exp(-0.5 * (_SWINGS / np.deg2rad(25)) ** 2)
_NEAR = 0.6 * WIDTH  # standard deviation of a joint about its place in a pose
_REACH = 1.2 * WIDTH  # farther off it is another's
_BEST = 20  # poses that are looked at closely
_A_HAND = 0.55  # of a perfect fit: drawn feet, whose joints are found too, fit less well, and hands better


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where each place lies on average in an image, in shares of its side, and the place that it swings about."""

    places: P  # not a number: it is not looked for
    about: Numbers  # itself where it swings about none

    @classmethod
    def of(cls, places: PointNames, where: P) -> "Layout":
        number = {place: at for at, place in enumerate(places)}
        about = np.arange(len(places))
        for (side, site), at in number.items():
            for near, far in BONES:
                inner = number.get((side, near))
                if site == far and inner is not None and np.isfinite(where[inner]).all():
                    about[at] = inner
        return cls(places=where, about=about)


def name_finds(layout: Layout, finds: P, sure: P) -> P:
    """Column, row and sureness of each place by the find that is it; 0, and where it should be, of one without.

    Finds that are those of no hand are no place's.
    """
    sought = np.flatnonzero(np.isfinite(layout.places[:, 0]))
    found = np.full((len(layout.places), 3), np.nan)
    found[sought] = np.column_stack([layout.places[sought], np.zeros(len(sought))])
    if not len(finds):
        return found
    inner = np.searchsorted(sought, layout.about[sought])
    poses = _poses(layout.places[sought])
    likely = _fits(poses, inner, finds, sure).max(axis=2).sum(axis=1)
    poses = np.stack([_moved(pose, inner, finds, sure) for pose in poses[np.argsort(-likely, kind="stable")[:_BEST]]])
    matches = [_match(fits) for fits in _fits(poses, inner, finds, sure)]
    best = int(np.argmax([score for _, score in matches]))
    if matches[best][1] < _A_HAND * len(sought):
        return found
    for place, at, which in zip(sought, poses[best], matches[best][0]):
        found[place] = (*at, 0.0) if which < 0 else (*finds[which], sure[which])
    return found


def _poses(places: P) -> P:
    """The places turned, sized and shifted."""
    middle = places.mean(axis=0)
    return np.stack([
        (places - middle) * size @ _turn(turn).T + middle + (x, y)
        for turn, size, x, y in product(_TURNS, _SIZES, _SHIFTS, _SHIFTS)
    ])  # fmt: skip


def _turn(angle: float) -> P:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _fits(poses: P, inner: Numbers, finds: P, sure: P) -> P:
    """How well each find fits each place of each pose, however its finger is swung: poses x places x finds."""
    best = np.zeros((*poses.shape[:2], len(finds)))
    about = poses[:, inner]
    for angle, likely in zip(_SWINGS, _LIKELY):
        away = np.linalg.norm((about + (poses - about) @ _turn(angle).T)[:, :, None] - finds, axis=3)
        best = np.maximum(best, np.where(away < _REACH, likely * sure * np.exp(-((away / _NEAR) ** 2) / 2), 0))
    return best


def _match(fits: P) -> tuple[Numbers, float]:
    """The find that is each place, -1 for none, the best fit first and each find once; and how well they fit."""
    left, named, score = fits.copy(), np.full(len(fits), -1), 0.0
    while left.max() > 0:
        place, which = np.unravel_index(left.argmax(), left.shape)
        named[place], score = which, score + left[place, which]
        left[place], left[:, which] = 0, 0
    return named, float(score)


def _moved(pose: P, inner: Numbers, finds: P, sure: P) -> P:
    """The pose shifted to where the finds are that do not swing."""
    named, _ = _match(_fits(pose[None], inner, finds, sure)[0])
    firm = (named >= 0) & (inner == np.arange(len(inner)))
    return pose + (finds[named[firm]] - pose[firm]).mean(axis=0) if firm.any() else pose
