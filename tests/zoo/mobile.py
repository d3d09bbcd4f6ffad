"""Networks of depthwise and grouped 1x1 convolutions: MobileNet, ShuffleNet, EfficientNet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn_act(
    channels: tuple[int, int],
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    act: type | None = None,
) -> nn.Sequential:
    """Convolution, BN and, where given, an activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(*channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels[1]),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


def separable(channels: tuple[int, int], stride: int) -> nn.Sequential:
    """Depthwise 3x3, then 1x1, each with ReLU."""
    into = channels[0]
    return nn.Sequential(
        conv_bn_act((into, into), 3, stride, groups=into, act=nn.ReLU),
        conv_bn_act(channels, 1, act=nn.ReLU),
    )


class ChannelFactors(nn.Module):
    """Squeeze-and-excite of 1x1 convolutions on the pooled map; ``last`` is the outer function."""

    def __init__(self, channels: int, squeezed: int, inner: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.inner, self.last = inner, last

    def forward(self, x: Tensor) -> Tensor:
        return x * self.last(self.expand(self.inner(self.reduce(self.pool(x)))))


class Inverted(nn.Module):
    """Inverted residual: 1x1 up, depthwise, 1x1 down without an activation; added if same shape."""

    def __init__(
        self,
        channels: tuple[int, int],
        stride: int = 1,
        expand: int = 3,
        kernel: int = 3,
        act: type = nn.ReLU6,
        factors: ChannelFactors | None = None,
    ) -> None:
        super().__init__()
        inner = channels[0] * expand
        layers: list[nn.Module] = []
        if expand != 1:
            layers.append(conv_bn_act((channels[0], inner), 1, act=act))
        layers.append(conv_bn_act((inner, inner), kernel, stride, groups=inner, act=act))
        if factors is not None:
            layers.append(factors)
        layers.append(conv_bn_act((inner, channels[1]), 1))
        self.layers = nn.Sequential(*layers)
        self.added = stride == 1 and channels[0] == channels[1]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.added else self.layers(x)


class Classifier(nn.Module):
    """Features, mean, dropout and a head."""

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


def mobilenet_v1() -> nn.Module:
    features = nn.Sequential(
        conv_bn_act((3, 8), 3, 2, act=nn.ReLU),
        separable((8, 16), 1),
        separable((16, 32), 2),
        separable((32, 32), 1),
    )
    return Classifier(features, nn.Linear(32, 10))


def mobilenet_v2() -> nn.Module:
    features = nn.Sequential(
        conv_bn_act((3, 8), 3, 2, act=nn.ReLU6),
        Inverted((8, 8), expand=1),
        Inverted((8, 12), 2),
        Inverted((12, 12)),
        conv_bn_act((12, 32), 1, act=nn.ReLU6),
    )
    return Classifier(features, nn.Sequential(nn.Dropout(0.2), nn.Linear(32, 10)))


def mobilenet_v3() -> nn.Module:
    """Hardswish, and squeeze-and-excite by hardsigmoid."""

    def factors(channels: int) -> ChannelFactors:
        return ChannelFactors(channels, channels // 4, nn.ReLU(), nn.Hardsigmoid())

    features = nn.Sequential(
        conv_bn_act((3, 8), 3, 2, act=nn.Hardswish),
        Inverted((8, 8), expand=2, act=nn.ReLU, factors=factors(16)),
        Inverted((8, 16), 2, expand=2, kernel=5, act=nn.Hardswish, factors=factors(16)),
        conv_bn_act((16, 32), 1, act=nn.Hardswish),
    )
    head = nn.Sequential(nn.Linear(32, 32), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(32, 10))
    return Classifier(features, head)


def efficientnet() -> nn.Module:
    """MBConv with SiLU; the squeezed width is a quarter of the block's input, not of its inside."""

    def block(channels: tuple[int, int], stride: int, kernel: int) -> Inverted:
        inner = 4 * channels[0]
        factors = ChannelFactors(inner, channels[0] // 4, nn.SiLU(), nn.Sigmoid())
        return Inverted(channels, stride, 4, kernel, nn.SiLU, factors)

    features = nn.Sequential(
        conv_bn_act((3, 8), 3, 2, act=nn.SiLU),
        block((8, 8), 1, 3),
        block((8, 12), 2, 5),
        conv_bn_act((12, 32), 1, act=nn.SiLU),
    )
    return Classifier(features, nn.Sequential(nn.Dropout(0.2), nn.Linear(32, 10)))


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channels of ``groups`` equal parts, interleaved: (N, C, H, W) as before."""
    count, channels, height, width = x.shape
    parts = x.view(count, groups, channels // groups, height, width)
    return parts.transpose(1, 2).contiguous().view(count, channels, height, width)


class ShuffleV1(nn.Module):
    """Grouped 1x1, shuffle, depthwise, grouped 1x1; with stride 2 behind its pooled input."""

    def __init__(self, channels: tuple[int, int], stride: int, groups: int = 2) -> None:
        super().__init__()
        self.stride, self.groups = stride, groups
        made = channels[1] - channels[0] if stride == 2 else channels[1]
        inner = channels[1] // 4
        self.conv1 = conv_bn_act((channels[0], inner), 1, groups=groups, act=nn.ReLU)
        self.depthwise = conv_bn_act((inner, inner), 3, stride, groups=inner)
        self.conv2 = conv_bn_act((inner, made), 1, groups=groups)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.depthwise(shuffled(self.conv1(x), self.groups)))
        if self.stride == 2:
            return F.relu(torch.cat([self.pool(x), out], 1))
        return F.relu(x + out)


class ShuffleV2(nn.Module):
    """Half of the channels pass by, the others are convolved; with stride 2 both are."""

    def __init__(self, channels: tuple[int, int], stride: int) -> None:
        super().__init__()
        self.stride = stride
        half = channels[1] // 2
        into = channels[0] if stride == 2 else half
        self.main = nn.Sequential(
            conv_bn_act((into, half), 1, act=nn.ReLU),
            conv_bn_act((half, half), 3, stride, groups=half),
            conv_bn_act((half, half), 1, act=nn.ReLU),
        )
        self.side = nn.Sequential()
        if stride == 2:
            self.side = nn.Sequential(
                conv_bn_act((into, into), 3, 2, groups=into),
                conv_bn_act((into, half), 1, act=nn.ReLU),
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            halves = self.side(x), self.main(x)
        else:
            kept, moved = x.chunk(2, dim=1)
            halves = kept, self.main(moved)
        return shuffled(torch.cat(halves, dim=1), 2)


def shufflenet_v1() -> nn.Module:
    features = nn.Sequential(
        conv_bn_act((3, 8), 3, 1, act=nn.ReLU),
        nn.MaxPool2d(3, 2, 1),
        ShuffleV1((8, 32), 2),
        ShuffleV1((32, 32), 1),
    )
    return Classifier(features, nn.Linear(32, 10))


def shufflenet_v2() -> nn.Module:
    features = nn.Sequential(
        conv_bn_act((3, 8), 3, 1, act=nn.ReLU),
        nn.MaxPool2d(3, 2, 1),
        ShuffleV2((8, 16), 2),
        ShuffleV2((16, 16), 1),
        conv_bn_act((16, 32), 1, act=nn.ReLU),
    )
    return Classifier(features, nn.Linear(32, 10))
