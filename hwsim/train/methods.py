"""The methods: which convolution each puts into a residual block, and how its two views run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

from torch import nn

from hwsim.train.gating import Branch, DenseConv2d, GatedConv2d, GateNorm, broadcasting

Method = Literal["dense", "cgnet", "broadcast", "cdg", "scdg"]
METHODS: tuple[Method, ...] = get_args(Method)

MASK_GROUP: dict[str, int] = {"cgnet": 1, "broadcast": 1, "cdg": 1, "scdg": 8}
"""Consecutive output channels that share one decision, per gated method."""

GATED = tuple(MASK_GROUP)

GATE_GROUPS = 4

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
}
"""What a trace says of the training."""


def view_branches(method: str) -> tuple[Branch, Branch]:
    return VIEW_BRANCHES.get(method, ("diagonal", "diagonal"))


def pairing(method: str, model: nn.Module) -> AbstractContextManager[Any]:
    """What the two forward passes of a training step run in."""
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
    return GatedConv2d(
        in_channels,
        out_channels,
        3,
        stride,
        gate_groups=GATE_GROUPS,
        mask_group=mask_group,
        norm=gate_norm,
    )
