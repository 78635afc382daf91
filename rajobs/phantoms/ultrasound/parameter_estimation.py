"""The drawing and the machine that come nearest to an image, drawn or real: what a new drawing is modelled on."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.ultrasound.base_drawings import BASES, SPOTS, Drawing, bases_of_grade, share_limits
from rajobs.phantoms.ultrasound.doppler_colours import MAPS, colour_table
from rajobs.phantoms.ultrasound.machine import Box, Machine, Size
from rajobs.phantoms.ultrasound.speckle import Grey
from rajobs.phantoms.ultrasound.tissue_layers import capsule_lines

_LEAST = 96  # pixels: a smaller region tells nothing
_ABOVE, _BELOW = 4.5, 3.0  # mm about the head within which colour is taken for the joint's
_SHAFT = 0.5  # mm by which the bone found lies below the head, on average of drawings
_COLOURED = 45  # difference of a pixel's channels that no grey scan, box or compression makes


def estimate_parameters(image: NDArray[np.uint8], *, grade: int | None = None) -> tuple[Drawing, Machine]:
    """Colour's area, place and map, the bone's depth and the gain of an RGB image with black around its region.

    Depths are told in millimetres of a scan that is as wide as a Machine's default: an image holds no scale. Where
    the grade is known, the drawing is of that grade.
    """
    x0, y0, x1, y1 = find_region(image)
    scan = image[y0 : y1 + 1, x0 : x1 + 1]
    rows, columns = image.shape[:2]
    place = x0 / columns, y0 / rows, (x1 + 1) / columns, (y1 + 1) / rows
    machine = Machine(place=place)
    pitch = machine.width_mm / scan.shape[1]
    coloured = colour_mask(scan)
    grey = cv2.cvtColor(scan, cv2.COLOR_RGB2GRAY)
    plain = cv2.dilate(coloured, np.ones((5, 5), np.uint8)) == 0
    grey[~plain] = np.median(grey[: len(grey) // 3][plain[: len(grey) // 3]])  # neither echo nor shadow
    lit = cv2.medianBlur(grey, 3).astype(np.float32)
    head = float(np.clip(_head_px(lit, coloured, pitch) * pitch, 4.0, 14.0))
    coloured[: max(0, int((head - _ABOVE) / pitch))] = 0
    coloured[int((head + _BELOW) / pitch) :] = 0
    area = float(np.count_nonzero(coloured)) * pitch**2
    drawing = _nearest(area, coloured, head, machine, BASES if grade is None else bases_of_grade(grade))
    light = float(np.median(lit[: max(8, int(0.8 * head / pitch))]))
    gain = float(np.clip(light / 50, 0.5, 1.6))
    return drawing, replace(machine, gain=gain, colours=_map(scan[coloured > 0]) or machine.colours)


def find_region(image: NDArray[np.uint8]) -> Box:
    """x0, y0, x1, y1 of the scan: the largest patch that is not black, without what touches it."""
    lit = (image.max(axis=2) > 3).astype(np.uint8)
    lit = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    if count < 2:
        return 0, 0, image.shape[1] - 1, image.shape[0] - 1
    largest = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    spans = []
    for axis in (0, 1):
        filled = largest.sum(axis=axis)
        lines = np.flatnonzero(filled > 0.5 * np.percentile(filled[filled > 0], 90))
        spans.append((int(lines[0]), int(lines[-1])))
    (x0, x1), (y0, y1) = spans
    if min(x1 - x0, y1 - y0) < _LEAST:
        return 0, 0, image.shape[1] - 1, image.shape[0] - 1
    return x0, y0, x1, y1


def colour_mask(scan: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Coloured pixels, without the box's line and stray dots."""
    strong = (scan.max(axis=2).astype(np.int16) - scan.min(axis=2) > _COLOURED).astype(np.uint8)
    return np.asarray(cv2.medianBlur(strong, 3), np.uint8)


def bone_depth(grey: Grey) -> float:
    """Rows from the top to the bone's highest part: the last bright line, under which all is shadow."""
    rows = len(grey)
    smooth = cv2.blur(grey, (15, 5))
    tissue = float(np.median(grey[: rows // 3]))
    bright = smooth[rows // 8 : rows - 6] > 0.8 * tissue
    last = rows - 6 - 1 - bright[::-1].argmax(axis=0)
    found = last[bright.any(axis=0)]
    edge = len(found) // 8
    return float(np.percentile(found[edge : len(found) - edge], 20)) if len(found) else rows / 2


def _head_px(grey: Grey, coloured: NDArray[np.uint8], pitch: float) -> float:
    """The head's depth; where no bone is shown, so that the joint lies about the colour and within the scan."""
    deepest = 0.75 * len(grey)
    found = np.nonzero(coloured)[0]
    if len(found) * pitch**2 > 1:
        deepest = min(deepest, float(np.percentile(found, 90)) + 2 / pitch)
    return min(bone_depth(grey) - _SHAFT / pitch, deepest)


def _nearest(
    area: float, coloured: NDArray[np.uint8], head: float, machine: Machine, among: tuple[Drawing, ...]
) -> Drawing:
    """The base drawing nearest to a signal's area (mm2) at a bone's depth, with its signal of that very area."""
    drawing = min(among, key=lambda base: abs(_signal_mm2(base) - area))
    bone = replace(drawing.bone, head=head, base=head + 0.5)
    drawing = replace(drawing, bone=bone)
    along = np.nonzero(coloured)[1]
    middle = float(along.mean()) / coloured.shape[1] if len(along) else machine.offset
    return with_signal(drawing, area, (middle - machine.offset) * machine.width_mm, _parts(coloured))


def with_signal(drawing: Drawing, area: float, middle: float, parts: int) -> Drawing:
    """The drawing with mm2 of signal in so many parts, about a place along the joint (mm), as its grade lets."""
    capsule = drawing.capsule
    place = float(np.clip((middle + capsule.proximal) / (capsule.proximal + capsule.distal), 0.1, 0.9))
    signal = replace(drawing.signal, centre=place)
    if drawing.grade == 1 and area:
        groups = min(SPOTS, key=lambda spots: (abs(len(spots) - parts), abs(sum(spots) - area / 0.25)))
        radius = float(np.clip(np.sqrt(area / (0.9 * np.pi * sum(groups))), 0.15, 0.45))
        signal = replace(signal, groups=groups, radius=radius)
    elif drawing.grade > 1 and area:
        low, high = share_limits(drawing.grade, 0.03)
        signal = replace(signal, share=float(np.clip(area / capsule_mm2(drawing), low, high)))
    return replace(drawing, signal=signal)


def capsule_mm2(drawing: Drawing) -> float:
    """The synovium's area."""
    x = np.linspace(-drawing.capsule.proximal, drawing.capsule.distal, 200, dtype=np.float32)
    lid, floor = capsule_lines(drawing.capsule, drawing.bone, x)
    return float((floor - lid).mean() * (x[-1] - x[0]))


def _signal_mm2(drawing: Drawing) -> float:
    signal = drawing.signal
    return float(0.9 * sum(signal.groups) * np.pi * signal.radius**2 + signal.share * capsule_mm2(drawing))


def _parts(coloured: NDArray[np.uint8]) -> int:
    return int(cv2.connectedComponents(coloured, connectivity=8)[0]) - 1


def _map(pixels: NDArray[np.uint8]) -> str | None:
    """The machine's map whose colours are the nearest."""
    if not len(pixels):
        return None
    some = pixels[:: max(1, len(pixels) // 150)].astype(np.int32)[:, None]

    def distance(name: str) -> float:
        tables = [colour_table(name)] + ([colour_table(name, away=True)] if name == "directional" else [])
        table = np.concatenate(tables)[::4].astype(np.int32)[None]
        return float(np.abs(some - table).sum(axis=2).min(axis=1).mean())

    return min(MAPS, key=distance)


def screen_size(image: NDArray[np.uint8], least: Size) -> Size:
    """The image's own size, or `least` where it is too small to draw on."""
    rows, columns = image.shape[:2]
    return (rows, columns) if min(rows, columns) >= _LEAST else least
