"""Where hands and feet lie on a film, which rectangle of it is lit, and where its side marker is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.drawing.canvas import Affine, Canvas, Points, affine_map, compose_maps, map_points
from rajobs.phantoms.drawing.exposure import Shutter, SideMarker
from rajobs.phantoms.presets import Preset

LONG_SIDE = 2010  # pixels of a full-size film, to which drawn pitches refer


@dataclass(frozen=True, kw_only=True)
class FilmItem:
    """A hand or foot to place on a film."""

    extent: Points  # points around it, in mm
    mirrored: bool
    direction: Points  # unit vector along the limb, off the film
    limb_mm: float  # length of forearm or heel on the film
    turn: float = 0.0  # degrees between this item and the first
    on_other_side: bool = False  # whether it lies on the other side of the first item than usual
    width_shown: float = 1.0  # share of its width, counted from the first item, that must be on the film


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The pitch of a film, and the map from each item to its pixels."""

    pitch: float
    to_px: tuple[Affine, ...]
    angle: float  # degrees by which all items are turned
    lit_corners: Points  # in pixels, around all items


def draw_angle(rng: np.random.Generator, preset: Preset) -> float:
    """The angle in degrees by which all items are turned: mostly none, sometimes quarter turns or any angle."""
    lot = rng.random()
    if lot < preset.upright:
        return float(rng.normal(0, 7))
    if lot < preset.upright + 0.7 * (1 - preset.upright):
        return float(rng.choice((90.0, 180.0, 270.0))) + float(rng.normal(0, 6))
    return float(rng.uniform(0, 360))


def _middle_row(points: Points) -> float:
    """The middle of the rows that points span."""
    return 0.5 * float(points[:, 1].min() + points[:, 1].max())


def _place_side_by_side(rng: np.random.Generator, items: Sequence[FilmItem]) -> list[Affine]:
    """Maps that place items side by side, in mm."""
    maps: list[Affine] = []
    edge = 0.0
    order = 1.0 if rng.random() < 0.88 else -1.0  # some films are hung with left and right swapped
    if items[-1].turn:
        order = -1.0 if items[-1].on_other_side else 1.0
    for item in items:
        askew = float(rng.normal(0, 5)) if len(items) > 1 else 0.0
        turn = affine_map(item.turn + askew, (0, 0), mirror=item.mirrored)
        points = map_points(item.extent, turn)
        level = float(rng.normal(0, 6)) if maps else 0.0
        if item.turn:  # align its middle with that of the first item, as its zero may lie anywhere
            level += _middle_row(map_points(items[0].extent, maps[0])) - _middle_row(points)
        turn[:, 2] = (edge - (points[:, 0].min() if order > 0 else points[:, 0].max()), level)
        edge += order * (np.ptp(points[:, 0]) + float(rng.uniform(3, 28)))
        maps.append(turn)
    return maps


def _required_points(items: Sequence[FilmItem], maps: Sequence[Affine]) -> Points:
    """The points (mm) that must be on the film: a bystander may be cut off at its far side."""
    points = [map_points(item.extent, item_map) for item, item_map in zip(items, maps, strict=True)]
    for number, item in enumerate(items):
        if item.width_shown < 1:
            across = points[number][:, 0]
            middle = np.mean(
                [other[:, 0].mean() for other_number, other in enumerate(points) if other_number != number]
            )
            reach = item.width_shown * np.ptp(across)
            near = across.min() if across.mean() > middle else across.max()
            points[number][:, 0] = np.clip(across, near - reach, near + reach)
    return np.vstack(points)


def place_items(
    rng: np.random.Generator, items: Sequence[FilmItem], shape: tuple[int, int], angle: float, preset: Preset
) -> Placement:
    """Fits the items, turned by `angle`, into a film whose edge the limbs cross."""
    turned = affine_map(angle, (0, 0))
    upright = _place_side_by_side(rng, items)
    maps = [compose_maps(turned, item_map) for item_map in upright]
    required = map_points(_required_points(items, upright), turned)
    direction = map_points(items[0].direction[None], maps[0] * (1, 1, 0))[0]
    axis = int(abs(direction[1]) >= abs(direction[0]))
    sign = float(np.sign(direction[axis]) or 1.0)
    low, high = required.min(axis=0), required.max(axis=0)
    limb_mm = float(np.mean([item.limb_mm for item in items]))
    if sign > 0:
        high[axis] += limb_mm
    else:
        low[axis] -= limb_mm
    full = np.array([shape[1], shape[0]]) * (LONG_SIDE / max(shape))
    lot = rng.random()
    share = float(rng.uniform(*((0.74, 0.98) if lot < 0.85 else (0.45, 0.74) if lot < 0.95 else (0.25, 0.45))))
    pitch = float(np.clip(((high - low) / (full * share)).max(), 0.075, 0.30))
    film = full * pitch
    free = film - (high - low)
    offset = -low + free * rng.uniform(0.15, 0.85, 2)
    # The limb crosses the edge of the film.
    offset[axis] = film[axis] - high[axis] if sign > 0 else -low[axis]
    if rng.random() < preset.clutter:  # cut at the wrist, or at the fingertips where there is no room beyond them
        offset[axis] += sign * float(rng.choice((-free[axis] - 12.0, 10.0))) + float(rng.uniform(-8, 8))
    scale = max(shape) / (LONG_SIDE * pitch)
    to_px = tuple(
        compose_maps(affine_map(0, (-0.5, -0.5), scale=scale), compose_maps(affine_map(0, offset), item_map))
        for item_map in maps
    )
    corners = (np.array([low, (high[0], low[1]), high, (low[0], high[1])]) + offset) * scale
    return Placement(pitch=1 / scale, to_px=to_px, angle=angle, lit_corners=corners)


def draw_shutter(rng: np.random.Generator, placement: Placement, shape: tuple[int, int]) -> Shutter | None:
    """The collimation around all items, or none."""
    if rng.random() < 0.40:
        return None
    low, high = placement.lit_corners.min(axis=0), placement.lit_corners.max(axis=0)
    slack = rng.uniform(2, 28, 4) / placement.pitch
    low, high = low - slack[:2], high + slack[2:]
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    middle = corners.mean(axis=0)
    askew = affine_map(float(rng.normal(0, 1.5)), middle)
    corners = map_points(corners - middle, askew)
    style = rng.random()
    shade, glow = (
        (0.0, 0.0)
        if style < 0.55
        else (1.0, float(rng.uniform(0.3, 5.0)))
        if style < 0.8
        else (float(rng.uniform(0.0, 0.25)), 0.5)
    )
    return Shutter(corners=corners, shade=shade, glow=glow)


def find_marker_place(
    canvas: Canvas, rng: np.random.Generator, shutter: Shutter | None, size_mm: float, near: Points | None
) -> tuple[float, float]:
    """A place for a marker with little tissue behind it, inside the lit rectangle and close to the points `near`."""
    edge = size_mm / canvas.pitch
    low, high = np.array([0.0, 0.0]), np.array([canvas.shape[1], canvas.shape[0]], dtype=float)
    if shutter is not None:
        low, high = np.maximum(low, shutter.corners.min(axis=0)), np.minimum(high, shutter.corners.max(axis=0))
    if near is not None:
        low, high = np.maximum(low, near.min(axis=0) - 4 * edge), np.minimum(high, near.max(axis=0) + 4 * edge)
    candidates = low + edge + rng.random((14, 2)) * np.maximum(high - low - 2 * edge, 1)
    reach = max(1, round(0.6 * edge / canvas.coarse_step))

    def mean_tissue(place: Points) -> float:
        column, row = canvas.to_coarse_grid(place[None])[0].astype(int)
        window = canvas.soft[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        return float(window.mean()) if window.size else 99.0

    best = min(candidates, key=mean_tissue)
    return float(best[0]), float(best[1])


def draw_side_marker(
    rng: np.random.Generator,
    canvas: Canvas,
    text: str,
    shutter: Shutter | None,
    angle: float,
    near: Points | None = None,
) -> SideMarker | None:
    """A side marker; some films have none."""
    if not text or rng.random() < 0.18:
        return None
    height = float(rng.uniform(5, 13))
    quarter = (
        90.0 * float(np.round(angle / 90))
        if rng.random() < 0.4
        else float(rng.choice((0.0, 90.0, 180.0, 270.0), p=(0.76, 0.08, 0.08, 0.08)))
    )
    return SideMarker(
        text=text, at=find_marker_place(canvas, rng, shutter, 1.7 * height, near), height=height,
        angle=quarter + float(rng.normal(0, 5)),
        mirrored=bool(rng.random() < 0.06), style=str(rng.choice(("lead", "ring", "box", "plain"))),
        font=int(rng.integers(4)),
    )  # fmt: skip
