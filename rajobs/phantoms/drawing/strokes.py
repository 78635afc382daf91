"""A pencil for all that is not a bone of hand or foot: swellings, air, ribs, plain bones."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.drawing.bones import Bone, Plate, closed_curve, draw_bone, open_curve
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
from rajobs.phantoms.drawing.soft_tissue import bulge_thickness, rounded_thickness, silhouette_mask, tube_polygons


@dataclass(frozen=True, kw_only=True)
class Pencil:
    """Draws on a canvas in body millimetres; `rng` makes every shape a little unsteady."""

    canvas: Canvas
    to_px: Affine
    rng: np.random.Generator
    wobble: float = 0.015  # s.d. of the unsteadiness, as a share of a shape's size

    def jitter(self, corners: Sequence[tuple[float, float]] | Points) -> Points:
        """The corners, each moved a little."""
        points = np.asarray(corners, dtype=float)
        return points + self.rng.normal(0, self.wobble * np.ptp(points, axis=0).mean(), points.shape)

    def add_mass(self, corners: Sequence[tuple[float, float]] | Points, thickness: float, *, blur: float) -> None:
        """Adds a smooth swelling of soft tissue; a thickness below zero removes tissue."""
        self.canvas.add_soft_tissue(
            bulge_thickness(
                self.canvas, closed_curve(self.jitter(corners), 6), self.to_px, thickness=thickness, blur_mm=blur
            )
        )

    def add_body(self, polygons: Sequence[Points], *, round_mm: float, thickness: float) -> None:
        """Adds a limb or trunk with round sides."""
        mask = silhouette_mask(self.canvas, polygons, self.to_px)
        self.canvas.add_soft_tissue(rounded_thickness(self.canvas, mask, (round_mm, thickness)))

    def add_limb(self, line: Sequence[tuple[float, float]], radii: Sequence[float]) -> None:
        """Adds a limb with these radii along a line, a little flatter than round."""
        widest = float(max(radii))
        curve = open_curve(np.column_stack([np.asarray(line, float), radii]), 5)
        self.add_body(tube_polygons(curve[:, :2], curve[:, 2]), round_mm=0.85 * widest, thickness=1.7 * 0.9 * widest)

    def add_bone(
        self,
        corners: Sequence[tuple[float, float]] | Points,
        *,
        cortex: float,
        marrow: float,
        tubular: bool = False,
        ends: float = 0.6,
        depth: float = 0.8,
        plates: tuple[Plate, ...] = (),
        grain: float = 0.3,
        cuts: tuple[Points, ...] = (),
    ) -> None:
        """Adds a bone with this outline (x, y in mm); a tubular one runs down the body, its cortex thin at the ends."""
        outline = closed_curve(self.jitter(corners), 6)
        texture_at = self.rng.integers(0, 400, 2)
        draw_bone(
            self.canvas,
            Bone(
                name="bone", outline=outline[:, ::-1], place=np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
                cortex=(ends, cortex, ends if not tubular else cortex),
                marrow=(marrow, 0.35 * marrow if tubular else marrow),
                depth=depth, tubular=tubular, grain=grain, plates=plates, cuts=cuts,
                texture_at=(int(texture_at[0]), int(texture_at[1])),
            ),
            self.to_px,
        )  # fmt: skip

    def add_band(
        self, line: Sequence[tuple[float, float]] | Points, *, width: float, inside: float, edge: float
    ) -> None:
        """Adds a flat, curved bone such as a rib: a band along a line, with `edge` and `inside` in mm of cortex."""
        points = map_points(open_curve(self.jitter(line), 8), self.to_px)
        low = np.maximum(np.floor(points.min(axis=0) - width / self.canvas.pitch - 3).astype(int), 0)
        high = np.minimum(
            np.ceil(points.max(axis=0) + width / self.canvas.pitch + 3).astype(int), self.canvas.shape[::-1]
        )
        if (high <= low).any():
            return
        patch: Grey = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
        inner = np.zeros_like(patch)
        corners = [to_fixed_point(points - low)]
        wide = width / self.canvas.pitch
        cv2.polylines(patch, corners, False, 255, max(1, round(wide)), cv2.LINE_AA, SUBPIXEL)
        cv2.polylines(inner, corners, False, 255, max(1, round(wide - 2.4 / self.canvas.pitch)), cv2.LINE_AA, SUBPIXEL)
        soft = max(0.5, 0.35 / self.canvas.pitch)
        patch, inner = cv2.GaussianBlur(patch, (0, 0), soft), cv2.GaussianBlur(inner, (0, 0), 1.6 * soft)
        added = patch.astype(np.float32) * np.float32(edge / 255) - inner.astype(np.float32) * np.float32(
            (edge - inside) / 255
        )
        self.canvas.bone[low[1] : high[1], low[0] : high[0]] += np.maximum(added, 0)

    def add_blobs(self, area: Points, count: int, size: tuple[float, float], thickness: tuple[float, float]) -> None:
        """Scatters blobs over the box around `area`, such as bowel gas (thickness below zero)."""
        low, high = area.min(axis=0), area.max(axis=0)
        for _ in range(count):
            at = self.rng.uniform(low, high)
            radius = self.rng.uniform(*size)
            turn = np.linspace(0, 2 * np.pi, 8)[:-1]
            shape = at + np.column_stack(
                [np.cos(turn), np.sin(turn) * self.rng.uniform(0.6, 1.2)]
            ) * radius * self.rng.uniform(0.7, 1.2, (7, 1))
            self.add_mass(shape, float(self.rng.uniform(*thickness)), blur=float(self.rng.uniform(0.8, 2.5)))

    def add_metal(self, corners: Sequence[tuple[float, float]] | Points, thickness: float) -> None:
        """Adds a sharp, dense object; `thickness` is in mm of cortex."""
        self.add_flat_shapes([np.asarray(corners, dtype=float)], thickness)

    def add_flat_shapes(self, shapes: Sequence[Points], thickness: float, *, blur: float = 0.0) -> None:
        """Adds the union of shapes, all of one thickness (mm of cortex); a thickness below zero makes hollows."""
        stencil = self.make_stencil(shapes, 3 * blur)
        if stencil is None:
            return
        mask, window, low = stencil
        for corners in shapes:
            fill_polygon(mask, map_points(corners, self.to_px) - low)
        self._add_mask(mask, window, thickness, blur)

    def add_lines(self, curves: Sequence[Points], *, width: float, thickness: float, blur: float = 0.0) -> None:
        """Adds lines of one thickness (mm of cortex), also where they cross; a thickness below zero makes gaps."""
        stencil = self.make_stencil(curves, width + 3 * blur)
        if stencil is None:
            return
        mask, window, low = stencil
        wide = width / self.canvas.pitch
        corners = [to_fixed_point(map_points(curve, self.to_px) - low) for curve in curves]
        cv2.polylines(mask, corners, False, 255 * min(1.0, wide), max(1, round(wide)), cv2.LINE_AA, SUBPIXEL)
        self._add_mask(mask, window, thickness, blur)

    def make_stencil(self, shapes: Sequence[Points], margin: float) -> tuple[Grey, tuple[slice, slice], Points] | None:
        """An empty mask around the shapes, its window on the film and its first column and row; `margin` is in mm."""
        if not shapes:
            return None
        points = map_points(np.vstack(shapes), self.to_px)
        margin = margin / self.canvas.pitch + 2
        low = np.maximum(np.floor(points.min(axis=0) - margin).astype(int), 0)
        high = np.minimum(np.ceil(points.max(axis=0) + margin).astype(int), self.canvas.shape[::-1])
        if (high <= low).any():
            return None
        mask: Grey = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
        return mask, (slice(low[1], high[1]), slice(low[0], high[0])), low

    def _add_mask(self, mask: Grey, window: tuple[slice, slice], thickness: float, blur: float) -> None:
        """Adds a drawn mask to the bone layer, blurred by `blur` mm."""
        if blur > 0.3 * self.canvas.pitch:
            mask = cv2.GaussianBlur(mask, (0, 0), blur / self.canvas.pitch)
        self.canvas.bone[window] += mask.astype(np.float32) * np.float32(thickness / 255)


def mirror_points(corners: Sequence[tuple[float, float]] | Points) -> Points:
    """The same shape on the other side of x = 0."""
    return np.asarray(corners, dtype=float) * (-1, 1)
