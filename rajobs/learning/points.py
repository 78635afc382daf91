"""Points as an answer: the position of each of several named points in an image, or that it is not there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.extremities import Affine, move_points
from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.rows import Row

if TYPE_CHECKING:
    from torch import Tensor

SPREAD = 1.0  # cells: standard deviation of the spot that a network learns to show around a point
REACH = 2  # cells on each side of the highest one, over which the mean position is taken
WIDTH = 0.05  # of the side of a hand's upright view: about a joint's width
# Numbers of a second look: where it was (2), how far off the point is (2, in widths), its confidence alone and its
# confidence by the positions of all points.
SECOND_LOOK_NUMBERS = 6
NEAR = 1.2  # widths: a second look from farther away than this teaches nothing
LEAST_CONFIDENCE = 0.5  # of a point, to count as shown
GOOD = 0.3  # widths: error below which a second look should be confident by itself
RIGHT = 0.5  # widths: error below which an answer is right
UNKNOWN = -1.0  # both coordinates of all points of a row whose positions are not labelled

PointNames = tuple[tuple[str | None, str], ...]
"""Side (None where an image has only one) and site of each point."""


@dataclass(frozen=True, kw_only=True)
class Points:
    """Positions in shares of the image's side; NaN for a point that is not in the image.

    Per point, a network gives one logit per cell of a square grid over the image and one for "not there", and may
    look a second time. A second look's confidence is the probability that the point is in the image and the answer
    within half a joint's width.
    """

    name: str
    point_names: PointNames

    ordered = False
    classes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        return len(self.point_names)

    def loss(self, logits: "Tensor", truth: "Tensor", weights: "Tensor") -> "Tensor":
        """Loss per row: cross entropy with a spot around each point, plus the error of the second look."""
        import torch

        cells, rest = _grid(logits)
        there = ((truth >= 0) & (truth < 1)).all(dim=2)
        raw = _entropy(logits[..., : cells**2 + 1], truth, there, cells).mean(dim=1)
        if rest:
            raw = raw + _second_look_loss(logits[..., -SECOND_LOOK_NUMBERS:], truth, there).mean(dim=1)
        return torch.where((truth == UNKNOWN).all(dim=(1, 2)), 0.0, raw)

    def answer(self, logits: "Tensor") -> "Tensor":
        """Column, row and confidence (0 to 1) of each point."""
        import torch

        cells, rest = _grid(logits)
        if not rest:
            confidence = presence(logits)[..., None]
            return torch.cat([peaks(logits[..., : cells**2]), confidence], dim=2)
        closer = logits[..., -SECOND_LOOK_NUMBERS:]
        return torch.cat([_corrected_positions(closer), closer[..., 5:].sigmoid()], dim=2)

    def follow(self, truth: "Tensor", maps: "Tensor") -> "Tensor":
        """Points moved with their images: `maps` takes new positions to old ones, both from -1 to 1 over a side."""
        import torch

        inverse = torch.linalg.inv(maps[:, :, :2].float())
        moved = ((2 * truth - 1 - maps[:, None, :, 2]) @ inverse.transpose(1, 2) + 1) / 2
        return torch.where(truth == UNKNOWN, truth, moved)


def presence(logits: "Tensor") -> "Tensor":
    """Probability that a point is in the image, from the logits of its cells and "not there" (n, points, cells + 1)."""
    return 1 - logits.softmax(dim=2)[..., -1]


def peaks(cells: "Tensor") -> "Tensor":
    """The mean position around the highest cell of each grid (n, points, cells), in shares of the side."""
    import torch

    side = math.isqrt(cells.shape[2])
    grid = cells.softmax(dim=2).unflatten(2, (side, side))
    best = cells.argmax(dim=2)
    step = torch.arange(side, device=cells.device)
    rows, columns = ((step - at[..., None]).abs() <= REACH for at in (best // side, best % side))
    grid = grid * rows[..., :, None] * columns[..., None, :]
    total = grid.sum(dim=(2, 3))
    middle = (step + 0.5) / side
    coordinates = [(grid.sum(dim=axis) * middle).sum(dim=2) / total for axis in (2, 3)]
    return torch.stack(coordinates, dim=2)


def _grid(logits: "Tensor") -> tuple[int, int]:
    """Cells per side of the grid, and how many numbers follow them."""
    side = math.isqrt(logits.shape[2] - 1)
    return side, logits.shape[2] - 1 - side * side


def _entropy(logits: "Tensor", truth: "Tensor", there: "Tensor", side: int) -> "Tensor":
    import torch

    known = torch.where(there[..., None], truth, 0.5)
    middle = (torch.arange(side, device=logits.device) + 0.5) / side
    spot = (-0.5 * ((middle - known[..., None]) * side / SPREAD) ** 2).softmax(dim=3)  # n, points, 2, cells
    log_p = logits.log_softmax(dim=2)
    grid = log_p[..., :-1].unflatten(2, (side, side))
    in_spot = (torch.einsum("npyx,npx->npy", grid, spot[:, :, 0]) * spot[:, :, 1]).sum(dim=2)
    return -torch.where(there, in_spot, log_p[..., -1])


def _second_look_loss(closer: "Tensor", truth: "Tensor", there: "Tensor") -> "Tensor":
    import torch
    from torch.nn import functional as F

    known = torch.where(there[..., None], truth, 9.0)
    off = (known - closer[..., :2]) / WIDTH
    near = off.norm(dim=2) < NEAR
    error = (_corrected_positions(closer) - known).norm(dim=2) / WIDTH
    offset_loss = F.smooth_l1_loss(closer[..., 2:4], off, reduction="none", beta=0.1).sum(dim=2)
    within = torch.stack([near & (error < GOOD), error < RIGHT], dim=2).to(closer.dtype)
    confidence_loss = F.binary_cross_entropy_with_logits(closer[..., 4:], within, reduction="none")
    return torch.where(near, offset_loss, 0.0) + 0.5 * confidence_loss.sum(dim=2)


def _corrected_positions(closer: "Tensor") -> "Tensor":
    """Where a second look puts its points."""
    return closer[..., :2] + closer[..., 2:4] * WIDTH


def points_in_view(names: PointNames, row: Row, positions: Sequence[Position], to_view: Affine) -> NDArray[np.float32]:
    """Column and row of each named point in shares of a view's side; NaN for a point without a position."""
    by_name = {(position.side, position.site): (position.x, position.y) for position in positions}
    in_film = [by_name.get((side if side else row.side, site), (np.nan, np.nan)) for side, site in names]
    return move_points(np.array(in_film, np.float64), to_view).astype(np.float32)


def joint_widths(names: PointNames, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width of a joint at each position (rows, points, 2), from the middle finger of its side; else WIDTH."""
    number = {name: at for at, name in enumerate(names)}
    widths = np.full(positions.shape[:2], WIDTH)
    for at, (side, _) in enumerate(names):
        mcp3, pip3 = (number.get((side, site)) for site in ("MCP3", "PIP3"))
        if mcp3 is not None and pip3 is not None:
            span = 0.28 * np.linalg.norm(positions[:, mcp3] - positions[:, pip3], axis=1)
            widths[:, at] = np.where(np.isfinite(span) & (span > 0), span, WIDTH)
    return widths
