"""The layer of vascular signal: spots, single and confluent, or branching vessels that fill a share of the synovium."""

from collections.abc import Sequence

import cv2
import numpy as np

from rajobs.phantoms.ultrasound.doppler_colours import Mask
from rajobs.phantoms.ultrasound.speckle import Grey, cut_texture

_TRIES = 40
_SHIFT = 3  # bits of a pixel's fraction in lines
_PAD = 8  # pixels of blooming around the capsule's box


def spot_power(capsule: Mask, groups: Sequence[int], radius: float, rng: np.random.Generator) -> Grey:
    """Power of groups of spots: those of a group touch, those of two groups do not. `radius` in pixels."""
    x0, y0, width, height = cv2.boundingRect(capsule)
    part = np.pad(capsule[y0 : y0 + height, x0 : x0 + width], 1)
    room = cv2.distanceTransform(part, cv2.DIST_L2, 3)[1:-1, 1:-1]
    radius = min(radius, 0.85 * float(room.max()))  # a thin synovium has thin vessels
    middles, sizes = _middles(np.asarray(room, np.float32), groups, radius, rng)
    ragged = np.clip(cut_texture("grain", (height, width), rng), -1.5, 1.5)
    rows, columns = np.indices((height, width), dtype=np.float32)
    power = np.zeros((height, width), np.float32)
    for (x, y), size in zip(middles, sizes, strict=True):
        away = np.hypot((columns - x) / 1.12, rows - y) / size
        peak = float(rng.uniform(0.55, 1.0))
        np.maximum(power, peak * (1.0 - away * (1 + 0.16 * ragged)).astype(np.float32), out=power)
    power[part[1:-1, 1:-1] == 0] = 0
    power = _largest(power, len(groups))
    whole = np.zeros(capsule.shape, np.float32)
    whole[y0 : y0 + height, x0 : x0 + width] = _lit(power)
    return whole


def _middles(
    room: Grey, groups: Sequence[int], radius: float, rng: np.random.Generator
) -> tuple[list[tuple[float, float]], list[float]]:
    rows, columns = np.nonzero(room >= min(0.95 * radius, 0.9 * float(room.max())))
    middles: list[tuple[float, float]] = []
    sizes: list[float] = []
    order = np.argsort(columns, kind="stable")
    bands = rng.permutation(len(groups))
    for band, count in zip(bands, groups, strict=True):
        low, high = (band + 0.12) / len(groups), (band + 0.88) / len(groups)
        for _ in range(_TRIES):
            # Groups lie in bands of their own along the joint, so that single spots stay single.
            pick = order[int(rng.uniform(low, high) * (len(order) - 1))]
            group = _group(float(columns[pick]), float(rows[pick]), count, radius, room, rng)
            near = [np.hypot(x - u, y - v) for x, y in group for u, v in middles]
            if not near or min(near) > 3.0 * radius:
                break
        middles += group
        sizes += [radius * float(rng.uniform(0.92, 1.06)) for _ in group]
    return middles, sizes


def _group(
    x: float, y: float, count: int, radius: float, room: Grey, rng: np.random.Generator
) -> list[tuple[float, float]]:
    spots = [(x, y)]
    side = 1 if rng.random() < 0.5 else -1
    for _ in range(count - 1):
        aside, down = rng.uniform(1.25, 1.5, 3) * (side, -side, side) * radius, rng.uniform(-0.8, 0.8, 3) * radius
        steps = [(float(dx), float(dy)) for dx, dy in zip(aside, down, strict=True)]
        spots.append(max(((x + dx, y + dy) for dx, dy in steps), key=lambda at: _room_at(room, at)))
        x, y = spots[-1]
    return spots


def _room_at(room: Grey, at: tuple[float, float]) -> float:
    x, y = round(at[0]), round(at[1])
    inside = 0 <= y < room.shape[0] and 0 <= x < room.shape[1]
    return float(room[y, x]) if inside else -1.0


def _largest(power: Grey, count: int) -> Grey:
    """Without the crumbs that ragged edges leave."""
    found, labels, stats, _ = cv2.connectedComponentsWithStats((power > 0).astype(np.uint8), connectivity=8)
    order = 1 + np.argsort(-stats[1:found, cv2.CC_STAT_AREA], kind="stable")[:count]
    return np.where(np.isin(labels, order), power, 0).astype(np.float32)


def tree_power(capsule: Mask, share: float, centre: float, radius: float, rng: np.random.Generator) -> Grey:
    """Power of vessels that branch and merge until they fill a share of the synovium, densest about `centre`."""
    x0, y0, width, height = cv2.boundingRect(capsule)
    inside = np.pad(capsule[y0 : y0 + height, x0 : x0 + width], _PAD) > 0
    within = np.asarray(inside, np.uint8) * 255
    canvas = np.zeros(inside.shape, np.uint8)
    wanted = 0.85 * share * np.count_nonzero(inside)  # blooming does the rest
    columns = np.flatnonzero(inside.any(axis=0))
    thick = radius * (0.85 + 0.5 * share)
    spread = 0.12 + 0.35 * share
    for _ in range(_TRIES):
        along = float(np.clip(rng.normal(centre, spread), 0.02, 0.98))
        column = int(columns[int(along * (len(columns) - 1))])
        rows = np.flatnonzero(inside[:, column])
        start = column, float(rng.uniform(rows[0], rows[-1]))
        heading = float(rng.normal(0, 0.35)) + (np.pi if rng.random() < 0.5 else 0.0)
        _grow(canvas, start, heading, length=radius * float(rng.uniform(8, 24)), radius=thick, rng=rng)
        if cv2.countNonZero(cv2.bitwise_and(canvas, within)) >= wanted:
            break
    # Where vessels run together they are no brighter than one.
    field = np.minimum(cv2.distanceTransform(canvas, cv2.DIST_L2, 3), 1.2 * radius)
    field -= cv2.distanceTransform(255 - canvas, cv2.DIST_L2, 3)
    rim = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    # Vessels seldom end at the synovium's rim as if cut; over it they bloom by a pixel or two.
    field = field + 0.55 * cut_texture("grain", inside.shape, rng) - 0.4 * np.clip(4 - rim, 0, 4) - 1.2 * outside
    level = float(np.quantile(field[inside], 1 - share))
    top = max(float(np.quantile(field[inside], 0.985)) - level, 1e-3)
    power = np.clip((field - level) / top, 0, 1) ** 0.8 * np.clip(
        0.8 + 0.22 * cut_texture("flow", inside.shape, rng), 0.3, 1.1
    )
    return _placed(_lit(np.asarray(power, np.float32)), capsule.shape, x0 - _PAD, y0 - _PAD)


def strand_power(
    shape: tuple[int, int], start: tuple[float, float], heading: float, length: float, radius: float,
    rng: np.random.Generator,
) -> Grey:  # fmt: skip
    """Power of one feeding vessel, anywhere."""
    reach = int(length) + 8
    canvas = np.zeros((2 * reach, 2 * reach), np.uint8)
    _grow(canvas, (float(reach), float(reach)), heading, length=length, radius=radius, rng=rng, branching=0.06)
    depth = cv2.distanceTransform(canvas, cv2.DIST_L2, 3) + 0.6 * cut_texture("grain", canvas.shape, rng)
    power = np.where(canvas > 0, (depth - 0.3) / max(radius, 1.0), 0) * rng.uniform(0.4, 0.9)
    return _placed(_lit(np.clip(power, 0, 1).astype(np.float32)), shape, int(start[0]) - reach, int(start[1]) - reach)


def _grow(
    canvas: Mask, at: tuple[float, float], heading: float, *, length: float, radius: float, rng: np.random.Generator,
    branching: float = 0.20,
) -> None:  # fmt: skip
    """Draws a strand that winds, thins and branches."""
    step = max(2.5, radius)
    waiting = [(at[0], at[1], heading, length, radius)]
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
            left = length * (1 - fork / count)
            if left > 2 * step:
                aside = float(rng.uniform(0.6, 1.5)) * (1 if rng.random() < 0.5 else -1)
                start = complex(path[fork + 1])
                waiting.append((start.real, start.imag, headings[fork] + aside, 0.7 * left, 0.72 * radius))


def _lit(power: Grey) -> Grey:
    """Shown power starts at a visible dark colour."""
    return np.where(power > 0, 0.12 + 0.88 * power, 0).astype(np.float32)


def _placed(part: Grey, shape: tuple[int, int], x: int, y: int) -> Grey:
    whole = np.zeros(shape, np.float32)
    top, left = max(0, y), max(0, x)
    bottom, right = min(shape[0], y + part.shape[0]), min(shape[1], x + part.shape[1])
    if bottom > top and right > left:
        whole[top:bottom, left:right] = part[top - y : bottom - y, left - x : right - x]
    return whole
