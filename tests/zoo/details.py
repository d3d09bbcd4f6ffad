"""Networks for what a layer list easily gets wrong: paddings, factors, products, sharing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from zoo.mobile import conv_bn_act


class Asymmetric(nn.Module):
    """1x7 and 7x1 convolutions, even kernels, "same" padding, mirrored and circular borders."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.rows = nn.Conv2d(3, width, (1, 7), padding=(0, 3))
        self.columns = nn.Conv2d(width, width, (7, 1), padding="same")
        self.even = nn.Conv2d(width, width, 4, padding="same", dilation=(2, 1))
        self.mirrored = nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect")
        self.circular = nn.Conv2d(
            width, width, 3, stride=(2, 1), padding=1, padding_mode="circular"
        )
        self.fc = nn.Linear(width * 8 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.columns(F.relu(self.rows(x))))
        x = F.leaky_relu(self.even(x), 0.1)
        return self.fc(F.elu(self.circular(F.elu(self.mirrored(x)))).flatten(1))


class Attended(nn.Module):
    """CBAM: factors a channel of mean and maximum by one MLP, then factors a pixel of both."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = conv_bn_act((3, width), 3, act=nn.PReLU)
        self.mlp = nn.Sequential(nn.Linear(width, 4), nn.ReLU(), nn.Linear(4, width))
        self.pixels = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        mean, largest = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)
        channels = self.mlp(mean.flatten(1)) + self.mlp(largest.flatten(1))
        x = x * torch.sigmoid(channels)[:, :, None, None]
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        x = x * torch.sigmoid(self.pixels(both))
        return self.fc(x.mean((2, 3)))


class WaveBlock(nn.Module):
    """A causal dilated convolution; tanh of one half times sigmoid of the other; a sum to skip."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = weight_norm(nn.Conv1d(width, 2 * width, 2, dilation=dilation))
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        signal, gate = self.conv(F.pad(x, (self.dilation, 0))).chunk(2, dim=1)
        made = self.out(torch.tanh(signal) * torch.sigmoid(gate))
        return x + made, made


class Wave(nn.Module):
    """WaveNet: three blocks of growing dilation, whose outputs are summed."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, width, 1)
        self.blocks = nn.ModuleList(WaveBlock(width, 2**i) for i in range(3))
        self.head = nn.Conv1d(width, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        skipped: Tensor | float = 0.0
        for block in self.blocks:
            x, made = block(x)
            skipped = skipped + made
        return self.head(F.relu(torch.as_tensor(skipped)))


class Ghost(nn.Module):
    """Cheap channels by a depthwise convolution beside those it reads, cut to an odd number."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = conv_bn_act((3, width), 3, 2, act=nn.ReLU)
        self.primary = conv_bn_act((width, 6), 1, act=nn.ReLU)
        self.cheap = conv_bn_act((6, 6), 3, groups=6, act=nn.ReLU)
        self.last = nn.Conv2d(11, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.primary(self.stem(x))
        both = torch.cat([first, self.cheap(first)], dim=1)[:, :11]
        return self.last(both).mean((2, 3))


class Larger(nn.Module):
    """Super-resolution: channels become pixels (pixel shuffle), and back for a loss in small."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 5, padding=2)
        self.second = nn.Conv2d(width, 3 * 4, 3, padding=1)
        self.refine = nn.Conv2d(12, 12, 3, padding=1, groups=3)

    def forward(self, x: Tensor) -> Tensor:
        large = F.pixel_shuffle(self.second(torch.tanh(self.first(x))), 2)
        small = self.refine(F.pixel_unshuffle(large, 2))
        return F.pixel_shuffle(small, 2) + large


class NonLocal(nn.Module):
    """Attention among the pixels of a map (SAGAN): keys pooled, one product after the other."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), nn.GroupNorm(2, width), nn.ReLU(inplace=True)
        )
        self.q, self.k = nn.Conv2d(width, 4, 1), nn.Conv2d(width, 4, 1)
        self.v, self.out = nn.Conv2d(width, 4, 1), nn.Conv2d(4, width, 1)
        self.gamma = nn.Parameter(torch.tensor(0.5))
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        q = self.q(x).flatten(2)
        k, v = (F.max_pool2d(conv(x), 2).flatten(2) for conv in (self.k, self.v))
        weights = torch.bmm(q.transpose(1, 2), k).softmax(-1)
        seen = torch.bmm(v, weights.transpose(1, 2)).view(len(x), 4, *x.shape[-2:])
        return self.fc((self.gamma * self.out(seen) + x).mean((2, 3)))


class Siamese(nn.Module):
    """One encoder for both halves of an image, and the distances of their codes."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), nn.InstanceNorm2d(width), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Linear(width * 8 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=3)
        return self.head((self.encoder(left) - self.encoder(right)).abs())
