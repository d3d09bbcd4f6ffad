"""What holds for every method: its views, its layers, what it records, its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from near import assert_near

from hwsim.network import resnet18
from hwsim.train.images.views import plain
from hwsim.train.networks import methods, models
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.methods import METHODS, Method, dynamic_layers
from hwsim.train.networks.models import ResNet18
from hwsim.train.record.channel_masks import channel_masks

STAGES = (1, 1)


def encoder(method: Method) -> ResNet18:
    torch.manual_seed(0)
    return ResNet18(method, 32, stages=STAGES)


def images(count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("method", METHODS)
def test_weights_file_gives_the_same_network(method: Method, tmp_path: Path) -> None:
    network = encoder(method)
    methods.advance(network, 1.0, 0.5)
    recalibrate(network, images())
    models.round_to_fp16(network)
    models.save_weights(tmp_path / "w.npz", network, {})
    again, _ = models.load_weights(tmp_path / "w.npz")
    x = plain(images())
    assert again.stages == STAGES
    assert_near(again(x), network.eval()(x))


@pytest.mark.parametrize("method", METHODS)
def test_layers_are_those_of_the_workload(method: Method) -> None:
    network = resnet18(16, width=32, stages=STAGES)
    modules = dict(encoder(method).named_modules())
    shapes = {layer.name: modules[layer.name].weight.shape for layer in network.layers[:-1]}
    assert all(
        shapes[layer.name] == (layer.out_channels, layer.in_channels, *[layer.kernel_size] * 2)
        for layer in network.layers[:-1]
    )
    gated = [layer.name for layer in network.gated_layers]
    assert list(dynamic_layers(encoder(method))) == ([] if method == "dense" else gated)


@pytest.mark.parametrize("method", METHODS)
def test_both_views_train_every_weight(method: Method) -> None:
    model = models.SimCLR(encoder(method))
    first, second = torch.randn(2, 4, 3, 16, 16)
    with methods.pairing(method, model):
        branches = methods.view_branches(method)
        outputs = [model(x, b) for x, b in zip((first, second), branches, strict=True)]
    (outputs[0] - outputs[1]).square().sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    wanted = [n for n, _ in model.named_parameters() if n.endswith("tau")]
    assert without == (wanted if method == "broadcast" else [])


@pytest.mark.parametrize(("method", "shape"), [("fbs", (32,)), ("dgc", (4, 32))])
def test_recorded_channels_are_those_kept(method: Method, shape: tuple[int, ...]) -> None:
    network = encoder(method)
    methods.advance(network, 1.0, 0.25)
    recalibrate(network, images())
    masks = channel_masks(network, images(20))
    assert list(masks) == list(dynamic_layers(network))
    first = masks["layer1.0.conv1"]
    assert (first.shape, first.dtype) == ((20, *shape), np.bool_)
    assert (first.sum(-1) == 8).all()
    alone = channel_masks(network, images(20)[7:8])
    np.testing.assert_array_equal(alone["layer1.0.conv1"][0], first[7])


def test_a_gated_network_has_no_channel_masks() -> None:
    with pytest.raises(ValueError, match="does not choose channels"):
        channel_masks(encoder("cdg"), images())
