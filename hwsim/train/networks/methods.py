"""The methods: which convolution each puts into a residual block, and how its two views run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from hwsim.train.networks import dgc, fbs
from hwsim.train.networks.dgc import DGCConv2d
from hwsim.train.networks.fbs import FBSConv2d
from hwsim.train.networks.gating import Branch, DenseConv2d, GatedConv2d, GateNorm, broadcasting

Method = Literal["dense", "cgnet", "broadcast", "cdg", "scdg", "fbs", "dgc"]
METHODS: tuple[Method, ...] = get_args(Method)

MASK_GROUP: dict[str, int] = {"cgnet": 1, "broadcast": 1, "cdg": 1, "scdg": 8}
"""Consecutive output channels that share one decision, per gated method."""

GATED = tuple(MASK_GROUP)

GATE_GROUPS = 4

CHANNELS_KEPT = {"fbs": 0.62, "dgc": 0.47}
"""Default density of the methods that choose whole channels: half the MACs of the 3x3 layers, about
the poster's reduction. FBS saves in a block's first layer by its outputs alone, (d + d^2) / 2."""

VIEW_BRANCHES: dict[str, tuple[Branch, Branch]] = {
    "cdg": ("diagonal", "inverse"),
    "scdg": ("diagonal", "inverse"),
}
"""The branch of view 1 and of view 2; diagonal for both where a method is not named."""

FRAMEWORK: dict[str, str] = {
    "dense": "SimCLR",
    "cgnet": "SimCLR, both views on the diagonal, each with its own mask",
    "broadcast": "SimCLR, both views on the diagonal with the mask of view 1",
    "cdg": "SimCLR, view 1 on the diagonal, view 2 on the inverse diagonal",
    "scdg": "SimCLR, view 1 on the diagonal, view 2 on the inverse diagonal",
    "fbs": "SimCLR, feature boosting and suppression",
    "dgc": "SimCLR, dynamic group convolution",
}
"""How the training record names the training."""


def view_branches(method: str) -> tuple[Branch, Branch]:
    """The branch of view 1 and of view 2."""
    return VIEW_BRANCHES.get(method, ("diagonal", "diagonal"))


def pairing(method: str, model: nn.Module) -> AbstractContextManager[Any]:
    """The context of the two forward passes of a training step."""
    return broadcasting(model) if method == "broadcast" else nullcontext()


def conv3x3(
    method: Method,
    in_channels: int,
    out_channels: int,
    stride: int,
    *,
    mask_group: int,
    gate_norm: GateNorm,
) -> nn.Conv2d:
    """The 3x3 convolution of a residual block for this method."""
    if method == "dense":
        return DenseConv2d(in_channels, out_channels, 3, stride, 1, bias=False)
    if method == "fbs":
        return FBSConv2d(in_channels, out_channels, stride)
    if method == "dgc":
        return DGCConv2d(in_channels, out_channels, stride)
    return GatedConv2d(
        in_channels,
        out_channels,
        3,
        stride,
        gate_groups=GATE_GROUPS,
        mask_group=mask_group,
        norm=gate_norm,
    )


def norm_after(method: Method, channels: int) -> nn.Module:
    """What follows a 3x3 convolution; FBS normalises before it scales."""
    return nn.Identity() if method == "fbs" else nn.BatchNorm2d(channels)


def dynamic_layers(model: nn.Module) -> dict[str, GatedConv2d | FBSConv2d | DGCConv2d]:
    """The layers that leave something out, by module path, in execution order; none where dense.

    Each has `density`, the share that its last forward pass kept.
    """
    kinds = GatedConv2d, FBSConv2d, DGCConv2d
    return {name: m for name, m in model.named_modules() if isinstance(m, kinds)}


def advance(model: nn.Module, progress: float, density: float) -> None:
    """Set the share of channels that FBS and DGC keep at this progress of a run."""
    for layer in dynamic_layers(model).values():
        if isinstance(layer, FBSConv2d):
            layer.keep(fbs.stepped_share(progress, density))
        elif isinstance(layer, DGCConv2d):
            layer.keep(dgc.ramped_share(progress, density))


def lasso(model: nn.Module) -> Tensor:
    """What FBS and DGC add to the loss after a forward pass: their saliencies' size, weighted."""
    layers = dynamic_layers(model).values()
    terms = [layer.lasso for layer in layers if not isinstance(layer, GatedConv2d)]
    return torch.stack(terms).sum() if terms else torch.zeros(())
