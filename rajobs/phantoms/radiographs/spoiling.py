"""Drawn films as archives also hold them: blurred, negative, cropped, small, compressed, beside their mirror image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.phantoms.picture import Picture, Truth
from rajobs.records.anatomy import FINGER_JOINTS, SIDES
from rajobs.records.label_consensus import AXES, PRESENT

NEGATIVE_SHARE = 0.05  # of films; some picture files have dark bones
BLURRED_SHARE = 0.06
BLUR_RANGE = (0.001, 0.007)  # standard deviation, as a share of the longest side of a film
CROPPED_SHARE = 0.07  # fingers or toes alone, or a part of what other films show
FEWEST_JOINTS = MappingProxyType({"hand": 6, "foot": 4})
"""Joints that a cropped hand or foot must still show: a hand's film with fewer is one of a finger."""
SMALL_SHARE = 0.08  # pictures from pages and figures
SMALL_SIDES = (220, 480)  # pixels of their longest side
COMPRESSED_SHARE = 0.15
QUALITIES = (30, 90)  # of JPEG compression
MONTAGE_SHARE = 0.02  # a film beside its mirror image


def spoil(picture: Picture, rng: np.random.Generator) -> Picture:
    """Blurs, inverts, crops, pairs, shrinks or compresses some films; most stay as they are."""
    negative, blurred, cropped = rng.random(3) < (NEGATIVE_SHARE, BLURRED_SHARE, CROPPED_SHARE)
    montage, small, compressed = rng.random(3) < (MONTAGE_SHARE, SMALL_SHARE, COMPRESSED_SHARE)
    if negative:
        picture = replace(picture, inverted=not picture.inverted)
    if blurred:
        picture = _blur_picture(picture, rng.uniform(*BLUR_RANGE))
    if cropped:
        picture = _crop_picture(picture, rng)
    if montage:
        picture = _pair_with_mirror_image(picture, rng)
    if small:
        picture = _shrink_picture(picture, float(rng.uniform(*SMALL_SIDES)))
    return _compress_picture(picture, int(rng.integers(*QUALITIES))) if compressed else picture


def joint_places(picture: Picture) -> dict[tuple[str | None, str | None], NDArray[np.float64]]:
    """Column and row of each joint on a film, by side and site."""
    axes: dict[tuple[str | None, str | None], dict[str, float]] = {}
    for truth in picture.truths:
        if truth.study == POSITION_STUDY and truth.target in AXES:
            axes.setdefault((truth.side, truth.site), {})[truth.target] = float(truth.value)
    return {joint: np.array([at["x"], at["y"]]) for joint, at in axes.items()}


def _compress_picture(picture: Picture, quality: int) -> Picture:
    """The film after JPEG compression to eight bits, with its blocks and its halos."""
    frame, highest = picture.frames[0], (1 << picture.bits) - 1
    grey = np.round(frame.astype(np.float32) * (255 / highest)).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    unpacked = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
    assert unpacked is not None
    return replace(picture, frames=(np.round(unpacked.astype(np.float32) * (highest / 255)).astype(frame.dtype),))


def _shrink_picture(picture: Picture, side: float) -> Picture:
    """The film as a picture whose longest side has so many pixels; positions stay on their joints."""
    frame = picture.frames[0]
    factor = side / max(frame.shape)
    if factor >= 1:
        return picture
    rows, columns = (max(1, round(length * factor)) for length in frame.shape)
    small = cv2.resize(frame.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    scale = np.array([columns / frame.shape[1], rows / frame.shape[0]])
    places = {joint: (at + 0.5) * scale - 0.5 for joint, at in joint_places(picture).items()}
    spacing = None if picture.spacing_mm is None else round(picture.spacing_mm / factor, 4)
    return replace(
        picture,
        frames=(np.round(small).astype(frame.dtype),),
        truths=_moved(picture.truths, places),
        spacing_mm=spacing,
    )


def _pair_with_mirror_image(picture: Picture, rng: np.random.Generator) -> Picture:
    """The film beside its mirror image, as figures and augmented collections have it.

    One hand becomes a left and a right one; of both hands none would be left or right.
    """
    view = next(truth.value for truth in picture.truths if truth.target == "view")
    sides = {truth.side for truth in picture.truths if truth.side}
    if view == "both" or len(sides) > 1:
        return picture
    frame = picture.frames[0]
    (rows, columns), upright = frame.shape, bool(rng.random() < 0.3)
    gap = int(rng.integers(0, 1 + round(0.03 * columns)))
    between = np.full((gap, columns) if upright else (rows, gap), frame[0, 0], frame.dtype)
    pair = (np.vstack if upright else np.hstack)([frame, between, frame[:, ::-1]])
    shift = np.array([0, rows + gap] if upright else [columns + gap, 0])
    places = joint_places(picture)
    mirrored = {joint: np.array([columns - 1 - at[0], at[1]]) + shift for joint, at in places.items()}
    truths = [replace(truth, value="both") if truth.value == "unilateral" else truth for truth in picture.truths]
    for truth in _moved(picture.truths, mirrored):
        if truth.side is not None:
            truths.append(replace(truth, side=next(side for side in SIDES if side != truth.side)))
    return replace(picture, frames=(np.ascontiguousarray(pair),), truths=tuple(truths), laterality=None)


def _moved(
    truths: Sequence[Truth], places: Mapping[tuple[str | None, str | None], NDArray[np.float64]]
) -> tuple[Truth, ...]:
    """The labels with their joints at these places (column, row); other joints are not there."""
    moved = []
    for truth in truths:
        joint = truth.side, truth.site
        if truth.study != POSITION_STUDY or truth.target not in AXES:
            moved.append(truth)
        elif joint in places:
            moved.append(replace(truth, value=f"{places[joint][AXES.index(truth.target)]:.1f}"))
        elif truth.target == AXES[0]:
            moved.append(replace(truth, target=PRESENT, value="0"))
    return tuple(moved)


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
    fewest = FEWEST_JOINTS.get(picture.body_part, 0)
    if len(joints) and ((low <= joints) & (joints < high)).all(axis=1).sum() < fewest:
        return picture
    inside = {joint: at - low for joint, at in places.items() if bool(np.all((low <= at) & (at < high)))}
    part = picture.frames[0][low[1] : high[1], low[0] : high[0]]
    return replace(picture, frames=(np.ascontiguousarray(part),), truths=_moved(picture.truths, inside))
