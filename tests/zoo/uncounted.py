"""Networks with products that torch's FLOP counter does not count, and dynamic weights.

A layer list that only compares totals would lose them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.mobile import conv_bn_act


class Ended(nn.Module):
    """A convolution to 8 channels, their means, what ``last`` makes of them."""

    def __init__(self, last: Callable[..., Any], *parameters: Tensor) -> None:
        super().__init__()
        self.stem = conv_bn_act((3, 8), 3, 2, act=nn.ReLU)
        self.last = last
        self.weights = nn.ParameterList(nn.Parameter(p) for p in parameters)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.stem(x).mean((2, 3)), *self.weights)


def summed_products() -> nn.Module:
    """A linear layer as a product of each pair and a sum."""
    return Ended(lambda x, w: (x[:, :, None] * w).sum(1), torch.randn(8, 10))


def distances() -> nn.Module:
    """Distances to prototypes."""
    return Ended(lambda x, w: torch.cdist(x, w), torch.randn(10, 8))


def bilinear() -> nn.Module:
    """Every product of two channels, weighted."""
    return Ended(lambda x, w: F.bilinear(x, x, w), torch.randn(10, 8, 8))


class Fourier(nn.Module):
    """FNet: tokens are mixed by a Fourier transform, of which the real part is kept."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, stride=4)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        return self.fc((tokens + torch.fft.fft2(tokens).real).mean(1))


class Mixture(nn.Module):
    """CondConv: each image's kernel is a sum of experts', all images in one grouped convolution."""

    def __init__(self, width: int = 8, experts: int = 3) -> None:
        super().__init__()
        self.stem = conv_bn_act((3, width), 3, 2, act=nn.ReLU)
        self.router = nn.Linear(width, experts)
        self.experts = nn.Parameter(torch.randn(experts, width * width * 9) * 0.1)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        count, channels, height, width = x.shape
        kernels = torch.sigmoid(self.router(x.mean((2, 3)))) @ self.experts
        together = x.reshape(1, count * channels, height, width)
        kernel = kernels.view(count * channels, channels, 3, 3)
        out = F.conv2d(together, kernel, padding=1, groups=count)
        return self.fc(F.relu(out.view(count, channels, height, width)).mean((2, 3)))


class Unfolded(nn.Module):
    """A convolution written as patches and a matrix product."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = conv_bn_act((3, width), 3, 2, act=nn.ReLU)
        self.weight = nn.Parameter(torch.randn(width, width * 9) * 0.1)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(self.stem(x), 3, padding=1)
        return self.fc(F.relu(self.weight @ patches).mean(2))
