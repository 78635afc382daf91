"""The large published networks as trunks, from torchvision (imported when one is built). Nothing is downloaded."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rajobs.records.errors import BadRecipe

LAST: Mapping[str, str] = {
    "alexnet": "classifier.6",
    "vgg16": "classifier.6",
    "googlenet": "fc",
    "resnet18": "fc",
    "resnet50": "fc",
    "efficientnet_b2": "classifier.1",
}
"""The last layer of each, which classifies ImageNet and which our heads replace."""

LEAST: Mapping[str, int] = {
    "alexnet": 63, "vgg16": 32, "googlenet": 15, "resnet18": 1, "resnet50": 1, "efficientnet_b2": 1
}  # fmt: skip
"""Side in pixels of the smallest image that each can take."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, for pixels from 0 to 1."""


class Backbone(nn.Module):
    """A network of torchvision without its last layer, for grey or colour images with pixels from 0 to 1."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, net: nn.Module, normalise: bool) -> None:
        super().__init__()
        self.net = net
        self.normalise = normalise
        # Constants, not saved with the weights.
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        images = images.expand(-1, 3, -1, -1)
        if self.normalise:
            images = (images - self.mean) / self.deviation
        features: Tensor = self.net(images)
        return features


def alexnet(*, shape: tuple[int, ...], dropout: float = 0.5, normalise: bool = True) -> tuple[nn.Module, int]:
    """000's and 001's; layer 23, the last, is the head."""
    return _trunk("alexnet", shape, normalise, dropout=dropout)


def vgg16(*, shape: tuple[int, ...], dropout: float = 0.5, normalise: bool = True) -> tuple[nn.Module, int]:
    """001's and 002's; `dropout` follows both hidden layers of 4,096."""
    return _trunk("vgg16", shape, normalise, dropout=dropout)


def googlenet(*, shape: tuple[int, ...], dropout: float = 0.2, normalise: bool = True) -> tuple[nn.Module, int]:
    """001's, without the auxiliary heads. Its published weights take pixels from -1 to 1; torchvision converts them."""
    return _trunk(
        "googlenet", shape, normalise, dropout=dropout, transform_input=normalise, aux_logits=False, init_weights=True
    )


def resnet18(*, shape: tuple[int, ...], normalise: bool = True) -> tuple[nn.Module, int]:
    """000's second opinion."""
    return _trunk("resnet18", shape, normalise)


def resnet50(*, shape: tuple[int, ...], normalise: bool = True) -> tuple[nn.Module, int]:
    """001's."""
    return _trunk("resnet50", shape, normalise)


def efficientnet_b2(*, shape: tuple[int, ...], dropout: float = 0.3, normalise: bool = True) -> tuple[nn.Module, int]:
    """001's."""
    return _trunk("efficientnet_b2", shape, normalise, dropout=dropout)


def _trunk(name: str, shape: tuple[int, ...], normalise: bool, **settings: Any) -> tuple[nn.Module, int]:
    from torchvision import models

    if shape[0] not in (1, 3):
        raise BadRecipe(f"{name} takes grey or colour images, of 1 or 3 channels, not {shape[0]}")
    if min(shape[1:]) < LEAST[name]:
        raise BadRecipe(f"{name} needs images of at least {LEAST[name]} pixels, not {min(shape[1:])}")
    net = getattr(models, name)(weights=None, **settings)
    last = net.get_submodule(LAST[name])
    net.set_submodule(LAST[name], nn.Identity())
    return Backbone(net, normalise), last.in_features
