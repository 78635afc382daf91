"""The film before exposure: what the beam passes on its way to each pixel, in mm of bone and of soft tissue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[Any]  # float32, as OpenCV takes it; its own annotations are too wide to say so
Points = NDArray[Any]  # (n, 2)
Affine = NDArray[Any]  # (2, 3)

MU_SOFT = 0.030  # attenuation per mm, about 50 kV
MU_BONE = 0.140  # per mm of cortex, above soft tissue

SUBPIXEL = 5  # fractional bits of polygon corners
COARSE_MM = 0.40  # soft tissue is drawn at about this pitch: it has no finer detail


def affine(angle: float, origin: Sequence[float] | Points, *, scale: float = 1.0, mirror: bool = False) -> Affine:
    """Scales, mirrors left and right if asked, turns by `angle` degrees (clockwise) and moves the zero to `origin`."""
    turn = np.deg2rad(angle)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    flip = -1.0 if mirror else 1.0
    return np.array([[cos * flip, -sin, origin[0]], [sin * flip, cos, origin[1]]])


def chain(outer: Affine, inner: Affine) -> Affine:
    """The map that does `inner` first and `outer` then."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


def move(points: Points, by: Affine) -> Points:
    """Each point carried along by an affine map."""
    return points @ by[:, :2].T + by[:, 2]


def fixed_point(points: Points) -> NDArray[np.int32]:
    """Corners as OpenCV's drawing functions take them, with `shift=SUBPIXEL`."""
    return np.round(points * (1 << SUBPIXEL)).astype(np.int32)


def fill(mask: NDArray[np.uint8], points: Points, value: int = 255) -> None:
    """Fills a polygon with a soft edge."""
    cv2.fillPoly(mask, [fixed_point(points)], value, cv2.LINE_AA, SUBPIXEL)


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Sums of what lies on each other, because an X-ray adds up; `to_px` maps body millimetres to columns and rows."""

    bone: Grey
    soft: Grey  # coarse: 1 / step of the film
    step: int
    pitch: float  # mm a pixel
    trabeculae: Grey  # texture at `fine` pitch, mean 0, s.d. 1
    fine: float  # mm a pixel at which bones are drawn

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bone.shape[0], self.bone.shape[1]

    def paste(self, patch: Grey, place: Affine, onto: Grey | None = None) -> None:
        """Adds a patch; `place` maps its columns and rows to the film's."""
        target = self.bone if onto is None else onto
        rows, columns = patch.shape
        corners = move(np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]], dtype=float), place)
        low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 2, (target.shape[1], target.shape[0]))
        width, height = high - low
        if width <= 0 or height <= 0:
            return
        local = place.copy()
        local[:, 2] -= low
        target[low[1] : high[1], low[0] : high[0]] += cv2.warpAffine(patch, local, (int(width), int(height)))

    def add_soft(self, thickness: Grey) -> None:
        """Adds soft tissue that was drawn on the coarse grid."""
        np.add(self.soft, thickness, out=self.soft)

    def coarse(self, points: Points) -> Points:
        """Film columns and rows on the coarse grid of soft tissue."""
        return (points + 0.5) / self.step - 0.5

    def texture(self, rows: int, columns: int, at: tuple[int, int]) -> Grey:
        """A piece of trabecular texture, taken from `at` and repeated where the tile ends."""
        tile = self.trabeculae
        if rows <= 2 * tile.shape[0] // 3 and columns <= tile.shape[1] // 2:
            top, left = at[0] % (tile.shape[0] // 3), at[1] % (tile.shape[1] // 2)
            return tile[top : top + rows, left : left + columns]
        down = (at[0] + np.arange(rows)) % tile.shape[0]
        across = (at[1] + np.arange(columns)) % tile.shape[1]
        return tile[down[:, None], across[None, :]]


TILE_MM = 0.12
TILE = 384


def trabecular_tile(rng: np.random.Generator, fine: float) -> Grey:
    """Plates and struts that mostly run along the bone (down the rows), at a pitch of `fine` mm."""
    noise = rng.standard_normal((TILE, TILE), dtype=np.float32)
    net = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.9)
    along = cv2.blur(cv2.blur(net, (1, 11)), (1, 7))
    along = along * np.float32(1 / along.std()) + net * np.float32(1.0 / net.std())
    along = along - cv2.blur(along, (25, 25))
    side = max(64, round(TILE * TILE_MM / fine))
    tile = cv2.resize(along, (side, side), interpolation=cv2.INTER_AREA)
    return np.tile((tile - tile.mean()) * np.float32(1 / along.std()), (3, 2)).astype(np.float32)


def blank_canvas(shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> Canvas:
    """An empty film of `shape` at `pitch` mm a pixel."""
    step = max(1, round(COARSE_MM / pitch))
    fine = pitch if pitch <= 0.22 else max(0.22, pitch / 2)
    coarse = (-(-shape[0] // step), -(-shape[1] // step))
    return Canvas(
        bone=np.zeros(shape, np.float32),
        soft=np.zeros(coarse, np.float32),
        step=step,
        pitch=pitch,
        trabeculae=trabecular_tile(rng, fine),
        fine=fine,
    )
