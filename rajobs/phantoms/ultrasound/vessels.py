"""The vascular signal: single and confluent spots, or branching vessels that fill a share of the synovium."""

from collections.abc import Sequence

import cv2
import numpy as np

from rajobs.phantoms.ultrasound.doppler_colours import Mask
from rajobs.phantoms.ultrasound.speckle import Grey, cut_texture

_TRIES = 40
_SHIFT = 3  # fractional bits of the coordinates of lines
_PAD = 8  # pixels around the synovium's bounding box, for vessels that bloom over its edge


def spot_power(capsule: Mask, groups: Sequence[int], radius: float, rng: np.random.Generator) -> Grey:
    """Power of groups of spots, `radius` pixels each: spots of one group touch, spots of two groups do not."""
    x0, y0, width, height = cv2.boundingRect(capsule)
    padded = np.pad(capsule[y0 : y0 + height, x0 : x0 + width], 1)
    margin = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]  # distance to the synovium's edge
    radius = min(radius, 0.85 * float(margin.max()))  # a thin synovium has thin vessels
    centres, radii = _place_spots(np.asarray(margin, np.float32), groups, radius, rng)
    ragged = np.clip(cut_texture("grain", (height, width), rng), -1.5, 1.5)
    rows, columns = np.indices((height, width), dtype=np.float32)
    power = np.zeros((height, width), np.float32)
    for (x, y), spot_radius in zip(centres, radii, strict=True):
        distance = np.hypot((columns - x) / 1.12, rows - y) / spot_radius
        peak = float(rng.uniform(0.55, 1.0))
        np.maximum(power, peak * (1.0 - distance * (1 + 0.16 * ragged)).astype(np.float32), out=power)
    power[padded[1:-1, 1:-1] == 0] = 0
    power = _keep_largest(power, len(groups))
    scan = np.zeros(capsule.shape, np.float32)
    scan[y0 : y0 + height, x0 : x0 + width] = _raise_to_visible(power)
    return scan


def _place_spots(
    margin: Grey, groups: Sequence[int], radius: float, rng: np.random.Generator
) -> tuple[list[tuple[float, float]], list[float]]:
    """Centres and radii of the spots; `margin` is each pixel's distance to the synovium's edge."""
    rows, columns = np.nonzero(margin >= min(0.95 * radius, 0.9 * float(margin.max())))
    centres: list[tuple[float, float]] = []
    radii: list[float] = []
    order = np.argsort(columns, kind="stable")
    bands = rng.permutation(len(groups))
    for band, count in zip(bands, groups, strict=True):
        low, high = (band + 0.12) / len(groups), (band + 0.88) / len(groups)
        for _ in range(_TRIES):
            # Every group lies in its own band along the joint, which keeps single spots apart.
            pixel = order[int(rng.uniform(low, high) * (len(order) - 1))]
            group = _place_group(float(columns[pixel]), float(rows[pixel]), count, radius, margin, rng)
            distances = [np.hypot(x - u, y - v) for x, y in group for u, v in centres]
            if not distances or min(distances) > 3.0 * radius:
                break
        centres += group
        radii += [radius * float(rng.uniform(0.92, 1.06)) for _ in group]
    return centres, radii


def _place_group(
    x: float, y: float, count: int, radius: float, margin: Grey, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """The centres of `count` touching spots, the first at (x, y)."""
    spots = [(x, y)]
    side = 1 if rng.random() < 0.5 else -1
    for _ in range(count - 1):
        across, down = rng.uniform(1.25, 1.5, 3) * (side, -side, side) * radius, rng.uniform(-0.8, 0.8, 3) * radius
        steps = [(float(dx), float(dy)) for dx, dy in zip(across, down, strict=True)]
        spots.append(max(((x + dx, y + dy) for dx, dy in steps), key=lambda spot: _margin_at(margin, spot)))
        x, y = spots[-1]
    return spots


def _margin_at(margin: Grey, point: tuple[float, float]) -> float:
    x, y = round(point[0]), round(point[1])
    inside = 0 <= y < margin.shape[0] and 0 <= x < margin.shape[1]
    return float(margin[y, x]) if inside else -1.0


def _keep_largest(power: Grey, count: int) -> Grey:
    """The `count` largest connected parts, without the fragments of ragged edges."""
    label_count, labels, stats, _ = cv2.connectedComponentsWithStats((power > 0).astype(np.uint8), connectivity=8)
    order = 1 + np.argsort(-stats[1:label_count, cv2.CC_STAT_AREA], kind="stable")[:count]
    return np.where(np.isin(labels, order), power, 0).astype(np.float32)


def tree_power(capsule: Mask, share: float, centre: float, radius: float, rng: np.random.Generator) -> Grey:
    """Power of branching vessels that fill a share of the synovium and are densest about `centre` (0 to 1)."""
    x0, y0, width, height = cv2.boundingRect(capsule)
    inside = np.pad(capsule[y0 : y0 + height, x0 : x0 + width], _PAD) > 0
    within = np.asarray(inside, np.uint8) * 255
    canvas = np.zeros(inside.shape, np.uint8)
    wanted = 0.85 * share * np.count_nonzero(inside)  # blooming adds the rest
    columns = np.flatnonzero(inside.any(axis=0))
    thickness = radius * (0.85 + 0.5 * share)
    spread = 0.12 + 0.35 * share
    for _ in range(_TRIES):
        along = float(np.clip(rng.normal(centre, spread), 0.02, 0.98))
        column = int(columns[int(along * (len(columns) - 1))])
        rows = np.flatnonzero(inside[:, column])
        start = column, float(rng.uniform(rows[0], rows[-1]))
        heading = float(rng.normal(0, 0.35)) + (np.pi if rng.random() < 0.5 else 0.0)
        _draw_strand(canvas, start, heading, length=radius * float(rng.uniform(8, 24)), radius=thickness, rng=rng)
        if cv2.countNonZero(cv2.bitwise_and(canvas, within)) >= wanted:
            break
    # Merged vessels are no brighter than a single one.
    field = np.minimum(cv2.distanceTransform(canvas, cv2.DIST_L2, 3), 1.2 * radius)
    field -= cv2.distanceTransform(255 - canvas, cv2.DIST_L2, 3)
    depth_inside = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    # Vessels fade towards the synovium's edge instead of ending as if cut, and bloom over it by a pixel or two.
    field = field + 0.55 * cut_texture("grain", inside.shape, rng)
    field = field - 0.4 * np.clip(4 - depth_inside, 0, 4) - 1.2 * outside
    level = float(np.quantile(field[inside], 1 - share))
    top = max(float(np.quantile(field[inside], 0.985)) - level, 1e-3)
    flow = np.clip(0.8 + 0.22 * cut_texture("flow", inside.shape, rng), 0.3, 1.1)
    power = np.clip((field - level) / top, 0, 1) ** 0.8 * flow
    return _paste(_raise_to_visible(np.asarray(power, np.float32)), capsule.shape, x0 - _PAD, y0 - _PAD)


def strand_power(
    shape: tuple[int, int], start: tuple[float, float], heading: float, length: float, radius: float,
    rng: np.random.Generator,
) -> Grey:  # fmt: skip
    """Power of one feeding vessel; `shape` is the scan's, `start`, `length` and `radius` are in pixels."""
    reach = int(length) + 8
    canvas = np.zeros((2 * reach, 2 * reach), np.uint8)
    _draw_strand(canvas, (float(reach), float(reach)), heading, length=length, radius=radius, rng=rng, branching=0.06)
    depth = cv2.distanceTransform(canvas, cv2.DIST_L2, 3) + 0.6 * cut_texture("grain", canvas.shape, rng)
    power = np.where(canvas > 0, (depth - 0.3) / max(radius, 1.0), 0) * rng.uniform(0.4, 0.9)
    visible = _raise_to_visible(np.clip(power, 0, 1).astype(np.float32))
    return _paste(visible, shape, int(start[0]) - reach, int(start[1]) - reach)


def _draw_strand(
    canvas: Mask, start: tuple[float, float], heading: float, *, length: float, radius: float, rng: np.random.Generator,
    branching: float = 0.20,
) -> None:  # fmt: skip
    """Draws a strand that winds, thins and branches."""
    step = max(2.5, radius)
    waiting = [(start[0], start[1], heading, length, radius)]
    while waiting:
        x, y, heading, length, radius = waiting.pop()
        count = max(3, int(length / step))
        headings = np.cumsum(rng.normal(0, 0.30, count)) + heading
        path = np.concatenate([[0.0], np.cumsum(np.exp(1j * headings))]) * (length / count) + complex(x, y)
        points = np.rint(path.view(np.float64).reshape(-1, 2) * (1 << _SHIFT)).astype(np.int32)
        half = count // 2
        cv2.polylines(canvas, [points[: half + 1]], False, 255, max(1, round(2 * radius)), cv2.LINE_8, _SHIFT)
        cv2.polylines(canvas, [points[half:]], False, 255, max(1, round(1.2 * radius)), cv2.LINE_8, _SHIFT)
        forks = np.flatnonzero(rng.random(count) < branching)
        for fork in forks if radius > 0.8 else ():
            remaining = length * (1 - fork / count)
            if remaining > 2 * step:
                turn = float(rng.uniform(0.6, 1.5)) * (1 if rng.random() < 0.5 else -1)
                point = complex(path[fork + 1])
                waiting.append((point.real, point.imag, headings[fork] + turn, 0.7 * remaining, 0.72 * radius))


def _raise_to_visible(power: Grey) -> Grey:
    """The power on a scale whose lowest value is a visible dark colour."""
    return np.where(power > 0, 0.12 + 0.88 * power, 0).astype(np.float32)


def _paste(part: Grey, shape: tuple[int, int], x: int, y: int) -> Grey:
    """An image of this shape with `part` at column x and row y, cropped where it does not fit."""
    whole = np.zeros(shape, np.float32)
    top, left = max(0, y), max(0, x)
    bottom, right = min(shape[0], y + part.shape[0]), min(shape[1], x + part.shape[1])
    if bottom > top and right > left:
        whole[top:bottom, left:right] = part[top - y : bottom - y, left - x : right - x]
    return whole
