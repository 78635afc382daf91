"""The film before exposure: how many mm of bone and of soft tissue the beam passes on its way to each pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
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
COARSE_MM = 0.40  # about the pitch at which soft tissue is drawn: it has no finer detail


def affine_map(angle: float, origin: Sequence[float] | Points, *, scale: float = 1.0, mirror: bool = False) -> Affine:
    """A map that scales, mirrors left and right, turns by `angle` degrees (clockwise) and moves zero to `origin`."""
    turn = np.deg2rad(angle)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    flip = -1.0 if mirror else 1.0
    return np.array([[cos * flip, -sin, origin[0]], [sin * flip, cos, origin[1]]])


def compose_maps(outer: Affine, inner: Affine) -> Affine:
    """The map that applies `inner` first and `outer` second."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


def map_points(points: Points, transform: Affine) -> Points:
    """The points after an affine map."""
    return points @ transform[:, :2].T + transform[:, 2]


def to_fixed_point(points: Points) -> NDArray[np.int32]:
    """Corners as OpenCV's drawing functions expect them with `shift=SUBPIXEL`."""
    return np.round(points * (1 << SUBPIXEL)).astype(np.int32)


def fill_polygon(mask: NDArray[np.uint8], points: Points, value: int = 255) -> None:
    """Fills a polygon with a soft edge."""
    cv2.fillPoly(mask, [to_fixed_point(points)], value, cv2.LINE_AA, SUBPIXEL)


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Thickness of bone and of soft tissue along the beam, summed over all that is drawn."""

    bone: Grey
    soft: Grey  # on a grid that is `coarse_step` times as coarse as the film
    coarse_step: int
    pitch: float  # mm per pixel
    trabeculae: Grey  # texture at `bone_pitch`, mean 0, s.d. 1
    bone_pitch: float  # mm per pixel of the grids on which single bones are drawn

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bone.shape[0], self.bone.shape[1]

    def paste(self, patch: Grey, place: Affine) -> None:
        """Adds a patch of bone; `place` maps its columns and rows to those of the film."""
        rows, columns = patch.shape
        corners = map_points(np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]], dtype=float), place)
        low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 2, (self.bone.shape[1], self.bone.shape[0]))
        width, height = high - low
        if width <= 0 or height <= 0:
            return
        local = place.copy()
        local[:, 2] -= low
        window = self.bone[low[1] : high[1], low[0] : high[0]]
        window += cv2.warpAffine(patch, local, (int(width), int(height)))

    def add_soft_tissue(self, thickness: Grey) -> None:
        """Adds soft tissue that is drawn on the coarse grid."""
        np.add(self.soft, thickness, out=self.soft)

    def to_coarse_grid(self, points: Points) -> Points:
        """Film columns and rows as places on the coarse grid of soft tissue."""
        return (points + 0.5) / self.coarse_step - 0.5

    def crop_texture(self, rows: int, columns: int, at: tuple[int, int]) -> Grey:
        """A piece of trabecular texture that starts at `at` and repeats where the tile ends."""
        tile = self.trabeculae
        if rows <= 2 * tile.shape[0] // 3 and columns <= tile.shape[1] // 2:
            top, left = at[0] % (tile.shape[0] // 3), at[1] % (tile.shape[1] // 2)
            return tile[top : top + rows, left : left + columns]
        down = (at[0] + np.arange(rows)) % tile.shape[0]
        across = (at[1] + np.arange(columns)) % tile.shape[1]
        texture: Grey = tile[down[:, None], across[None, :]]
        return texture


TILE_MM = 0.09  # per pixel of the tile as it is first drawn: struts are 0.1 to 0.2 mm thick
TILE_SIDE = 512  # pixels
NETS = 24  # of struts: each person has one of them, from a place of its own and in a size of its own


def _struts(noise: Grey, sigma_along: float, sigma_across: float) -> Grey:
    """A net of fine bright lines: where smooth noise passes through zero."""
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma_across, sigmaY=sigma_along)
    lines: Grey = cv2.exp(smooth * smooth * np.float32(-6.0 / smooth.var()))
    net: Grey = (lines - lines.mean()) * np.float32(1 / lines.std())
    return net


@lru_cache(maxsize=NETS)
def _trabecular_net(number: int) -> Grey:
    """A net of struts with this number, which is the same each time: to make one takes as long as to draw a hand."""
    noise = np.random.default_rng(number).standard_normal((2, TILE_SIDE, TILE_SIDE), dtype=np.float32)
    # Many layers lie behind each other, so that single struts are weak and their sum is a net.
    net = _struts(noise[0], 9.0, 2.2) + np.float32(0.7) * _struts(noise[1], 3.0, 2.6)
    net += np.float32(0.8) * _struts(np.roll(noise[0][::-1], 131, axis=1), 14.0, 3.0)
    net += np.float32(0.5) * _struts(noise[1].T, 2.4, 5.0)
    net += np.float32(0.8) * _struts(np.roll(noise[1], 77, axis=1), 16.0, 5.0)  # where several lie behind each other
    net.flags.writeable = False
    return net


def make_trabecular_tile(rng: np.random.Generator, pitch: float) -> Grey:
    """Struts that mostly run along the bone (down the rows) and a finer net between them, at `pitch` mm per pixel."""
    number, down, across, turned = (int(rng.integers(each)) for each in (NETS, TILE_SIDE, TILE_SIDE, 4))
    net = np.roll(_trabecular_net(number), (down, across), axis=(0, 1))
    net = net[:: 1 - 2 * (turned & 1), :: 1 - (turned & 2)]
    side = max(64, round(TILE_SIDE * TILE_MM * float(rng.uniform(0.62, 1.1)) / pitch))  # persons differ
    tile = cv2.resize(net, (side, side), interpolation=cv2.INTER_AREA)
    return np.tile((tile - tile.mean()) * np.float32(1 / net.std()), (3, 2)).astype(np.float32)


def blank_canvas(shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> Canvas:
    """An empty film of `shape` at `pitch` mm per pixel."""
    coarse_step = max(1, round(COARSE_MM / pitch))
    bone_pitch = pitch if pitch <= 0.22 else max(0.22, pitch / 2)
    coarse_shape = (-(-shape[0] // coarse_step), -(-shape[1] // coarse_step))
    return Canvas(
        bone=np.zeros(shape, np.float32),
        soft=np.zeros(coarse_shape, np.float32),
        coarse_step=coarse_step,
        pitch=pitch,
        trabeculae=make_trabecular_tile(rng, bone_pitch),
        bone_pitch=bone_pitch,
    )
