"""The five kinds of rows, derived in one place: films and scans are images; hands are cut out of films, joints out of
hands, by positions that come from the labels when a study learns and from the models when a cohort is scored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

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
    box: Box | None = None  # None: the whole image


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
        limits = (float(image["columns"]), float(image["rows"]))
        found += _rows_of(kind, image["image_id"], at, places, limits)
    return found


def _rows_of(kind: str, image_id: str, at: int, places: Sequence[Position], limits: tuple[float, float]) -> list[Row]:
    if kind in ("films", "ultrasound"):
        return [Row(image_id=image_id, at=at)]
    rows = []
    for number, hand in enumerate(_hands(places)):
        side = hand[0].side
        if kind == "hands":
            rows.append(Row(image_id=image_id, at=at, hand=number, side=side, box=_clip(_hand_box(hand), limits)))
            continue
        half = _scale(hand) * JOINT_SIDE / 2
        for place in hand:
            box = (place.x - half, place.y - half, place.x + half, place.y + half)
            rows.append(Row(image_id=image_id, at=at, hand=number, site=place.site, side=side, box=box))
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


def _hand_box(hand: Sequence[Position]) -> Box:
    """A square around the hand's joints with a margin."""
    x0, y0, x1, y1 = _extent(hand)
    half = max(x1 - x0, y1 - y0, 1.0) * (0.5 + HAND_MARGIN)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - half, y - half, x + half, y + half


def _clip(box: Box, limits: tuple[float, float]) -> Box:
    width, height = limits
    return max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height)


def positions_from_labels(labels: Mapping[str, Mapping[tuple[str, str | None, str | None], str]]) -> Positions:
    """Positions out of agreed labels of x and y."""
    found: dict[str, list[Position]] = defaultdict(list)
    for (image_id, side, site), x in sorted(labels["x"].items(), key=lambda item: tuple(map(str, item[0]))):
        y = labels["y"].get((image_id, side, site))
        if y is not None and site in anatomy.SITES:
            found[image_id].append(Position(site=site, side=side, x=float(x), y=float(y)))
    return found


assert set(COLUMNS) <= set(IMAGES.names)
