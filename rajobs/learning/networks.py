"""Architectures by name. Each takes images (channels, rows, columns) and gives a head a target."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rajobs.learning.targets import Target
from rajobs.records.errors import BadRecipe, UnknownName


class Heads(nn.Module):
    """A trunk that gives a vector, and a linear head a target."""

    def __init__(self, trunk: nn.Module, features: int, outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = trunk
        # The ending keeps targets apart from a module's own attributes (half, type).
        self.heads = nn.ModuleDict({f"{name}_head": nn.Linear(features, count) for name, count in outputs.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.trunk(images)
        return {name.removesuffix("_head"): head(features) for name, head in self.heads.items()}


def build(
    architecture: str, settings: Mapping[str, Any], outputs: Mapping[str, int], shape: tuple[int, ...]
) -> nn.Module:
    """A network for images of `shape` (channels, rows, columns) with `outputs` logits a target."""
    check_settings(architecture, settings)
    trunk, features = ARCHITECTURES[architecture](shape=shape, **settings)
    return Heads(trunk, features, outputs)


def check_settings(architecture: str, settings: Mapping[str, Any]) -> None:
    """Whether there is such an architecture and it knows these settings by name."""
    if architecture not in ARCHITECTURES:
        raise UnknownName.among("architecture", architecture, ARCHITECTURES)
    known = [name for name in inspect.signature(ARCHITECTURES[architecture]).parameters if name != "shape"]
    for name in settings:
        if name not in known:
            raise UnknownName.among(f"setting of {architecture}", name, known)


def head_sizes(targets: tuple[Target, ...], groups: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    """Logits of each target's head: a group of classes is one."""
    return {target.name: len(groups) if groups else target.outputs for target in targets}


def parameters(network: nn.Module) -> int:
    """Count of learnt numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


def compact(
    *, shape: tuple[int, ...], width: int = 16, stages: int = 4, dropout: float = 0.2, batch_norm: bool = True
) -> tuple[nn.Module, int]:
    """A small residual network: a stage halves the image and doubles the channels, the mean over the image is read."""
    if min(shape[1:]) < 2**stages:
        raise BadRecipe(
            f"compact with {stages} stages needs images of {2**stages} pixels or more, not {min(shape[1:])}"
        )
    layers: list[nn.Module] = [_conv(shape[0], width, 2, batch_norm)]
    channels = width
    for stage in range(1, stages):
        layers += [_conv(channels, width * 2**stage, 2, batch_norm), Residual(width * 2**stage, batch_norm)]
        channels = width * 2**stage
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return nn.Sequential(*layers), channels


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels, 1, batch_norm),
            nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm),
            nn.BatchNorm2d(channels) if batch_norm else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


def _conv(inputs: int, outputs: int, stride: int, batch_norm: bool) -> nn.Sequential:
    norm = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not batch_norm), norm, nn.ReLU())


def conv4(
    *, shape: tuple[int, ...], head: str = "flatten", dropout: float = 0.5, hidden: int = 512
) -> tuple[nn.Module, int]:
    """003's network (figure 2): four 3x3 convolutions (32, 64 | 128, 128), two poolings, a hidden layer of 512.

    At 252 px, three channels and two outputs the flat head has 244,101,826 parameters; head="pool" averages first
    and has 307,906. A grey film has one channel: 576 fewer.
    """
    if head not in ("flatten", "pool"):
        raise UnknownName.among("head of conv4", head, ("flatten", "pool"))
    body = nn.Sequential(
        nn.Conv2d(shape[0], 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3), nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip
    rows, columns = (((side - 4) // 2 - 2) // 2 for side in shape[1:])
    if min(rows, columns) < 1:
        raise BadRecipe(f"conv4 needs images of at least 12 pixels, not {min(shape[1:])}")
    flat = 128 * rows * columns if head == "flatten" else 128
    pool = nn.Identity() if head == "flatten" else nn.AdaptiveAvgPool2d(1)
    trunk = nn.Sequential(body, pool, nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Dropout(dropout))
    for layer in trunk.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.device.type != "meta":
            nn.init.xavier_uniform_(layer.weight)  # Glorot uniform, as printed
    return trunk, hidden


ARCHITECTURES: Mapping[str, Callable[..., tuple[nn.Module, int]]] = {"compact": compact, "conv4": conv4}
