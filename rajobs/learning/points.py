"""Points as an answer: where each of some places lies in an image, or that it is not there."""

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

SPREAD = 1.0  # cells, standard deviation of what a network is asked to show about a point
REACH = 2  # cells about the highest one, whose mean place is the answer
WIDTH = 0.05  # of the side of a hand's upright view: about a joint's width
SECOND_LOOK_NUMBERS = (
    6  # numbers of a second look: where it was (2), how far off the point is (2, in widths), how sure it is, alone
)
# and by where all the points lie
NEAR = 1.2  # widths: a look from farther away tells nothing
LEAST_CONFIDENCE = 0.5  # of a point, to count as found
GOOD = 0.3  # widths: an answer within it is one to be sure of, alone
RIGHT = 0.5  # widths: an answer within it is right
UNKNOWN = -1.0  # of both numbers of all points: nobody has said where they are

PointNames = tuple[tuple[str | None, str], ...]
"""Side (None: there is but one) and site of each point."""


@dataclass(frozen=True, kw_only=True)
class Points:
    """Places in shares of the image's side; not a number: not there.

    A second look's sureness is the probability that a point is there and the answer within half a joint's width.

    A network gives a logit a cell of a square grid over the image and one for "not there", and may look a second time.
    """

    name: str
    point_names: PointNames

    ordered = False
    classes: tuple[str, ...] = ()  # it has none

    @property
    def outputs(self) -> int:
        return len(self.point_names)

    def loss(self, logits: "Tensor", truth: "Tensor", weights: "Tensor") -> "Tensor":
        """Of each row: cross entropy with a spot about each point, and how far off the second look is."""
        import torch

        cells, rest = _grid(logits)
        there = ((truth >= 0) & (truth < 1)).all(dim=2)
        raw = _entropy(logits[..., : cells**2 + 1], truth, there, cells).mean(dim=1)
        if rest:
            raw = raw + _second_look(logits[..., -SECOND_LOOK_NUMBERS:], truth, there).mean(dim=1)
        return torch.where((truth == UNKNOWN).all(dim=(1, 2)), 0.0, raw)

    def answer(self, logits: "Tensor") -> "Tensor":
        """Column, row and sureness (0 to 1) of each point."""
        import torch

        cells, rest = _grid(logits)
        if not rest:
            sure = sureness(logits)[..., None]
            return torch.cat([peaks(logits[..., : cells**2]), sure], dim=2)
        closer = logits[..., -SECOND_LOOK_NUMBERS:]
        return torch.cat([_looked(closer), closer[..., 5:].sigmoid()], dim=2)

    def follow(self, truth: "Tensor", moved: "Tensor") -> "Tensor":
        """Points carried along where images were moved: `moved` takes new places to old ones, on a side 2 long."""
        import torch

        back = torch.linalg.inv(moved[:, :, :2].float())
        there = ((2 * truth - 1 - moved[:, None, :, 2]) @ back.transpose(1, 2) + 1) / 2
        return torch.where(truth == UNKNOWN, truth, there)


def sureness(logits: "Tensor") -> "Tensor":
    """That a place is there, by its cells and "not there" (n, places, cells + 1) alone."""
    return 1 - logits.softmax(dim=2)[..., -1]


def peaks(cells: "Tensor") -> "Tensor":
    """The mean place about the highest cell of each grid (n, places, cells), in shares of the side."""
    import torch

    side = math.isqrt(cells.shape[2])
    grid = cells.softmax(dim=2).unflatten(2, (side, side))
    best = cells.argmax(dim=2)
    step = torch.arange(side, device=cells.device)
    rows, columns = ((step - at[..., None]).abs() <= REACH for at in (best // side, best % side))
    grid = grid * rows[..., :, None] * columns[..., None, :]
    total = grid.sum(dim=(2, 3))
    middle = (step + 0.5) / side
    found = [(grid.sum(dim=axis) * middle).sum(dim=2) / total for axis in (2, 3)]
    return torch.stack(found, dim=2)


def _grid(logits: "Tensor") -> tuple[int, int]:
    """Cells a side, and how many numbers stand behind them."""
    side = math.isqrt(logits.shape[2] - 1)
    return side, logits.shape[2] - 1 - side * side


def _entropy(logits: "Tensor", truth: "Tensor", there: "Tensor", side: int) -> "Tensor":
    import torch

    known = torch.where(there[..., None], truth, 0.5)
    middle = (torch.arange(side, device=logits.device) + 0.5) / side
    spot = (-0.5 * ((middle - known[..., None]) * side / SPREAD) ** 2).softmax(dim=3)  # n, places, 2, cells
    told = logits.log_softmax(dim=2)
    grid = told[..., :-1].unflatten(2, (side, side))
    seen = (torch.einsum("npyx,npx->npy", grid, spot[:, :, 0]) * spot[:, :, 1]).sum(dim=2)
    return -torch.where(there, seen, told[..., -1])


def _second_look(closer: "Tensor", truth: "Tensor", there: "Tensor") -> "Tensor":
    import torch
    from torch.nn import functional as F

    known = torch.where(there[..., None], truth, 9.0)
    off = (known - closer[..., :2]) / WIDTH
    near = off.norm(dim=2) < NEAR
    error = (_looked(closer) - known).norm(dim=2) / WIDTH
    far = F.smooth_l1_loss(closer[..., 2:4], off, reduction="none", beta=0.1).sum(dim=2)
    within = torch.stack([near & (error < GOOD), error < RIGHT], dim=2).to(closer.dtype)
    sure = F.binary_cross_entropy_with_logits(closer[..., 4:], within, reduction="none")
    return torch.where(near, far, 0.0) + 0.5 * sure.sum(dim=2)


def _looked(closer: "Tensor") -> "Tensor":
    """Where a second look puts its points."""
    return closer[..., :2] + closer[..., 2:4] * WIDTH


def points_in_view(places: PointNames, row: Row, found: Sequence[Position], to_view: Affine) -> NDArray[np.float32]:
    """Shares of a view's side, a place; not a number where a place is not there."""
    at = {(place.side, place.site): (place.x, place.y) for place in found}
    where = [at.get((side if side else row.side, site), (np.nan, np.nan)) for side, site in places]
    return move_points(np.array(where, np.float64), to_view).astype(np.float32)


def joint_widths(places: PointNames, where: NDArray[np.float64]) -> NDArray[np.float64]:
    """A joint's width beside each place (rows, places, 2), told by its side's middle finger; else WIDTH."""
    number = {place: at for at, place in enumerate(places)}
    found = np.full(where.shape[:2], WIDTH)
    for at, (side, _) in enumerate(places):
        one, other = (number.get((side, site)) for site in ("MCP3", "PIP3"))
        if one is not None and other is not None:
            span = 0.28 * np.linalg.norm(where[:, one] - where[:, other], axis=1)
            found[:, at] = np.where(np.isfinite(span) & (span > 0), span, WIDTH)
    return found
