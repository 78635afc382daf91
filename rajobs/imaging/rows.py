"""The five kinds of rows, derived in one place: films and scans are images; hands are cut out of films, joints out of
hands, by positions that come from the labels when a study learns and from the models when a cohort is scored. Visits
are rows of the clinic table, several readers' made into one."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs.records import anatomy
from rajobs.records.errors import BadTable
from rajobs.records.tables.schemas import IMAGES

KINDS = ("films", "hands", "joints", "ultrasound", "visits")
FILM_MODALITIES = ("CR", "DX", "RG")
HAND_MARGIN = 0.35  # of the hand's extent, added around its outermost joints: fingertips and wrist lie beyond them
JOINT_SIDE = 0.56  # side of a joint's box, of the distance MCP3-PIP3 (a joint's width is half of it)
COLUMNS = ("image_id", "patient", "derived_from", "modality", "rows", "columns")

POSITION_STUDY = "joint_detection"
"""The study whose labels x and y say where joints are, for every study."""
MOST = 65_535  # columns or rows of a film

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
    confidence: float | None = None  # that it is where it is said to be; None: a person said so


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a site lies in a film."""

    site: str
    side: str | None
    x: float
    y: float
    confidence: float | None = None  # of a model, 0 to 1


Positions = Mapping[str, Sequence[Position]]
"""By image_id."""

Finding = float | str | None
"""What the clinic table says of one thing; None: nobody looked."""
VISIT_COLUMNS = ("patient", "visit_date", "derived_from")
"""The clinic table's columns that tell whose visit a row is."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A patient's visit to the clinic."""

    image_id: str  # see `visit_id`
    patient: str  # the person: of a made-up variant the one it comes from, so that both stay together
    derived_from: str | None  # of a variant: that person
    day: date  # shifted
    findings: Mapping[str, Finding]


def visit_id(patient: str, day: date) -> str:
    """What stands for a visit where an image's id would: a hash of the patient's pseudonym and the shifted date."""
    return hashlib.sha256(f"visit:{patient}:{day.isoformat()}".encode()).hexdigest()[:24]


def visits_of_clinic(clinic: pa.Table) -> list[Visit]:
    """A row a patient and day out of a part of the clinic table, which has one a reader; in order of first mention."""
    readings: dict[tuple[str, date], list[dict[str, Any]]] = defaultdict(list)
    for reading in clinic.to_pylist():
        readings[reading["patient"], reading["visit_date"]].append(reading)
    source = {who: mine[0]["derived_from"] for (who, _), mine in readings.items() if mine[0]["derived_from"]}
    names = [name for name in clinic.column_names if name not in (*VISIT_COLUMNS, "reader")]
    found = []
    for (who, day), mine in readings.items():
        origin = _origin(who, source)
        agreed = {name: _agreed([reading[name] for reading in mine]) for name in names}
        variant = origin if origin != who else None
        found.append(Visit(image_id=visit_id(who, day), patient=origin, derived_from=variant, day=day, findings=agreed))
    return found


def _origin(patient: str, source: Mapping[str, str]) -> str:
    """The person whom a variant, or a variant's variant, comes from."""
    passed = {patient}
    while source.get(patient, patient) not in passed:
        patient = source[patient]
        passed.add(patient)
    return patient


def _agreed(said: Sequence[Finding]) -> Finding:
    """Of several readers' numbers the upper median, of their words the majority's; of a tie between words none."""
    there = [value for value in said if value is not None and value == value]  # a CSV may say nan
    if not there:
        return None
    if isinstance(there[0], str):
        (first, most), *rest = Counter(there).most_common(2)
        return None if rest and rest[0][1] == most else first
    return sorted(there, key=float)[len(there) // 2]


def rows_of_part(kind: str, table: pa.Table, positions: Positions) -> list[Row]:
    """The rows of one part of the images table, or of the clinic table for visits, in its order."""
    assert kind in KINDS, kind
    if kind == "visits":
        return [Row(image_id=visit.image_id, at=at) for at, visit in enumerate(visits_of_clinic(table))]
    scans = kind == "ultrasound"
    found: list[Row] = []
    for at, image in enumerate(table.select(list(COLUMNS)).to_pylist()):
        if (image["modality"] not in FILM_MODALITIES) != scans:
            continue
        places = positions.get(image["image_id"], ())
        found += rows_of_image(kind, image["image_id"], at, places)
    return found


def rows_of_image(kind: str, image_id: str, at: int, places: Sequence[Position]) -> list[Row]:
    """The rows of one image, the hands from left to right."""
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
            joints.append(
                Row(
                    image_id=image_id, at=at, hand=number, site=place.site, side=side, box=box, angle=turn,
                    confidence=place.confidence,
                )
            )  # fmt: skip
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
    bad = sum(not _is_pixel(value) for axis in "xy" for value in labels[axis].values())
    if bad:
        raise BadTable(
            f"{bad} labels x or y of {POSITION_STUDY} are no places on a film: numbers of its pixels, as 812.5"
        )
    for (image_id, side, site), x in sorted(labels["x"].items(), key=lambda item: tuple(map(str, item[0]))):
        y = labels["y"].get((image_id, side, site))
        if y is not None and site in anatomy.SITES:
            found[image_id].append(Position(site=site, side=side, x=float(x), y=float(y)))
    return found


def _is_pixel(value: str) -> bool:
    try:
        return abs(float(value)) <= MOST
    except ValueError:
        return False


assert set(COLUMNS) <= set(IMAGES.names)
