"""A hand with its scores drawn on it as in 004: red boxes, JSN upper left in yellow, erosion lower right in blue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.views import cut

_SIDE = 560  # pixels of the picture
_RED, _YELLOW, _BLUE = (40, 40, 230), (60, 220, 250), (255, 170, 90)  # as OpenCV orders them
_DARK = (0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class ScoredJoint:
    """What is drawn of a joint; `box` in the film's pixels, None where the joint was not found."""

    box: Sequence[float] | None
    jsn: int | None
    erosion: int | None


def overlay(film: NDArray[np.uint8], box: Sequence[float], joints: Sequence[ScoredJoint]) -> bytes:
    """The hand's box of a film (8-bit grey) as PNG, with each joint that was found and its scores."""
    x0, y0, x1, y1 = (round(edge) for edge in box)
    scale = _SIDE / max(x1 - x0, y1 - y0, 1)
    hand = cut(film, (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
    size = (max(1, round(hand.shape[1] * scale)), max(1, round(hand.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = cv2.cvtColor(cv2.resize(hand, size, interpolation=interpolation), cv2.COLOR_GRAY2BGR)
    for joint in joints:
        if joint.box:
            edges = [round((edge - start) * scale) for edge, start in zip(joint.box, (x0, y0, x0, y0))]
            _draw_joint(picture, edges, joint)
    encoded, data = cv2.imencode(".png", picture)
    assert encoded
    return data.tobytes()


def _draw_joint(picture: NDArray[Any], edges: Sequence[int], joint: ScoredJoint) -> None:
    left, top, right, bottom = edges
    cv2.rectangle(picture, (left, top), (right, bottom), _RED, 1, cv2.LINE_AA)
    if joint.jsn is not None:
        _write(picture, str(joint.jsn), (left + 2, top + 12), _YELLOW)
    if joint.erosion is not None:
        _write(picture, str(joint.erosion), (right - 11, bottom - 3), _BLUE)


def _write(picture: NDArray[Any], text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write with a dark rim, which keeps the text legible on bone."""
    for ink, width in ((_DARK, 3), (colour, 1)):
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, width, cv2.LINE_AA)
