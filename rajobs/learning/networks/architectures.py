"""Architectures by name. A network takes images (n, channels, rows, columns) and has one head per target."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from rajobs.learning.cascade.detector import Cascade
from rajobs.learning.cascade.haar import Haar
from rajobs.learning.networks import backbones
from rajobs.learning.networks.blocks import Residual, conv
from rajobs.learning.networks.landmarks import Landmarks, Pyramid, landmarks
from rajobs.learning.recipe import Member, check_range, convert_plain
from rajobs.learning.targets import NO, Target
from rajobs.records.errors import BadRecipe, UnknownName


class Heads(nn.Module):
    """A trunk that gives a vector, and one linear head per target, or per target and kind of row."""

    def __init__(
        self, trunk: nn.Module, features: int, outputs: Mapping[str, int], kinds: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.kinds = kinds
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()  # of the outputs, as 002 has it
        # The suffix keeps the names of targets apart from attributes of a module (half, type).
        self.heads = nn.ModuleDict({
            f"{name}_head": nn.Linear(features, kinds * count) for name, count in outputs.items()
        })  # fmt: skip

    def forward(self, images: Tensor, kinds: Tensor | None = None) -> dict[str, Tensor]:
        features = self.trunk(images)
        return {
            name.removesuffix("_head"): self.dropout(self._logits_of_kinds(head(features), kinds))
            for name, head in self.heads.items()
        }

    def _logits_of_kinds(self, logits: Tensor, kinds: Tensor | None) -> Tensor:
        """Logits of each row's own kind, out of those of all kinds; without `kinds` every row is of the first."""
        if self.kinds == 1:
            return logits
        if kinds is None:
            kinds = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        by_kind: Tensor = logits.unflatten(1, (self.kinds, -1))
        return by_kind.take_along_dim(kinds.view(-1, 1, 1), dim=1).squeeze(1)


def build(
    architecture: str,
    settings: Mapping[str, Any],
    outputs: Mapping[str, int],
    shape: tuple[int, ...],
    *,
    kinds: int = 1,
    points: tuple[str, int] | None = None,
    head_dropout: float = 0.0,
) -> nn.Module:
    """A network for images of `shape` (channels, rows, columns) with `outputs` logits per target (and kind of row).

    A network that shows points also needs the name and the number of `points`.
    """
    check_settings(architecture, settings)

    def make() -> nn.Module:
        trunk, features = ARCHITECTURES[architecture](shape=shape, **settings)
        if isinstance(trunk, Pyramid):
            assert points is not None, architecture
            if head_dropout:
                raise BadRecipe(f"{architecture} shows points: it has no head_dropout")
            return Landmarks(trunk, features, points, outputs)
        network = Heads(trunk, features, outputs, kinds, head_dropout)
        if architecture == "conv4":
            _start_by_glorot(network)
        return network

    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # takes no memory
        size = parameters(make())
    if size > MOST_PARAMETERS:
        raise BadRecipe(
            f"{architecture} would have {size:,} parameters, more than {MOST_PARAMETERS:,}: lower its settings, or the "
            "view's size"
        )
    return make()


def check_member(member: Member) -> None:
    """Refuse a member whose architecture does not exist for its `fit` or does not know one of its settings."""
    check_settings(member.architecture, member.settings, member.fit)


def check_settings(architecture: str, settings: Mapping[str, Any], fit: str = "gradient") -> None:
    """`check_member` for an architecture and its settings alone."""
    builders, what = (CASCADES, "cascade") if fit == "cascade" else (ARCHITECTURES, "architecture of a network")
    if architecture not in builders:
        raise UnknownName.among(what, architecture, builders)
    known = {name: p for name, p in inspect.signature(builders[architecture]).parameters.items() if name != "shape"}
    for name, value in settings.items():
        if name not in known:
            raise UnknownName.among(f"setting of {architecture}", name, known)
        convert_plain(known[name].annotation, value, f"{name} of {architecture}")
        if name in _RANGES:
            check_range(f"{name} of {architecture}", value, *_RANGES[name])
    if fit == "cascade":
        CASCADES[architecture](**settings)


def head_sizes(targets: tuple[Target, ...], groups: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    """Number of logits of each target's head; a group of classes has one."""
    return {target.name: len(groups) if groups else target.outputs for target in targets}


def parameters(network: nn.Module | Cascade) -> int:
    """Number of parameters."""
    if isinstance(network, Cascade):
        return network.numbers
    return sum(parameter.numel() for parameter in network.parameters())


def head_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The heads' weights and biases: new where the trunk starts from a file (002 learns them ten times faster)."""
    return list(_heads(network).heads.parameters())


def divide_odds(network: nn.Module | Cascade, targets: Sequence[Target], assessable: str | None, by: float) -> None:
    """Divides by `by` the odds of every step up of ordered scores, and those of a row that is not assessable."""
    assert isinstance(network, nn.Module), "a cascade has no scores"
    heads = _heads(network).heads
    with torch.no_grad():
        for target in targets:
            if f"{target.name}_head" not in heads:
                continue
            bias = heads.get_parameter(f"{target.name}_head.bias")
            if target.ordered:
                bias.sub_(math.log(by))
            elif target.name == assessable:
                bias.view(-1, target.outputs)[:, target.classes.index(NO)] -= math.log(by)


def trunk_parameters(network: nn.Module) -> list[nn.Parameter]:
    """All parameters except the heads'."""
    return list(_heads(network).trunk.parameters())


def _heads(network: nn.Module) -> Heads | Landmarks:
    inner = getattr(network, "module", network)  # DistributedDataParallel wraps it
    assert isinstance(inner, Heads | Landmarks)
    return inner


def compact(
    *,
    shape: tuple[int, ...],
    width: int = 16,
    stages: int = 4,
    dropout: float = 0.2,
    batch_norm: bool = True,
    tiles: bool = False,
) -> tuple[nn.Module, int]:
    """A small residual network: each stage halves the image and doubles the channels; the end is a mean over the image.

    With `tiles` each channel of an image is a picture of its own (a hand's joints): all channels go through the same
    layers, and each feature is the maximum over the channels.
    """
    if min(shape[1:]) < 2**stages:
        raise BadRecipe(
            f"compact with {stages} stages needs images of {2**stages} pixels or more, not {min(shape[1:])}"
        )
    layers: list[nn.Module] = [conv(1 if tiles else shape[0], width, 2, batch_norm)]
    channels = width
    for stage in range(1, stages):
        layers += [conv(channels, width * 2**stage, 2, batch_norm), Residual(width * 2**stage, batch_norm)]
        channels = width * 2**stage
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return (Strongest if tiles else nn.Sequential)(*layers), channels


class Strongest(nn.Sequential):
    """Layers that every channel goes through alone; each feature is the maximum over the channels.

    Its weights have the names of a plain sequence's, so that it can start from a network of single joints.
    """

    def forward(self, images: Tensor) -> Tensor:
        by_channel: Tensor = super().forward(images.flatten(0, 1).unsqueeze(1))  # type: ignore[no-untyped-call]
        features: Tensor = by_channel.unflatten(0, images.shape[:2])
        drawn = images.amax(dim=(2, 3)) > images.amin(dim=(2, 3))  # a joint that is not there is an even plane
        return features.masked_fill(~drawn.unsqueeze(2), 0).amax(dim=1)


def _start_by_glorot(network: nn.Module) -> None:
    """Glorot uniform weights, and biases of 0 as Glorot and Bengio (2010) have them."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.device.type != "meta":
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


class ThreeChannels(nn.Module):
    """Grey images as three equal channels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.expand(-1, 3, -1, -1)


def conv4(
    *, shape: tuple[int, ...], head: str = "flatten", dropout: float = 0.5, hidden: int = 512
) -> tuple[nn.Module, int]:
    """003's network (figure 2): four 3x3 convolutions (32, 64 | 128, 128), two poolings, a hidden layer of 512.

    With 252 px and two outputs the network has 244,101,826 parameters; head="pool" averages first and has 307,906. A
    grey film is shown in three channels, as the 187,500 inputs of the figure say. Glorot uniform is printed for the
    convolutions; that the two layers after them start alike, and that dropout follows the first of them at 0.5, is
    assumed.
    """
    if shape[0] not in (1, 3):
        raise BadRecipe(f"conv4 takes grey or colour images, of 1 or 3 channels, not {shape[0]}")
    if head not in ("flatten", "pool"):
        raise UnknownName.among("head of conv4", head, ("flatten", "pool"))
    body = nn.Sequential(
        ThreeChannels(), nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3), nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip
    rows, columns = (((side - 4) // 2 - 2) // 2 for side in shape[1:])
    if min(rows, columns) < 1:
        raise BadRecipe(f"conv4 needs images of at least 12 pixels, not {min(shape[1:])}")
    flat = 128 * rows * columns if head == "flatten" else 128
    pool = nn.Identity() if head == "flatten" else nn.AdaptiveAvgPool2d(1)
    trunk = nn.Sequential(body, pool, nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Dropout(dropout))
    return trunk, hidden


def conv2(
    *, shape: tuple[int, ...], width: int = 32, hidden: int = 512, dropout: float = 0.5, batch_norm: bool = False
) -> tuple[nn.Module, int]:
    """004's network: two 3x3 convolutions, each with a pooling, and a hidden layer of 512; images of 48 px.

    The paper does not print the channels: 32 and twice as many. Only its network for erosion has batch norm.
    """
    if min(shape[1:]) < 4:
        raise BadRecipe(f"conv2 needs images of at least 4 pixels, not {min(shape[1:])}")
    rows, columns = (side // 2 // 2 for side in shape[1:])
    trunk = nn.Sequential(
        conv(shape[0], width, 1, batch_norm), nn.MaxPool2d(2), conv(width, 2 * width, 1, batch_norm), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2 * width * rows * columns, hidden), nn.ReLU(), nn.Dropout(dropout),
    )  # fmt: skip
    return trunk, hidden


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({
    "width": (1, 1024), "stages": (1, 8), "hidden": (1, 65_536), "dropout": (0, 0.95),
})  # fmt: skip
MOST_PARAMETERS = 2_000_000_000
"""8 GB of weights; the largest published network has 244 million."""

SHOW_POINTS = ("landmarks", "haar")
"""Architectures that show points."""

CASCADES: Mapping[str, type[Haar]] = {"haar": Haar}
"""Features that a cascade can be built from."""

ARCHITECTURES: Mapping[str, Callable[..., tuple[nn.Module, int]]] = {
    "compact": compact,
    "landmarks": landmarks,
    "conv2": conv2,
    "conv4": conv4,
    "alexnet": backbones.alexnet,
    "alexnet_matlab": backbones.alexnet_matlab,
    "vgg16": backbones.vgg16,
    "googlenet": backbones.googlenet,
    "resnet18": backbones.resnet18,
    "resnet50": backbones.resnet50,
    "efficientnet_b2": backbones.efficientnet_b2,
}
