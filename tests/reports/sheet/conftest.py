"""A small sheet with drawn pictures."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rajobs import studies
from rajobs.imaging.reading_pictures import pack
from rajobs.records.anatomy import HAND_SITES
from rajobs.reports.sheet.page import Case, SheetFacts, ShownPicture, sheet_page

ROWS, COLUMNS = 120, 100
TO_FILM = [[2.0, 0.0, 10.0], [0.0, 2.0, 30.0]]  # the hand is cut out of a film that is twice as fine
UNPLACED = "ulna"


def grey(number: int) -> str:
    """A picture's text."""
    pixels = np.random.default_rng(number).integers(1000, 30_000, (ROWS, COLUMNS)).astype(np.uint16)
    return base64.b64encode(pack(pixels)).decode()


def shown(number: int, image: str, title: str = "") -> ShownPicture:
    """A right hand with a box at every site but one."""
    spots = {
        site.name: [5 + 4 * at, 50, 0] for at, site in enumerate(HAND_SITES) if site.name != UNPLACED
    }  # fmt: skip
    about: dict[str, Any] = {
        "kind": "grey", "rows": ROWS, "columns": COLUMNS, "low": 1000, "high": 30_000, "spots": spots, "angle": 0,
        "sidePx": 20, "toFilm": TO_FILM,
    }  # fmt: skip
    return ShownPicture(picture=number, image_id=image, side="R", title=title, about=about)


def facts(study: str = "svdh_scoring", **more: Any) -> SheetFacts:
    """A sheet of one hand, and of another one at two visits."""
    cases = (
        Case(patient="p1", part="hand", what="right hand", pictures=(shown(0, "a" * 24),)),
        Case(
            patient="p2", part="hand", what="right hand",
            pictures=(shown(1, "b" * 24, "day 0"), shown(2, "c" * 24, "day 70")),
        ),
    )  # fmt: skip
    settings = {"identity": "test", "reader": "anna", "file": "anna.csv", "part": "", "cases": cases, **more}
    return SheetFacts(study=studies.find(study), **settings)


def loop(greys: Sequence[int]) -> str:
    """A scan's text: a frame for each grey."""
    frames = [cv2.imencode(".jpg", np.full((ROWS, COLUMNS), grey, np.uint8))[1].tobytes() for grey in greys]
    return "\n".join(f"data:image/jpeg;base64,{base64.b64encode(frame).decode()}" for frame in frames)


def single(picture: int, image: str, **about: Any) -> Case:
    """A film or a scan, which has no joints."""
    settings = {"rows": ROWS, "columns": COLUMNS, **about}
    shown = ShownPicture(picture=picture, image_id=image, side=None, title="", about=settings)
    return Case(patient="p1", part="", what="scan", pictures=(shown,))


def write_page(file: Path, of: SheetFacts, texts: Sequence[str] | None = None) -> Path:
    count = sum(len(case.pictures) for case in of.cases)
    texts = texts or [grey(number) for number in range(count)]
    file.write_text(sheet_page(of, list(enumerate(texts))), encoding="utf-8")
    return file
