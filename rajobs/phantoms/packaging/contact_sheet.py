"""A contact sheet: a few phantoms of each kind, with their truth written under them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from rajobs.phantoms.picture import PHANTOM_VERSION, Picture, Truth

TILE = 300
CAPTION = 46
COLUMNS = 6
_INK, _PAPER, _PALE = (235, 235, 235), (26, 26, 26), (160, 160, 160)


def contact_sheet(pictures: Sequence[Picture], *, per_kind: int = COLUMNS) -> bytes:
    """A PNG page with up to `per_kind` pictures of each kind, which starts a new row."""
    rows = [
        _row(members[first : min(first + COLUMNS, per_kind)])
        for _, members in sorted(_by_kind(pictures).items())
        for first in range(0, min(len(members), per_kind), COLUMNS)
    ]
    title = np.full((34, TILE * COLUMNS, 3), _PAPER, np.uint8)
    levels = ", ".join(sorted({picture.difficulty for picture in pictures}))
    _text(title, f"phantoms version {PHANTOM_VERSION}, difficulty {levels}: drawn, no patient", (10, 23), _INK, 0.55)
    page = np.vstack([title, *rows])
    done, data = cv2.imencode(".png", page)
    assert done
    return bytes(data)


def pick(pictures: Iterable[Picture], *, per_kind: int = COLUMNS) -> list[Picture]:
    """The pictures a sheet would show, out of a stream that is too long to keep."""
    kept: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        if len(kept[_kind(picture)]) < per_kind:
            kept[_kind(picture)].append(picture)
    return [picture for members in kept.values() for picture in members]


def _kind(picture: Picture) -> str:
    view = _value(picture.truths, "view")
    if view is None:
        return f"z {picture.modality} {picture.body_part}"
    order = ("unilateral", "both", "foot", "other").index(view)
    return f"{order} {view}" if view != "other" else f"{order} {'trunk' if picture.body_part in _TRUNK else 'limbs'}"


_TRUNK = ("abdomen", "chest", "hip", "jaw", "neck", "shoulder", "skull", "spine", "teeth")


def _by_kind(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    kinds: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        kinds[_kind(picture)].append(picture)
    return kinds


def _value(truths: Sequence[Truth], target: str, side: str | None = None) -> str | None:
    return next(
        (t.value for t in truths if t.target == target and t.reader == "truth" and side in (None, t.side)), None
    )


def _row(pictures: Sequence[Picture]) -> np.ndarray:
    row = np.full((TILE + CAPTION, TILE * COLUMNS, 3), _PAPER, np.uint8)
    for place, picture in enumerate(pictures):
        left = place * TILE
        image = _shown(picture)
        scale = (TILE - 8) / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        y, x = (TILE - small.shape[0]) // 2, left + (TILE - small.shape[1]) // 2
        row[y : y + small.shape[0], x : x + small.shape[1]] = small
        for line, words in enumerate(_caption(picture)):
            _text(row, words, (left + 6, TILE + 14 + 15 * line), _INK if line == 0 else _PALE, 0.37)
    return row


def _shown(picture: Picture) -> np.ndarray:
    """A picture's middle frame as it would be displayed, 8 bit, three channels."""
    frame = picture.frames[len(picture.frames) // 2]
    if frame.ndim == 3:
        return cv2.cvtColor(frame.astype(np.uint8), cv2.COLOR_RGB2BGR)
    centre, width = picture.window or (0.5 * 2**picture.bits, float(2**picture.bits))
    grey = np.clip((frame.astype(np.float32) - centre) / width + 0.5, 0, 1)
    grey = 1 - grey if picture.inverted else grey
    return cv2.cvtColor((grey * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)


def _caption(picture: Picture) -> list[str]:
    age = f"{picture.taken.year - picture.patient.birth.year} y"
    view = _value(picture.truths, "view") or picture.modality
    lines = [
        f"{view} {picture.body_part} {picture.laterality or ''} {picture.patient.sex} {age} visit {picture.visit + 1}"
    ]
    for side in ("L", "R"):
        scored = [
            t for t in picture.truths if t.side == side and t.reader == "truth" and t.target in ("jsn", "erosion")
        ]
        if not scored:
            continue
        jsn, erosion = (sum(int(t.value) for t in scored if t.target == target) for target in ("jsn", "erosion"))
        stage = _value(picture.truths, "stage", side)
        lines.append(
            f"{side}: {f'stage {stage} ' if stage is not None else ''}JSN {jsn} er. {erosion}; {_worst(scored)}"
        )
    grades = [f"{name} {_value(picture.truths, target)}" for target, name in _GRADES if _value(picture.truths, target)]
    if not grades:
        return lines
    frames = [f"{len(picture.frames)} frames"] * (len(picture.frames) > 1)
    return [*lines, f"{picture.truths[0].site or ''} {', '.join([*grades, *frames])}"]


_GRADES = (("grade", "grade"), ("grey_grade", "grey"))


def _worst(scored: Sequence[Truth]) -> str:
    worst = max(scored, key=lambda t: int(t.value))
    return f"{worst.site} {worst.target} {worst.value}" if int(worst.value) else "all sound"


def _text(image: np.ndarray, words: str, at: tuple[int, int], colour: tuple[int, int, int], size: float) -> None:
    cv2.putText(image, words, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
