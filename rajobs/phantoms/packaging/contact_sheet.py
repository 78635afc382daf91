"""A contact sheet: a few drawn pictures of each kind with their labels below them."""

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np

from rajobs.phantoms.picture import PHANTOM_VERSION, Picture, Truth

TILE = 300
CAPTION = 46
COLUMNS = 6
_TEXT, _BACKGROUND, _PALE_TEXT = (235, 235, 235), (26, 26, 26), (160, 160, 160)


def contact_sheet(pictures: Sequence[Picture], *, per_kind: int = COLUMNS) -> bytes:
    """A PNG page with up to `per_kind` pictures of each kind; every kind starts a new row."""
    rows = [
        _draw_row(of_kind[first : min(first + COLUMNS, per_kind)])
        for _, of_kind in sorted(_group_by_kind(pictures).items())
        for first in range(0, min(len(of_kind), per_kind), COLUMNS)
    ]
    title = np.full((34, TILE * COLUMNS, 3), _BACKGROUND, np.uint8)
    difficulties = ", ".join(sorted({picture.difficulty for picture in pictures}))
    text = f"phantoms version {PHANTOM_VERSION}, difficulty {difficulties}: drawn, no patient"
    _write_text(title, text, (10, 23), _TEXT, 0.55)
    page = np.vstack([title, *rows])
    encoded, data = cv2.imencode(".png", page)
    assert encoded
    return bytes(data)


def _kind_of(picture: Picture) -> str:
    """The kind of a picture, in a form that sorts as the rows of the sheet."""
    view = _true_value(picture.truths, "view")
    if view is None:
        return f"z {picture.modality} {picture.body_part}"
    order = ("unilateral", "both", "foot", "other").index(view)
    return f"{order} {view}" if view != "other" else f"{order} {'trunk' if picture.body_part in _TRUNK else 'limbs'}"


_TRUNK = ("abdomen", "chest", "hip", "jaw", "neck", "shoulder", "skull", "spine", "teeth")


def _group_by_kind(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    by_kind: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_kind[_kind_of(picture)].append(picture)
    return by_kind


def _true_value(truths: Sequence[Truth], target: str, side: str | None = None) -> str | None:
    return next(
        (t.value for t in truths if t.target == target and t.reader == "truth" and side in (None, t.side)), None
    )


def _draw_row(pictures: Sequence[Picture]) -> np.ndarray:
    row = np.full((TILE + CAPTION, TILE * COLUMNS, 3), _BACKGROUND, np.uint8)
    for column, picture in enumerate(pictures):
        left = column * TILE
        image = _displayed(picture)
        scale = (TILE - 8) / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        y, x = (TILE - small.shape[0]) // 2, left + (TILE - small.shape[1]) // 2
        row[y : y + small.shape[0], x : x + small.shape[1]] = small
        for line, text in enumerate(_caption(picture)):
            _write_text(row, text, (left + 6, TILE + 14 + 15 * line), _TEXT if line == 0 else _PALE_TEXT, 0.37)
    return row


def _displayed(picture: Picture) -> np.ndarray:
    """The middle frame as a viewer displays it, in 8 bits and three channels."""
    frame = picture.frames[len(picture.frames) // 2]
    if frame.ndim == 3:
        return cv2.cvtColor(frame.astype(np.uint8), cv2.COLOR_RGB2BGR)
    centre, width = picture.window or (0.5 * 2**picture.bits, float(2**picture.bits))
    grey = np.clip((frame.astype(np.float32) - centre) / width + 0.5, 0, 1)
    grey = 1 - grey if picture.inverted else grey
    return cv2.cvtColor((grey * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)


def _caption(picture: Picture) -> list[str]:
    age = f"{picture.taken.year - picture.patient.birth.year} y"
    view = _true_value(picture.truths, "view") or picture.modality
    lines = [
        f"{view} {picture.body_part} {picture.laterality or ''} {picture.patient.sex} {age} visit {picture.visit + 1}"
    ]
    for side in ("L", "R"):
        scores = [
            t for t in picture.truths if t.side == side and t.reader == "truth" and t.target in ("jsn", "erosion")
        ]
        if not scores:
            continue
        jsn, erosion = (sum(int(t.value) for t in scores if t.target == target) for target in ("jsn", "erosion"))
        stage = _true_value(picture.truths, "stage", side)
        stage_text = f"stage {stage} " if stage is not None else ""
        lines.append(f"{side}: {stage_text}JSN {jsn} er. {erosion}; {_describe_worst(scores)}")
    grades = [
        f"{name} {_true_value(picture.truths, target)}"
        for target, name in _GRADES
        if _true_value(picture.truths, target)
    ]
    if not grades:
        return lines
    frames = [f"{len(picture.frames)} frames"] * (len(picture.frames) > 1)
    return [*lines, f"{picture.truths[0].site or ''} {', '.join([*grades, *frames])}"]


_GRADES = (("grade", "grade"), ("grey_grade", "grey"))


def _describe_worst(scores: Sequence[Truth]) -> str:
    worst = max(scores, key=lambda t: int(t.value))
    return f"{worst.site} {worst.target} {worst.value}" if int(worst.value) else "all sound"


def _write_text(
    image: np.ndarray, text: str, position: tuple[int, int], colour: tuple[int, int, int], size: float
) -> None:
    cv2.putText(image, text, position, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
