"""An integral controller that moves each gated layer's thresholds to a set density."""

from __future__ import annotations

import torch
from torch import nn

from hwsim.train.networks.gating import gated_layers

GAIN = 0.1
"""Units of Z per unit of density and forward pass. Where Z is normal and tau near 0.5 the density
falls by about 0.35 per unit, so that an error shrinks by 3.5 % per pass."""


@torch.no_grad()
def steer(model: nn.Module, density: float) -> None:
    """Move each layer's thresholds by one number: up where its last pass was above ``density``.

    It replaces the penalty, which would work against it.
    """
    for layer in gated_layers(model).values():
        layer.tau += GAIN * (layer.density - density)
