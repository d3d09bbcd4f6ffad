"""The controls: what training began with, and the same with as many gates open."""

from __future__ import annotations

import pytest
import torch

from hwsim.train.evaluate import costs
from hwsim.train.evaluate.untrained import set_densities, untrained_like
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.methods import Method


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (48, 3, 16, 16), dtype=torch.uint8, generator=generator)


def encoder_of(seed: int, method: Method = "cdg") -> models.ResNet18:
    torch.manual_seed(seed)
    return models.ResNet18(method, 8, stages=(1, 1), gate_norm="instance", mask_group=2)


def test_the_untrained_network_has_the_weights_of_its_seed(images: torch.Tensor) -> None:
    wanted = encoder_of(5)
    models.round_to_fp16(wanted)
    trained = encoder_of(6)
    before = torch.get_rng_state()
    found = untrained_like(trained, 5, images)
    assert torch.equal(torch.get_rng_state(), before)
    for name, parameter in wanted.named_parameters():
        assert torch.equal(found.get_parameter(name), parameter)
    assert not found.training
    # Recalibrated: what a new normalisation does not have.
    assert float(found.bn1.running_mean.abs().max()) > 0


@pytest.mark.parametrize("method", ["cdg", "scdg"])
def test_thresholds_move_to_the_densities_given(method: Method, images: torch.Tensor) -> None:
    encoder = encoder_of(7, method)
    wanted = dict(zip(gated_layers(encoder), (0.1, 0.4, 0.75, 0.25), strict=True))
    set_densities(encoder, wanted, images)
    found = costs.layer_densities(encoder, images)
    assert found == pytest.approx(wanted, abs=0.01)
    for layer in gated_layers(encoder).values():
        assert len(layer.tau.unique()) == 1
