"""Residual networks: CIFAR and ImageNet styles, pre-activation, grouped, squeeze-and-excite."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn(
    channels: tuple[int, int], kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A square convolution without bias that keeps the size but for its stride, and its BN."""
    return nn.Sequential(
        nn.Conv2d(*channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels[1]),
    )


class PaddedShortcut(nn.Module):
    """Option A of He et al. 2016: every second pixel, new channels are zero on both sides."""

    def __init__(self, channels: tuple[int, int], stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added = (channels[1] - channels[0]) // 2

    def forward(self, x: Tensor) -> Tensor:
        shrunk = x[:, :, :: self.stride, :: self.stride]
        return F.pad(shrunk, (0, 0, 0, 0, self.added, self.added))


def shortcut(channels: tuple[int, int], stride: int, option: str) -> nn.Module:
    """``option`` A pads with zeros, B projects; where nothing changes it is the identity."""
    if stride == 1 and channels[0] == channels[1]:
        return nn.Identity()
    if option == "A":
        return PaddedShortcut(channels, stride)
    return conv_bn(channels, 1, stride)


class SqueezeExcite(nn.Module):
    """A factor a channel from the mean of each: two linear layers (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // reduction)
        self.fc2 = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean(dim=(2, 3))
        factors = torch.sigmoid(self.fc2(F.relu(self.fc1(squeezed))))
        return x * factors[:, :, None, None]


class Basic(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(
        self, channels: tuple[int, int], stride: int = 1, option: str = "B", excite: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(*channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[1])
        self.conv2 = nn.Conv2d(channels[1], channels[1], 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels[1])
        self.se = SqueezeExcite(channels[1]) if excite else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = shortcut(channels, stride, option)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.se(self.bn2(self.conv2(out)))
        out += self.shortcut(x)
        return self.relu(out)


class PreAct(nn.Module):
    """BN and ReLU before each convolution; a projection reads the activated map."""

    def __init__(self, channels: tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.conv1 = nn.Conv2d(*channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels[1])
        self.conv2 = nn.Conv2d(channels[1], channels[1], 3, padding=1, bias=False)
        changes = stride != 1 or channels[0] != channels[1]
        self.shortcut = nn.Conv2d(*channels, 1, stride=stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        kept = x if self.shortcut is None else self.shortcut(out)
        out = self.conv1(out)
        return self.conv2(F.relu(self.bn2(out))) + kept


class Bottleneck(nn.Module):
    """1x1, 3x3 (grouped in ResNeXt and RegNet), 1x1 to four times or ``expansion`` the width."""

    def __init__(
        self,
        channels: tuple[int, int],
        stride: int = 1,
        groups: int = 1,
        expansion: int = 4,
        excite: bool = False,
    ) -> None:
        super().__init__()
        inner = channels[1] // expansion
        self.reduce = conv_bn((channels[0], inner), 1)
        self.middle = conv_bn((inner, inner), 3, stride, groups)
        self.se = SqueezeExcite(inner) if excite else nn.Identity()
        self.expand = conv_bn((inner, channels[1]), 1)
        self.shortcut = shortcut(channels, stride, "B")

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.reduce(x))
        out = self.se(F.relu(self.middle(out)))
        return F.relu(self.expand(out) + self.shortcut(x))


class CifarResNet(nn.Module):
    """A 3x3 stem, three stages of ``blocks`` blocks at widths w, 2w and 4w, mean, linear layer."""

    def __init__(self, block: Any, width: int = 8, blocks: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.stem = conv_bn((3, width), 3)
        stages, channels = [], width
        for stage in range(3):
            for index in range(blocks):
                stride = 2 if stage and not index else 1
                stages.append(block((channels, width * 2**stage), stride))
                channels = width * 2**stage
        self.blocks = nn.Sequential(*stages)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        out = self.blocks(F.relu(self.stem(x)))
        out = F.avg_pool2d(out, out.shape[-1]).flatten(1)
        return self.fc(out)


class PreActResNet(CifarResNet):
    """Nothing behind the stem, BN and ReLU behind the last block."""

    def __init__(self, width: int = 8) -> None:
        super().__init__(PreAct, width)
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn(self.blocks(self.stem(x))))
        return self.fc(F.adaptive_avg_pool2d(out, 1).flatten(1))


class ImageNetResNet(nn.Module):
    """7x7 stem of stride 2, overlapping 3x3 max pooling of stride 2, stages of bottlenecks."""

    def __init__(self, width: int = 8, stages: tuple[int, ...] = (2, 1), classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = width
        for stage, blocks in enumerate(stages):
            made = []
            for index in range(blocks):
                stride = 2 if stage and not index else 1
                made.append(Bottleneck((channels, 4 * width * 2**stage), stride))
                channels = 4 * width * 2**stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.stages = len(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet_b() -> nn.Module:
    """Projections (option B)."""
    return CifarResNet(Basic)


def resnet_a() -> nn.Module:
    """Zero-padded shortcuts (option A)."""
    return CifarResNet(partial(Basic, option="A"), blocks=2)


def resnet_bottleneck() -> nn.Module:
    return ImageNetResNet()


def preact_resnet() -> nn.Module:
    return PreActResNet()


def se_resnet() -> nn.Module:
    return CifarResNet(partial(Basic, excite=True))


def resnext() -> nn.Module:
    """Bottlenecks whose 3x3 convolution has four groups, at half the outer width."""
    return CifarResNet(partial(Bottleneck, groups=4, expansion=2), width=16)


def regnet() -> nn.Module:
    """RegNetY: groups of 4 channels at full width, with squeeze-and-excite inside."""

    def block(channels: tuple[int, int], stride: int) -> nn.Module:
        return Bottleneck(channels, 2, channels[1] // 4, expansion=1, excite=True)

    return CifarResNet(block, width=8)
