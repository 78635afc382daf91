"""The five kinds of rows that studies read: films and scans, extremities cut out of films, joints out of these, visits.

An extremity is a hand or a foot. Extremities and joints are cut by positions, which come from labels or from models.
Visits are rows of the clinic table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from rajobs.imaging.clinic_visits import visits_of_clinic
from rajobs.imaging.hand_geometry import (
    JOINT_SIDE,
    POSITION_STUDY,
    Box,
    Position,
    Positions,
    hand_angle,
    hand_box,
    joint_angle,
    middle_finger_length,
    split_into_hands,
)
from rajobs.records.tables.schemas import IMAGES

FILM_MODALITIES = ("CR", "DX", "RG")
COLUMNS = ("image_id", "patient", "derived_from", "modality", "rows", "columns")
"""What is read of the images table to cut its rows."""
assert set(COLUMNS) <= set(IMAGES.names)

RADIOGRAPH, ULTRASOUND_PICTURE = "radiograph", "ultrasound"
CLINIC_TABLE, IMAGES_TABLE = "clinic", "images"

LabelPlace = tuple[str, str | None, str | None]
"""image_id, side and site: where a label belongs; a label of a whole image has neither side nor site."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a view draws an array of: an image, a part of one, or a visit."""

    image_id: str
    at: int  # number of the image in its part
    extremity: int = 0  # number of the hand or foot in its film, from left to right
    site: str = ""
    side: str | None = None
    box: Box | None = None  # None: the whole image; it may reach beyond it
    angle: float = 0.0  # degrees clockwise from the image's top to where the fingers, or this one, point
    joints: tuple["Row", ...] = ()  # of a hand or foot
    alone: bool = False  # the only hand or foot of its film
    confidence: float | None = None  # that it is where the model puts it; None: a person placed it


Cut = Callable[[str, int, Sequence[Position]], list[Row]]
"""image_id, number of the image in its part, positions of its joints -> its rows."""


@dataclass(frozen=True, kw_only=True)
class RowKind:
    """A kind of rows: the table it comes from, how it is cut out of it, and which labels it takes."""

    name: str
    table: str  # images | clinic: whose parts hold the rows
    picture: str | None  # radiograph | ultrasound: what its images show; None: it has no image
    cut: Cut
    cut_by_positions: bool = False  # by where joints lie
    labels_name_side: bool = True
    labels_name_site: bool = False
    source: str  # how a user brings such rows into DATA
    noun: str = "images"  # what a message calls what is labelled

    def __str__(self) -> str:
        return self.name

    def rows_of_part(self, table: pa.Table, positions: Positions) -> list[Row]:
        """The rows of one part of the kind's table, in its order."""
        if self.table == CLINIC_TABLE:
            return [Row(image_id=visit.image_id, at=at) for at, visit in enumerate(visits_of_clinic(table))]
        rows: list[Row] = []
        for at, image in enumerate(table.select(list(COLUMNS)).to_pylist()):
            picture = RADIOGRAPH if image["modality"] in FILM_MODALITIES else ULTRASOUND_PICTURE
            if picture == self.picture:
                rows += self.cut(image["image_id"], at, positions.get(image["image_id"], ()))
        return rows

    def label_place(self, image_id: str, side: str | None, site: str | None) -> LabelPlace:
        """Where the label of a row belongs: a whole image takes it whatever side and site it names."""
        return (image_id, side, site or None) if self.cut_by_positions else (image_id, None, None)


def _whole_image(image_id: str, at: int, positions: Sequence[Position]) -> list[Row]:
    return [Row(image_id=image_id, at=at)]


def _extremities(image_id: str, at: int, positions: Sequence[Position]) -> list[Row]:
    """The hands and feet of one image, from left to right, each with its joints."""
    rows = []
    hands = split_into_hands([place for place in positions if not place.crop])
    for number, hand in enumerate(hands):
        side, angle = hand[0].side, hand_angle(hand)
        half = middle_finger_length(hand) * JOINT_SIDE / 2
        joints = tuple(
            Row(
                image_id=image_id, at=at, extremity=number, site=place.site, side=side,
                box=(place.x - half, place.y - half, place.x + half, place.y + half),
                angle=joint_angle(hand, place.site, angle), confidence=place.confidence,
            )
            for place in hand
        )  # fmt: skip
        box = hand_box(hand, angle)
        rows.append(Row(
            image_id=image_id, at=at, extremity=number, side=side, box=box, angle=angle, joints=joints,
            alone=len(hands) == 1,
        ))  # fmt: skip
    return rows


def _joints(image_id: str, at: int, positions: Sequence[Position]) -> list[Row]:
    """The joints of one image's hands and feet; a picture that is a crop of a joint is one row, whole."""
    crops = [Row(image_id=image_id, at=at, site=place.site, side=place.side) for place in positions if place.crop]
    return crops or [joint for hand in _extremities(image_id, at, positions) for joint in hand.joints]


_ARCHIVES = "ingest archives that hold some"
_POSITIONS = (
    f"they are cut out of films where labels x and y of {POSITION_STUDY} or models (--finders) place joints, and "
    "neither do on a labelled film: ingest again with --labels FILE that has them (`rajobs studies` shows how)"
)

FILMS = RowKind(
    name="films", table=IMAGES_TABLE, picture=RADIOGRAPH, cut=_whole_image, labels_name_side=False,
    source=_ARCHIVES,
)  # fmt: skip
EXTREMITIES = RowKind(
    name="extremities", table=IMAGES_TABLE, picture=RADIOGRAPH, cut=_extremities, cut_by_positions=True,
    source=_POSITIONS,
)  # fmt: skip
JOINTS = RowKind(
    name="joints", table=IMAGES_TABLE, picture=RADIOGRAPH, cut=_joints, cut_by_positions=True, labels_name_site=True,
    source=_POSITIONS,
)  # fmt: skip
ULTRASOUND = RowKind(
    name="ultrasound", table=IMAGES_TABLE, picture=ULTRASOUND_PICTURE, cut=_whole_image, source=_ARCHIVES
)
VISITS = RowKind(
    name="visits", table=CLINIC_TABLE, picture=None, cut=_whole_image, noun="visits",
    source="ingest a clinic table that has some, with --clinic FILE",
)  # fmt: skip
ROW_KINDS = (FILMS, EXTREMITIES, JOINTS, ULTRASOUND, VISITS)
