"""A gated network that is not the package's: its own blocks, gates, order of layers and pooling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Step(nn.Module):
    """Its output is the mask: the base sum against the mean of its channels' list, and a margin."""

    def __init__(self, lists: int, margin: float = 0.1) -> None:
        super().__init__()
        self.lists, self.margin = lists, margin

    def forward(self, base: Tensor) -> Tensor:
        listed = base.unflatten(1, (self.lists, -1)).mean(2)
        return listed > listed.mean((0, 2, 3), keepdim=True) + self.margin


class GatedConvolution(nn.Module):
    """Two groups; masked-off outputs keep the base partial sum, or nothing."""

    def __init__(self, channels: int, out: int, stride: int, share: int, zero: bool) -> None:
        super().__init__()
        self.weights = nn.Conv2d(channels, out, 3, stride, 1, bias=True)
        self.step = Step(out // share)
        self.zero = zero

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.weights.weight.chunk(2)
        half = x.shape[1] // 2
        base = (
            torch.cat(
                [
                    F.conv2d(x[:, :half], first[:, :half], stride=self.weights.stride, padding=1),
                    F.conv2d(x[:, half:], second[:, half:], stride=self.weights.stride, padding=1),
                ],
                1,
            )
            + self.weights.bias[:, None, None]
        )
        mask = self.step(base)
        mask = mask.repeat_interleave(base.shape[1] // mask.shape[1], 1)
        off = torch.zeros_like(base) if self.zero else base
        return torch.where(mask, self.weights(x), off)


class Block(nn.Module):
    """Pre-activation; the 1x1 shortcut runs last."""

    def __init__(self, channels: int, out: int, stride: int, share: int, zero: bool) -> None:
        super().__init__()
        self.first = GatedConvolution(channels, out, stride, share, zero)
        self.norm = nn.BatchNorm2d(out)
        self.second = GatedConvolution(out, out, 1, share, zero)
        self.down = nn.Conv2d(channels, out, 1, stride) if channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.norm(self.first(x)), inplace=True))
        y += self.down(x)
        return F.relu(y)


class Foreign(nn.Module):
    """Stem, max pooling, two blocks, global pooling, two linear layers."""

    def __init__(self, share: int = 1, zero: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(2))
        self.blocks = nn.Sequential(
            Block(16, 16, 1, share, zero), Block(16, 32, 2, share, zero), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32, 20), nn.ReLU(), nn.Linear(20, 7))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))


GATED = tuple(f"blocks.{block}.{name}" for block in (0, 1) for name in ("first", "second"))
