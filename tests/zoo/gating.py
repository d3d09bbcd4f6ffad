"""Six families of gated networks: what decides, what a decision is for, what is left out.

======================  ====================  ==========================================
family                  decision of a gate    masked off
======================  ====================  ==========================================
``channel``             (N, C, H, W)          the conditional sum of an output value
``spatial``             (N, 1, H, W)          all channels of an output pixel
``output_channel``      (N, C) or with 1, 1   an output channel
``input_channel``       (N, C_in) or 1, 1     an input channel
``block``               (N, 1) or with 1, 1   all layers of a block, for an image
``token``               (N, T) or (N, 1, T)   all channels of a token
======================  ====================  ==========================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zoo.gated_channels import InputChannelGated, OutputChannelGated
from zoo.gated_parts import BlockSkipping, TokenGated
from zoo.gated_values import ChannelGated, SpatiallyGated
from zoo.gates import PLAIN, GatedNetwork, Variant

GATING: dict[str, Callable[..., GatedNetwork]] = {
    "channel": ChannelGated,
    "spatial": SpatiallyGated,
    "output_channel": OutputChannelGated,
    "input_channel": InputChannelGated,
    "block": BlockSkipping,
    "token": TokenGated,
}
"""By name; each takes a :class:`~zoo.gates.Variant` and options of its own."""


def gated_network(family: str, variant: Variant = PLAIN, **options: Any) -> GatedNetwork:
    """In evaluation mode, with weights that are the same in every process.

    BNs have the statistics of other images, so that decisions are neither all 0 nor all 1.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(3)
        network = GATING[family](variant, **options)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.raised = True
    with torch.no_grad():
        network(images(16, seed=4))
    network.raised = False
    network.forget()
    return network.eval()


def images(count: int = 4, size: int = 16, seed: int = 2) -> Tensor:
    """(N, 3, size, size), normally distributed."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
