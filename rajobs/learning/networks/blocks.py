"""Building blocks of the small networks."""

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels, 1, batch_norm),
            nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm),
            nn.BatchNorm2d(channels) if batch_norm else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


def conv(inputs: int, outputs: int, stride: int, batch_norm: bool) -> nn.Sequential:
    """A 3x3 convolution, batch norm if wanted, and ReLU."""
    norm = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not batch_norm), norm, nn.ReLU())
