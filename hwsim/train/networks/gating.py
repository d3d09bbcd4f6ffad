"""The gated convolution that CGNet, its broadcast form, CDG and SCDG have in common.

The channels are cut into G equal groups, the weight into a G x G grid of blocks. A branch owns one
block per output group: the input group g (diagonal) or G-1-g (inverse diagonal). These blocks give
the base partial sum Yb; the others give Yc, kept only where the mask is 1:

    Z = normalise(Yb),   M = [Z - tau > 0],   Y = Yb + M * Yc

The methods differ in the branch that each view takes and in whose mask it uses (methods.py).
docs/guide/gated_networks.md says which part comes from where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Branch = Literal["diagonal", "inverse"]
BRANCHES: tuple[Branch, ...] = get_args(Branch)
GateNorm = Literal["batch", "instance"]
GATE_NORMS: tuple[GateNorm, ...] = get_args(GateNorm)

STEP_SLOPE = 2.0
"""Slope of the sigmoid whose gradient replaces the step's (CGNet's published code)."""


class _Gate(torch.autograd.Function):
    """Y = where(mask, full, base), mask = [margin > 0], with the gradient of sigmoid(2 z) for it.

    base and full are (N, C, H, W), margin and mask (N, C / mask_group, H, W). Written by hand
    because these are all that has to be kept for the way back.
    """

    @staticmethod
    def forward(ctx: Any, base: Tensor, full: Tensor, margin: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(base, full, margin, mask)
        return select(mask, full, base)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (grad,) = grad_outputs
        base, full, margin, mask = ctx.saved_tensors
        groups = (margin.shape[1], -1)
        grad_full = (grad.unflatten(1, groups) * mask.to(grad.dtype).unsqueeze(2)).flatten(1, 2)
        effect = (full - base).to(margin.dtype) * grad
        if margin.shape[1] != full.shape[1]:
            effect = group_sum(effect, margin.shape[1])
        sigmoid = torch.sigmoid(STEP_SLOPE * margin)
        grad_margin = torch.ops.aten.sigmoid_backward(effect, sigmoid).mul_(STEP_SLOPE)
        return grad - grad_full, grad_full, grad_margin, None


def select(mask: Tensor, full: Tensor, base: Tensor) -> Tensor:
    """where(mask, full, base), each decision of mask (N, C / mask_group, H, W) at all its channels.

    Interpolation by 0 and 1 gives these values exactly and, unlike torch.where, is vectorised on
    CPUs: 0.8 ms instead of 2.2 for half a million values.
    """
    groups = (mask.shape[1], -1)
    weight = mask.to(full.dtype).unsqueeze(2)
    return torch.lerp(base.unflatten(1, groups), full.unflatten(1, groups), weight).flatten(1, 2)


def group_sum(x: Tensor, groups: int) -> Tensor:
    """(N, C, H, W) -> (N, groups, H, W): sums over consecutive channels, in channels_last.

    As a product with ones, which takes a third of the time of torch.sum on channels_last maps.
    """
    pixels = x.permute(0, 2, 3, 1).unflatten(3, (groups, -1))
    return (pixels @ pixels.new_ones(pixels.shape[-1])).permute(0, 3, 1, 2)


class _BaseBlocks(torch.autograd.Function):
    """The base blocks of a weight, stacked as a grouped convolution's.

    Slicing would do, but autograd fills a whole weight with zeros for each slice on the way back.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, groups: int, inverse: bool) -> Tensor:
        ctx.groups, ctx.inverse, ctx.shape = groups, inverse, weight.shape
        return torch.cat([block.clone() for block in base_blocks(weight, groups, inverse)])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grad_outputs
        whole = grad.new_zeros(ctx.shape)
        parts = grad.chunk(ctx.groups)
        for block, part in zip(base_blocks(whole, ctx.groups, ctx.inverse), parts, strict=True):
            block.copy_(part)
        return whole, None, None


def base_blocks(weight: Tensor, groups: int, inverse: bool) -> list[Tensor]:
    """Views (C_out / G, C_in / G, K, K) into a (C_out, C_in, K, K) weight, by output group."""
    blocks = weight.unflatten(0, (groups, -1)).unflatten(2, (groups, -1))
    return [blocks[g, :, groups - 1 - g if inverse else g] for g in range(groups)]


def spread(per_group: Tensor, channels: int) -> Tensor:
    """(N, C / mask_group, H, W) -> (N, C, H, W): each decision at every channel it covers."""
    groups = per_group.shape[1]
    if groups == channels:
        return per_group
    return per_group.repeat_interleave(channels // groups, dim=1)


class GatedConv2d(nn.Conv2d):
    """A convolution whose conditional blocks run only where the normalised base sum exceeds tau.

    in_channels and out_channels must be multiples of `gate_groups` (G); `mask_group` consecutive
    output channels share one decision and must divide out_channels / G. No bias: BatchNorm follows.
    `tau` has one value per decision channel, in units of the normalised base sum. `norm` says over
    what Z is normalised: a channel of the batch, with running statistics, or one of the image.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        gate_groups: int = 4,
        mask_group: int = 1,
        norm: GateNorm = "batch",
    ) -> None:
        if in_channels % gate_groups or out_channels % gate_groups:
            raise ValueError(
                f"{in_channels} -> {out_channels} channels cannot be cut into {gate_groups} groups"
            )
        if (out_channels // gate_groups) % mask_group:
            raise ValueError(
                f"mask_group {mask_group} does not divide the group width "
                f"{out_channels // gate_groups}"
            )
        super().__init__(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False
        )
        self.gate_groups = gate_groups
        self.mask_group = mask_group
        self.norm = norm
        self.tau = nn.Parameter(torch.zeros(out_channels // mask_group))
        # Running statistics per branch: the two base sums come from different weights.
        kind = nn.BatchNorm2d if norm == "batch" else nn.InstanceNorm2d
        self.gate_norm = nn.ModuleDict(
            {name: kind(out_channels // mask_group, affine=False) for name in BRANCHES}
        )
        self.register_buffer("density", torch.zeros(()), persistent=False)
        self.shared: list[Tensor] | None = None
        """Inside `broadcasting`: the mask on its way from the first view to the second."""

    def base_input(self, x: Tensor, branch: Branch) -> Tensor:
        """The input with its groups in the order in which the output groups read them."""
        if branch == "diagonal":
            return x
        return x.unflatten(1, (self.gate_groups, -1)).flip(1).flatten(1, 2)

    def base_weight(self, branch: Branch) -> Tensor:
        """The base blocks, (out_channels, in_channels / G, K, K), as a grouped convolution's."""
        return _BaseBlocks.apply(self.weight, self.gate_groups, branch == "inverse")

    def base_sum(
        self, x: Tensor, branch: Branch, convolve: Callable[..., Tensor] = F.conv2d
    ) -> Tensor:
        """Yb, (N, out_channels, H', W')."""
        return convolve(
            self.base_input(x, branch),
            self.base_weight(branch),
            stride=self.stride,
            padding=self.padding,
            groups=self.gate_groups,
        )

    def sums(
        self, x: Tensor, branch: Branch, convolve: Callable[..., Tensor] = F.conv2d
    ) -> tuple[Tensor, Tensor]:
        """Yb and Yb + Yc, each (N, out_channels, H', W')."""
        base = self.base_sum(x, branch, convolve)
        return base, convolve(x, self.weight, stride=self.stride, padding=self.padding)

    def margin(self, base: Tensor, branch: Branch) -> Tensor:
        """Z - tau per decision, (N, out_channels / mask_group, H', W'), at least in fp32."""
        with torch.autocast(base.device.type, enabled=False):
            wide = base if base.dtype == torch.float64 else base.float()
            if self.mask_group > 1:
                wide = group_sum(wide, len(self.tau)) / self.mask_group
            return self.gate_norm[branch](wide) - self.tau[:, None, None]

    def margin_on(self, x: Tensor, branch: Branch) -> Tensor:
        """The margins on the layer's input, by the operations of :meth:`forward`."""
        return self.margin(self.base_sum(x, branch), branch)

    def forward(self, x: Tensor, branch: Branch = "diagonal") -> Tensor:
        base, full = self.sums(x, branch)
        margin = self.margin(base, branch)
        mask = margin.detach() > 0
        if self.shared:
            mask = self.shared.pop()
        elif self.shared is not None:
            self.shared.append(mask)
        self.density = mask.float().mean()
        if self.shared is None:
            return _Gate.apply(base, full, margin, mask)
        return select(mask, full, base)


class DenseConv2d(nn.Conv2d):
    """The ungated convolution with the gated one's call: the branch does not matter."""

    def forward(self, x: Tensor, branch: Branch = "diagonal") -> Tensor:
        return super().forward(x)


def gated_layers(model: nn.Module) -> dict[str, GatedConv2d]:
    """The gated convolutions by module path, in execution order."""
    return {name: m for name, m in model.named_modules() if isinstance(m, GatedConv2d)}


@contextmanager
def broadcasting(model: nn.Module) -> Iterator[None]:
    """Two forward passes inside use the masks of the first, without a gradient to the gates."""
    layers = gated_layers(model).values()
    for layer in layers:
        layer.shared = []
    try:
        yield
    finally:
        for layer in layers:
            layer.shared = None


def penalty(model: nn.Module, target: float) -> Tensor:
    """sum (tau - T)^2 over every threshold of the network: what pulls the density down."""
    terms = [((layer.tau - target) ** 2).sum() for layer in gated_layers(model).values()]
    return torch.stack(terms).sum() if terms else torch.zeros(())
