"""Augmentation of a whole batch on its device, a different draw for every sample, the same for the same generator."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rajobs.learning.recipe import Augment


def augment(images: Tensor, how: Augment, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch (n, channels, rows, columns) in 0..1, each image moved, flipped and shaded by its own draw.

    With it each image's map (2 x 3) from new places to old ones, on a side that goes from -1 to 1.
    """
    count, device = len(images), images.device

    def draw(reach: float) -> Tensor:
        return ((torch.rand(count, generator=generator) * 2 - 1) * reach).to(device)

    def coin(wanted: bool) -> Tensor:
        heads = torch.rand(count, generator=generator) < 0.5
        return torch.where(heads & wanted, -1.0, 1.0).to(device)

    turns = torch.randint(0, 4, (count,), generator=generator).to(device) * (math.pi / 2)
    angle = draw(math.radians(how.rotate)) + (turns if how.quarter_turns else 0)
    zoom, shear = 1 + draw(how.zoom), torch.tan(draw(math.radians(how.shear)))
    x, y = draw(2 * how.shift), draw(2 * how.shift)  # grid_sample's side is 2 long
    flip_x, flip_y = coin(how.flip_horizontal), coin(how.flip_vertical)
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    matrix = torch.stack(
        [
            torch.stack([cosine * flip_x, (shear * cosine - sine) * flip_y, x], dim=1),
            torch.stack([sine * flip_x, (shear * sine + cosine) * flip_y, y], dim=1),
        ],
        dim=1,
    )
    if _moves(how):
        grid = F.affine_grid(matrix.to(images.dtype), list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    return _shade(images, how, draw, generator), matrix


def _moves(how: Augment) -> bool:
    return any((how.rotate, how.quarter_turns, how.shift, how.zoom, how.shear, how.flip_horizontal, how.flip_vertical))


def _shade(images: Tensor, how: Augment, draw: Callable[[float], Tensor], generator: torch.Generator) -> Tensor:
    contrast, lift = 1 + draw(how.contrast), draw(how.channel_shift)
    if how.gamma:
        images = images.clamp(1e-3, 1) ** torch.exp(draw(how.gamma))[:, None, None, None]
    if how.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = (images - mean) * contrast[:, None, None, None] + mean
    if how.channel_shift:
        images = images + lift[:, None, None, None]
    if how.noise:
        images = images + torch.randn(images.shape, generator=generator).to(images) * how.noise
    return _covered(images, how.cover, draw) if how.cover else images


def _covered(images: Tensor, largest: float, draw: Callable[[float], Tensor]) -> Tensor:
    """With an even rectangle somewhere on each image, of any grey and up to a share of its side wide and high."""
    sides = [draw(largest / 2).abs() for _ in "xy"]
    inside = torch.ones_like(images[:, :1], dtype=torch.bool)
    for axis, half in zip((2, 3), sides):
        step = (torch.arange(images.shape[axis], device=images.device) + 0.5) / images.shape[axis]
        near = (step - 0.5 - draw(0.5)[:, None]).abs() < half[:, None]
        inside = inside & (near[:, None, :, None] if axis == 2 else near[:, None, None, :])
    return torch.where(inside, (0.5 + draw(0.5))[:, None, None, None], images)
