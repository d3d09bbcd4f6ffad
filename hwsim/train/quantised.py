"""A gated layer in int8: symmetric steps, thresholds folded into integers."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.formats import pack_bits
from hwsim.sample import LayerSample
from hwsim.train.gating import Branch, GatedConv2d, base_blocks, spread


def steps_of(values: Tensor, size: Tensor) -> Tensor:
    """``values`` in steps of size / 127, as integers in double precision."""
    return (values.double() / size * 127).round().clamp(-127, 127)


def sample_of(name: str, layer: GatedConv2d, x: Tensor, branch: Branch) -> LayerSample:
    """The layer's int8 operands for the first image of ``x``, (N, C_in, H, W).

    One step for all activations, one for each mask list's weights, since its sums are added. The
    gate Z > tau becomes (added base sums) > threshold, in integers.
    """
    group, x, weight = layer.mask_group, x[:1].double(), layer.weight.detach().double()
    x_size = x.abs().max().clamp(min=1e-30)
    per_list = weight.unflatten(0, (-1, group)).abs().amax((1, 2, 3, 4)).clamp(min=1e-30)
    activations = steps_of(x, x_size)
    weights = steps_of(weight, spread(per_list[None], len(weight))[0][:, None, None, None])
    norm = layer.gate_norm[branch]
    limit = norm.running_mean + layer.tau.detach() * (norm.running_var + norm.eps).sqrt()
    thresholds = (limit.double() * group * 127**2 / (x_size * per_list)).floor()
    thresholds = thresholds.clamp(-(2**31), 2**31 - 1)
    base = F.conv2d(
        layer.base_input(activations, branch),
        torch.cat(base_blocks(weights, layer.gate_groups, branch == "inverse")),
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.gate_groups,
    )
    bits = base.unflatten(1, (-1, group)).sum(2) > thresholds[:, None, None]
    return LayerSample(
        layer=name,
        image=0,
        activations=activations[0].numpy().astype(np.int8),
        weights=weights.numpy().astype(np.int8),
        thresholds=thresholds.numpy().astype(np.int32),
        mask=pack_bits(bits.numpy())[0],
    )
