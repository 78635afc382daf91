"""A network that shows where things are: down to a thirty-second of the image and up again, then a second look.

Images are taken at 256 pixels for the first look; the second reads each point's surroundings from the image as it is.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rajobs.learning.blocks import Residual, conv
from rajobs.learning.points import WIDTH, peaks
from rajobs.records.errors import BadRecipe

SIDE = 256  # pixels of the first look
PATCH, SEEN = 56, 0.14  # pixels of a second look, and the share of the image's side that it sees
JITTER = 0.6  # widths that a second look is put off by while it learns


def landmarks(*, shape: tuple[int, ...], width: int = 16, closer: bool = True) -> tuple[nn.Module, int]:
    """`width` channels at half the side, more below; `closer`: look a second time."""
    if shape[0] != 1 or shape[1] != shape[2] or shape[1] % SIDE:
        raise BadRecipe(f"landmarks takes grey squares of {SIDE} pixels, or twice or three times as many, not {shape}")
    return Pyramid(width, closer), 3 * width


class Pyramid(nn.Module):
    """Features at a quarter of the side that know of the whole image."""

    def __init__(self, width: int, closer: bool) -> None:
        super().__init__()
        self.closer = closer
        sizes = [width, 2 * width, 4 * width, 8 * width, 12 * width]
        self.stem = conv(1, sizes[0], 2, True)
        self.down = nn.ModuleList([
            nn.Sequential(conv(few, many, 2, True), *(Residual(many, True) for _ in range(1 + (many > sizes[1]))))
            for few, many in pairwise(sizes)
        ])  # fmt: skip
        ups = [12 * width, 8 * width, 6 * width, 3 * width]
        self.up = nn.ModuleList([
            conv(below + beside, out, 1, True) for below, beside, out in zip(ups[:-1], sizes[3:0:-1], ups[1:])
        ])  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        for layer, beside in zip(self.up, kept[-2::-1]):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), beside], dim=1))
        return x


class Landmarks(nn.Module):
    """A pyramid with a map a place, and the second look."""

    def __init__(self, trunk: Pyramid, features: int, outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleDict({
            f"{name}_head": Head(features, count, trunk.closer) for name, count in outputs.items()
        })  # fmt: skip

    def forward(self, images: Tensor, kinds: Tensor | None = None) -> dict[str, Tensor]:
        images = _levelled(images)
        small = F.avg_pool2d(images, images.shape[2] // SIDE) if images.shape[2] > SIDE else images
        features = self.trunk(small)
        return {name.removesuffix("_head"): head(features, images) for name, head in self.heads.items()}


class Head(nn.Module):
    """Logits a place: the cells, "not there", and what a second look saw."""

    def __init__(self, features: int, places: int, closer: bool) -> None:
        super().__init__()
        self.maps = nn.Conv2d(features, places, 1)
        self.absent = nn.Linear(features, places)
        self.look = Look(places) if closer else None

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        cells = self.maps(features).flatten(2).float()
        absent = self.absent(features.amax(dim=(2, 3))).float()[..., None]
        parts = [cells, absent]
        if self.look is not None:
            at = peaks(cells.detach())
            if self.training:
                at = at + (torch.rand_like(at) * 2 - 1) * JITTER * WIDTH
            parts += [at, self.look(images, at)]
        return torch.cat(parts, dim=2)


class Look(nn.Module):
    """How far off a place is from the middle of a patch (in widths, 2 numbers), and how sure that is."""

    def __init__(self, places: int, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(1, width, 2, True), conv(width, 2 * width, 2, True), Residual(2 * width, True),
            conv(2 * width, 4 * width, 2, True), Residual(4 * width, True), nn.Flatten(),
            nn.Linear(4 * width * (PATCH // 8) ** 2, 128),
        )  # fmt: skip
        self.place = nn.Embedding(places, 128)
        self.last = nn.Linear(128, 3)

    def forward(self, images: Tensor, at: Tensor) -> Tensor:
        count, places = at.shape[:2]
        step = (torch.arange(PATCH, device=at.device) + 0.5) / PATCH * 2 - 1
        rows, columns = torch.meshgrid(step, step, indexing="ij")
        around = torch.stack([columns, rows], dim=-1) * SEEN
        grid = (2 * at - 1)[:, :, None, None, :] + around
        patches = F.grid_sample(images.float(), grid.flatten(1, 2), padding_mode="zeros", align_corners=False)
        patches = patches.unflatten(2, (places, PATCH)).squeeze(1).flatten(0, 1).unsqueeze(1)
        known = self.body(patches) + self.place.weight.repeat(count, 1)
        told: Tensor = self.last(torch.relu(known))
        return told.unflatten(0, (count, places)).float()


def _levelled(images: Tensor) -> Tensor:
    """Every image about its own mean and with the same spread: exposure tells nothing of places."""
    mean, spread = images.mean(dim=(1, 2, 3), keepdim=True), images.std(dim=(1, 2, 3), keepdim=True)
    return (images - mean) / (spread + 0.02)
