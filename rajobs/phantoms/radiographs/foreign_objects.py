"""Foreign objects (rings, watches, wires, plates, casts), and films that are photographs of films."""

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import Affine, Canvas, Grey, Points, affine_map, fill_polygon, map_points
from rajobs.phantoms.drawing.soft_tissue import rounded_thickness, silhouette_mask, tube_polygons
from rajobs.phantoms.presets import Preset
from rajobs.phantoms.radiographs.hand import Hand


def add_foreign_objects(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator, preset: Preset) -> None:
    """Adds to some hands a ring, a watch, a cast around the forearm, or metal in the bone."""
    ring_lot, cast_lot, ray, tilt = rng.random(), rng.random(), int(rng.choice((2, 3, 3, 4))), float(rng.normal(0, 6))
    edge, thick = float(rng.uniform(-15, 45)), float(rng.uniform(5, 14))
    if ring_lot < preset.clutter:
        _add_ring(canvas, hand, to_px, ray, tilt)
    if cast_lot < 0.6 * preset.clutter:
        _add_cast(canvas, hand, to_px, edge, thick)
    for add_object, share in ((_add_watch, 0.35), (_add_wires, 0.35), (_add_plate, 0.3), (_add_cannula, 0.2)):
        if rng.random() < share * preset.clutter:
            add_object(canvas, hand, to_px, rng)


def _add_ring(canvas: Canvas, hand: Hand, to_px: Affine, ray: int, tilt: float) -> None:
    """A ring around a proximal phalanx."""
    joints = hand.ray_points[ray]
    axis = joints[2] - joints[1]
    at = joints[1] + 0.52 * axis
    size = hand.build.size
    turn = float(np.rad2deg(np.arctan2(axis[1], axis[0]))) + tilt
    band = np.array(
        [
            (-1.6, -9.2),
            (1.6, -9.2),
            (1.3, -4),
            (1.2, 0),
            (1.3, 4),
            (1.6, 9.2),
            (-1.6, 9.2),
            (-1.3, 4),
            (-1.2, 0),
            (-1.3, -4),
        ]
    )
    _add_metal(canvas, map_points(band * size, affine_map(turn, at)), to_px, 40.0)


def _add_metal(canvas: Canvas, outline: Points, to_px: Affine, thickness: float) -> None:
    """Adds a sharp, dense object; `outline` is in mm, `thickness` in mm of cortex."""
    corners = map_points(outline, to_px)
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 3, (canvas.shape[1], canvas.shape[0]))
    if (high <= low).any():
        return
    mask = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
    fill_polygon(mask, corners - low)
    canvas.bone[low[1] : high[1], low[0] : high[0]] += mask.astype(np.float32) * np.float32(thickness / 255)


def _rod_outline(start: Points, stop: Points, width: float) -> Points:
    """The outline of a straight rod."""
    along = (stop - start) / np.linalg.norm(stop - start)
    aside = np.array([-along[1], along[0]]) * width / 2
    return np.array([start - aside, stop - aside, stop + aside, start + aside])


def _add_wires(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator) -> None:
    """One to three wires with free ends across a broken bone or through a stiff joint."""
    points = hand.ray_points[int(rng.integers(0, 5))]
    number = int(rng.integers(0, len(points) - 1))
    middle, axis = points[number : number + 2].mean(axis=0), points[number + 1] - points[number]
    turn = float(np.rad2deg(np.arctan2(axis[1], axis[0])))
    for _ in range(int(rng.integers(1, 4))):
        half = rng.uniform(12, 34) * hand.build.size
        place = affine_map(turn + float(rng.normal(0, 22)), middle + rng.normal(0, 3, 2))
        rod = _rod_outline(np.array([-half, 0.0]), np.array([half, 0.0]), float(rng.uniform(0.9, 1.8)))
        _add_metal(canvas, map_points(rod, place), to_px, 30.0)


def _add_plate(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator) -> None:
    """A plate along a metacarpal or on the end of the radius, with its screws."""
    size = hand.build.size
    if rng.random() < 0.5:
        points = hand.ray_points[int(rng.integers(1, 5))]
        start, stop = points[0] * 0.8 + points[1] * 0.2, points[0] * 0.2 + points[1] * 0.8
    else:
        start, stop = np.array([-8.0, 34.0]) * size, np.array([rng.uniform(-12, -2), rng.uniform(60, 90)]) * size
    _add_metal(canvas, _rod_outline(start, stop, float(rng.uniform(4.5, 8.0)) * size), to_px, 18.0)
    for share in np.linspace(0.1, 0.9, int(rng.integers(3, 7))):
        at, turn = start + share * (stop - start), rng.normal(0, 0.25)
        reach = np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(3.5, 9) * size
        _add_metal(canvas, _rod_outline(at - reach, at + reach, 2.2), to_px, 22.0)


def _add_watch(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator) -> None:
    """A watch or a bangle around the wrist."""
    to_elbow, size = hand.pose.forearm_direction, hand.build.size
    at = np.array([4.0, 34.0]) * size + to_elbow * rng.uniform(0, 30) * size
    aside = np.array([to_elbow[1], -to_elbow[0]])
    width = float(rng.uniform(3, 16))
    _add_metal(
        canvas, _rod_outline(at - aside * 33 * size, at + aside * 33 * size, width), to_px, float(rng.uniform(3, 25))
    )
    if width > 8:
        ring = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        face = at + np.column_stack([np.cos(ring), np.sin(ring)]) * rng.uniform(13, 19)
        _add_metal(canvas, face, to_px, 35.0)


def _add_cannula(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator) -> None:
    """A cannula with its tube on the back of the hand, or a splinter of metal in the soft tissue."""
    at = hand.ray_points[int(rng.integers(1, 5))][:2].mean(axis=0) + rng.normal(0, 6, 2)
    turn = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.4:
        splinter = np.column_stack([np.cos(np.arange(5) * 1.26), np.sin(np.arange(5) * 1.26)]) * rng.uniform(
            0.8, 2.5, (5, 1)
        )
        _add_metal(canvas, at + splinter, to_px, 30.0)
        return
    stop = at + np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(20, 32)
    _add_metal(canvas, _rod_outline(at, stop, 1.0), to_px, 6.0)
    _add_metal(canvas, _rod_outline(stop, stop + (stop - at) * 0.7, 6.0), to_px, 3.0)


def _add_cast(canvas: Canvas, hand: Hand, to_px: Affine, edge: float, thick: float) -> None:
    """Plaster from `edge` mm above the wrist to the elbow: a tube with a wall of `thick` mm and uneven layers."""
    size = hand.build.size
    to_elbow = hand.pose.forearm_direction
    top = np.array([3.0, 30.0]) * size - np.array([0.0, edge])
    line = np.array([top + to_elbow * 34 * size, top + to_elbow * 120 * size, top + to_elbow * 300 * size])
    outer = silhouette_mask(canvas, tube_polygons(line, [37 * size, 41 * size, 50 * size]), to_px)
    inner = silhouette_mask(canvas, tube_polygons(line, [32 * size, 36 * size, 45 * size]), to_px)
    wall = rounded_thickness(canvas, outer, (30 * size, thick * 2.2)) - rounded_thickness(
        canvas, inner, (30 * size, thick * 1.6)
    )
    down = np.arange(wall.shape[0], dtype=np.float32)[:, None] * np.float32(canvas.pitch * canvas.coarse_step)
    across = np.arange(wall.shape[1], dtype=np.float32)[None, :] * np.float32(canvas.pitch * canvas.coarse_step)
    layers = 1 + 0.12 * np.sin(down * 0.21 + across * 0.05) * np.sin(across * 0.17)
    canvas.add_soft_tissue((wall * layers).astype(np.float32))


def photograph_film(shown: Grey, rng: np.random.Generator, preset: Preset) -> tuple[Grey, Affine]:
    """Turns some films into photographs of a film on a light box; also gives the map from film to photograph."""
    lot, turn, scale, shade, glare = (
        rng.random(),
        rng.normal(0, 2.5),
        rng.uniform(0.80, 0.96),
        rng.uniform(0.55, 1.0),
        rng.uniform(0, 0.12),
    )
    if lot >= 0.35 * preset.clutter:
        return shown, np.array([[1.0, 0, 0], [0, 1.0, 0]])
    rows, columns = shown.shape
    place = affine_map(float(turn), (columns / 2, rows / 2), scale=float(scale))
    place[:, 2] -= place[:, :2] @ np.array([columns / 2, rows / 2])
    warped: Grey = cv2.warpAffine(
        shown, place, (columns, rows), borderMode=cv2.BORDER_CONSTANT, borderValue=float(shade)
    )
    warped *= np.float32(1 - glare)
    warped += np.linspace(0, glare, columns, dtype=np.float32)
    return np.clip(warped, 0, 1), place
