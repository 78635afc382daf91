"""Drawn examples of each score, beside what a reader types: a picture of tiles that lies in the package.

`python -m rajobs.reports.sheet.examples` draws it anew, after a change of the drawings: a row of tiles for each score,
a column for each site of a hand; the last row has grades of power Doppler.
"""

import base64
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import JOINT_SIDE, Position, hand_angle, joint_angle, middle_finger_length
from rajobs.imaging.windowing import to_bytes
from rajobs.phantoms.radiographs.score_examples import HIGHEST, draw_examples
from rajobs.phantoms.ultrasound.scans import sample_scan
from rajobs.records.anatomy import HAND_SITES
from rajobs.records.scan_grades import FLOW
from rajobs.reports.sheet.fields import Field

PICTURE = "examples.jpg"
SIDE = 112
"""Pixels of a tile."""
WIDER = 1.25
"""A joint is shown with so much around its box, as on the page."""
HIGHEST_GRADE = 3
SCAN_SHARE = 0.7
"""Of a scan's height, from its top: the joint lies there."""
SITES = tuple(site.name for site in HAND_SITES)
ROWS = (*((target, value) for target, highest in HIGHEST.items() for value in range(highest + 1)), (FLOW, 0))
STAGES = (("jsn", 0), ("jsn", 2), ("erosion", 1), ("erosion", 2), ("erosion", 3), ("erosion", 5))
"""What stands for the stages of a hand, which its most destroyed joint decides: one joint with these scores."""
STAGE, STAGE_SITE = "stage", "MCP2"

Place = tuple[float, float]
"""Where a tile lies in the picture, as CSS has it: percent across and down."""


def picture_uri() -> str:
    """The picture of all tiles as a data URI."""
    data = resources.files("rajobs.reports.sheet").joinpath(PICTURE).read_bytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def example_places(field: Field) -> list[Place]:
    """The tiles of a field's values; none where nothing is drawn."""
    if field.target == FLOW:
        return [_place(len(ROWS) - 1, grade) for grade in range(len(field.values))]
    if field.target == STAGE:
        return [_place(ROWS.index(shown), SITES.index(STAGE_SITE)) for shown in STAGES]
    if field.target not in HIGHEST or field.site not in SITES:
        return []
    return [_place(ROWS.index((field.target, value)), SITES.index(field.site)) for value in range(len(field.values))]


def _place(row: int, column: int) -> Place:
    return round(100 * column / (len(SITES) - 1), 3), round(100 * row / (len(ROWS) - 1), 3)


def draw_picture() -> bytes:
    """The picture of all tiles as JPEG."""
    rows = [np.hstack(list(_joints(film, places))) for _, _, film, places in draw_examples()]
    scans = [_scan(grade) for grade in range(HIGHEST_GRADE + 1)]
    blank = [np.zeros((SIDE, SIDE), np.uint8)] * (len(SITES) - len(scans))
    coloured = [cv2.cvtColor(row, cv2.COLOR_GRAY2BGR) for row in (*rows, np.hstack(blank))]
    coloured[-1] = np.hstack([*scans, coloured[-1]])
    encoded, data = cv2.imencode(".jpg", np.vstack(coloured), [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert encoded
    return data.tobytes()


def _joints(film: NDArray[np.uint16], places: Mapping[str, tuple[float, float]]) -> Iterator[NDArray[np.uint8]]:
    """Each joint of a drawn hand, its finger upright."""
    hand = [Position(site=site, side="R", x=x, y=y) for site, (x, y) in places.items()]
    angle, side = hand_angle(hand), middle_finger_length(hand) * JOINT_SIDE * WIDER
    grey = to_bytes(film, None)
    for site in SITES:
        x, y = places[site]
        turn = cv2.getRotationMatrix2D((x, y), joint_angle(hand, site, angle), SIDE / side)
        turn[:, 2] += np.array([SIDE / 2 - x, SIDE / 2 - y])
        yield cv2.warpAffine(grey, turn, (SIDE, SIDE), flags=cv2.INTER_LINEAR).astype(np.uint8)


def _scan(grade: int) -> NDArray[np.uint8]:
    """The joint in a drawn scan with this grade."""
    picture = sample_scan(np.random.default_rng(5), grade=grade, grey_grade=2, difficulty="easy")
    assert picture.region is not None
    x0, y0, x1, y1 = picture.region
    side = round(SCAN_SHARE * (y1 - y0))
    left = (x0 + x1 - side) // 2
    joint = np.ascontiguousarray(picture.frames[0][y0 : y0 + side, left : left + side, ::-1], np.uint8)
    return cv2.resize(joint, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def main(arguments: Sequence[str]) -> None:
    """Draw the picture into a folder, that of this file if none is named."""
    folder = Path(arguments[0]) if arguments else Path(__file__).parent
    (folder / PICTURE).write_bytes(draw_picture())


if __name__ == "__main__":
    main(sys.argv[1:])
