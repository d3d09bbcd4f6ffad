"""Networks that make maps of several sizes, and read them together: YOLO, FPN, HRNet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.mobile import conv_bn_act


def conv_silu(into: int, out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return conv_bn_act((into, out), kernel, stride, act=nn.SiLU)


class Split(nn.Module):
    """C2f of YOLOv8: half of the channels goes on, and everything made on the way is read."""

    def __init__(self, into: int, out: int, count: int, added: bool = True) -> None:
        super().__init__()
        self.first = conv_silu(into, out)
        self.half = out // 2
        self.pairs = nn.ModuleList(
            nn.Sequential(conv_silu(self.half, self.half, 3), conv_silu(self.half, self.half, 3))
            for _ in range(count)
        )
        self.last = conv_silu((2 + count) * self.half, out)
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.first(x).split((self.half, self.half), 1))
        for pair in self.pairs:
            made = pair(parts[-1])
            parts.append(parts[-1] + made if self.added else made)
        return self.last(torch.cat(parts, 1))


class PyramidPool(nn.Module):
    """SPPF: three max poolings of stride 1 one after the other, all concatenated."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = conv_silu(width, width // 2), conv_silu(2 * width, width)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.last(torch.cat(parts, 1))


class Yolo(nn.Module):
    """A backbone, a neck that goes up once, boxes and classes of two sizes in one row."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_silu(3, 8, 3, 2), conv_silu(8, 16, 3, 2), Split(16, 16, 1))
        self.deep = nn.Sequential(conv_silu(16, 32, 3, 2), Split(32, 32, 1), PyramidPool(32))
        self.up = nn.Upsample(None, 2, "nearest")
        self.join = Split(48, 16, 1, added=False)
        self.boxes = nn.ModuleList(nn.Conv2d(width, 8, 1) for width in (16, 32))
        self.classes = nn.ModuleList(nn.Conv2d(width, 5, 1) for width in (16, 32))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.stem(x)
        deep = self.deep(fine)
        maps = self.join(torch.cat([self.up(deep), fine], 1)), deep
        found = [
            torch.cat([box(m), of_class(m)], 1).flatten(2)
            for box, of_class, m in zip(self.boxes, self.classes, maps, strict=True)
        ]
        boxes, scores = torch.cat(found, 2).split((8, 5), 1)
        return torch.cat([boxes, scores.sigmoid()], 1)


class Pyramid(nn.Module):
    """FPN: maps of the way down are added to enlarged ones; one head reads both sizes.

    It returns a dict of a list and a tensor, as detectors do.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU())
        self.side1, self.side2 = nn.Conv2d(width, width, 1), nn.Conv2d(2 * width, width, 1)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.scores = nn.Conv2d(width, 4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor | list[Tensor]]:
        first = self.down1(x)
        second = self.down2(first)
        top = self.side2(second)
        larger = F.interpolate(top, size=first.shape[-2:], mode="nearest")
        maps = [self.smooth(self.side1(first) + larger), top]
        scores = [self.scores(self.head(m)) for m in maps]
        return {"scores": scores, "features": second}


class HighResolution(nn.Module):
    """HRNet: two sizes side by side, each the sum of both, and a sum of three at the end."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.to_small = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU())
        self.large = nn.Conv2d(width, width, 3, padding=1)
        self.small = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.Conv2d(2 * width, width, 1)
        self.down = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.head = nn.Conv2d(3 * width, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = self.stem(x)
        large, small = self.large(kept), self.small(self.to_small(kept))
        larger = F.interpolate(self.up(small), scale_factor=2, mode="bilinear")
        fused_large = F.relu(large + larger + kept)
        fused_small = F.relu(self.down(large) + small)
        size = fused_large.shape[-2:]
        enlarged = F.interpolate(fused_small, size=size, mode="bilinear", align_corners=True)
        return self.head(torch.cat([fused_large, enlarged], 1))
