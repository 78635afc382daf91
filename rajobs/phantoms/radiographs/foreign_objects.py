"""What real films have beside anatomy: rings, watches, wires and plates, casts, and films that were photographed."""

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import Affine, Canvas, Grey, Points, affine, fill, move
from rajobs.phantoms.drawing.soft_tissue import rounded, silhouette, tube
from rajobs.phantoms.presets import Preset
from rajobs.phantoms.radiographs.hand import Hand


def dress_hand(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator, preset: Preset) -> None:
    """Now and then a ring on a finger, a watch, a cast around the forearm, or metal in the bone."""
    ring, cast, ray, tilt = rng.random(), rng.random(), int(rng.choice((2, 3, 3, 4))), float(rng.normal(0, 6))
    edge, thick = float(rng.uniform(-15, 45)), float(rng.uniform(5, 14))
    if ring < preset.clutter:
        _ring(canvas, hand, to_px, ray, tilt)
    if cast < 0.6 * preset.clutter:
        _cast(canvas, hand, to_px, edge, thick)
    for draw, share in ((_watch, 0.35), (_wires, 0.35), (_plate, 0.3), (_needle, 0.2)):
        if rng.random() < share * preset.clutter:
            draw(canvas, hand, to_px, rng)


def _ring(canvas: Canvas, hand: Hand, to_px: Affine, ray: int, tilt: float) -> None:
    joints = hand.chains[ray]
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
    _metal(canvas, move(band * size, affine(turn, at)), to_px, 40.0)


def _metal(canvas: Canvas, outline: Points, to_px: Affine, dense: float) -> None:
    """A sharp, dense thing; `outline` in mm."""
    corners = move(outline, to_px)
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 3, (canvas.shape[1], canvas.shape[0]))
    if (high <= low).any():
        return
    mask = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
    fill(mask, corners - low)
    canvas.bone[low[1] : high[1], low[0] : high[0]] += mask.astype(np.float32) * np.float32(dense / 255)


def _rod(start: Points, stop: Points, width: float) -> Points:
    """The outline of a straight rod."""
    along = (stop - start) / np.linalg.norm(stop - start)
    aside = np.array([-along[1], along[0]]) * width / 2
    return np.array([start - aside, stop - aside, stop + aside, start + aside])


def _wires(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator) -> None:
    """One to three wires across a broken bone or through a stiff joint, their ends standing out."""
    chain_ = hand.chains[int(rng.integers(0, 5))]
    number = int(rng.integers(0, len(chain_) - 1))
    middle, axis = chain_[number : number + 2].mean(axis=0), chain_[number + 1] - chain_[number]
    turn = float(np.rad2deg(np.arctan2(axis[1], axis[0])))
    for _ in range(int(rng.integers(1, 4))):
        half = rng.uniform(12, 34) * hand.build.size
        place = affine(turn + float(rng.normal(0, 22)), middle + rng.normal(0, 3, 2))
        rod = _rod(np.array([-half, 0.0]), np.array([half, 0.0]), float(rng.uniform(0.9, 1.8)))
        _metal(canvas, move(rod, place), to_px, 30.0)


def _plate(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator) -> None:
    """A plate along a metacarpal or on the end of the radius, with its screws."""
    size = hand.build.size
    if rng.random() < 0.5:
        chain_ = hand.chains[int(rng.integers(1, 5))]
        start, stop = chain_[0] * 0.8 + chain_[1] * 0.2, chain_[0] * 0.2 + chain_[1] * 0.8
    else:
        start, stop = np.array([-8.0, 34.0]) * size, np.array([rng.uniform(-12, -2), rng.uniform(60, 90)]) * size
    _metal(canvas, _rod(start, stop, float(rng.uniform(4.5, 8.0)) * size), to_px, 18.0)
    for share in np.linspace(0.1, 0.9, int(rng.integers(3, 7))):
        at, turn = start + share * (stop - start), rng.normal(0, 0.25)
        reach = np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(3.5, 9) * size
        _metal(canvas, _rod(at - reach, at + reach, 2.2), to_px, 22.0)


def _watch(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator) -> None:
    """A watch or a bangle around the wrist."""
    elbow = np.deg2rad(hand.pose.wrist)
    down, size = np.array([np.sin(elbow), np.cos(elbow)]), hand.build.size
    at = np.array([4.0, 34.0]) * size + down * rng.uniform(0, 30) * size
    aside = np.array([down[1], -down[0]])
    wide = float(rng.uniform(3, 16))
    _metal(canvas, _rod(at - aside * 33 * size, at + aside * 33 * size, wide), to_px, float(rng.uniform(3, 25)))
    if wide > 8:
        ring = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        face = at + np.column_stack([np.cos(ring), np.sin(ring)]) * rng.uniform(13, 19)
        _metal(canvas, face, to_px, 35.0)


def _needle(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator) -> None:
    """A cannula on the back of the hand with its tube, or a crumb of metal that stayed in the flesh."""
    at = hand.chains[int(rng.integers(1, 5))][:2].mean(axis=0) + rng.normal(0, 6, 2)
    turn = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.4:
        crumb = np.column_stack([np.cos(np.arange(5) * 1.26), np.sin(np.arange(5) * 1.26)]) * rng.uniform(
            0.8, 2.5, (5, 1)
        )
        _metal(canvas, at + crumb, to_px, 30.0)
        return
    stop = at + np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(20, 32)
    _metal(canvas, _rod(at, stop, 1.0), to_px, 6.0)
    _metal(canvas, _rod(stop, stop + (stop - at) * 0.7, 6.0), to_px, 3.0)


def _cast(canvas: Canvas, hand: Hand, to_px: Affine, edge: float, thick: float) -> None:
    """Plaster from `edge` mm above the wrist towards the elbow: a tube with a bright wall and uneven layers."""
    size = hand.build.size
    elbow = np.deg2rad(hand.pose.wrist)
    down = np.array([np.sin(elbow), np.cos(elbow)])
    top = np.array([3.0, 30.0]) * size - np.array([0.0, edge])
    line = np.array([top + down * 34 * size, top + down * 120 * size, top + down * 300 * size])
    outer = silhouette(canvas, tube(line, [37 * size, 41 * size, 50 * size]), to_px)
    inner = silhouette(canvas, tube(line, [32 * size, 36 * size, 45 * size]), to_px)
    wall = rounded(canvas, outer, (30 * size, thick * 2.2)) - rounded(canvas, inner, (30 * size, thick * 1.6))
    down_rows = np.arange(wall.shape[0], dtype=np.float32)[:, None] * np.float32(canvas.pitch * canvas.step)
    across = np.arange(wall.shape[1], dtype=np.float32)[None, :] * np.float32(canvas.pitch * canvas.step)
    layers = 1 + 0.12 * np.sin(down_rows * 0.21 + across * 0.05) * np.sin(across * 0.17)
    canvas.add_soft((wall * layers).astype(np.float32))


def photograph(shown: Grey, rng: np.random.Generator, preset: Preset) -> tuple[Grey, Affine]:
    """A film of a film: hung on a light box, a little askew, with the box around it. Mostly nothing happens."""
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
    place = affine(float(turn), (columns / 2, rows / 2), scale=float(scale))
    place[:, 2] -= place[:, :2] @ np.array([columns / 2, rows / 2])
    warped: Grey = cv2.warpAffine(
        shown, place, (columns, rows), borderMode=cv2.BORDER_CONSTANT, borderValue=float(shade)
    )
    warped *= np.float32(1 - glare)
    warped += np.linspace(0, glare, columns, dtype=np.float32)
    return np.clip(warped, 0, 1), place
