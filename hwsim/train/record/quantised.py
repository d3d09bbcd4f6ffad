"""A gated layer in int8: symmetric steps, thresholds folded into integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.trace.format.int8_sample import LayerSample
from hwsim.trace.format.packing import pack_bits
from hwsim.train.networks.gating import Branch, GatedConv2d, base_blocks, spread

LEVELS = 127
"""Steps on either side of zero."""

EXACT = 2**24
"""Integers up to this are fp32 numbers, all of them."""

INT32 = -(2**31), 2**31 - 1


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

    ``steps`` (C_out,): what 1 is worth in a sum of products. ``thresholds`` is None where a gate
    normalises by instance: each image has its own (:meth:`limits`).
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
            thresholds = (limit.double() * layer.mask_group / per_list).floor().clamp(*INT32)
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

    def limits(self, base: Tensor) -> Tensor:
        """Integer thresholds of added base sums, (1, mask lists) doubles.

        (N, mask lists) of a gate normalised by instance: from each image's own sums in ``base``.
        """
        if self.thresholds is not None:
            return self.thresholds[None]
        added = self._added(base)
        # Everything in units of an added sum, so that a sum at the mean is exactly there.
        eps = self.layer.gate_norm[self.branch].eps * self._per_unit() ** 2
        deviation = (added.var((2, 3), correction=0) + eps).sqrt()
        limits = added.mean((2, 3)) + self.layer.tau.detach().double() * deviation
        return limits.floor().clamp(*INT32)

    def decide(self, base: Tensor) -> Tensor:
        """Mask bits, bool (N, mask lists, H', W'): added base sums above the threshold."""
        return self._added(base) > self.limits(base)[:, :, None, None]

    def _added(self, base: Tensor) -> Tensor:
        """Base sums of each list's channels together: (N, mask lists, H', W') doubles."""
        return base.double().unflatten(1, (-1, self.layer.mask_group)).sum(2)

    def _per_unit(self) -> Tensor:
        """Added integer sums in a unit of what the gate normalises, (mask lists,)."""
        return self.layer.mask_group / self.steps[:: self.layer.mask_group]


def sample_of(name: str, layer: GatedConv2d, x: Tensor, branch: Branch) -> LayerSample:
    """The layer's int8 operands for the first image of ``x``, (N, C_in, H, W).

    The activations' step is that image's own; where a gate normalises by instance, so are the
    thresholds.
    """
    integers = Integers.of(layer, x[:1].abs().max(), branch)
    activations = integers.activations(x[:1])
    base = integers.base_sums(activations)
    return LayerSample(
        layer=name,
        image=0,
        activations=activations[0].cpu().numpy().astype(np.int8),
        weights=integers.weights.cpu().numpy().astype(np.int8),
        thresholds=integers.limits(base)[0].cpu().numpy().astype(np.int32),
        mask=pack_bits(integers.decide(base).cpu().numpy())[0],
    )
