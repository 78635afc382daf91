"""Where things lie on a film: hands and feet fitted to it, the lit rectangle, and room for a marker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.canvas import Affine, Canvas, Points, affine, chain, move
from rajobs.phantoms.drawing.exposure import Letters, Shutter
from rajobs.phantoms.presets import Preset

LONG_SIDE = 2010  # pixels of a full-size film: pitches are drawn for it


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something to lay on the film: points around it (mm), if it is mirrored, and where its limb leaves the film."""

    around: Points
    mirrored: bool
    down: Points  # unit vector along the limb, off the film
    tail: float  # mm of limb on the film
    turn: float = 0.0  # degrees by which it lies otherwise than the first
    before: bool = False  # it lies on the other side of the first
    shown: float = 1.0  # share of its width, from the first on, that must be on the film


@dataclass(frozen=True, kw_only=True)
class Placing:
    """A film's pitch and the map of each item to its pixels."""

    pitch: float
    to_px: tuple[Affine, ...]
    angle: float
    lit: Points  # px corners around all items


def draw_angle(rng: np.random.Generator, preset: Preset) -> float:
    """How far things are turned on the film, in degrees: upright mostly, else by quarters or any angle."""
    lot = rng.random()
    if lot < preset.upright:
        return float(rng.normal(0, 7))
    if lot < preset.upright + 0.7 * (1 - preset.upright):
        return float(rng.choice((90.0, 180.0, 270.0))) + float(rng.normal(0, 6))
    return float(rng.uniform(0, 360))


def _middle(points: Points) -> float:
    return 0.5 * float(points[:, 1].min() + points[:, 1].max())


def _row(rng: np.random.Generator, items: Sequence[Item]) -> list[Affine]:
    """Items side by side, in mm."""
    maps: list[Affine] = []
    edge = 0.0
    order = 1.0 if rng.random() < 0.88 else -1.0  # now and then the film is hung with the sides changed over
    if items[-1].turn:
        order = -1.0 if items[-1].before else 1.0
    for item in items:
        askew = float(rng.normal(0, 5)) if len(items) > 1 else 0.0
        turn = affine(item.turn + askew, (0, 0), mirror=item.mirrored)
        points = move(item.around, turn)
        level = float(rng.normal(0, 6)) if maps else 0.0
        if item.turn:  # its zero may lie anywhere: level with the middle of the first
            level += _middle(move(items[0].around, maps[0])) - _middle(points)
        turn[:, 2] = (edge - (points[:, 0].min() if order > 0 else points[:, 0].max()), level)
        edge += order * (np.ptp(points[:, 0]) + float(rng.uniform(3, 28)))
        maps.append(turn)
    return maps


def _needed(items: Sequence[Item], maps: Sequence[Affine]) -> Points:
    """The points (mm) that must be on the film: a neighbour may be cut on the far side of it."""
    points = [move(item.around, m) for item, m in zip(items, maps, strict=True)]
    for number, item in enumerate(items):
        if item.shown < 1:
            across = points[number][:, 0]
            middle = np.mean([other[:, 0].mean() for k, other in enumerate(points) if k != number])
            reach = item.shown * np.ptp(across)
            near = across.min() if across.mean() > middle else across.max()
            points[number][:, 0] = np.clip(across, near - reach, near + reach)
    return np.vstack(points)


def place_items(
    rng: np.random.Generator, items: Sequence[Item], shape: tuple[int, int], angle: float, preset: Preset
) -> Placing:
    """Fits the items, turned by `angle`, into a film; the limbs leave it at an edge."""
    turned = affine(angle, (0, 0))
    rows = _row(rng, items)
    maps = [chain(turned, inner) for inner in rows]
    body = move(_needed(items, rows), turned)
    down = move(items[0].down[None], maps[0] * (1, 1, 0))[0]
    axis = int(abs(down[1]) >= abs(down[0]))
    sign = float(np.sign(down[axis]) or 1.0)
    low, high = body.min(axis=0), body.max(axis=0)
    tail = float(np.mean([item.tail for item in items]))
    if sign > 0:
        high[axis] += tail
    else:
        low[axis] -= tail
    full = np.array([shape[1], shape[0]]) * (LONG_SIDE / max(shape))
    lot = rng.random()
    share = float(rng.uniform(*((0.74, 0.98) if lot < 0.85 else (0.45, 0.74) if lot < 0.95 else (0.25, 0.45))))
    pitch = float(np.clip(((high - low) / (full * share)).max(), 0.075, 0.30))
    film = full * pitch
    free = film - (high - low)
    offset = -low + free * rng.uniform(0.15, 0.85, 2)
    # The limb runs off the film: its end lies on the edge.
    offset[axis] = film[axis] - high[axis] if sign > 0 else -low[axis]
    if rng.random() < preset.clutter:  # cut at the wrist or, where there is no room beyond them, at the fingertips
        offset[axis] += sign * float(rng.choice((-free[axis] - 12.0, 10.0))) + float(rng.uniform(-8, 8))
    scale = max(shape) / (LONG_SIDE * pitch)
    to_px = tuple(chain(affine(0, (-0.5, -0.5), scale=scale), chain(affine(0, offset), m)) for m in maps)
    corners = (np.array([low, (high[0], low[1]), high, (low[0], high[1])]) + offset) * scale
    return Placing(pitch=1 / scale, to_px=to_px, angle=angle, lit=corners)


def draw_shutter(rng: np.random.Generator, placing: Placing, shape: tuple[int, int]) -> Shutter | None:
    """Collimation around the items, or none."""
    if rng.random() < 0.40:
        return None
    low, high = placing.lit.min(axis=0), placing.lit.max(axis=0)
    slack = rng.uniform(2, 28, 4) / placing.pitch
    low, high = low - slack[:2], high + slack[2:]
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    middle = corners.mean(axis=0)
    tip = affine(float(rng.normal(0, 1.5)), middle)
    corners = move(corners - middle, tip)
    style = rng.random()
    shade, glow = (
        (0.0, 0.0)
        if style < 0.55
        else (1.0, float(rng.uniform(0.3, 5.0)))
        if style < 0.8
        else (float(rng.uniform(0.0, 0.25)), 0.5)
    )
    return Shutter(corners=corners, shade=shade, glow=glow)


def find_room(
    canvas: Canvas, rng: np.random.Generator, shutter: Shutter | None, size_mm: float, near: Points | None
) -> tuple[float, float]:
    """A place for a marker with little tissue behind it, inside the lit rectangle and near some points."""
    edge = size_mm / canvas.pitch
    low, high = np.array([0.0, 0.0]), np.array([canvas.shape[1], canvas.shape[0]], dtype=float)
    if shutter is not None:
        low, high = np.maximum(low, shutter.corners.min(axis=0)), np.minimum(high, shutter.corners.max(axis=0))
    if near is not None:
        low, high = np.maximum(low, near.min(axis=0) - 4 * edge), np.minimum(high, near.max(axis=0) + 4 * edge)
    spots = low + edge + rng.random((14, 2)) * np.maximum(high - low - 2 * edge, 1)
    reach = max(1, round(0.6 * edge / canvas.step))

    def tissue(spot: Points) -> float:
        column, row = canvas.coarse(spot[None])[0].astype(int)
        window = canvas.soft[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        return float(window.mean()) if window.size else 99.0

    best = min(spots, key=tissue)
    return float(best[0]), float(best[1])


def draw_letters(
    rng: np.random.Generator,
    canvas: Canvas,
    text: str,
    shutter: Shutter | None,
    angle: float,
    near: Points | None = None,
) -> Letters | None:
    """A side marker or note; some films have none."""
    if not text or rng.random() < 0.18:
        return None
    height = float(rng.uniform(5, 13))
    quarter = (
        90.0 * float(np.round(angle / 90))
        if rng.random() < 0.4
        else float(rng.choice((0.0, 90.0, 180.0, 270.0), p=(0.76, 0.08, 0.08, 0.08)))
    )
    return Letters(
        text=text, at=find_room(canvas, rng, shutter, 1.7 * height, near), height=height,
        angle=quarter + float(rng.normal(0, 5)),
        mirrored=bool(rng.random() < 0.06), style=str(rng.choice(("lead", "ring", "box", "plain"))),
        font=int(rng.integers(4)),
    )  # fmt: skip
