"""An encoder in int8: one rule with a trace's sample, steps by hand, flips counted by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from near import assert_near
from torch import Tensor

from hwsim.trace.format.packing import pack_bits
from hwsim.train.evaluate import int8
from hwsim.train.images.views import plain
from hwsim.train.networks import models
from hwsim.train.networks.gating import Branch, GatedConv2d, gated_layers
from hwsim.train.networks.inference import hooked, recalibrate
from hwsim.train.record.quantised import Integers, sample_of


def images(count: int, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module", params=["cdg", "scdg"])
def encoder(request: pytest.FixtureRequest) -> models.ResNet18:
    torch.manual_seed(1)
    encoder = models.ResNet18(request.param, 32).to(memory_format=torch.channels_last)
    for layer in gated_layers(encoder).values():
        torch.nn.init.uniform_(layer.tau, -0.5, 0.9)
    for branch in ("diagonal", "inverse"):
        recalibrate(encoder, images(8), branch)
    return encoder.eval()


@pytest.mark.parametrize("branch", ["diagonal", "inverse"])
def test_gates_decide_as_the_sample_of_a_trace_does(
    encoder: models.ResNet18, branch: Branch
) -> None:
    name, layer = "layer2.0.conv1", gated_layers(encoder)["layer2.0.conv1"]
    torch.manual_seed(4)
    x = torch.randn(1, 32, 8, 8).relu()
    sample = sample_of(name, layer, x, branch)
    gated = int8.Int8Gated(Integers.of(layer, x.abs().max(), branch))
    y = gated(x, branch).detach()
    np.testing.assert_array_equal(pack_bits(gated.mask.numpy())[0], sample.mask)
    # Outputs are the integers' sums in units of the steps, base sums where masked off.
    mask = gated.mask.repeat_interleave(layer.mask_group, 1)
    weights = torch.from_numpy(sample.weights).double()
    activations = torch.from_numpy(sample.activations)[None].double()
    full = torch.nn.functional.conv2d(activations, weights, stride=2, padding=1)
    steps = gated.integers.steps[:, None, None]
    assert_near(y[mask], (full * steps)[mask].float())
    assert 0 < mask.float().mean() < 1
    assert not torch.equal(y[~mask], (full * steps)[~mask].float())


def test_another_branch_than_the_quantised_one_is_refused(encoder: models.ResNet18) -> None:
    quantised = int8.quantise(encoder, images(2), "inverse")
    with pytest.raises(ValueError, match="inverse branch, not the diagonal"):
        quantised(plain(images(1)), "diagonal")


def test_what_layers_read_and_blocks_add_lies_on_int8_steps(encoder: models.ResNet18) -> None:
    quantised = int8.quantise(encoder, images(4))
    sizes = int8.activation_sizes(encoder, images(4), "diagonal")
    read: dict[str, Tensor] = {}
    for name, module in quantised.named_modules():
        if isinstance(module, torch.nn.Conv2d) and name in sizes:
            # After the rounding hook, in the order of registration.
            module.register_forward_pre_hook(
                lambda _, args, name=name: read.update({name: args[0]})
            )
    with torch.no_grad():
        features = quantised(plain(images(2, seed=9)))
    assert {"conv1", "layer2.0.shortcut"} <= set(read)
    for name, x in [*read.items(), ("", features)]:
        steps = x.double() / sizes[name].double() * 127
        assert_near(steps, steps.round(), 1e-6)
        assert steps.abs().max() <= 127.001
    weight = quantised.get_submodule("layer2.0.shortcut").weight
    per_channel = weight.double().abs().amax((1, 2, 3), keepdim=True) / 127
    assert_near(weight / per_channel, (weight / per_channel).round(), 1e-6)
    assert isinstance(gated_layers(encoder)["layer1.0.conv1"], GatedConv2d), "a copy was quantised"


def test_flips_are_counted_between_the_two_networks(encoder: models.ResNet18) -> None:
    quantised = int8.quantise(encoder, images(8))
    asked = images(3, seed=5)
    flips = int8.mask_flips(encoder, quantised, asked)
    assert list(flips) == list(gated_layers(encoder))
    masks = {}

    def observe(layer: GatedConv2d, args: tuple, _: torch.Tensor) -> None:
        masks[layer] = layer.margin(layer.base_sum(*args), args[1]) > 0

    with torch.no_grad(), hooked(after=((m, observe) for m in gated_layers(encoder).values())):
        encoder(plain(asked))
        quantised(plain(asked))
    for name, (flipped, ones, bits) in flips.items():
        decided = quantised.get_submodule(name).mask
        assert flipped == int((decided != masks[gated_layers(encoder)[name]]).sum())
        assert (ones, bits) == (int(decided.sum()), decided.numel())
    # Random weights carry a flip on and on; the first layer's are its own.
    flipped, _, bits = flips["layer1.0.conv1"]
    assert 0 < flipped < 0.02 * bits


@pytest.mark.parametrize("tau", [-1e9, 1e9])
def test_with_gates_that_cannot_flip_int8_stays_close(encoder: models.ResNet18, tau: float) -> None:
    fixed = copy.deepcopy(encoder)
    for layer in gated_layers(fixed).values():
        torch.nn.init.constant_(layer.tau, tau)
    recalibrate(fixed, images(8))
    quantised = int8.quantise(fixed, images(8))
    asked = images(3, seed=5)
    with torch.no_grad():
        cosine = torch.nn.functional.cosine_similarity(quantised(plain(asked)), fixed(plain(asked)))
    assert float(cosine.min()) > 0.98
    assert sum(f for f, _, _ in int8.mask_flips(fixed, quantised, asked).values()) == 0


def test_a_dense_encoder_is_quantised_too() -> None:
    torch.manual_seed(0)
    dense = models.ResNet18("dense", 8).eval()
    quantised = int8.quantise(dense, images(4))
    with torch.no_grad():
        found, wanted = quantised(plain(images(2))), dense(plain(images(2)))
    assert float(torch.nn.functional.cosine_similarity(found, wanted).min()) > 0.97
    assert int8.mask_flips(dense, quantised, images(2)) == {}


@pytest.mark.parametrize("mask_group", [1, 8])
@pytest.mark.parametrize("branch", ["diagonal", "inverse"])
def test_a_gate_normalised_by_instance_decides_on_the_image_s_own_sums(
    mask_group: int, branch: Branch
) -> None:
    torch.manual_seed(0)
    layer = GatedConv2d(8, 32, mask_group=mask_group, norm="instance").eval()
    torch.nn.init.uniform_(layer.tau, -0.5, 0.5)
    x = torch.randn(3, 8, 12, 12).relu()
    gated = int8.Int8Gated(Integers.of(layer, x.abs().max(), branch))
    gated(x, branch)
    wanted = layer.margin(layer.base_sum(x, branch), branch) > 0
    assert float((gated.mask != wanted).float().mean()) < 0.02
    assert 0.2 < float(wanted.float().mean()) < 0.8


@pytest.mark.parametrize("mask_group", [1, 8])
def test_a_sample_of_an_instance_gate_has_the_image_s_own_thresholds(mask_group: int) -> None:
    torch.manual_seed(0)
    layer = GatedConv2d(8, 32, mask_group=mask_group, norm="instance").eval()
    torch.nn.init.uniform_(layer.tau, -0.5, 0.5)
    x = torch.randn(2, 8, 12, 12).relu()
    sample = sample_of("a", layer, x, "diagonal")
    # Literally: the sums that these integers represent, normalised over the image's own map.
    weight_steps = layer.weight.detach().double().unflatten(0, (-1, mask_group)).abs()
    weight_steps = weight_steps.amax((1, 2, 3, 4)).repeat_interleave(mask_group) / 127
    weights = torch.from_numpy(sample.weights).double() * weight_steps[:, None, None, None]
    activations = torch.from_numpy(sample.activations).double() * float(x[0].max()) / 127
    pairs = zip(activations.chunk(4), weights.chunk(4), strict=True)
    sums = torch.cat(
        [
            torch.nn.functional.conv2d(a[None], w[:, 2 * g : 2 * g + 2], padding=1)
            for g, (a, w) in enumerate(pairs)
        ],
        1,
    )[0]
    z = sums.unflatten(0, (-1, mask_group)).mean(1)
    mean, variance = z.mean((1, 2), keepdim=True), z.var((1, 2), correction=0, keepdim=True)
    bits = (z - mean) / (variance + 1e-5).sqrt() > layer.tau.detach().double()[:, None, None]
    np.testing.assert_array_equal(pack_bits(bits.numpy()[None])[0], sample.mask)
    assert 0.2 < float(bits.double().mean()) < 0.8
