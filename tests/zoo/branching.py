"""Networks whose maps are concatenated: GoogLeNet, DenseNet, SqueezeNet, U-Net, ASPP."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_relu(into: int, out: int, kernel: int, **more: int) -> nn.Sequential:
    """A convolution with bias that keeps the size, and ReLU."""
    more.setdefault("padding", kernel // 2)
    return nn.Sequential(nn.Conv2d(into, out, kernel, **more), nn.ReLU(inplace=True))


class Inception(nn.Module):
    """Four branches: 1x1; 1x1 and 3x3; 1x1 and 5x5; 3x3 max pooling of stride 1 and 1x1."""

    def __init__(self, into: int, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.branch1 = conv_relu(into, widths[0], 1)
        self.branch2 = nn.Sequential(conv_relu(into, 8, 1), conv_relu(8, widths[1], 3))
        self.branch3 = nn.Sequential(conv_relu(into, 4, 1), conv_relu(4, widths[2], 5))
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), conv_relu(into, widths[3], 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)]
        return torch.cat(branches, 1)


class GoogLeNet(nn.Module):
    """A stem, two inception blocks with a pooling between that rounds up."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_relu(3, 8, 7, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.block1 = Inception(8, (8, 8, 4, 4))
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.block2 = Inception(24, (8, 16, 4, 4))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block1(self.pool1(self.stem(x)))
        x = self.block2(self.pool2(x))
        return self.fc(x.mean((2, 3)))


class DenseLayer(nn.Module):
    """BN, ReLU, 1x1, BN, ReLU, 3x3: ``growth`` new channels behind the old ones."""

    def __init__(self, into: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(into), nn.BatchNorm2d(2 * growth)
        self.conv1 = nn.Conv2d(into, 2 * growth, 1, bias=False)
        self.conv2 = nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))
        return torch.cat([x, made], 1)


class DenseNet(nn.Module):
    """Two dense blocks, a transition that halves channels and size, BN and ReLU at the end."""

    def __init__(self, growth: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.block1 = nn.Sequential(DenseLayer(16, growth), DenseLayer(16 + growth, growth))
        self.transition = nn.Sequential(
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 16, 1, bias=False),
            nn.AvgPool2d(2, stride=2),
        )
        self.block2 = nn.Sequential(DenseLayer(16, growth), DenseLayer(16 + growth, growth))
        self.norm = nn.BatchNorm2d(32)
        self.classifier = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block2(self.transition(self.block1(self.stem(x))))
        x = F.adaptive_avg_pool2d(F.relu(self.norm(x), inplace=True), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class Fire(nn.Module):
    """A 1x1 convolution read by two, of 1x1 and 3x3, which are concatenated."""

    def __init__(self, into: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = conv_relu(into, squeezed, 1)
        self.expand1 = conv_relu(squeezed, expanded, 1)
        self.expand3 = conv_relu(squeezed, expanded, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand1(x), self.expand3(x)], 1)


class SqueezeNet(nn.Module):
    """Fire blocks, and a last convolution that makes the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_relu(3, 8, 3, stride=2, padding=0),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(8, 4, 8),
            Fire(16, 4, 8),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(16, 8, 16),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(32, 10, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)


class UNet(nn.Module):
    """Two levels down and up; maps of the way down are concatenated on the way up.

    ``nearest``: up by repeating pixels and a 1x1 convolution, instead of a transposed convolution.
    """

    def __init__(self, width: int = 8, nearest: bool = False) -> None:
        super().__init__()
        self.down1, self.down2 = self._pair(3, width), self._pair(width, 2 * width)
        self.bottom = self._pair(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.up1 = self._up(4 * width, nearest), self._up(2 * width, nearest)
        self.join2, self.join1 = self._pair(4 * width, 2 * width), self._pair(2 * width, width)
        self.head = nn.Conv2d(width, 2, 1)

    @staticmethod
    def _pair(into: int, out: int) -> nn.Sequential:
        return nn.Sequential(conv_relu(into, out, 3), conv_relu(out, out, 3))

    @staticmethod
    def _up(into: int, nearest: bool) -> nn.Module:
        if nearest:
            larger = nn.Upsample(scale_factor=2, mode="nearest")
            return nn.Sequential(larger, nn.Conv2d(into, into // 2, 1))
        return nn.ConvTranspose2d(into, into // 2, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        bottom = self.bottom(self.pool(second))
        joined = self.join2(torch.cat([second, self.up2(bottom)], dim=1))
        return self.head(self.join1(torch.cat([first, self.up1(joined)], dim=1)))


class Aspp(nn.Module):
    """Segmentation by dilation (DeepLab): several dilations side by side, and the image's mean.

    Mean and scores are resized bilinearly.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_relu(3, width, 3, stride=2), conv_relu(width, width, 3, padding=2, dilation=2)
        )
        self.near = conv_relu(width, width, 1)
        self.middle = conv_relu(width, width, 3, padding=2, dilation=2)
        self.far = conv_relu(width, width, 3, padding=4, dilation=4)
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_relu(width, width, 1))
        self.project = conv_relu(4 * width, width, 1)
        self.head = nn.Conv2d(width, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.stem(x)
        size = features.shape[-2:]
        mean = F.interpolate(self.mean(features), size=size, mode="bilinear", align_corners=False)
        parts = [self.near(features), self.middle(features), self.far(features), mean]
        scores = self.head(self.project(torch.cat(parts, dim=1)))
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=False)
