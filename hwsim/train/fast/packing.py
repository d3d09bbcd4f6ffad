"""Convolutions of small maps, several images laid side by side.

oneDNN works through a batch image by image, and on maps of a few pixels spends its time on borders:
a 3x3 convolution of 512 channels takes 80 ms for 128 maps of 4x4 forward and back on one core of an
EPYC of Zen 5, 64 ms for 8 strips of 16 maps, with a column of zeros between them. What is computed
is the same.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

STRIP_COLUMNS = 64
"""Width that strips are made for."""


@cache
def widest_packed(stride: int) -> int:
    """Columns of the widest maps that are packed, where it was measured to be faster."""
    return 8 if stride > 1 or torch.cpu._is_amx_tile_supported() else 4


def images_per_strip(images: int, cell: int) -> int:
    """The divisor of ``images`` whose strips, ``cell`` columns a map, come nearest to the width."""
    divisors = [count for count in range(1, images + 1) if images % count == 0]
    return min(divisors, key=lambda count: abs(count * cell - STRIP_COLUMNS))


def convolve(
    x: Tensor, weight: Tensor, *, stride: tuple[int, int], padding: tuple[int, int], groups: int = 1
) -> Tensor:
    """F.conv2d without a bias, by packed maps where they are small; of 3x3 kernels and padding 1.

    x: (N, C, H, W) in channels_last; so is what it returns.
    """
    width = x.shape[3]
    if padding != (1, 1) or stride[0] != stride[1] or width > widest_packed(stride[1]):
        return F.conv2d(x, weight, stride=stride, padding=padding, groups=groups)
    step = stride[1]
    # At least a column of zeros after each map; each map begins under the middle of a window.
    cell = -(-(width + 1) // step) * step
    count = images_per_strip(len(x), cell)
    packed = F.conv2d(pack(x, count, cell), weight, stride=stride, padding=padding, groups=groups)
    return unpack(packed, count, cell // step, -(-width // step))


def pack(x: Tensor, count: int, cell: int) -> Tensor:
    """(N, C, H, W) -> (N / count, C, H, count * cell): maps side by side, zeros after each."""
    images, channels, height, width = x.shape
    rows = F.pad(x, (0, cell - width)).permute(0, 2, 3, 1).unflatten(0, (-1, count))
    strips = rows.transpose(1, 2).reshape(images // count, height, count * cell, channels)
    return strips.permute(0, 3, 1, 2)


def unpack(packed: Tensor, count: int, cell: int, width: int) -> Tensor:
    """The inverse: of each cell the first ``width`` columns."""
    cells = packed.permute(0, 2, 3, 1).unflatten(2, (count, cell))[:, :, :, :width]
    maps = cells.transpose(1, 2).flatten(0, 1)
    return maps.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
