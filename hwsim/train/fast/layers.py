"""A convolution with its gate, BatchNorm, residual and ReLU, as the fast path runs it in training.

Convolutions are torch's, small maps packed (packing.py). What follows a convolution is one function
forward and one backward of fused.cpp; gating.py and torch's BatchNorm define what they compute.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hwsim.train.fast.packing import convolve
from hwsim.train.networks import models
from hwsim.train.networks.gating import DenseConv2d, GatedConv2d
from hwsim.train.networks.models import ConvNorm


class _Normalised(torch.autograd.Function):
    """fused.cpp's forward and backward.

    Maps are (N, C, H, W), bf16, channels_last; vectors fp32. ``rest``: channels per decision, the
    gate's eps, the norm's eps, whether a ReLU ends it, whether the mask is for another view, too.
    Returns the map and, without a gradient, mean, variance, the gate's mean and variance,
    the share of open gates and the mask (a byte per decision, as the map lies in memory).
    """

    @staticmethod
    def forward(
        ctx: Any,
        base: Tensor,
        full: Tensor | None,
        tau: Tensor | None,
        mask: Tensor | None,
        gamma: Tensor,
        beta: Tensor,
        residual: Tensor | None,
        rest: tuple[int, float, float, bool, bool],
    ) -> tuple[Any, ...]:
        found = torch.ops.hwsim.normalised(base, full, tau, mask, gamma, beta, residual, *rest)
        out, mean, variance, gate_mean, gate_variance, share, kept = found
        # A mask that is shared is a constant to both views.
        mask = kept if rest[4] else mask
        ctx.save_for_backward(
            base, full, tau, mask, gamma, mean, variance, gate_mean, gate_variance,
            out if rest[3] else None,
        )  # fmt: skip
        ctx.rest, ctx.residual = rest, residual is not None
        ctx.mark_non_differentiable(mean, variance, gate_mean, gate_variance, kept)
        return out, mean, variance, gate_mean, gate_variance, share, kept

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        base, full, tau, mask, gamma, *statistics, out = ctx.saved_tensors
        grad = grad_outputs[0].contiguous(memory_format=torch.channels_last)
        found = torch.ops.hwsim.normalised_backward(
            grad, out, base, full, tau, mask, gamma, *statistics, ctx.residual, *ctx.rest[:3]
        )
        grad_base, grad_full, grad_residual, grad_tau, grad_gamma, grad_beta = found
        return (
            grad_base,
            None if full is None else grad_full,
            None if full is None or mask is not None else grad_tau,
            None,
            grad_gamma,
            grad_beta,
            grad_residual if ctx.residual else None,
            None,
        )


def conv_norm(step: ConvNorm) -> Tensor:
    """A step of training, as models.conv_norm defines it."""
    conv, norm = step.conv, step.norm
    if isinstance(conv, GatedConv2d):
        return gated_conv_norm(conv, step)
    if not isinstance(conv, DenseConv2d):
        return models.conv_norm(step)
    base = convolve(step.x, conv.weight, stride=conv.stride, padding=conv.padding)
    rest = 1, norm.eps, norm.eps, step.relu, False
    out, mean, variance, *_ = _Normalised.apply(
        base, None, None, None, norm.weight, norm.bias, step.residual, rest
    )
    follow(norm, mean, variance, base)
    return out


def gated_conv_norm(conv: GatedConv2d, step: ConvNorm) -> Tensor:
    """The same where the convolution has a gate."""
    norm, gate_norm = step.norm, conv.gate_norm[step.branch]
    base, full = conv.sums(step.x, step.branch, convolve)
    given = conv.shared.pop() if conv.shared else None
    waiting = conv.shared if given is None else None  # of the second view, for this mask
    rest = conv.mask_group, gate_norm.eps, norm.eps, step.relu, waiting is not None
    # A copy: the controller moves thresholds in place before the way back.
    out, mean, variance, gate_mean, gate_variance, share, mask = _Normalised.apply(
        base, full, conv.tau.clone(), given, norm.weight, norm.bias, step.residual, rest
    )
    if waiting is not None:
        waiting.append(mask)
    conv.density = gate_mean.new_tensor(share)
    follow(gate_norm, gate_mean, gate_variance, base)
    follow(norm, mean, variance, base)
    return out


@torch.no_grad()
def follow(norm: nn.Module, mean: Tensor, variance: Tensor, maps: Tensor) -> None:
    """Moves running statistics as BatchNorm does; ``variance`` is divided by n, theirs by n - 1."""
    count = maps.numel() // maps.shape[1]
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (count / max(count - 1, 1)), norm.momentum)
