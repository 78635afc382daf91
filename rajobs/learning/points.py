"""Points as an answer: the position of each of several named points in an image, or that it is not there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

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
NEAR = 1.2  # widths: a second look from farther away than this teaches nothing
LEAST_CONFIDENCE = 0.5  # of a point, to count as shown
GOOD = 0.3  # widths: error below which a second look should be confident by itself
RIGHT = 0.5  # widths: error below which an answer is right
UNKNOWN = -1.0  # both coordinates of a point that nobody labelled: it may be there or not

PointNames = tuple[tuple[str | None, str], ...]
"""Side (None where an image has only one) and site of each point."""


class SecondLook(NamedTuple):
    """What a network sees in a patch around each point."""

    start: "Tensor"  # (n, points, 2): middle of the patch, in shares of the side
    offset: "Tensor"  # (n, points, 2): from there to the point, in widths
    confidences: "Tensor"  # (n, points, 2): logits, by the patch alone and by the positions of all points

    @property
    def positions(self) -> "Tensor":
        """Where the second look puts its points."""
        return self.start + self.offset * WIDTH


class PointsOutput(NamedTuple):
    """What a network outputs for points: a tuple of tensors, so that workers that train together can share it."""

    cells: "Tensor"  # (n, points, cells + 1): logits of the cells of a square grid, then of "not there"
    second_look: SecondLook | None = None


@dataclass(frozen=True, kw_only=True)
class Points:
    """Positions in shares of the image's side; NaN for a point that is not in the image, UNKNOWN for an unlabelled one.

    A second look's confidence is the probability that the point is in the image and the answer within half a joint's
    width.
    """

    name: str
    point_names: PointNames

    ordered = False
    classes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        return len(self.point_names)

    def loss(self, output: PointsOutput, truth: "Tensor", weights: "Tensor") -> "Tensor":
        """Mean loss of a row's known points: cross entropy with a spot, plus the error of the second look."""
        import torch

        there = ((truth >= 0) & (truth < 1)).all(dim=2)
        raw = _entropy(output.cells, truth, there)
        if output.second_look is not None:
            raw = raw + _second_look_loss(output.second_look, truth, there)
        known = ~(truth == UNKNOWN).all(dim=2)
        return torch.where(known, raw, 0.0).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def answer(self, output: PointsOutput) -> "Tensor":
        """Column, row and confidence (0 to 1) of each point."""
        import torch

        if output.second_look is None:
            positions, confidence = peaks(output.cells), presence(output.cells)
        else:
            positions = output.second_look.positions
            confidence = output.second_look.confidences[..., 1].sigmoid()
        return torch.cat([positions, confidence[..., None]], dim=2)

    def follow(self, truth: "Tensor", maps: "Tensor") -> "Tensor":
        """Points moved with their images: `maps` takes new positions to old ones, both from -1 to 1 over a side."""
        import torch

        inverse = torch.linalg.inv(maps[:, :, :2].float())
        moved = ((2 * truth - 1 - maps[:, None, :, 2]) @ inverse.transpose(1, 2) + 1) / 2
        return torch.where(truth == UNKNOWN, truth, moved)


def presence(cells: "Tensor") -> "Tensor":
    """Probability that a point is in the image, from `PointsOutput.cells`."""
    return 1 - cells.softmax(dim=2)[..., -1]


def peaks(cells: "Tensor") -> "Tensor":
    """The mean position around the highest cell of each grid in `PointsOutput.cells`, in shares of the side."""
    import torch

    cells = cells[..., :-1]
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


def _entropy(cells: "Tensor", truth: "Tensor", there: "Tensor") -> "Tensor":
    import torch

    side = math.isqrt(cells.shape[2] - 1)
    known = torch.where(there[..., None], truth, 0.5)
    middle = (torch.arange(side, device=cells.device) + 0.5) / side
    spot = (-0.5 * ((middle - known[..., None]) * side / SPREAD) ** 2).softmax(dim=3)  # n, points, 2, cells
    log_p = cells.log_softmax(dim=2)
    grid = log_p[..., :-1].unflatten(2, (side, side))
    in_spot = (torch.einsum("npyx,npx->npy", grid, spot[:, :, 0]) * spot[:, :, 1]).sum(dim=2)
    return -torch.where(there, in_spot, log_p[..., -1])


def _second_look_loss(look: SecondLook, truth: "Tensor", there: "Tensor") -> "Tensor":
    import torch
    from torch.nn import functional as F

    known = torch.where(there[..., None], truth, 9.0)
    off = (known - look.start) / WIDTH
    near = off.norm(dim=2) < NEAR
    error = (look.positions - known).norm(dim=2) / WIDTH
    offset_loss = F.smooth_l1_loss(look.offset, off, reduction="none", beta=0.1).sum(dim=2)
    within = torch.stack([near & (error < GOOD), error < RIGHT], dim=2).to(look.confidences.dtype)
    confidence_loss = F.binary_cross_entropy_with_logits(look.confidences, within, reduction="none")
    return torch.where(near, offset_loss, 0.0) + 0.5 * confidence_loss.sum(dim=2)


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
