"""Hands cut out of films and turned upright, and the maps from film to view and back."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.rows import Row
from rajobs.imaging.views import ViewInput
from rajobs.imaging.windowing import to_bytes
from rajobs.records.errors import UnknownName

Affine = NDArray[np.float64]
"""(2, 3): maps film columns and rows (a pixel's centre is a whole number) to shares of the view's side."""

Shape = tuple[int, int]
"""Rows and columns of a film."""

Pixels = NDArray[Any]


FRAMES = ("hand", "film")


def upright(image: ViewInput, row: Row, *, size: int, frame: str) -> NDArray[np.uint8]:
    """A hand's box with the fingers up, a left hand mirrored, by its own grey range; black beyond the film.

    In the frame `film` a hand that is alone on its film is neither cut out nor turned: the whole film is shown.
    """
    pixels = image.deep if image.deep is not None else image.pixels
    to_view = upright_place(row, (pixels.shape[0], pixels.shape[1]), size=size, frame=frame) * size
    to_view[:, 2] -= 0.5  # the centre of a view's pixel is a whole number, too
    pixels, to_view = _shrink_for_warp(pixels, to_view)
    patch = cv2.warpAffine(pixels, to_view, (size, size), flags=cv2.INTER_LINEAR)
    return to_bytes(patch.astype(pixels.dtype, copy=False), None)


def upright_place(row: Row, shape: Shape, *, size: int, frame: str) -> Affine:
    """The map from the film to the view of `upright`."""
    if frame not in FRAMES:
        raise UnknownName.among("frame", frame, FRAMES)
    assert row.box is not None, row
    x0, y0, x1, y1 = row.box
    angle = row.angle
    if frame == "film" and row.alone:
        (x0, y0), (y1, x1), angle = (-0.5, -0.5), (shape[0] - 0.5, shape[1] - 0.5), 0.0
    turn, side = np.deg2rad(-angle), max(x1 - x0, y1 - y0, 1.0)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / side
    if row.side == "L":
        matrix[0] *= -1
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    return np.column_stack([matrix, 0.5 - matrix @ middle])


def whole_place(row: Row, shape: Shape, *, size: int, fit: str) -> Affine:
    """The map from the film to the view of `views.whole`."""
    rows, columns = shape
    shrink = size / max(rows, columns)
    height, width = (max(1, round(rows * shrink)), max(1, round(columns * shrink))) if fit == "pad" else (size, size)
    left, top = (size - width) // 2, (size - height) // 2
    across, down = width / columns / size, height / rows / size
    return np.array([[across, 0, 0.5 * across + left / size], [0, down, 0.5 * down + top / size]])


def shrink_views(images: Pixels, share: float) -> tuple[Pixels, Affine]:
    """Square views (n, channels, side, side) shrunk into the middle of black ones, and the map of their positions."""
    side = images.shape[2]
    small = 2 * round(side * share / 2)
    edge = (side - small) // 2
    shrunk = np.zeros_like(images)
    inside = slice(edge, edge + small)
    for view, target in zip(images.reshape(-1, side, side), shrunk.reshape(-1, side, side)):
        target[inside, inside] = cv2.resize(view, (small, small), interpolation=cv2.INTER_AREA)
    return shrunk, np.column_stack([np.eye(2) * small / side, np.full(2, edge / side)])


def move_points(points: NDArray[np.float64], affine: Affine) -> NDArray[np.float64]:
    """Points (..., 2) moved by a map."""
    moved: NDArray[np.float64] = points @ affine[:, :2].T + affine[:, 2]
    return moved


def invert(affine: Affine) -> Affine:
    """The inverse map."""
    return np.asarray(cv2.invertAffineTransform(affine), np.float64)


def _shrink_for_warp(pixels: Pixels, affine: Affine) -> tuple[Pixels, Affine]:
    """The image shrunk to nearly the size that a map gives it, and the map from there: a warp alone skips pixels."""
    factor = int(1 / np.linalg.norm(affine[:, 0]))
    if factor < 2:
        return pixels, affine
    height, width = (side // factor for side in pixels.shape[:2])
    small = cv2.resize(pixels[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
    from_small = affine.copy()
    from_small[:, :2] *= factor
    from_small[:, 2] += affine[:, :2] @ np.full(2, (factor - 1) / 2)
    return small, from_small
