"""The five kinds of rows, derived in one place: films and scans are images; hands are cut out of films, joints out of
hands, by positions that come from the labels when a study learns and from the models when a cohort is scored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.records import anatomy
from rajobs.records.schema import IMAGES

KINDS = ("films", "hands", "joints", "ultrasound", "visits")
FILM_MODALITIES = ("CR", "DX", "RG")
HAND_MARGIN = 0.35  # of the hand's extent, added around its outermost joints: fingertips and wrist lie beyond them
JOINT_SIDE = 0.56  # side of a joint's box, of the distance MCP3-PIP3 (a joint's width is half of it)
COLUMNS = ("image_id", "patient", "derived_from", "modality", "rows", "columns")

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in the film's pixels."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a view draws an array of: an image, or a part of one."""

    image_id: str
    at: int  # number of the image in its part
    hand: int = 0
    site: str = ""
    side: str | None = None
    box: Box | None = None  # None: the whole image; it may reach beyond it
    angle: float = 0.0  # degrees clockwise from the image's top to where the fingers, or this one, point
    joints: tuple["Row", ...] = ()  # of a hand


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a site lies in a film."""

    site: str
    side: str | None
    x: float
    y: float


Positions = Mapping[str, Sequence[Position]]
"""By image_id."""


def derive(kind: str, images: pa.Table, positions: Positions) -> list[Row]:
    """The rows of one part of the images table, in its order."""
    assert kind in KINDS, kind
    scans = kind == "ultrasound"
    found: list[Row] = []
    for at, image in enumerate(images.select(list(COLUMNS)).to_pylist()):
        if (image["modality"] not in FILM_MODALITIES) != scans:
            continue
        places = positions.get(image["image_id"], ())
        found += _rows_of(kind, image["image_id"], at, places)
    return found


def _rows_of(kind: str, image_id: str, at: int, places: Sequence[Position]) -> list[Row]:
    if kind in ("films", "ultrasound"):
        return [Row(image_id=image_id, at=at)]
    rows = []
    for number, hand in enumerate(_hands(places)):
        side, angle = hand[0].side, hand_angle(hand)
        half = _scale(hand) * JOINT_SIDE / 2
        joints = []
        for place in hand:
            box = (place.x - half, place.y - half, place.x + half, place.y + half)
            turn = joint_angle(hand, place.site, angle)
            joints.append(Row(image_id=image_id, at=at, hand=number, site=place.site, side=side, box=box, angle=turn))
        if kind == "joints":
            rows += joints
        else:
            box = _hand_box(hand, angle)
            rows.append(
                Row(image_id=image_id, at=at, hand=number, side=side, box=box, angle=angle, joints=tuple(joints))
            )
    return rows


def _hands(places: Sequence[Position]) -> list[list[Position]]:
    """A film's positions by hand, the hands from left to right."""
    by_side: dict[str | None, list[Position]] = defaultdict(list)
    for place in places:
        by_side[place.side].append(place)
    return sorted(by_side.values(), key=lambda hand: float(np.mean([place.x for place in hand])))


def _scale(hand: Sequence[Position]) -> float:
    """The distance MCP3-PIP3 in pixels, or what the hand's other joints suggest where one of them is missing."""
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


def _hand_box(hand: Sequence[Position], angle: float) -> Box:
    """A square around the hand's joints with a margin, as large however the hand is turned."""
    turn = np.deg2rad(angle)
    back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    upright = np.array([[place.x, place.y] for place in hand]) @ back.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    half = max(float(np.max(high - low)), 1.0) * (0.5 + HAND_MARGIN)
    x, y = (float(value) for value in (low + high) / 2 @ back)
    return x - half, y - half, x + half, y + half


BONES = (("MCP2", "PIP2"), ("MCP3", "PIP3"), ("MCP4", "PIP4"), ("MCP5", "PIP5"), ("MCP1", "IP"), ("MTP1", "IP1"))
"""A finger's or toe's joints, the nearer one first: they tell where it points."""


def hand_angle(hand: Sequence[Position]) -> float:
    """Where the fingers point, the thumb only where there are no others; 0 where it cannot be told."""
    at = {place.site: np.array([place.x, place.y]) for place in hand}
    for bones in (BONES[:4], BONES[4:]):
        along = [at[far] - at[near] for near, far in bones if near in at and far in at]
        if along:
            return _clockwise(np.sum(along, axis=0))
    return 0.0


def joint_angle(hand: Sequence[Position], site: str, otherwise: float) -> float:
    """Where the finger of a joint points; as the hand does for joints that are not a finger's."""
    at = {place.site: np.array([place.x, place.y]) for place in hand}
    for near, far in BONES:
        if site in (near, far) and near in at and far in at:
            return _clockwise(at[far] - at[near])
    return otherwise


def _clockwise(along: NDArray[np.float64]) -> float:
    return float(np.rad2deg(np.arctan2(along[0], -along[1])))


def positions_from_labels(labels: Mapping[str, Mapping[tuple[str, str | None, str | None], str]]) -> Positions:
    """Positions out of agreed labels of x and y."""
    found: dict[str, list[Position]] = defaultdict(list)
    for (image_id, side, site), x in sorted(labels["x"].items(), key=lambda item: tuple(map(str, item[0]))):
        y = labels["y"].get((image_id, side, site))
        if y is not None and site in anatomy.SITES:
            found[image_id].append(Position(site=site, side=side, x=float(x), y=float(y)))
    return found


assert set(COLUMNS) <= set(IMAGES.names)
