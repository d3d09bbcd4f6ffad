"""Zeros among the operands of a convolution, in all of its MACs and in those that a mask lets run.

Counts are whole numbers in floats, of which sums are fast.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.network import ConvLayer
from hwsim.train.networks.gating import Branch, group_sum


def exact(largest: int) -> torch.dtype:
    """The float type in which all whole numbers up to ``largest`` are exact, and their sums."""
    return torch.float32 if largest <= 2**24 else torch.float64


def padded(x: Tensor, layer: ConvLayer, mode: str = "zeros") -> Tensor:
    """x with the layer's padding around it."""
    top, left, bottom, right = layer.edges
    if not any(layer.edges):
        return x
    return F.pad(x, (left, right, top, bottom), mode="constant" if mode == "zeros" else mode)


def zero_operands(x: Tensor, layer: ConvLayer, mode: str = "zeros") -> Tensor:
    """(N, blocks, out_height, out_width): zeros among an output pixel's operands, by input block.

    x: (N, C_in, H, W), what the convolution reads; blocks of input channels as the layer has them,
    in whole numbers. The padding's zeros are counted, too.
    """
    each = layer.taps * layer.block_channels
    counts = padded(_by_block(x.bool(), layer.blocks, exact(each)), layer, mode)
    for axis in (2, 3):
        counts = _over_taps(counts, layer, axis)
    return each - counts


def _over_taps(counts: Tensor, layer: ConvLayer, axis: int) -> Tensor:
    """Sums over the taps of each output row (``axis`` 2) or column (3); small maps are fastest so.

    Convolutions by ones would do, but may round on a GPU.
    """
    taps, stride, dilation, extent = (
        (layer.kernel[0], layer.strides[0], layer.dilations[0], layer.out_height)
        if axis == 2
        else (layer.kernel[1], layer.strides[1], layer.dilations[1], layer.out_width)
    )
    found = None
    for tap in range(taps):
        window = [slice(None)] * axis
        start = tap * dilation
        read = counts[(*window, slice(start, start + (extent - 1) * stride + 1, stride))]
        found = read if found is None else found.add_(read) if tap > 1 else found + read
    assert found is not None
    return found


def _by_block(bits: Tensor, blocks: int, kind: torch.dtype) -> Tensor:
    """(N, blocks, H, W): set bits among the channels of a block."""
    numbers = bits.view(torch.uint8).to(kind)  # six times as fast as from bool
    if bits.shape[1] == blocks:
        return numbers
    if bits.is_contiguous():
        return numbers.unflatten(1, (blocks, -1)).sum(2)
    return group_sum(numbers, blocks)


def zero_operand_macs(x: Tensor, layer: ConvLayer) -> Tensor:
    """int64 (N,): MACs of the dense convolution of x whose activation operand is zero."""
    return all_zero_macs(zero_operands(x, layer), layer)


def all_zero_macs(zeros: Tensor, layer: ConvLayer) -> Tensor:
    """The same from :func:`zero_operands`: each zero meets every output of its group."""
    each = layer.taps * layer.block_channels
    return _sum(zeros, each, layer.out_channels // layer.conv_groups)


def conditional_zero_macs(zeros: Tensor, mask: Tensor, layer: ConvLayer, branch: Branch) -> Tensor:
    """int64 (N,): conditional MACs that a mask lets run, whose activation operand is zero.

    ``zeros``: :func:`zero_operands`; ``mask``: bool (N, lists, out_height, out_width). The
    conditional path of an output block reads the blocks of its group but that of its base path.
    """
    lists, blocks = mask.shape[1], layer.blocks
    if lists < blocks:
        mask, lists = mask.repeat_interleave(blocks // lists, 1), blocks
    largest = lists // blocks * layer.steps
    kind = exact(largest)
    others = own = zeros.to(kind)
    if not layer.zeroes:
        grouped = own.unflatten(1, (layer.conv_groups, layer.groups))
        others = grouped.sum(2, keepdim=True) - (
            grouped.flip(2) if branch == "inverse" else grouped
        )
        others = others.flatten(1, 2)
    return _sum(_by_block(mask, blocks, kind).mul_(others), largest, layer.out_channels // lists)


def _sum(counts: Tensor, largest: int, times: int) -> Tensor:
    """int64 (N,): sums of whole numbers up to ``largest``, rows first, so many times."""
    kind = exact(largest * counts.shape[-1])
    return counts.sum(3, dtype=kind).sum((1, 2), dtype=torch.float64).long() * times
