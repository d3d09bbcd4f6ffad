"""The optimisers: one for the weights, plain SGD for the thresholds, and their common schedule."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

MOMENTUM = 0.9
TRUST = 1e-3
"""LARS's eta (You et al. 2017): a step's length as a share of the weight's."""


def rate(progress: float, warm_up: float) -> float:
    """Learning rate as a share of its peak: linear warm-up, then half a cosine."""
    if progress < warm_up:
        return (progress + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warm_up) / (1 - warm_up))))


def optimisers(model: nn.Module, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """One for the weights and, where there are gates, one for the thresholds."""
    found = [weight_optimiser(model, args)]
    taus = [parameter for name, parameter in model.named_parameters() if is_threshold(name)]
    if taus:
        # Under Adam the penalty's size would not matter; a decay or a trust ratio would add to it.
        found.append(torch.optim.SGD(taus, lr=args.tau_lr, momentum=MOMENTUM))
    for optimiser in found:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return found


def weight_optimiser(model: nn.Module, args: argparse.Namespace) -> torch.optim.Optimizer:
    """For all parameters but the thresholds; vectors (BatchNorm, biases) do not decay."""
    named = [p for name, p in model.named_parameters() if not is_threshold(name)]
    groups = [
        {"params": [p for p in named if p.ndim > 1], "weight_decay": args.weight_decay},
        {"params": [p for p in named if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if args.optimiser == "lars":
        return Lars(groups, lr=args.lr)
    if args.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=args.lr, momentum=MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups, lr=args.lr)


def is_threshold(name: str) -> bool:
    return name.endswith(".tau")


class Lars(torch.optim.Optimizer):
    """Layer-wise adaptive SGD (You et al. 2017): v = 0.9 v + lr * ratio * (g + decay * w), w -= v.

    ratio = 1e-3 |w| / |g + decay * w| for matrices and 1 for vectors, as SimCLR uses it; 1 where a
    norm is zero.
    """

    def __init__(self, params: Iterable[Any], lr: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                direction = weight.grad + group["weight_decay"] * weight
                if weight.ndim > 1:
                    sizes = weight.norm(), direction.norm()
                    known = (sizes[0] > 0) & (sizes[1] > 0)
                    direction *= torch.where(known, TRUST * sizes[0] / sizes[1], 1.0)
                velocity = self.state[weight].setdefault("velocity", torch.zeros_like(weight))
                velocity.mul_(MOMENTUM).add_(direction, alpha=group["lr"])
                weight.sub_(velocity)
