"""What real films have beside anatomy: rings, casts, and films that were photographed."""

import cv2
import numpy as np

from rajobs.phantoms.canvas import Affine, Canvas, Grey, affine, fill, move
from rajobs.phantoms.flesh import rounded, silhouette, tube
from rajobs.phantoms.hand import Hand
from rajobs.phantoms.presets import Preset


def dress_hand(canvas: Canvas, hand: Hand, to_px: Affine, rng: np.random.Generator, preset: Preset) -> None:
    """Now and then a ring on a finger, or a cast around the forearm."""
    ring, cast, ray, tilt = rng.random(), rng.random(), int(rng.choice((2, 3, 3, 4))), float(rng.normal(0, 6))
    edge, thick = float(rng.uniform(-15, 45)), float(rng.uniform(5, 14))
    if ring < preset.clutter:
        _ring(canvas, hand, to_px, ray, tilt)
    if cast < 0.6 * preset.clutter:
        _cast(canvas, hand, to_px, edge, thick)


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
    corners = move(move(band * size, affine(turn, at)), to_px)
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 3, (canvas.shape[1], canvas.shape[0]))
    if (high <= low).any():
        return
    mask = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
    fill(mask, corners - low)
    canvas.bone[low[1] : high[1], low[0] : high[0]] += mask.astype(np.float32) * np.float32(40 / 255)


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
