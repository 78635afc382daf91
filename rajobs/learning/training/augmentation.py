"""Augmentation of a whole batch on its device, with a different draw per image from a seeded generator."""

import math
import random
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rajobs.learning.recipe import Augment


def augment(images: Tensor, settings: Augment, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch (n, channels, rows, columns) in 0..1, each image moved, flipped and shaded by its own draw.

    The second tensor is each image's map (2 x 3) from new positions to old ones, both from -1 to 1 over a side.
    """
    count, device = len(images), images.device

    def draw(reach: float) -> Tensor:
        return ((torch.rand(count, generator=generator) * 2 - 1) * reach).to(device)

    def draw_flips(wanted: bool) -> Tensor:
        heads = torch.rand(count, generator=generator) < 0.5
        return torch.where(heads & wanted, -1.0, 1.0).to(device)

    turns = torch.randint(0, 4, (count,), generator=generator).to(device) * (math.pi / 2)
    angle = draw(math.radians(settings.rotate)) + (turns if settings.quarter_turns else 0)
    zoom, shear = 1 + draw(settings.zoom), torch.tan(draw(math.radians(settings.shear)))
    x, y = draw(2 * settings.shift), draw(2 * settings.shift)  # a side of grid_sample is 2 long
    flip_x, flip_y = draw_flips(settings.flip_horizontal), draw_flips(settings.flip_vertical)
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    matrix = torch.stack(
        [
            torch.stack([cosine * flip_x, (shear * cosine - sine) * flip_y, x], dim=1),
            torch.stack([sine * flip_x, (shear * sine + cosine) * flip_y, y], dim=1),
        ],
        dim=1,
    )
    if _moves_images(settings):
        images = move(images, matrix)
    return _shade(images, settings, draw, generator), matrix


def change_copies(
    images: Tensor, settings: Augment, seed: int, rows: NDArray[np.int64], copies: NDArray[np.int64]
) -> Tensor:
    """Kept copies: each is changed by a draw that follows from the seed, its row and its number; copy 0 is the row."""
    for at in np.flatnonzero(copies).tolist():
        generator = torch.Generator().manual_seed(mix_seed(seed, int(rows[at]), int(copies[at])))
        images[at : at + 1] = augment(images[at : at + 1], settings, generator)[0]
    return images


def mix_seed(*numbers: int) -> int:
    """A seed that differs for different numbers."""
    return random.Random(str(numbers)).getrandbits(63)


def move(images: Tensor, maps: Tensor) -> Tensor:
    """Images, each moved by its map as `augment` gives it; what comes in from beyond the edge is black."""
    grid = F.affine_grid(maps.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _moves_images(settings: Augment) -> bool:
    turns = settings.rotate or settings.quarter_turns
    flips = settings.flip_horizontal or settings.flip_vertical
    return bool(turns or flips or settings.shift or settings.zoom or settings.shear)


def _shade(images: Tensor, settings: Augment, draw: Callable[[float], Tensor], generator: torch.Generator) -> Tensor:
    contrast, lift = 1 + draw(settings.contrast), draw(settings.channel_shift)
    if settings.gamma:
        images = images.clamp(1e-3, 1) ** torch.exp(draw(settings.gamma))[:, None, None, None]
    if settings.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = (images - mean) * contrast[:, None, None, None] + mean
    if settings.channel_shift:
        images = images + lift[:, None, None, None]
    if settings.sharpen:
        images = _sharpen(images, settings.sharpen, draw)
    if settings.shade:
        coarse = torch.randn((len(images), 1, 3, 3), generator=generator).to(images)
        shadow = F.interpolate(coarse, size=images.shape[-2:], mode="bicubic", align_corners=False)
        images = images + shadow * (settings.shade * draw(0.5).abs())[:, None, None, None]
    if settings.noise:
        images = images + torch.randn(images.shape, generator=generator).to(images) * settings.noise
    return _cover_parts(images, settings.cover, draw) if settings.cover else images


def _sharpen(images: Tensor, most: float, draw: Callable[[float], Tensor]) -> Tensor:
    """Images with their details times a factor from 0 (blurred away) to 1 + `most`, at two scales."""
    sharpened = images
    for side in (3, 9):
        smooth = F.avg_pool2d(F.pad(images, (side // 2,) * 4, mode="replicate"), side, 1)
        strength = (draw(0.5) + 0.5) * (most + 1) - 1
        sharpened = sharpened + (images - smooth) * strength[:, None, None, None]
    return sharpened


def _cover_parts(images: Tensor, largest: float, draw: Callable[[float], Tensor]) -> Tensor:
    """Images with a rectangle of one random grey each; `largest`: its largest side as a share of the image's."""
    sides = [draw(largest / 2).abs() for _ in "xy"]
    inside = torch.ones_like(images[:, :1], dtype=torch.bool)
    for axis, half in zip((2, 3), sides):
        step = (torch.arange(images.shape[axis], device=images.device) + 0.5) / images.shape[axis]
        near = (step - 0.5 - draw(0.5)[:, None]).abs() < half[:, None]
        inside = inside & (near[:, None, :, None] if axis == 2 else near[:, None, None, :])
    return torch.where(inside, (0.5 + draw(0.5))[:, None, None, None], images)
