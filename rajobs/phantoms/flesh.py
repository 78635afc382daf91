"""Soft tissue: an envelope whose thickness rounds off towards the skin."""

from collections.abc import Sequence

import cv2
import numpy as np

from rajobs.phantoms.canvas import Affine, Canvas, Grey, Points, fill, fixed_point, move, SUBPIXEL


def tube(points: Points, radii: Sequence[float]) -> list[Points]:
    """Polygons that cover a limb along `points` with these radii (mm): its discs and their hulls."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)])
    discs = [point + radius * ring for point, radius in zip(points, radii, strict=True)]
    return [cv2.convexHull(np.vstack(pair).astype(np.float32))[:, 0].astype(float) for pair in zip(discs, discs[1:], strict=False)]


def silhouette(canvas: Canvas, polygons: Sequence[Points], to_px: Affine, *, web_mm: float = 0.0) -> np.ndarray:
    """The union of the polygons on the coarse grid; corners narrower than `web_mm` are filled as skin fills them."""
    mask = np.zeros(canvas.soft.shape, np.uint8)
    for polygon in polygons:
        fill(mask, canvas.coarse(move(polygon, to_px)))
    if web_mm:
        size = 2 * round(web_mm / (canvas.pitch * canvas.step)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    return mask


def rounded(canvas: Canvas, mask: np.ndarray, *, round_mm: float, height: float) -> Grey:
    """Thickness in mm: `height` inside, falling off like a circle within `round_mm` of the skin."""
    binary = np.pad((mask > 127).astype(np.uint8), 1, mode="edge")
    coarse = canvas.pitch * canvas.step
    distance = cv2.distanceTransform(binary, cv2.DIST_L2, 5)[1:-1, 1:-1] * np.float32(coarse) - np.float32(0.5 * coarse)
    near = np.clip(distance / np.float32(round_mm), 0, 1)
    thickness = np.sqrt(near * (2 - near)) * np.float32(height)
    return cv2.GaussianBlur(thickness, (0, 0), 1.1)


def bulge(canvas: Canvas, polygon: Points, to_px: Affine, *, height: float, blur_mm: float) -> Grey:
    """A smooth swelling over a polygon, such as the ball of the thumb."""
    mask = np.zeros(canvas.soft.shape, np.uint8)
    fill(mask, canvas.coarse(move(polygon, to_px)))
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur_mm / (canvas.pitch * canvas.step)) * np.float32(height / 255)


def crease(canvas: Canvas, points: Points, to_px: Affine, *, depth: float, width: float) -> None:
    """A fold of the skin: a thin line of more or less tissue."""
    line = np.zeros(canvas.soft.shape, np.uint8)
    thick = max(1, round(width / (canvas.pitch * canvas.step)))
    cv2.polylines(line, [fixed_point(canvas.coarse(move(points, to_px)))], False, 255, thick, cv2.LINE_AA, SUBPIXEL)
    canvas.add_soft(cv2.GaussianBlur(line, (0, 0), 0.8).astype(np.float32) * np.float32(depth / 255))
