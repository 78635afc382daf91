"""Views that several studies share: an image and a row in, an array for a network out. Numpy and OpenCV alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.coding import decode
from rajobs.imaging.hand_geometry import Box
from rajobs.imaging.rows import Row
from rajobs.imaging.windowing import BLACK_PERCENTILE, WHITE_PERCENTILE, sample_pixels, to_bytes
from rajobs.records.anatomy import HAND_SITES
from rajobs.records.errors import UnknownName

BILINEAR = "bilinear"
FITS = ("pad", "stretch", BILINEAR)
LEVELS = ("film", "own")
SHOWS = ("hand", "joints")
TILES = tuple(site.name for site in HAND_SITES)


@dataclass(frozen=True, kw_only=True)
class ViewInput:
    """An image as a view is given it: 8-bit grey or RGB, windowed, and its scale to the stored pixels."""

    pixels: NDArray[np.uint8]
    scale: float = 1.0  # shown pixels a stored pixel
    deep: NDArray[np.uint8] | NDArray[np.uint16] | None = None  # as stored, before the window


def whole(image: ViewInput, row: Row, *, size: int, fit: str) -> NDArray[np.uint8]:
    """The whole image as a square: padded with black, or stretched; `bilinear` is 003's way (see `square`)."""
    return square(image.pixels, size, fit)


def boxed(
    image: ViewInput, row: Row, *, size: int, margin: float, upright: bool, mirror: bool, levels: str
) -> NDArray[np.uint8]:
    """The row's box, widened by a share of its side, as a square; beyond the image it is black.

    `upright` turns it until the fingers point up, `mirror` makes a left one look like a right one, and `levels` is
    film (the film's window) or own (the box's own darkest and brightest, whatever the exposure). A row without a box
    is a picture that somebody cut out: all of it is shown, as it is turned.
    """
    if levels not in LEVELS:
        raise UnknownName.among("levels", levels, LEVELS)
    own = levels == "own" and image.deep is not None
    pixels = image.deep if own and image.deep is not None else image.pixels
    if row.box is None:
        return _mirrored(square(to_bytes(pixels, None) if own else image.pixels, size, "pad"), row, mirror)
    angle = row.angle if upright else 0.0
    reach = 2**0.5 if angle else 1.0  # of the side: what a turned square's corners need
    x0, y0, x1, y1 = widen(row.box, margin, image.scale)
    half = max(x1 - x0, y1 - y0) * reach / 2
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    edges = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    left, top, right, bottom = (round(edge) for edge in edges)
    wide = round(size * reach)
    patch = _resize(cut(pixels, (left, top, max(right, left + 1), max(bottom, top + 1))), wide, wide)
    if angle:
        turn = cv2.getRotationMatrix2D(((wide - 1) / 2, (wide - 1) / 2), angle, 1.0)
        start = (wide - size) // 2
        patch = cv2.warpAffine(patch, turn, (wide, wide))[start : start + size, start : start + size]
    if own:
        patch = to_bytes(patch, None)
    return _mirrored(patch, row, mirror)


def _mirrored(patch: NDArray[np.uint8], row: Row, mirror: bool) -> NDArray[np.uint8]:
    """A left one as a right one, if they are to look alike."""
    return np.ascontiguousarray(patch[:, ::-1] if mirror and row.side == "L" else patch)


def handed(image: ViewInput, row: Row, *, shows: str, size: int, **how: Any) -> NDArray[np.uint8]:
    """A hand as `boxed` shows it, or its `joints`, each so and one behind the other; one that is not there is black."""
    if shows not in SHOWS:
        raise UnknownName.among("shows", shows, SHOWS)
    if shows == "hand":
        return boxed(image, row, size=size, **how)
    joints = {joint.site: joint for joint in row.joints}
    out = np.zeros((size, size, len(TILES)), np.uint8)
    for at, site in enumerate(TILES):
        if site in joints:
            out[..., at] = boxed(image, joints[site], size=size, **how)
    return out


def scanned(image: ViewInput, row: Row, *, size: int, fit: str) -> NDArray[np.uint8]:
    """The scan within a screen whose rest was blanked, in colour whether it has some or not."""
    pixels = image.pixels if image.pixels.ndim == 3 else np.repeat(image.pixels[..., None], 3, axis=2)
    lit = pixels.max(axis=2) > 0
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    if len(rows) and len(columns):
        pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return square(pixels, size, fit)


def square(pixels: NDArray[np.uint8], size: int, fit: str) -> NDArray[np.uint8]:
    """Pixels resized to size x size; shrinking takes the mean over an area, so that nothing aliases.

    `bilinear` stretches by interpolation between the four nearest pixels alone, as 003 did: it may alias.
    """
    if fit not in FITS:
        raise UnknownName.among("fit", fit, FITS)
    if fit == BILINEAR:
        return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR).astype(pixels.dtype, copy=False)
    if fit == "stretch":
        return _resize(pixels, size, size)
    rows, columns = pixels.shape[:2]
    shrink = size / max(rows, columns)
    height, width = max(1, round(rows * shrink)), max(1, round(columns * shrink))
    out = np.zeros((size, size, *pixels.shape[2:]), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    out[top : top + height, left : left + width] = _resize(pixels, height, width)
    return out


def widen(box: Box, margin: float, scale: float) -> tuple[int, int, int, int]:
    """A box in shown pixels, each side moved out by a share of its length."""
    x, y = (box[2] - box[0]) * margin, (box[3] - box[1]) * margin
    edges = (box[0] - x, box[1] - y, box[2] + x, box[3] + y)
    x0, y0, x1, y1 = (round(edge * scale) for edge in edges)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def cut(pixels: NDArray[Any], box: tuple[int, int, int, int]) -> NDArray[Any]:
    """A box out of an image, black where it reaches beyond."""
    x0, y0, x1, y1 = box
    out = np.zeros((y1 - y0, x1 - x0, *pixels.shape[2:]), pixels.dtype)
    rows, columns = pixels.shape[:2]
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, columns), min(y1, rows)
    if right > left and bottom > top:
        out[top - y0 : bottom - y0, left - x0 : right - x0] = pixels[top:bottom, left:right]
    return out


def _resize(pixels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    shrinks = pixels.shape[0] > height or pixels.shape[1] > width
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(pixels.dtype, copy=False)


def show(record: Mapping[str, Any], reads: str) -> ViewInput:
    """An image of the images table as a view is given it: its preview, or its pixels through the window."""
    if reads == "preview":
        coded = cv2.imdecode(np.frombuffer(record["preview"], np.uint8), cv2.IMREAD_UNCHANGED)
        assert coded is not None, "a preview is a PNG of ours"
        pixels = coded[..., ::-1] if coded.ndim == 3 else coded  # OpenCV decodes to BGR
        return ViewInput(pixels=np.ascontiguousarray(pixels), scale=pixels.shape[1] / record["columns"])
    centre, width = record["window_centre"], record["window_width"]
    window = None if centre is None else (centre, width)
    deep = decode(record["pixels"])
    return ViewInput(pixels=to_bytes(deep, window), deep=from_zero(deep))


def from_zero(deep: NDArray[Any]) -> NDArray[Any]:
    """Stored values from the darkest one on: a film may be stored far above 0, which is what lies beyond its edge.

    A darkest value that is farther off than all the others span is padding or a box of text, and none of the film's.
    """
    darkest, some = int(deep.min()), sample_pixels(deep)
    rest = some[some > darkest]
    if len(rest):
        low, high = np.percentile(rest, (BLACK_PERCENTILE, WHITE_PERCENTILE))
        if low - darkest > high - low:
            darkest = int(low)
    return np.maximum(deep, darkest) - deep.dtype.type(darkest) if darkest else deep
