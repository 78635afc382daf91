"""Estimates the drawing and the machine settings that come nearest to an image, drawn or real."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.phantoms.ultrasound.base_drawings import BASES, SPOT_GROUPS, Drawing, bases_of_grade, share_limits
from rajobs.phantoms.ultrasound.doppler_colours import MAPS, colour_table
from rajobs.phantoms.ultrasound.machine import Box, Machine, Size
from rajobs.phantoms.ultrasound.speckle import Grey
from rajobs.phantoms.ultrasound.tissue_layers import capsule_lines

_SMALLEST_SIDE = 96  # pixels; nothing can be estimated from a smaller region
_ABOVE, _BELOW = 4.5, 3.0  # mm above and below the metacarpal head within which colour belongs to the joint
_SHAFT = 0.5  # mm from the head down to the detected bone, on average over drawings
_COLOURED = 45  # difference of a pixel's channels that no grey scan, box or compression causes


def estimate_parameters(image: NDArray[np.uint8], *, grade: int | None = None) -> tuple[Drawing, Machine]:
    """The drawing and machine that resemble an RGB image with black around its region.

    Estimated are the area, position and colour map of the signal, the bone's depth and the gain. As an image has no
    scale, its width counts as a Machine's default width in millimetres. If `grade` is known, the drawing has it.
    """
    x0, y0, x1, y1 = find_region(image)
    scan = image[y0 : y1 + 1, x0 : x1 + 1]
    rows, columns = image.shape[:2]
    machine = Machine(region_share=(x0 / columns, y0 / rows, (x1 + 1) / columns, (y1 + 1) / rows))
    pitch = machine.width_mm / scan.shape[1]
    coloured = colour_mask(scan)
    grey = cv2.cvtColor(scan, cv2.COLOR_RGB2GRAY)
    uncoloured = cv2.dilate(coloured, np.ones((5, 5), np.uint8)) == 0
    # Colour is replaced by the grey of tissue, which is taken for neither echo nor shadow.
    grey[~uncoloured] = np.median(grey[: len(grey) // 3][uncoloured[: len(grey) // 3]])
    smooth = cv2.medianBlur(grey, 3).astype(np.float32)
    head = float(np.clip(_estimate_head_px(smooth, coloured, pitch) * pitch, 4.0, 14.0))
    coloured[: max(0, int((head - _ABOVE) / pitch))] = 0
    coloured[int((head + _BELOW) / pitch) :] = 0
    area = float(np.count_nonzero(coloured)) * pitch**2
    drawing = _choose_nearest(area, coloured, head, machine, BASES if grade is None else bases_of_grade(grade))
    brightness = float(np.median(smooth[: max(8, int(0.8 * head / pitch))]))
    gain = float(np.clip(brightness / 50, 0.5, 1.6))
    return drawing, replace(machine, gain=gain, colours=_nearest_colour_map(scan[coloured > 0]) or machine.colours)


def find_region(image: NDArray[np.uint8]) -> Box:
    """The region of the scan: the largest patch that is not black, without text that touches it."""
    lit = (image.max(axis=2) > 3).astype(np.uint8)
    lit = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    if count < 2:
        return 0, 0, image.shape[1] - 1, image.shape[0] - 1
    largest = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    spans: list[tuple[int, int]] = []
    for axis in (0, 1):
        filled = largest.sum(axis=axis)
        lines = np.flatnonzero(filled > 0.5 * np.percentile(filled[filled > 0], 90))
        spans.append((int(lines[0]), int(lines[-1])))
    (x0, x1), (y0, y1) = spans
    if min(x1 - x0, y1 - y0) < _SMALLEST_SIDE:
        return 0, 0, image.shape[1] - 1, image.shape[0] - 1
    return x0, y0, x1, y1


def colour_mask(scan: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask of coloured pixels, without the line of the colour box and single dots."""
    coloured = (scan.max(axis=2).astype(np.int16) - scan.min(axis=2) > _COLOURED).astype(np.uint8)
    return np.asarray(cv2.medianBlur(coloured, 3), np.uint8)


def bone_depth(grey: Grey) -> float:
    """Rows from the top to the bone's highest part: the lowest bright line, below which there is only shadow."""
    rows = len(grey)
    smooth = cv2.blur(grey, (15, 5))
    tissue = float(np.median(grey[: rows // 3]))
    bright = smooth[rows // 8 : rows - 6] > 0.8 * tissue
    lowest = rows - 6 - 1 - bright[::-1].argmax(axis=0)
    depths = lowest[bright.any(axis=0)]
    edge = len(depths) // 8
    return float(np.percentile(depths[edge : len(depths) - edge], 20)) if len(depths) else rows / 2


def _estimate_head_px(grey: Grey, coloured: NDArray[np.uint8], pitch: float) -> float:
    """The depth of the metacarpal head, limited by the depth of the colour in case no bone is visible."""
    deepest = 0.75 * len(grey)
    colour_rows = np.nonzero(coloured)[0]
    if len(colour_rows) * pitch**2 > 1:
        deepest = min(deepest, float(np.percentile(colour_rows, 90)) + 2 / pitch)
    return min(bone_depth(grey) - _SHAFT / pitch, deepest)


def _choose_nearest(
    area: float, coloured: NDArray[np.uint8], head: float, machine: Machine, candidates: tuple[Drawing, ...]
) -> Drawing:
    """The base drawing with the nearest signal area (mm2), changed to this area and to this depth of the head (mm)."""
    drawing = min(candidates, key=lambda base: abs(_signal_mm2(base) - area))
    bone = replace(drawing.bone, head=head, base=head + 0.5)
    drawing = replace(drawing, bone=bone)
    colour_columns = np.nonzero(coloured)[1]
    middle = float(colour_columns.mean()) / coloured.shape[1] if len(colour_columns) else machine.joint_offset
    return with_signal(drawing, area, (middle - machine.joint_offset) * machine.width_mm, _count_parts(coloured))


def with_signal(drawing: Drawing, area: float, middle: float, parts: int) -> Drawing:
    """The drawing with `area` mm2 of signal in `parts` parts around `middle` (mm along the joint), within its grade."""
    capsule = drawing.capsule
    centre = float(np.clip((middle + capsule.proximal) / (capsule.proximal + capsule.distal), 0.1, 0.9))
    signal = replace(drawing.signal, centre=centre)
    if drawing.grade == 1 and area:
        groups = min(SPOT_GROUPS, key=lambda spots: (abs(len(spots) - parts), abs(sum(spots) - area / 0.25)))
        radius = float(np.clip(np.sqrt(area / (0.9 * np.pi * sum(groups))), 0.15, 0.45))
        signal = replace(signal, groups=groups, radius=radius)
    elif drawing.grade > 1 and area:
        low, high = share_limits(drawing.grade, 0.03)
        signal = replace(signal, share=float(np.clip(area / capsule_mm2(drawing), low, high)))
    return replace(drawing, signal=signal)


def capsule_mm2(drawing: Drawing) -> float:
    """The area of the synovium in mm2."""
    x = np.linspace(-drawing.capsule.proximal, drawing.capsule.distal, 200, dtype=np.float32)
    upper, lower = capsule_lines(drawing.capsule, drawing.bone, x)
    return float((lower - upper).mean() * (x[-1] - x[0]))


def _signal_mm2(drawing: Drawing) -> float:
    signal = drawing.signal
    return float(0.9 * sum(signal.groups) * np.pi * signal.radius**2 + signal.share * capsule_mm2(drawing))


def _count_parts(coloured: NDArray[np.uint8]) -> int:
    return int(cv2.connectedComponents(coloured, connectivity=8)[0]) - 1


def _nearest_colour_map(pixels: NDArray[np.uint8]) -> str | None:
    """The name of the colour map that is nearest to these pixels."""
    if not len(pixels):
        return None
    sample = pixels[:: max(1, len(pixels) // 150)].astype(np.int32)[:, None]

    def distance(name: str) -> float:
        tables = [colour_table(name)] + ([colour_table(name, away=True)] if name == "directional" else [])
        table = np.concatenate(tables)[::4].astype(np.int32)[None]
        return float(np.abs(sample - table).sum(axis=2).min(axis=1).mean())

    return min(MAPS, key=distance)


def screen_size(image: NDArray[np.uint8], default: Size) -> Size:
    """The image's size, or the default if the image is too small to draw a scan of its size."""
    rows, columns = image.shape[:2]
    return (rows, columns) if min(rows, columns) >= _SMALLEST_SIDE else default
