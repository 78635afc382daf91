"""Drawn films as they also come out of archives: blurred, kept as negatives, or cut to a part of what they show."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.rows import POSITION_STUDY
from rajobs.phantoms.picture import Picture
from rajobs.records.anatomy import FINGER_JOINTS

NEGATIVE = 0.05  # of the films: pictures of films are now and then kept with dark bones
BLURRED = 0.06
BLUR = (0.001, 0.007)  # of the film's longest side, standard deviation
CUT = 0.07  # fingers or toes alone, or a part of what else is shown
FEWEST = 4  # joints that are left of a limb that was cut


def spoil(picture: Picture, rng: np.random.Generator) -> Picture:
    """Most films stay as they are."""
    negative, blurred, cut = rng.random(3) < (NEGATIVE, BLURRED, CUT)
    if negative:
        picture = replace(picture, inverted=not picture.inverted)
    if blurred:
        picture = _blur(picture, rng.uniform(*BLUR))
    return _cut(picture, rng) if cut else picture


def joint_places(picture: Picture) -> dict[tuple[str | None, str | None], NDArray[np.float64]]:
    """Column and row of each joint of a film, by side and site."""
    axes: dict[tuple[str | None, str | None], dict[str, float]] = {}
    for truth in picture.truths:
        if truth.study == POSITION_STUDY:
            axes.setdefault((truth.side, truth.site), {})[truth.target] = float(truth.value)
    return {name: np.array([at["x"], at["y"]]) for name, at in axes.items()}


def _blur(picture: Picture, share: float) -> Picture:
    frame = picture.frames[0]
    soft = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), share * max(frame.shape))
    return replace(picture, frames=(np.round(soft).astype(frame.dtype),))


def _cut(picture: Picture, rng: np.random.Generator) -> Picture:
    """A part of a film, of fingers or toes about one of their joints.

    A film stays whole that would show too few; and one of both hands, or of a foot without joints, which might then
    show what others show too.
    """
    shape = np.array(picture.frames[0].shape[1::-1])
    named = joint_places(picture)
    limb = np.array([at for (_, site), at in named.items() if site in FINGER_JOINTS or picture.body_part == "foot"])
    view = next(truth.value for truth in picture.truths if truth.target == "view")
    if len({side for side, _ in named}) > 1 or (view != "other" and not len(limb)):
        return picture
    if len(limb):
        middle, reach = limb[rng.integers(len(limb))], np.ptp(limb, axis=0).max() * rng.uniform(0.5, 0.8)
    else:
        middle, reach = shape * rng.uniform(0.35, 0.65, 2), shape.min() * rng.uniform(0.3, 0.45)
    low = np.maximum(np.round(middle - reach * rng.uniform(0.7, 1.3, 2)).astype(int), 0)
    high = np.minimum(np.round(middle + reach * rng.uniform(0.7, 1.3, 2)).astype(int), shape)
    if len(limb) and ((low <= limb) & (limb < high)).all(axis=1).sum() < FEWEST:
        return picture
    truths = [truth for truth in picture.truths if truth.study != POSITION_STUDY]
    for truth in picture.truths:
        if truth.study == POSITION_STUDY and bool(np.all((low <= (at := named[truth.side, truth.site])) & (at < high))):
            axis = "xy".index(truth.target)
            truths.append(replace(truth, value=f"{at[axis] - low[axis]:.1f}"))
    part = picture.frames[0][low[1] : high[1], low[0] : high[0]]
    return replace(picture, frames=(np.ascontiguousarray(part),), truths=tuple(truths))
