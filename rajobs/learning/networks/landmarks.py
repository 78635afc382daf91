"""A network that shows points: features down to a thirty-second of the image and up again, then a second look.

The first look takes the image at 256 pixels; the second reads a patch around each point from the image as it is. The
confidence in a point follows from the positions of all points. The smallest features can answer targets as well.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rajobs.learning.networks.blocks import Residual, conv
from rajobs.learning.points import WIDTH, PointsOutput, SecondLook, peaks, presence
from rajobs.records.errors import BadRecipe

SIDE = 256  # pixels of the first look
PATCH, SEEN = 56, 0.14  # side of a second look's patch in pixels, and as a share of the image's side
JITTER = 0.6  # widths by which patches are shifted at random in training, at most
DROPOUT = 0.2  # of the features that targets are answered from


def landmarks(*, shape: tuple[int, ...], width: int = 16, closer: bool = True) -> tuple[nn.Module, int]:
    """`width` channels at half the side, more at smaller sizes; `closer`: with a second look."""
    if shape[0] != 1 or shape[1] != shape[2] or shape[1] % SIDE:
        raise BadRecipe(f"landmarks takes grey squares of {SIDE} pixels, or twice or three times as many, not {shape}")
    return Pyramid(width, closer), 3 * width


class Pyramid(nn.Module):
    """Features at a quarter of the side, each computed from the whole image."""

    def __init__(self, width: int, closer: bool) -> None:
        super().__init__()
        self.closer = closer
        sizes = [width, 2 * width, 4 * width, 8 * width, 12 * width]
        self.widest = sizes[-1]
        self.stem = conv(1, sizes[0], 2, True)
        self.down = nn.ModuleList([
            nn.Sequential(conv(few, many, 2, True), *(Residual(many, True) for _ in range(1 + (many > sizes[1]))))
            for few, many in pairwise(sizes)
        ])  # fmt: skip
        ups = [12 * width, 8 * width, 6 * width, 3 * width]
        self.up = nn.ModuleList([
            conv(below + beside, out, 1, True) for below, beside, out in zip(ups[:-1], sizes[3:0:-1], ups[1:])
        ])  # fmt: skip

    def look(self, images: Tensor) -> list[Tensor]:
        """Features from the largest to the smallest."""
        x = self.stem(F.avg_pool2d(images, images.shape[2] // SIDE) if images.shape[2] > SIDE else images)
        levels = []
        for layer in self.down:
            x = layer(x)
            levels.append(x)
        return levels

    def gather(self, levels: list[Tensor]) -> Tensor:
        """The features of all levels joined at a quarter of the side."""
        x = levels[-1]
        for layer, beside in zip(self.up, levels[-2::-1]):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), beside], dim=1))
        return x


class Landmarks(nn.Module):
    """A pyramid with a head for points, and one per target that is answered as well."""

    def __init__(self, trunk: Pyramid, features: int, points: tuple[str, int], outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.points, count = points
        self.names = tuple(outputs)
        self.heads = nn.ModuleDict({f"{self.points}_head": PointsHead(features, count, trunk.closer)})
        self.heads.update({f"{name}_head": TargetHead(trunk.widest, logits) for name, logits in outputs.items()})

    def forward(self, images: Tensor, kinds: Tensor | None = None) -> dict[str, Tensor | PointsOutput]:
        images = _normalise(images)
        levels = self.trunk.look(images)
        return {**self._target_logits(levels), self.points: self._point_outputs(levels, images)}

    def show(self, images: Tensor) -> PointsOutput:
        """The points alone."""
        images = _normalise(images)
        return self._point_outputs(self.trunk.look(images), images)

    def classify(self, images: Tensor, kinds: Tensor | None = None) -> dict[str, Tensor]:
        """The logits of the targets alone: half the work."""
        return self._target_logits(self.trunk.look(_normalise(images)))

    def _point_outputs(self, levels: list[Tensor], images: Tensor) -> PointsOutput:
        shown: PointsOutput = self.heads[f"{self.points}_head"](self.trunk.gather(levels), images)
        return shown

    def _target_logits(self, levels: list[Tensor]) -> dict[str, Tensor]:
        return {name: self.heads[f"{name}_head"](levels[-1]) for name in self.names}


class TargetHead(nn.Sequential):
    """Logits of a target from the mean and the maximum of each feature."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(nn.Dropout(DROPOUT), nn.Linear(2 * features, outputs))

    def forward(self, features: Tensor) -> Tensor:
        mean_and_maximum = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        logits: Tensor = super().forward(mean_and_maximum)  # type: ignore[no-untyped-call]
        return logits


class PointsHead(nn.Module):
    """Per point: the logits of the cells and of "not there", and a second look."""

    def __init__(self, features: int, points: int, closer: bool) -> None:
        super().__init__()
        self.maps = nn.Conv2d(features, points, 1)
        self.absent = nn.Linear(features, points)
        self.look = PatchNetwork(points) if closer else None
        self.whole = LayoutNetwork(points) if closer else None

    def forward(self, features: Tensor, images: Tensor) -> PointsOutput:
        maps = self.maps(features).flatten(2).float()
        absent = self.absent(features.amax(dim=(2, 3))).float()[..., None]
        cells = torch.cat([maps, absent], dim=2)
        if self.look is None or self.whole is None:
            return PointsOutput(cells)
        start = peaks(cells.detach())
        if self.training:
            start = start + (torch.rand_like(start) * 2 - 1) * JITTER * WIDTH
        looked = self.look(images, start)
        in_layout = self.whole(start + looked[..., :2] * WIDTH, presence(cells), looked[..., 2])
        return PointsOutput(cells, SecondLook(start, looked[..., :2], torch.cat([looked, in_layout], dim=2)[..., 2:]))


class PatchNetwork(nn.Module):
    """The offset of a point from the middle of a patch (in widths, 2 numbers), and the logit of its confidence."""

    def __init__(self, points: int, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(1, width, 2, True), conv(width, 2 * width, 2, True), Residual(2 * width, True),
            conv(2 * width, 4 * width, 2, True), Residual(4 * width, True), nn.Flatten(),
            nn.Linear(4 * width * (PATCH // 8) ** 2, 128),
        )  # fmt: skip
        self.place = nn.Embedding(points, 128)
        self.last = nn.Linear(128, 3)

    def forward(self, images: Tensor, at: Tensor) -> Tensor:
        """Offset (2, in widths) and confidence (a logit) per point."""
        count, points = at.shape[:2]
        step = (torch.arange(PATCH, device=at.device) + 0.5) / PATCH * 2 - 1
        rows, columns = torch.meshgrid(step, step, indexing="ij")
        around = torch.stack([columns, rows], dim=-1) * SEEN
        grid = (2 * at - 1)[:, :, None, None, :] + around
        patches = F.grid_sample(images.float(), grid.flatten(1, 2), padding_mode="zeros", align_corners=False)
        patches = patches.unflatten(2, (points, PATCH)).squeeze(1).flatten(0, 1).unsqueeze(1)
        features = self.body(patches) + self.place.weight.repeat(count, 1)
        outputs: Tensor = self.last(torch.relu(features)).unflatten(0, (count, points)).float()
        return outputs


class LayoutNetwork(nn.Module):
    """Confidence in each point by the positions of all: a finger's joints make a row, and fingers a hand."""

    def __init__(self, points: int, width: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4 * points, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, points)
        )

    def forward(self, positions: Tensor, there: Tensor, good: Tensor) -> Tensor:
        """Logits (n, points, 1), from the first look's presence and the second look's confidence (a logit).

        No gradient flows back into the positions and confidences that it judges.
        """
        away = (positions - positions.mean(dim=1, keepdim=True)) * 4
        inputs = torch.cat([away, 2 * there[..., None] - 1, good.sigmoid()[..., None] * 2 - 1], dim=2)
        logits: Tensor = self.body(inputs.detach().flatten(1))
        return logits.float()[..., None]


def _normalise(images: Tensor) -> Tensor:
    """Every image with a mean of 0 and the same spread: exposure says nothing about positions."""
    mean, spread = images.mean(dim=(1, 2, 3), keepdim=True), images.std(dim=(1, 2, 3), keepdim=True)
    return (images - mean) / (spread + 0.02)
