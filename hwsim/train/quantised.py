"""A gated layer in int8: symmetric steps, thresholds folded into integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.errors import UserError
from hwsim.formats import pack_bits
from hwsim.sample import LayerSample
from hwsim.train.gating import Branch, GatedConv2d, base_blocks, spread

LEVELS = 127
"""Steps on either side of zero."""

EXACT = 2**24
"""Integers up to this are fp32 numbers, all of them."""


def steps_of(values: Tensor, size: Tensor) -> Tensor:
    """``values`` in steps of size / 127, as integers in double precision."""
    return (values.double() / size * LEVELS).round().clamp(-LEVELS, LEVELS)


def weight_sizes(weight: Tensor, group: int) -> Tensor:
    """Largest magnitude among the weights of each ``group`` consecutive output channels."""
    return weight.double().unflatten(0, (-1, group)).abs().amax((1, 2, 3, 4)).clamp(min=1e-30)


def weight_steps(weight: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """The weights as integers, and the step of each output channel, (C_out,); doubles.

    One step for the output channels that share a mask list (one each, but in structured gating),
    because their base sums are added.
    """
    sizes = spread(weight_sizes(weight, group)[None], len(weight))[0]
    return steps_of(weight, sizes[:, None, None, None]), sizes / LEVELS


@dataclass(frozen=True)
class Integers:
    """A layer on one branch: ``weights``, ``thresholds`` (mask lists,), integers in doubles.

    ``steps`` (C_out,): what 1 is worth in a sum of theirs. A gate normalised by instance depends on
    the image's own sums and has no ``thresholds``.
    """

    layer: GatedConv2d
    branch: Branch
    size: Tensor
    weights: Tensor
    steps: Tensor
    thresholds: Tensor | None

    @classmethod
    def of(cls, layer: GatedConv2d, size: Tensor, branch: Branch) -> Integers:
        """``size``: the magnitude of an activation that becomes 127."""
        size = size.detach().double().clamp(min=1e-30)
        weights, weight_step = weight_steps(layer.weight.detach(), layer.mask_group)
        steps = weight_step * size / LEVELS
        norm = layer.gate_norm[branch]
        thresholds = None
        if norm.running_mean is not None:
            limit = norm.running_mean + layer.tau.detach() * (norm.running_var + norm.eps).sqrt()
            per_list = steps[:: layer.mask_group]
            thresholds = (limit.double() * layer.mask_group / per_list).floor()
            thresholds = thresholds.clamp(-(2**31), 2**31 - 1)
        return cls(layer, branch, size, weights, steps, thresholds)

    def activations(self, x: Tensor) -> Tensor:
        """What the layer reads, as integers in doubles."""
        return steps_of(x, self.size)

    def base_sums(self, activations: Tensor) -> Tensor:
        """Base partial sums, exact integers: (N, C_out, H', W')."""
        layer = self.layer
        inverse = self.branch == "inverse"
        blocks = torch.cat(base_blocks(self.weights, layer.gate_groups, inverse))
        # The bound holds for any order of addition; a GPU's convolutions add in other ways.
        bound = LEVELS * float(blocks.abs().sum((1, 2, 3)).max())
        kind = torch.float32 if bound < EXACT and not blocks.is_cuda else torch.float64
        return F.conv2d(
            layer.base_input(activations.to(kind), self.branch),
            blocks.to(kind),
            stride=layer.stride,
            padding=layer.padding,
            groups=layer.gate_groups,
        )

    def decide(self, base: Tensor) -> Tensor:
        """Mask bits, bool (N, mask lists, H', W'): added base sums above the threshold."""
        if self.thresholds is None:
            sums = base * self.steps[:, None, None]
            return self.layer.margin(sums.float(), self.branch) > 0
        added = base.double().unflatten(1, (-1, self.layer.mask_group)).sum(2)
        return added > self.thresholds[:, None, None]


def sample_of(name: str, layer: GatedConv2d, x: Tensor, branch: Branch) -> LayerSample:
    """The layer's int8 operands for the first image of ``x``, (N, C_in, H, W).

    The activations' step is that image's own. Raises UserError where the gate normalises by
    instance: it has no thresholds to store.
    """
    integers = Integers.of(layer, x[:1].abs().max(), branch)
    if integers.thresholds is None:
        raise UserError(f"layer {name}: a gate normalised by instance has no threshold to sample")
    activations = integers.activations(x[:1])
    bits = integers.decide(integers.base_sums(activations))
    return LayerSample(
        layer=name,
        image=0,
        activations=activations[0].cpu().numpy().astype(np.int8),
        weights=integers.weights.cpu().numpy().astype(np.int8),
        thresholds=integers.thresholds.cpu().numpy().astype(np.int32),
        mask=pack_bits(bits.cpu().numpy())[0],
    )
