"""The controller alone brings every gated layer to the density asked for."""

from __future__ import annotations

import pytest
import torch
from near import assert_near

from hwsim.train import controller
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers


@pytest.mark.parametrize("density", [0.15, 0.7])
def test_each_layer_reaches_the_density(density: float) -> None:
    torch.manual_seed(0)
    encoder = models.ResNet18("cdg", 8, stages=(1, 1))
    images = torch.randn(8, 3, 8, 8)
    for _ in range(300):
        encoder(images)
        controller.steer(encoder, density)
    encoder(images)
    found = [float(layer.density) for layer in gated_layers(encoder).values()]
    assert found == pytest.approx([density] * 4, abs=0.02)


def test_thresholds_of_a_layer_move_alike() -> None:
    encoder = models.ResNet18("scdg", 32, stages=(1,))
    layer = encoder.layer1[0].conv1
    before = layer.tau.detach().clone()
    layer.density = torch.tensor(0.9)
    controller.steer(encoder, 0.4)
    assert_near(layer.tau.detach(), before + controller.GAIN * 0.5)
