"""Where the joints of hands and feet lie on a film: positions, and the boxes and angles that follow from them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rajobs.records import anatomy
from rajobs.records.errors import BadTable
from rajobs.records.labels.vocabulary import is_pixel

HAND_MARGIN = (
    0.35  # share of the hand's extent, added around its outermost joints: fingertips and wrist lie beyond them
)
JOINT_SIDE = 0.56  # side of a joint's box as a share of the distance MCP3-PIP3 (a joint is half as wide)
POSITION_STUDY = "joint_detection"
"""The study whose labels x and y say where joints are, for every study."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in the film's pixels."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a site lies in a film."""

    site: str
    side: str | None
    x: float
    y: float
    confidence: float | None = None  # of a model, 0 to 1; None: a person placed it
    crop: bool = False  # the picture shows this joint alone: all of it is the joint, wherever x and y are


Positions = Mapping[str, Sequence[Position]]
"""By image_id."""


def split_into_hands(places: Sequence[Position]) -> list[list[Position]]:
    """A film's positions by hand, the hands from left to right."""
    by_side: dict[str | None, list[Position]] = defaultdict(list)
    for place in places:
        by_side[place.side].append(place)
    return sorted(by_side.values(), key=lambda hand: float(np.mean([place.x for place in hand])))


def middle_finger_length(hand: Sequence[Position]) -> float:
    """The distance MCP3-PIP3 in pixels; where one of them is missing, an estimate from the hand's other joints."""
    at = {place.site: np.array([place.x, place.y]) for place in hand}
    spans = [
        float(np.linalg.norm(at[one] - at[other]))
        for one, other in (("MCP3", "PIP3"), ("MCP2", "PIP2"), ("MCP4", "PIP4"), ("MTP1", "IP1"), ("MTP1", "MTP3"))
        if one in at and other in at
    ]
    if spans:
        return spans[0]
    x0, y0, x1, y1 = _extent(hand)
    return max(x1 - x0, y1 - y0) / 3


def _extent(hand: Sequence[Position]) -> Box:
    xs, ys = [place.x for place in hand], [place.y for place in hand]
    return min(xs), min(ys), max(xs), max(ys)


def hand_box(hand: Sequence[Position], angle: float) -> Box:
    """A square around the hand's joints with a margin; its size does not depend on how the hand is turned."""
    turn = np.deg2rad(angle)
    back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    upright = np.array([[place.x, place.y] for place in hand]) @ back.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    half = max(float(np.max(high - low)), 1.0) * (0.5 + HAND_MARGIN)
    x, y = (float(value) for value in (low + high) / 2 @ back)
    return x - half, y - half, x + half, y + half


BONES = (("MCP2", "PIP2"), ("MCP3", "PIP3"), ("MCP4", "PIP4"), ("MCP5", "PIP5"), ("MCP1", "IP"), ("MTP1", "IP1"))
"""The two joints of each finger or toe, the proximal one first; they show where it points."""


def hand_angle(hand: Sequence[Position]) -> float:
    """Degrees clockwise from the top to where the fingers point (the thumb if there are no others); 0 if unknown."""
    at = {place.site: np.array([place.x, place.y]) for place in hand}
    for bones in (BONES[:4], BONES[4:]):
        along = [at[far] - at[near] for near, far in bones if near in at and far in at]
        if along:
            return _clockwise(np.sum(along, axis=0))
    return 0.0


def joint_angle(hand: Sequence[Position], site: str, otherwise: float) -> float:
    """Where the finger of a joint points; `otherwise` for joints that belong to no finger."""
    at = {place.site: np.array([place.x, place.y]) for place in hand}
    for near, far in BONES:
        if site in (near, far) and near in at and far in at:
            return _clockwise(at[far] - at[near])
    return otherwise


def _clockwise(along: NDArray[np.float64]) -> float:
    return float(np.rad2deg(np.arctan2(along[0], -along[1])))


def positions_from_labels(labels: Mapping[str, Mapping[tuple[str, str | None, str | None], str]]) -> Positions:
    """Positions out of agreed labels of x and y, which are keyed by image_id, side and site."""
    positions: dict[str, list[Position]] = defaultdict(list)
    bad = sum(not is_pixel(value) for axis in "xy" for value in labels[axis].values())
    if bad:
        raise BadTable(
            f"{bad} labels x or y of {POSITION_STUDY} are no places on a film: numbers of its pixels, as 812.5"
        )
    for (image_id, side, site), x in sorted(labels["x"].items(), key=lambda item: tuple(map(str, item[0]))):
        y = labels["y"].get((image_id, side, site))
        if y is not None and site in anatomy.SITES:
            positions[image_id].append(Position(site=site, side=side, x=float(x), y=float(y)))
    return positions


def add_crops(positions: Positions, crops: Iterable[tuple[str, str | None, str | None]]) -> Positions:
    """Positions with those of pictures that labels call crops of a joint; nothing else is cut out of such a picture."""
    by_image: dict[str, list[Position]] = defaultdict(list)
    for image_id, side, site in crops:
        assert site is not None, "a label of a crop names its site"
        by_image[image_id].append(Position(site=site, side=side, x=0.0, y=0.0, crop=True))
    return {**positions, **by_image}
