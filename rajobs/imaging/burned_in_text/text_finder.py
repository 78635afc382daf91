"""Finds lines of letters in films: names, dates and numbers, but neither a side marker of one or two letters nor bones.

What machines write has steep edges, strokes of one width, and letters of one height in a row. A first pass over every
fourth row looks for several steep edges close together, which films hardly have; only there are letters looked for.
Nothing is read: what the letters say is not known at any time.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.image import Box

FEWEST_IN_LINE, FEWEST_IN_BLOCK = 6, 8
"""Letters from which a line, or a line with those around it, is text: markers may be words (LEFT, RIGHT, SIN), with the
initials of who took the film."""
# Where letters are looked for: in cells with many edges, by every second or fourth row.
_LONG_SIDE = 2500  # pixels of a film's longer side, from which the film is looked at more coarsely
_SHORT_SIDE = 1500  # pixels, up to which every second row is looked at, not every fourth
_CELL = 16  # pixels
_STEP = 0.2  # share of the film's range of greys that a letter's edge passes within two pixels
_HEADROOM = 0.4  # of that range, by which letters may be brighter
_NOISE_STEP = 6.0  # median differences of neighbours, which a letter's edge passes as well
_EDGES = 1.0  # in a row of a cell: a stroke has two, or one if it is thin
_FLAT = 0.45  # least share of edges among the pixels that differ a fifth as much: letters lie on even ground
_OTHER_WAY = 0.02  # least share of edges that fall where most rise, or rise where most fall
_FEWEST_CELLS = 2  # of a line of letters
_BESIDE = 8  # pixels around such cells
_BAND = 64  # rows that are looked at together: few enough to stay in the processor's cache
_ROWS_FOR_TOP = 4  # of which one is looked at for the brightest pixel

# What are letters: pieces of ink that stand out from their ground.
_STROKE = 13  # pixels, wider than any stroke
_FEWEST_INK = 60  # pixels
_MANY = 1 << 17  # pixels, which may be more pieces than 16 bits number
_EVEN = 0.1  # of the strongest contrast, below which most of the ground lies
_LETTER = (6, 40)  # heights in pixels; taller ones are looked for at half the size
_FIT_FOR_LARGE = 128  # pixels, which a line of large letters and what is around it is longer than
_LONGEST = 400  # pixels of a word whose letters hang together
_FEWEST_LETTERS = 4  # of a line to which others belong
_FEWEST_PIECES, _MOST_PIECES = 5, 250  # of a line, and of a region that is looked at at all
_REACH = 4  # heights of what is found, around it, where the rest is looked for
_MOST_WIDENED = 30  # boxes around which that is done
_MARGIN = 0.4  # of a letter's height, around what is found: strokes that are too faint to count

Grey = NDArray[np.uint8]
Film = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Greys:
    """How a film's values become bytes: letters may be brighter than anything else on it."""

    low: float
    high: float  # of nearly all pixels
    top: float  # what is as bright or brighter is 255

    @classmethod
    def of_film(cls, pixels: Film) -> "_Greys":
        low, high = (float(value) for value in np.percentile(pixels[4::12, 4::12], (0.5, 99.5)))
        high, brightest = max(high, low + 1), float(pixels[1::_ROWS_FOR_TOP].max())
        return cls(low=low, high=high, top=max(high, min(brightest, high + _HEADROOM * (high - low))))

    def to_bytes(self, pixels: Film) -> Grey:
        above = cv2.subtract(np.ascontiguousarray(pixels), self.low)  # type: ignore[call-overload]
        return np.asarray(cv2.convertScaleAbs(above, alpha=255 / (self.top - self.low)), np.uint8)


def find_text(pixels: Film) -> list[Box]:
    """The boxes of a grey film's lines of letters, in its pixels."""
    if min(pixels.shape) < 64:
        return []
    greys = _Greys.of_film(pixels)
    scale = 1 + max(pixels.shape) // _LONG_SIDE
    view = pixels[::scale, ::scale]
    step, regions = _edgy_regions(view, greys)
    boxes = [box for region in regions for box in _text_in(view, region, greys, step)]
    if boxes:  # other lines and the ends of these may lie beside the regions
        wider = [_widened(box, view.shape) for box in boxes[:_MOST_WIDENED]]
        boxes += [box for region in wider for box in _text_in(view, region, greys, step)]
    rows, columns = pixels.shape
    ends = ((x0 * scale, y0 * scale, (x1 + 1) * scale - 1, (y1 + 1) * scale - 1) for x0, y0, x1, y1 in boxes)
    return list(dict.fromkeys((x0, y0, min(x1, columns - 1), min(y1, rows - 1)) for x0, y0, x1, y1 in ends))


def _text_in(view: Film, region: Box, greys: _Greys, step: float) -> list[Box]:
    """The boxes of text in a region, by all of its pixels, and by every second one for large letters."""
    x0, y0, x1, y1 = region
    grey = greys.to_bytes(view[y0 : y1 + 1, x0 : x1 + 1])
    boxes: list[Box] = []
    for every in (1, 2) if max(grey.shape) >= _FIT_FOR_LARGE else (1,):
        for block in _blocks(np.ascontiguousarray(grey[::every, ::every]), step):
            left, top, right, bottom = (block * every).tolist()
            right, bottom = min(x1, x0 + right + every - 1), min(y1, y0 + bottom + every - 1)
            boxes.append((max(x0, x0 + left), max(y0, y0 + top), right, bottom))
    return boxes


def _widened(box: Box, shape: tuple[int, ...]) -> Box:
    """A box of text with what is near to it, a few lines and words."""
    x0, y0, x1, y1 = box
    reach = _REACH * (min(x1 - x0, y1 - y0) + 1)
    return max(0, x0 - reach), max(0, y0 - reach), min(shape[1] - 1, x1 + reach), min(shape[0] - 1, y1 + reach)


def _edgy_regions(view: Film, greys: _Greys) -> tuple[float, list[Box]]:
    """The step that counts as an edge, in bytes, and the boxes in which many edges are close together."""
    every = 4 if max(view.shape) > _SHORT_SIDE else 2
    rows, few = view[every // 2 :: every], view[every // 2 :: 11 * every]
    noise = float(np.median(cv2.absdiff(few[:, 2:], few[:, :-2])[:, ::17]))
    step = max(_STEP * (greys.high - greys.low), _NOISE_STEP * noise)
    bands = [_edgy_cells(rows[first : first + _BAND], every, step) for first in range(0, len(rows), _BAND)]
    active = np.concatenate(bands).view(np.uint8)
    if not active.any():
        return 0.0, []
    near, labels, stats, _ = cv2.connectedComponentsWithStats(
        cv2.dilate(active, np.ones((3, 3), np.uint8)), ltype=cv2.CV_16U
    )
    cells = np.bincount(labels[active > 0], minlength=near)
    boxes = []
    for x, y, width, height, _ in stats[1:][cells[1:] >= _FEWEST_CELLS].tolist():
        x0, y0 = max(0, x * _CELL - _BESIDE), max(0, y * _CELL - _BESIDE)
        x1, y1 = (x + width) * _CELL + _BESIDE - 1, (y + height) * _CELL + _BESIDE - 1
        box = x0, y0, min(view.shape[1] - 1, x1), min(view.shape[0] - 1, y1)
        if _has_strokes(view, box, every, step):
            boxes.append(box)
    return step * 255 / (greys.top - greys.low), boxes


def _edgy_cells(rows: Film, every: int, step: float) -> NDArray[np.bool_]:
    """The cells of a band in which many edges lie on even ground."""
    steps: NDArray[Any] = cv2.absdiff(rows[:, 2:], rows[:, :-2])
    edges = steps > int(step)  # whole numbers are compared in a sixth of the time
    begins = edges.copy()
    np.greater(edges[:, 1:], edges[:, :-1], out=begins[:, 1:])
    active = _count_in_cells(begins, every) >= _EDGES * _CELL // every
    if active.any():
        active &= _count_in_cells(edges, every) >= _FLAT * _count_in_cells(steps > int(step / 5), every)
    return active


def _has_strokes(view: Film, box: Box, every: int, step: float) -> bool:
    """Whether edges rise and fall, as those of strokes do; those of plates and collimators do one of the two."""
    x0, y0, x1, y1 = box
    rows = view[y0 : y1 + 1 : every, x0 : x1 + 1]
    ways = (cv2.subtract(rows[:, 2:], rows[:, :-2]), cv2.subtract(rows[:, :-2], rows[:, 2:]))
    few, many = sorted(np.count_nonzero(way > int(step)) for way in ways)
    return bool(few > _OTHER_WAY * many)


def _count_in_cells(edges: NDArray[np.bool_], every: int) -> NDArray[np.uint8]:
    """How many of the pixels of some rows are edges, in cells."""
    (rows, columns), high = edges.shape, _CELL // every
    bits = np.zeros((-(-rows // high) * high, -(-(columns + 2) // _CELL)), np.uint16)
    packed = np.packbits(edges, axis=1)
    bits.view(np.uint8)[:rows, : packed.shape[1]] = packed
    return np.asarray(np.bitwise_count(bits).reshape(-1, high, bits.shape[1]).sum(axis=1, dtype=np.uint8))


def _blocks(region: Grey, step: float) -> list[NDArray[np.int64]]:
    """Boxes of text in a region, bright or dark, written across or up and down."""
    kernel = np.ones((_STROKE, _STROKE), np.uint8)
    blocks: list[NDArray[np.int64]] = []
    for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        relief = np.asarray(cv2.morphologyEx(region, kind, kernel), np.uint8)
        for level in _levels(relief, step):
            pieces = _Pieces.in_relief(region, relief, level)
            of_level = pieces.blocks(upright=True) + pieces.blocks(upright=False)
            blocks += of_level
            if of_level or len(pieces.boxes) < _FEWEST_PIECES:
                break
    return blocks


def _levels(relief: Grey, step: float) -> list[float]:
    """Where letters are cut off from their ground: at half of the strongest contrast, and of a weaker one."""
    of_each = cv2.calcHist([relief], [0], None, [256], [0, 256]).ravel()
    counts = of_each[::-1].cumsum()[::-1]  # pixels of at least this contrast
    strong = int(counts[min(255, int(step) + 1)])
    if strong < _FEWEST_INK:
        return []
    high = 255 - int(np.argmax(counts[::-1] >= 0.05 * strong))
    if counts[int(_EVEN * high)] > 0.5 * relief.size:
        return []  # most of the region is as rough as bone
    return sorted({max(step, 0.5 * high), max(step, 0.25 * high)}, reverse=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pieces:
    """What may be letters in a region, by number: a letter, several that hang together, a stop."""

    region: Grey
    relief: Grey
    labels: NDArray[Any]
    numbers: NDArray[np.int64]
    boxes: NDArray[np.int64]  # x0, y0, x1, y1
    fill: NDArray[np.float64]  # share of the box

    @classmethod
    def in_relief(cls, region: Grey, relief: Grey, level: float) -> "_Pieces":
        ink = (relief > level).view(np.uint8)
        kind = cv2.CV_16U if ink.size < _MANY else cv2.CV_32S  # the former takes half the time
        _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8, ltype=kind)
        fits = (stats[:, 2:4].min(axis=1) <= _LETTER[1]) & (stats[:, 2:4].max(axis=1) <= _LONGEST)
        fits[0] = False  # the ground
        stats = stats[fits].astype(np.int64)
        return cls(
            region=region, relief=relief, labels=np.asarray(labels), numbers=np.flatnonzero(fits),
            boxes=np.column_stack([stats[:, 0], stats[:, 1], stats[:, :2] + stats[:, 2:4] - 1]),
            fill=stats[:, 4] / (stats[:, 2] * stats[:, 3]),
        )  # fmt: skip

    def blocks(self, *, upright: bool) -> list[NDArray[np.int64]]:
        """The boxes of lines of letters, with what is written beside, above and below them."""
        boxes = self.boxes if upright else self.boxes[:, [1, 0, 3, 2]]
        high = boxes[:, 3] - boxes[:, 1] + 1
        keep = np.flatnonzero((high >= _LETTER[0]) & (high <= _LETTER[1]))
        if not _FEWEST_PIECES <= len(keep) <= _MOST_PIECES:
            return []
        blocks = []
        for row in (keep[row] for row in _rows(boxes[keep])):
            if _is_line(boxes[row], self.fill[row]) and self._is_ink(row):
                block = _grown(boxes, row)
                if _count_letters(boxes[row]) >= FEWEST_IN_LINE or _count_letters(boxes[block]) >= FEWEST_IN_BLOCK:
                    margin = np.ceil(_MARGIN * _letter_height(boxes[row])) * np.array([-1, -1, 1, 1])
                    blocks.append(_around(self.boxes[block]) + margin.astype(np.int64))
        return blocks

    def _is_ink(self, row: NDArray[np.int64]) -> bool:
        """Whether pieces in a row have thin strokes of one width, one brightness, and stand out from their ground."""
        x0, y0, x1, y1 = _around(self.boxes[row])
        inside = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        grey, relief, labels = self.region[inside], self.relief[inside], self.labels[inside]
        depth = cv2.distanceTransform((labels > 0).view(np.uint8), cv2.DIST_L1, 3)
        stroke, contrast, level = (np.empty(len(row)) for _ in range(3))
        for place, number in enumerate(self.numbers[row]):
            piece = labels == number
            stroke[place], contrast[place] = 2 * depth[piece].max() - 1, relief[piece].max()
            level[place] = np.median(grey[piece])
        letter = min(y1 - y0, x1 - x0) + 1
        apart = min(float(np.subtract(*np.percentile(values, (75, 25)))) for values in (contrast, level))
        thin = np.median(stroke) <= 0.5 * letter and stroke.std() <= 0.7 * stroke.mean()
        return bool(apart <= 0.4 * np.median(contrast) and thin and _stands_out(relief, labels > 0))


def _around(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _letter_height(boxes: NDArray[np.int64]) -> float:
    return float(np.percentile(boxes[:, 3] - boxes[:, 1] + 1, 75))


def _count_letters(boxes: NDArray[np.int64]) -> int:
    """How many letters pieces are, by their height and by their width where letters hang together."""
    wide, high = (boxes[:, 2:] - boxes[:, :2] + 1).T
    letter = _letter_height(boxes)
    counts = np.where(wide > 1.9 * letter, np.round(wide / (0.8 * letter)), 1)
    return int(counts[high >= 0.6 * letter].sum())


def _is_line(boxes: NDArray[np.int64], fill: NDArray[np.float64]) -> bool:
    """Whether pieces in a row are of one height and lie on one line, not too few, and not only bars."""
    wide, high = (boxes[:, 2:] - boxes[:, :2] + 1).T
    letter = _letter_height(boxes)
    return bool(
        _count_letters(boxes) >= _FEWEST_LETTERS
        and ((high >= 0.6 * letter) & (high <= 1.4 * letter)).mean() >= 0.6
        and boxes[:, 3].max() - boxes[:, 1].min() + 1 <= 1.7 * letter
        and ((boxes[:, 1] + boxes[:, 3]) / 2).std() <= 0.16 * letter
        and ((fill < 0.85) & (wide >= 0.3 * letter)).mean() >= 0.4
    )


def _grown(boxes: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pieces of a line and, step by step, those beside it, of a short line above and of one below."""
    letter = _letter_height(boxes[row])
    _, top, _, bottom = _around(boxes[row])
    small = boxes[:, 3] - boxes[:, 1] + 1 <= 1.4 * letter
    within = (boxes[:, 1] >= top - 2.2 * letter) & (boxes[:, 3] <= bottom + 2.2 * letter)
    chosen = np.isin(np.arange(len(boxes)), row)
    reach = np.array([1.5, 1.0, -1.5, -1.0]) * letter
    while True:
        x0, y0, x1, y1 = _around(boxes[chosen]) - reach
        near = (boxes[:, 0] <= x1) & (boxes[:, 2] >= x0) & (boxes[:, 1] <= y1) & (boxes[:, 3] >= y0)
        more = chosen | (near & small & within)
        if (more == chosen).all():
            return np.flatnonzero(chosen)
        chosen = more


def _stands_out(relief: Grey, ink: NDArray[np.bool_]) -> bool:
    """Whether ink is far from its ground, measured by how much either varies."""
    inside = relief[ink].astype(np.float64)
    outside = relief[cv2.dilate(ink.view(np.uint8), np.ones((3, 3), np.uint8)) == 0].astype(np.float64)
    if len(outside) < 5:  # letters that touch: nothing is between them
        outside = np.zeros(1)
    typical, ground = float(np.median(inside)), float(outside.mean())
    apart = inside.mean() - ground >= 2.5 * np.sqrt(inside.var() + outside.var() + 1)
    return bool(typical - ground >= 8 * (outside.std() + 1) and ground <= 0.25 * typical and apart)


def _rows(boxes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Groups of boxes that stand beside each other in a row, nearer to each other than they are high."""
    boxes = boxes.astype(np.float64)
    x0, y0, x1, y1 = boxes.T
    high = y1 - y0 + 1
    lower, higher = np.minimum(high[:, None], high), np.maximum(high[:, None], high)
    overlap = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0) + 1
    gap = np.maximum(x0[:, None], x0) - np.minimum(x1[:, None], x1)
    near = (overlap >= 0.6 * lower) & (higher <= 2 * lower) & (gap <= 1.4 * higher)
    first = np.arange(len(boxes))  # the first box of each one's group, as far as known
    while True:
        earlier = np.where(near, first, len(boxes)).min(axis=1)
        earlier = earlier[earlier]
        if np.array_equal(earlier, first):
            groups, sizes = np.unique(first, return_counts=True)
            return [np.flatnonzero(first == group) for group in groups[sizes >= _FEWEST_PIECES]]
        first = earlier
