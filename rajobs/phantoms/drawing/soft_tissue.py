"""Soft tissue, whose thickness rounds off towards the skin."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from rajobs.phantoms.drawing.canvas import (
    SUBPIXEL,
    Affine,
    Canvas,
    Grey,
    Points,
    fill_polygon,
    map_points,
    to_fixed_point,
)


def tube_polygons(points: Points, radii: Sequence[float] | Points) -> list[Points]:
    """Polygons that cover a limb with these radii along `points` (mm): the hull of each two neighbouring discs."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)])
    discs = [point + radius * ring for point, radius in zip(points, radii, strict=True)]
    return [cv2.convexHull(np.vstack(pair).astype(np.float32))[:, 0].astype(float) for pair in pairwise(discs)]


def silhouette_mask(canvas: Canvas, polygons: Sequence[Points], to_px: Affine, *, web_mm: float = 0.0) -> np.ndarray:
    """The union of the polygons on the coarse grid; gaps narrower than `web_mm` are filled, as skin fills them."""
    mask: Grey = np.zeros(canvas.soft.shape, np.uint8)
    for polygon in polygons:
        fill_polygon(mask, canvas.to_coarse_grid(map_points(polygon, to_px)))
    if web_mm:
        size = 2 * round(web_mm / (canvas.pitch * canvas.coarse_step)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    return mask


def rounded_thickness(canvas: Canvas, mask: np.ndarray, *layers: tuple[float, float]) -> Grey:
    """Thickness in mm; each layer (round_mm, height) falls off like a circle within `round_mm` of the skin."""
    inside = np.pad((mask > 127).astype(np.uint8), 1, mode="edge")
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    distance = np.clip(distance[1:-1, 1:-1], -1e4, 1e4)
    # At the skin the covered share of a pixel says where the skin runs, so the coarse grid leaves no steps.
    skin = (mask > 0) & (mask < 255)
    distance[skin] = mask[skin] * np.float32(1 / 255) - np.float32(0.5)
    distance = cv2.GaussianBlur(distance, (0, 0), 1.0)
    thickness = np.zeros_like(distance)
    for round_mm, height in layers:
        near = np.clip(distance * np.float32(canvas.pitch * canvas.coarse_step / round_mm), 0, 1)
        thickness += cv2.sqrt(near * (2 - near)) * np.float32(height)
    blurred: Grey = cv2.blur(thickness, (3, 3))
    return blurred


def bulge_thickness(canvas: Canvas, polygon: Points, to_px: Affine, *, thickness: float, blur_mm: float) -> Grey:
    """Thickness of a smooth swelling over a polygon, such as the ball of the thumb."""
    mask = np.zeros(canvas.soft.shape, np.uint8)
    fill_polygon(mask, canvas.to_coarse_grid(map_points(polygon, to_px)))
    return cv2.GaussianBlur(
        mask.astype(np.float32), (0, 0), blur_mm / (canvas.pitch * canvas.coarse_step)
    ) * np.float32(thickness / 255)


def add_creases(canvas: Canvas, lines: Sequence[Points], to_px: Affine, *, thickness: float, width: float) -> None:
    """Adds folds of the skin: thin lines of more tissue."""
    mask = np.zeros(canvas.soft.shape, np.uint8)
    thick = max(1, round(width / (canvas.pitch * canvas.coarse_step)))
    corners = [to_fixed_point(canvas.to_coarse_grid(map_points(points, to_px))) for points in lines]
    cv2.polylines(mask, corners, False, 255, thick, cv2.LINE_AA, SUBPIXEL)
    canvas.add_soft_tissue(cv2.blur(mask, (3, 3)).astype(np.float32) * np.float32(thickness / 255))
