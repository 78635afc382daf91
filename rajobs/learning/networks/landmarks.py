"""A network that shows where things are: down to a thirty-second of the image and up again, then a second look.

Images are taken at 256 pixels for the first look; the second reads each point's surroundings from the image as it is.
How sure a point is, all points tell together. What the image is of can be told on the way, from the smallest features.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rajobs.learning.networks.blocks import Residual, conv
from rajobs.learning.points import WIDTH, peaks, sureness
from rajobs.records.errors import BadRecipe

SIDE = 256  # pixels of the first look
PATCH, SEEN = 56, 0.14  # pixels of a second look, and the share of the image's side that it sees
JITTER = 0.6  # widths that a second look is put off by while it learns
DROPOUT = 0.2  # of what an image is told by


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
        """Features, smaller and smaller."""
        x = self.stem(F.avg_pool2d(images, images.shape[2] // SIDE) if images.shape[2] > SIDE else images)
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        return kept

    def gather(self, kept: list[Tensor]) -> Tensor:
        """All of them at a quarter of the side."""
        x = kept[-1]
        for layer, beside in zip(self.up, kept[-2::-1]):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), beside], dim=1))
        return x


class Landmarks(nn.Module):
    """A pyramid with a map a place and the second look, and what the image is of, where that is asked."""

    def __init__(self, trunk: Pyramid, features: int, points: tuple[str, int], outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.points, places = points
        self.names = tuple(outputs)
        self.heads = nn.ModuleDict({f"{self.points}_head": Head(features, places, trunk.closer)})
        self.heads.update({f"{name}_head": Vote(trunk.widest, count) for name, count in outputs.items()})

    def forward(self, images: Tensor, kinds: Tensor | None = None) -> dict[str, Tensor]:
        images = _levelled(images)
        kept = self.trunk.look(images)
        return {**self._told(kept), self.points: self._shown(kept, images)}

    def show(self, images: Tensor) -> Tensor:
        """Where things are, and no more."""
        images = _levelled(images)
        return self._shown(self.trunk.look(images), images)

    def tell(self, images: Tensor, kinds: Tensor | None = None) -> dict[str, Tensor]:
        """What the images are of, and no more: half the work."""
        return self._told(self.trunk.look(_levelled(images)))

    def _shown(self, kept: list[Tensor], images: Tensor) -> Tensor:
        shown: Tensor = self.heads[f"{self.points}_head"](self.trunk.gather(kept), images)
        return shown

    def _told(self, kept: list[Tensor]) -> dict[str, Tensor]:
        return {name: self.heads[f"{name}_head"](kept[-1]) for name in self.names}


class Vote(nn.Sequential):
    """Logits of what an image is of, from the mean and the strongest of each feature."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(nn.Dropout(DROPOUT), nn.Linear(2 * features, outputs))

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = super().forward(torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1))
        return found


class Head(nn.Module):
    """Logits a place: the cells, "not there", and what a second look saw."""

    def __init__(self, features: int, places: int, closer: bool) -> None:
        super().__init__()
        self.maps = nn.Conv2d(features, places, 1)
        self.absent = nn.Linear(features, places)
        self.look = Look(places) if closer else None
        self.whole = Whole(places) if closer else None

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        cells = self.maps(features).flatten(2).float()
        absent = self.absent(features.amax(dim=(2, 3))).float()[..., None]
        parts = [cells, absent]
        if self.look is not None and self.whole is not None:
            at = peaks(cells.detach())
            if self.training:
                at = at + (torch.rand_like(at) * 2 - 1) * JITTER * WIDTH
            looked = self.look(images, at)
            sure = sureness(torch.cat([cells, absent], dim=2))
            parts += [at, looked, self.whole(at + looked[..., :2] * WIDTH, sure, looked[..., 2])]
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


class Whole(nn.Module):
    """How sure each place is, by where all of them lie: a finger's joints make a row, and fingers a hand."""

    def __init__(self, places: int, width: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4 * places, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, places)
        )

    def forward(self, found: Tensor, sure: Tensor, good: Tensor) -> Tensor:
        """Logits (n, places, 1); nothing is learnt through it by what it judges."""
        away = (found - found.mean(dim=1, keepdim=True)) * 4
        told: Tensor = torch.cat([away, 2 * sure[..., None] - 1, good.sigmoid()[..., None] * 2 - 1], dim=2)
        judged: Tensor = self.body(told.detach().flatten(1))
        return judged[..., None]


def _levelled(images: Tensor) -> Tensor:
    """Every image about its own mean and with the same spread: exposure tells nothing of places."""
    mean, spread = images.mean(dim=(1, 2, 3), keepdim=True), images.std(dim=(1, 2, 3), keepdim=True)
    return (images - mean) / (spread + 0.02)
