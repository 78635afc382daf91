"""Blanks text in a film's pixels. Where it lies over the anatomy, away from the film's edges, the film is rejected."""

from dataclasses import replace

import cv2
import numpy as np

from rajobs.imaging.burned_in_text.text_finder import Film, find_text
from rajobs.imaging.image import Box, Image
from rajobs.records.errors import Reject

_STEP = 4  # of whose rows and columns one is looked at, to tell tissue from background
_MOST_TISSUE = 0.05  # share of the pixels around a box that may be as bright as tissue
_TOWARDS_TISSUE = 0.7  # of the way from the background's grey to Otsu's threshold: what is brighter counts as tissue
_BORDER = 0.09  # share of the film's shorter side, at its edges, where tissue is no joint that is scored
_RING = 0.01  # share of the film's longer side, around a box, that is looked at
_PLATE = 0.85  # share of a box's ground that is as black, or as white, as anything on the film: nothing shows through
_OUTLINE = 0.98  # share of the box's outermost pixels that are so
_END_OF_RANGE = 0.02  # share of the film's range of greys that is black, and that is white
_INK = 0.3  # of the range, by which letters differ from a plate


def blank_text(image: Image) -> Image:
    """The film with its text blanked, and in how many boxes; a Reject if text lies over the anatomy."""
    pixels, boxes = image.pixels, find_text(image.pixels)
    if not boxes:
        return image
    blanked = pixels.copy()
    for x0, y0, x1, y1 in boxes:
        blanked[y0 : y1 + 1, x0 : x1 + 1] = 0
    tissue = _tissue_level(pixels, boxes)
    inner = [box for box in boxes if not _is_at_border(box, pixels.shape) and not _is_plate(pixels, box)]
    if any(_is_on_tissue(pixels, blanked, box, tissue) for box in inner):
        raise Reject("burned-in-annotation", "decode", "text over the anatomy")
    return replace(image, pixels=blanked, blanked=len(boxes))


def _is_at_border(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box lies in a strip along one of the film's edges."""
    (x0, y0, x1, y1), (rows, columns) = box, shape[:2]
    wide = _BORDER * min(rows, columns)
    return x1 < wide or y1 < wide or x0 >= columns - wide or y0 >= rows - wide


def _tissue_level(pixels: Film, boxes: list[Box]) -> float:
    """The grey from which a pixel counts as tissue, by the film without its text."""
    few, beside = pixels[::_STEP, ::_STEP], np.ones(pixels[::_STEP, ::_STEP].shape, bool)
    for x0, y0, x1, y1 in boxes:
        beside[y0 // _STEP : y1 // _STEP + 1, x0 // _STEP : x1 // _STEP + 1] = False
    values = few[beside].astype(np.float32)
    if not len(values):
        return 0.0
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.5)))
    scale = max(high - low, 1.0) / 255
    greys = np.clip((values[values <= high - 2 * scale] - low) / scale, 0, 255).astype(np.uint8)  # no white frames
    if not len(greys):
        return low
    threshold = float(cv2.threshold(greys, 0, 255, cv2.THRESH_OTSU)[0])
    background = float(np.median(greys[greys <= threshold]))
    return low + scale * (background + _TOWARDS_TISSUE * (threshold - background))


def _is_on_tissue(pixels: Film, blanked: Film, box: Box, tissue: float) -> bool:
    """Whether what is behind and around a box is bright; other boxes, which are 0 in `blanked`, do not count."""
    x0, y0, x1, y1 = box
    wide = max(4, round(_RING * max(pixels.shape)))
    around = blanked[max(0, y0 - wide) : y1 + wide + 1, max(0, x0 - wide) : x1 + wide + 1]
    inside = pixels[y0 : y1 + 1, x0 : x1 + 1]
    ring = max(around.size - inside.size, 1)
    return float((around > tissue).sum()) / ring > _MOST_TISSUE or float(np.median(inside)) > tissue


def _is_plate(pixels: Film, box: Box) -> bool:
    """Whether the ground of a box's letters is all black or all white, so that nothing of the film shows there."""
    x0, y0, x1, y1 = box
    inside = pixels[y0 : y1 + 1, x0 : x1 + 1].astype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    ground = float(np.median(inside))
    if min(ground - low, high - ground) > _END_OF_RANGE * (high - low):
        return False
    away = np.abs(inside - ground) / max(high - low, 1.0)
    outline = np.concatenate([away[0], away[-1], away[:, 0], away[:, -1]])
    plain, ink = away <= _END_OF_RANGE, away > _INK
    return bool((outline <= _END_OF_RANGE).mean() >= _OUTLINE and plain.sum() >= _PLATE * (~ink).sum())
