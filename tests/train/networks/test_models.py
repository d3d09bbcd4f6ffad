"""Module paths are the workload's layer names; weights survive their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from near import assert_near

from hwsim.network import resnet18
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.methods import MASK_GROUP, Method


@pytest.mark.parametrize("method", ["cdg", "scdg"])
def test_layers_are_those_of_the_workload(method: Method) -> None:
    encoder = models.ResNet18(method, 64)
    modules = dict(encoder.named_modules())
    network = resnet18()
    for layer in network.layers[:-1]:  # the classifier is not part of the encoder
        module = modules[layer.name]
        assert module.weight.shape == (
            layer.out_channels, layer.in_channels, layer.kernel_size, layer.kernel_size,
        )  # fmt: skip
        assert module.stride == (layer.stride,) * 2
        assert module.padding == (layer.padding,) * 2
    assert list(gated_layers(encoder)) == [layer.name for layer in network.gated_layers]
    thresholds = sum(layer.tau.numel() for layer in gated_layers(encoder).values())
    assert thresholds == 4 * (64 + 128 + 256 + 512) // MASK_GROUP[method]


def test_weights_file_gives_the_same_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = models.ResNet18("scdg", 32)
    x = torch.randn(2, 3, 32, 32)
    encoder(x)  # moves the running statistics off their start
    models.round_to_fp16(encoder)
    models.save_weights(tmp_path / "w.npz", encoder, {"seed": 0})
    again, training = models.load_weights(tmp_path / "w.npz")
    assert training == {"seed": 0}
    assert_near(again(x), encoder.eval()(x))
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        kinds = {name: file[name].dtype for name in file.files}
    assert kinds["layer1.0.conv1.weight"] == np.float16
    assert kinds["layer1.0.conv1.tau"] == np.float32
    assert kinds["layer1.0.bn1.running_var"] == np.float32


def test_a_file_that_is_no_weights_file(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with pytest.raises(models.WeightsError, match="no such weights file"):
        models.load_weights(path)
    path.write_bytes(b"PK not a zip")
    with pytest.raises(models.WeightsError, match="not a weights file"):
        models.load_weights(path)
