"""The large published networks as trunks, from torchvision (imported when one is built). Nothing is downloaded."""

import math
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

    def __init__(self, net: nn.Module, normalise: bool, deviation: tuple[float, ...] = DEVIATION) -> None:
        super().__init__()
        self.net = net
        self.normalise = normalise
        # Constants, not saved with the weights.
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        images = images.expand(-1, 3, -1, -1)
        if self.normalise:
            images = (images - self.mean) / self.deviation
        features: Tensor = self.net(images)
        return features


def alexnet(*, shape: tuple[int, ...], dropout: float = 0.5, normalise: bool = True) -> tuple[nn.Module, int]:
    """001's, and 000's where MATLAB's is not wanted; the last layer is the head."""
    return _trunk("alexnet", shape, normalise, dropout=dropout)


def alexnet_matlab(*, shape: tuple[int, ...], dropout: float = 0.5, normalise: bool = True) -> tuple[nn.Module, int]:
    """000's AlexNet as MATLAB has it, Krizhevsky's of 2012; torchvision's `alexnet` is that of 2014, without groups.

    Three convolutions in two groups, local response normalisation after the first two, 227 px; with 1000 classes
    60,965,224 parameters. Weights of ImageNet are a user's own alexnet_matlab.safetensors: net.conv1.weight to
    net.fc7.bias, for pixels from 0 to 255 less the mean.
    """
    if shape[0] not in (1, 3):
        raise BadRecipe(f"alexnet_matlab takes grey or colour images, of 1 or 3 channels, not {shape[0]}")
    if min(shape[1:]) < 67:
        raise BadRecipe(f"alexnet_matlab needs images of at least 67 pixels, not {min(shape[1:])}")
    net = nn.Sequential()
    convolutions = ((96, 11, 4, 0, 1, True), (256, 5, 1, 2, 2, True), (384, 3, 1, 1, 1, False),
                    (384, 3, 1, 1, 2, False), (256, 3, 1, 1, 2, False))  # fmt: skip
    channels = 3
    for number, (width, kernel, stride, padding, groups, normed) in enumerate(convolutions, 1):
        net.add_module(f"conv{number}", nn.Conv2d(channels, width, kernel, stride, padding, groups=groups))
        net.add_module(f"relu{number}", nn.ReLU())
        if normed:
            net.add_module(f"norm{number}", nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0))
        if number in (1, 2, 5):
            net.add_module(f"pool{number}", nn.MaxPool2d(3, 2))
        channels = width
    sides = (((((side - 11) // 4 + 1 - 3) // 2 + 1 - 3) // 2 + 1 - 3) // 2 + 1 for side in shape[1:])
    net.add_module("flatten", nn.Flatten())
    features = 256 * math.prod(sides)
    for number in (6, 7):
        net.add_module(f"fc{number}", nn.Linear(features, 4096))
        net.add_module(f"relu{number}", nn.ReLU())
        net.add_module(f"drop{number}", nn.Dropout(dropout))
        features = 4096
    return Backbone(net, normalise, deviation=(1 / 255,) * 3), features


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
