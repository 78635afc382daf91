"""Drawn films as archives also hold them: blurred, stored as negatives, or cropped."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.phantoms.picture import Picture
from rajobs.records.anatomy import FINGER_JOINTS

NEGATIVE_SHARE = 0.05  # of films; some picture files have dark bones
BLURRED_SHARE = 0.06
BLUR_RANGE = (0.001, 0.007)  # standard deviation, as a share of the longest side of a film
CROPPED_SHARE = 0.07  # fingers or toes alone, or a part of what other films show
FEWEST_JOINTS = 4  # that a cropped hand or foot must still show


def spoil(picture: Picture, rng: np.random.Generator) -> Picture:
    """Blurs, inverts or crops some films; most stay as they are."""
    negative, blurred, cropped = rng.random(3) < (NEGATIVE_SHARE, BLURRED_SHARE, CROPPED_SHARE)
    if negative:
        picture = replace(picture, inverted=not picture.inverted)
    if blurred:
        picture = _blur_picture(picture, rng.uniform(*BLUR_RANGE))
    return _crop_picture(picture, rng) if cropped else picture


def joint_places(picture: Picture) -> dict[tuple[str | None, str | None], NDArray[np.float64]]:
    """Column and row of each joint on a film, by side and site."""
    axes: dict[tuple[str | None, str | None], dict[str, float]] = {}
    for truth in picture.truths:
        if truth.study == POSITION_STUDY:
            axes.setdefault((truth.side, truth.site), {})[truth.target] = float(truth.value)
    return {joint: np.array([at["x"], at["y"]]) for joint, at in axes.items()}


def _blur_picture(picture: Picture, share: float) -> Picture:
    """The film after a blur by this share of its longest side."""
    frame = picture.frames[0]
    soft = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), share * max(frame.shape))
    return replace(picture, frames=(np.round(soft).astype(frame.dtype),))


def _crop_picture(picture: Picture, rng: np.random.Generator) -> Picture:
    """A part of a film: of fingers or toes around one of their joints, else from near the middle.

    A film stays whole if the part would show too few joints, or if its view could change: half a film of both hands
    shows one hand, and the middle of a foot without labelled joints is an ankle.
    """
    shape = np.array(picture.frames[0].shape[1::-1])
    places = joint_places(picture)
    joints = np.array([at for (_, site), at in places.items() if site in FINGER_JOINTS or picture.body_part == "foot"])
    view = next(truth.value for truth in picture.truths if truth.target == "view")
    if len({side for side, _ in places}) > 1 or (view != "other" and not len(joints)):
        return picture
    if len(joints):
        middle, reach = joints[rng.integers(len(joints))], np.ptp(joints, axis=0).max() * rng.uniform(0.5, 0.8)
    else:
        middle, reach = shape * rng.uniform(0.35, 0.65, 2), shape.min() * rng.uniform(0.3, 0.45)
    low = np.maximum(np.round(middle - reach * rng.uniform(0.7, 1.3, 2)).astype(int), 0)
    high = np.minimum(np.round(middle + reach * rng.uniform(0.7, 1.3, 2)).astype(int), shape)
    if len(joints) and ((low <= joints) & (joints < high)).all(axis=1).sum() < FEWEST_JOINTS:
        return picture
    truths = [truth for truth in picture.truths if truth.study != POSITION_STUDY]
    for truth in picture.truths:
        if truth.study == POSITION_STUDY and bool(
            np.all((low <= (at := places[truth.side, truth.site])) & (at < high))
        ):
            axis = "xy".index(truth.target)
            truths.append(replace(truth, value=f"{at[axis] - low[axis]:.1f}"))
    part = picture.frames[0][low[1] : high[1], low[0] : high[0]]
    return replace(picture, frames=(np.ascontiguousarray(part),), truths=tuple(truths))
