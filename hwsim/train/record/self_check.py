"""Whether masks make a layer's output out of its own base and conditional sums."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.train.networks.gating import Branch, base_blocks, spread

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Of the largest output; other types 5 %. Sums are added in another order."""


@torch.no_grad()
def sums_of(
    convolution: nn.Conv2d, x: Tensor, groups: int, branch: Branch
) -> tuple[Tensor, Tensor]:
    """Base and full sums, (N, C_out, H', W') each, a bias in both."""
    inverse = branch == "inverse"
    ordered = x.unflatten(1, (groups, -1)).flip(1).flatten(1, 2) if inverse else x
    weight, options = convolution.weight.detach(), (convolution.stride, convolution.padding)
    blocks = torch.cat(base_blocks(weight, groups, inverse))
    base = F.conv2d(ordered, blocks, convolution.bias, *options, groups=groups)
    return base, F.conv2d(x, weight, convolution.bias, *options)


def difference(bits: Tensor, off: Tensor, full: Tensor, output: Tensor) -> str:
    """How far ``output`` is from ``full`` where a bit is set and ``off`` elsewhere; "" if equal."""
    wanted = torch.where(spread(bits, full.shape[1]), full, off)
    error, size = float((wanted - output).abs().max()), float(output.abs().max())
    if error <= TOLERANCE.get(output.dtype, 0.05) * size:
        return ""
    return f"off by {error:.3g} of {size:.3g}"
