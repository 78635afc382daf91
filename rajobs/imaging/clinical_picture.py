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
ACPA = ("as_is", "flipped")
MISSING = ("own", "green")

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


BLOCKS: Mapping[str, tuple[int, int, int]] = _lay_out_blocks()
SCALES: Mapping[str, Scale] = {name: ITEMS.get(name) or CRUCIFORM[name.rpartition("_")[2]] for name in BLOCKS}
assert {name.split("_")[1] for name in BLOCKS.keys() - ITEMS.keys()} == set(CLINIC_JOINTS) and len(BLOCKS) == 14 + 150


def draw_findings(
    findings: Mapping[str, Finding], *, shows: str = "all", acpa: str = "as_is", missing: str = "own"
) -> NDArray[np.uint8]:
    """The picture as 494 x 871 x 3, RGB.

    `shows` leaves out the squares or the cruciforms, the paper's two ablations. `acpa` flipped inverts a measured ACPA.
    `missing` green shows what was not examined as harmless, because the paper has no colour for it.
    """
    for name, chosen, known in (("shows", shows, SHOWS), ("acpa", acpa, ACPA), ("missing", missing, MISSING)):
        if chosen not in known:
            raise UnknownName.among(name, chosen, known)
    out = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for name, (left, top, side) in BLOCKS.items():
        if shows != "all" and (name in ITEMS) != (shows == "squares"):
            continue
        inverted = name == "acpa" and acpa == "flipped"
        colour = _choose_colour(SCALES[name], finding_value(findings.get(name)), missing, inverted)
        cv2.rectangle(out, (left, top), (left + side - 1, top + side - 1), colour, cv2.FILLED)
    return out


def _choose_colour(scale: Scale, value: float | None, missing: str, inverted: bool) -> Colour:
    if value is None:
        return scale.colours[0] if missing == "green" else GREY
    colour = scale.colour_of(value)
    return scale.colours[colour == scale.colours[0]] if inverted else colour


def finding_value(finding: Finding) -> float | None:
    """A finding as a number; None if it was not examined."""
    value = SEXES.get(finding) if isinstance(finding, str) else finding
    return None if value is None or np.isnan(value) else value


def clinical(
    findings: Mapping[str, Finding], row: Row, *, size: int, shows: str, acpa: str, missing: str
) -> NDArray[np.uint8]:
    """The view of a network: the picture stretched to a square, as the paper's networks need it."""
    drawn = draw_findings(findings, shows=shows, acpa=acpa, missing=missing)
    resized = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)
