"""The clinic's findings as one picture (paper 000): 871 x 494, 14 squares for the patient and 30 cruciforms for joints.

The paper's figure has no measures, so the layout is our own. Both hands are side by side with the backs up, the left
one on the left: little fingers outside, thumbs in the middle, fingertips up. From the top down, a finger has DIP, PIP
and MCP; the thumb's IP is in the MCP row and MCP1 below it; the wrist is at the bottom. Below the hands are the squares
1 to 7 and 8 to 14. A cruciform is a cross of five squares: a at the top, b on the left, c in the middle, d on the
right, e at the bottom. The background is white.

Table 2's colours change where a value reaches a bound. It prints no colour for a score of 0 (green here), for an MMP-3
of 120 (red, as above it) and for a titre below 40 (green, as for 0). What was not examined has its own colour, grey.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.clinic_visits import Finding
from rajobs.imaging.rows import Row
from rajobs.records.anatomy import CLINIC_JOINTS, SIDES
from rajobs.records.errors import UnknownName
from rajobs.records.tables.schemas import FINDINGS

WIDTH, HEIGHT = 871, 494
SHOWS = ("all", "cruciforms", "squares")
ACPA = ("as_is", "positive", "negative")
MISSING = ("own", "green")
LAYOUTS = ("hands", "table")
COLOURS = ("steps", "scale")

Colour = tuple[int, int, int]
GREEN, YELLOW, ORANGE, RED = (0, 176, 80), (255, 255, 0), (255, 128, 0), (255, 0, 0)
GREY, WHITE = (128, 128, 128), (255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Colours of a finding, the harmless one first, and the bound from which each of the others applies."""

    colours: tuple[Colour, ...]
    bounds: tuple[float, ...]

    def colour_of(self, value: float) -> Colour:
        return self.colours[sum(value >= bound for bound in self.bounds)]

    def colour_between(self, value: float) -> Colour:
        """A colour that follows the value: each colour at its bound, mixed in between.

        The harmless one lies as far below the first bound as the second lies above it, and not below zero.
        """
        below = self.bounds[1] - self.bounds[0] if len(self.bounds) > 1 else self.bounds[0]
        points = (max(self.bounds[0] - below, 0.0), *self.bounds)
        red, green, blue = (round(float(np.interp(value, points, channel))) for channel in zip(*self.colours))
        return red, green, blue


ITEMS: Mapping[str, Scale] = {
    "rf": Scale(colours=(GREEN, YELLOW, RED), bounds=(15, 30)),
    "acpa": Scale(colours=(GREEN, RED), bounds=(4.5,)),
    "esr": Scale(colours=(GREEN, YELLOW, RED), bounds=(10, 20)),
    "onset_days": Scale(colours=(YELLOW, RED), bounds=(42,)),
    "crp": Scale(colours=(YELLOW, RED), bounds=(0.3,)),
    "ana": Scale(colours=(GREEN, YELLOW, RED), bounds=(40, 160)),
    "mmp3": Scale(colours=(YELLOW, RED), bounds=(120,)),
    "wbc": Scale(colours=(GREEN, YELLOW, RED), bounds=(4000, 8000)),
    "sex": Scale(colours=(YELLOW, RED), bounds=(1,)),
    "skin": Scale(colours=(GREEN, YELLOW), bounds=(1,)),
    "temperature": Scale(colours=(GREEN, YELLOW, RED), bounds=(37.5, 38)),
    "trunk_pain": Scale(colours=(GREEN, YELLOW), bounds=(1,)),
    "patient_vas": Scale(colours=(GREEN, YELLOW, RED), bounds=(10, 50)),
    "doctor_vas": Scale(colours=(GREEN, YELLOW, RED), bounds=(10, 50)),
}
"""Table 2's squares 1 to 14, in its order; a finding's name is its column in the clinic table."""
SEXES: Mapping[str, float] = {"M": 0, "F": 1}
"""The only item that is not a number; any other sex counts as missing."""

PRESENT = Scale(colours=(GREEN, RED), bounds=(1,))
GRADED = Scale(colours=(GREEN, YELLOW, ORANGE, RED), bounds=(1, 2, 3))
CRUCIFORM: Mapping[str, Scale] = dict(zip(FINDINGS, (PRESENT, PRESENT, PRESENT, GRADED, GRADED)))
"""A cruciform's squares a to e."""

CELL = 20  # side of a cruciform's square, in pixels
CROSS = ((1, 0), (0, 1), (1, 1), (2, 1), (1, 2))  # column and row of a to e
COLUMN_PITCH, ROW_PITCH = 84, 70  # of the cruciforms
TOP, EDGE = 10, 28  # where the cruciforms begin
SQUARE, SQUARE_PITCH, SQUARES_TOP, SQUARES_PER_ROW = 56, 66, 364, 7


def _joint_cells() -> dict[str, tuple[int, int]]:
    """Column and row of each joint of the left hand; the right hand is its mirror image."""
    rows = {"DIP": 0, "PIP": 1, "MCP": 2}
    fingers = {f"{joint}{finger}": (5 - finger, row) for joint, row in rows.items() for finger in (2, 3, 4, 5)}
    return {**fingers, "IP": (4, 2), "MCP1": (4, 3), "wrist": (2, 4)}


def _lay_out_blocks() -> dict[str, tuple[int, int, int]]:
    """Left, top and side of every square, by the column of the clinic table that it shows."""
    blocks = {}
    for at, name in enumerate(ITEMS):
        left = round((at % SQUARES_PER_ROW + 0.5) * WIDTH / SQUARES_PER_ROW - SQUARE / 2)
        blocks[name] = (left, SQUARES_TOP + at // SQUARES_PER_ROW * SQUARE_PITCH, SQUARE)
    for joint, (column, row) in _joint_cells().items():
        for side in SIDES:
            left = EDGE + column * COLUMN_PITCH
            left = left if side == "L" else WIDTH - left - 3 * CELL
            for finding, (x, y) in zip(FINDINGS, CROSS):
                blocks[f"{side}_{joint}_{finding}"] = (left + x * CELL, TOP + row * ROW_PITCH + y * CELL, CELL)
    return blocks


TABLE_CELL, TABLE_PITCH, TABLE_SQUARE, TABLE_GAP = 27, 57, 54, 36  # of the other layout, in pixels


def _lay_out_table() -> dict[str, tuple[int, int, int]]:
    """A table: the squares in a row, then for each hand a column per joint and a row per finding."""
    names, blocks = list(_joint_cells()), {}
    for at, name in enumerate(ITEMS):
        blocks[name] = (EDGE + at * (TABLE_PITCH + 2), TOP, TABLE_SQUARE)
    for hand, side in enumerate(SIDES):
        top = TOP + TABLE_SQUARE + TABLE_GAP + hand * (len(FINDINGS) * (TABLE_CELL + 5) + TABLE_GAP)
        for column, joint in enumerate(names):
            for row, finding in enumerate(FINDINGS):
                left = EDGE + column * (TABLE_PITCH - 2)
                blocks[f"{side}_{joint}_{finding}"] = (left, top + row * (TABLE_CELL + 5), TABLE_CELL)
    return blocks


BLOCKS: Mapping[str, tuple[int, int, int]] = _lay_out_blocks()
TABLE_BLOCKS: Mapping[str, tuple[int, int, int]] = _lay_out_table()
SCALES: Mapping[str, Scale] = {name: ITEMS.get(name) or CRUCIFORM[name.rpartition("_")[2]] for name in BLOCKS}
assert {name.split("_")[1] for name in BLOCKS.keys() - ITEMS.keys()} == set(CLINIC_JOINTS) and len(BLOCKS) == 14 + 150


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How a picture is drawn."""

    shows: str = "all"  # all | cruciforms | squares: the paper's two ablations leave out the others
    acpa: str = "as_is"  # as_is | positive | negative: what a measured ACPA is changed to
    missing: str = "own"  # own | green: what was not examined has a colour of its own, or a harmless one
    layout: str = "hands"  # hands | table
    colours: str = "steps"  # steps | scale: those of table 2, or mixed by the value

    def __post_init__(self) -> None:
        known = {"shows": SHOWS, "acpa": ACPA, "missing": MISSING, "layout": LAYOUTS, "colours": COLOURS}
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise UnknownName.among(name, getattr(self, name), choices)

    def colour(self, name: str, value: float | None) -> Colour:
        """The colour of a finding's square."""
        scale = SCALES[name]
        if value is None:
            return scale.colours[0] if self.missing == "green" else GREY
        if name == "acpa" and self.acpa != "as_is":
            return scale.colours[-1 if self.acpa == "positive" else 0]
        return scale.colour_of(value) if self.colours == "steps" else scale.colour_between(value)


AS_PRINTED = Drawing()


def draw_findings(findings: Mapping[str, Finding], drawing: Drawing = AS_PRINTED) -> NDArray[np.uint8]:
    """The picture as 494 x 871 x 3, RGB."""
    out = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for name, (left, top, side) in (BLOCKS if drawing.layout == "hands" else TABLE_BLOCKS).items():
        if drawing.shows != "all" and (name in ITEMS) != (drawing.shows == "squares"):
            continue
        colour = drawing.colour(name, finding_value(findings.get(name)))
        cv2.rectangle(out, (left, top), (left + side - 1, top + side - 1), colour, cv2.FILLED)
    return out


def finding_value(finding: Finding) -> float | None:
    """A finding as a number; None if it was not examined."""
    value = SEXES.get(finding) if isinstance(finding, str) else finding
    return None if value is None or np.isnan(value) else value


def clinical(findings: Mapping[str, Finding], row: Row, *, size: int, **settings: str) -> NDArray[np.uint8]:
    """The view of a network: the picture stretched to a square, as the paper's networks need it."""
    drawn = draw_findings(findings, Drawing(**settings))
    resized = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)
