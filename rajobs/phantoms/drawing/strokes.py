"""Pencils for whatever is not a bone of hand or foot: swellings, air, ribs, plain bones."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rajobs.phantoms.drawing.bones import Bone, Plate, closed_curve, draw_bone, open_curve
from rajobs.phantoms.drawing.canvas import SUBPIXEL, Affine, Canvas, Grey, Points, fill, fixed_point, move
from rajobs.phantoms.drawing.soft_tissue import bulge, rounded, silhouette, tube


@dataclass(frozen=True, kw_only=True)
class Pencil:
    """Draws on a canvas in body millimetres; every shape gets a little of `rng`'s unsteadiness."""

    canvas: Canvas
    to_px: Affine
    rng: np.random.Generator
    wobble: float = 0.015  # of a shape's size

    def shaky(self, corners: Sequence[tuple[float, float]] | Points) -> Points:
        """The corners, a little off."""
        points = np.asarray(corners, dtype=float)
        return points + self.rng.normal(0, self.wobble * np.ptp(points, axis=0).mean(), points.shape)

    def mass(self, corners: Sequence[tuple[float, float]] | Points, height: float, *, blur: float) -> None:
        """Adds (or, below zero, takes away) a smooth thickness of soft tissue."""
        self.canvas.add_soft(
            bulge(self.canvas, closed_curve(self.shaky(corners), 6), self.to_px, height=height, blur_mm=blur)
        )

    def body(self, polygons: Sequence[Points], *, round_mm: float, height: float, web_mm: float = 0.0) -> Grey:
        """Adds a limb or trunk with round sides, and gives its thickness."""
        mask = silhouette(self.canvas, polygons, self.to_px, web_mm=web_mm)
        soft = rounded(self.canvas, mask, (round_mm, height))
        self.canvas.add_soft(soft)
        return soft

    def limb(self, line: Sequence[tuple[float, float]], radii: Sequence[float], *, flat: float = 0.9) -> None:
        """Adds a round limb along a line."""
        widest = float(max(radii))
        curve = open_curve(np.column_stack([np.asarray(line, float), radii]), 5)
        self.body(tube(curve[:, :2], curve[:, 2]), round_mm=0.85 * widest, height=1.7 * flat * widest)

    def bone(
        self, corners: Sequence[tuple[float, float]] | Points, *, cortex: float, marrow: float, tubular: bool = False,
        ends: float = 0.6, depth: float = 0.8, plates: tuple[Plate, ...] = (), smooth: bool = True, grain: float = 0.3,
        cuts: tuple[Points, ...] = (), dense: float = 1.0,
    ) -> None:  # fmt: skip
        """Adds a bone with this outline (x, y in mm); a tubular one runs down the body, with its ends thin."""
        points = self.shaky(corners)
        outline = closed_curve(points, 6) if smooth else points
        spot = self.rng.integers(0, 400, 2)
        draw_bone(
            self.canvas,
            Bone(
                name="bone", outline=outline[:, ::-1], place=np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
                cortex=(ends, cortex, ends if not tubular else cortex),
                marrow=(marrow, 0.35 * marrow if tubular else marrow),
                depth=depth, tubular=tubular, grain=grain, plates=plates, cuts=cuts,
                texture_at=(int(spot[0]), int(spot[1])),
                weight=dense,
            ),
            self.to_px,
        )  # fmt: skip

    def band(self, line: Sequence[tuple[float, float]] | Points, *, width: float, inside: float, edge: float) -> None:
        """Adds a flat, curved bone such as a rib: a band along a line with denser edges (mm of cortex)."""
        points = move(open_curve(self.shaky(line), 8), self.to_px)
        low = np.maximum(np.floor(points.min(axis=0) - width / self.canvas.pitch - 3).astype(int), 0)
        high = np.minimum(
            np.ceil(points.max(axis=0) + width / self.canvas.pitch + 3).astype(int), self.canvas.shape[::-1]
        )
        if (high <= low).any():
            return
        patch: Grey = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
        inner = np.zeros_like(patch)
        corners = [fixed_point(points - low)]
        wide = width / self.canvas.pitch
        cv2.polylines(patch, corners, False, 255, max(1, round(wide)), cv2.LINE_AA, SUBPIXEL)
        cv2.polylines(inner, corners, False, 255, max(1, round(wide - 2.4 / self.canvas.pitch)), cv2.LINE_AA, SUBPIXEL)
        soft = max(0.5, 0.35 / self.canvas.pitch)
        patch, inner = cv2.GaussianBlur(patch, (0, 0), soft), cv2.GaussianBlur(inner, (0, 0), 1.6 * soft)
        added = patch.astype(np.float32) * np.float32(edge / 255) - inner.astype(np.float32) * np.float32(
            (edge - inside) / 255
        )
        self.canvas.bone[low[1] : high[1], low[0] : high[0]] += np.maximum(added, 0)

    def spots(self, mask_corners: Points, count: int, size: tuple[float, float], height: tuple[float, float]) -> None:
        """Blobs scattered within a polygon's box, such as bowel gas (heights below zero)."""
        low, high = mask_corners.min(axis=0), mask_corners.max(axis=0)
        for _ in range(count):
            at = self.rng.uniform(low, high)
            radius = self.rng.uniform(*size)
            turn = np.linspace(0, 2 * np.pi, 8)[:-1]
            shape = at + np.column_stack(
                [np.cos(turn), np.sin(turn) * self.rng.uniform(0.6, 1.2)]
            ) * radius * self.rng.uniform(0.7, 1.2, (7, 1))
            self.mass(shape, float(self.rng.uniform(*height)), blur=float(self.rng.uniform(0.8, 2.5)))

    def metal(self, corners: Sequence[tuple[float, float]] | Points, dense: float = 25.0) -> None:
        """Adds a sharp, dense thing."""
        self.flat([np.asarray(corners, dtype=float)], dense)

    def flat(self, shapes: Sequence[Points], dense: float, *, blur: float = 0.0) -> None:
        """Adds the union of some shapes, all of one density (mm of cortex; below zero they are hollows)."""
        stencil = self.stencil(shapes, 3 * blur)
        if stencil is None:
            return
        mask, window, low = stencil
        for corners in shapes:
            fill(mask, move(corners, self.to_px) - low)
        self._add(mask, window, dense, blur)

    def lines(self, curves: Sequence[Points], *, width: float, dense: float, blur: float = 0.0) -> None:
        """Adds lines of one density (mm of cortex; below zero they are gaps), however they cross."""
        stencil = self.stencil(curves, width + 3 * blur)
        if stencil is None:
            return
        mask, window, low = stencil
        wide = width / self.canvas.pitch
        corners = [fixed_point(move(curve, self.to_px) - low) for curve in curves]
        cv2.polylines(mask, corners, False, 255 * min(1.0, wide), max(1, round(wide)), cv2.LINE_AA, SUBPIXEL)
        self._add(mask, window, dense, blur)

    def stencil(self, shapes: Sequence[Points], margin: float) -> tuple[Grey, tuple[slice, slice], Points] | None:
        """An empty mask around the shapes (`margin` in mm), its place on the film and its first column and row."""
        if not shapes:
            return None
        points = move(np.vstack(shapes), self.to_px)
        margin = margin / self.canvas.pitch + 2
        low = np.maximum(np.floor(points.min(axis=0) - margin).astype(int), 0)
        high = np.minimum(np.ceil(points.max(axis=0) + margin).astype(int), self.canvas.shape[::-1])
        if (high <= low).any():
            return None
        mask: Grey = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
        return mask, (slice(low[1], high[1]), slice(low[0], high[0])), low

    def _add(self, mask: Grey, window: tuple[slice, slice], dense: float, blur: float) -> None:
        if blur > 0.3 * self.canvas.pitch:
            mask = cv2.GaussianBlur(mask, (0, 0), blur / self.canvas.pitch)
        self.canvas.bone[window] += mask.astype(np.float32) * np.float32(dense / 255)


def mirrored(corners: Sequence[tuple[float, float]] | Points) -> Points:
    """The same shape on the other side of x = 0."""
    return np.asarray(corners, dtype=float) * (-1, 1)
