"""A recorded layer's int8 data through the kernel's dispatch: the bits that torch decided."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from compute.check import check, check_torch
from compute.data import LayerData
from compute.replay import replay
from refusal import refusal

from hwsim.arch.load import load_arch
from hwsim.arch.schemes import parse_scheme
from hwsim.network import INPUT
from hwsim.trace.__main__ import describe
from hwsim.trace.files import verify
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train.networks import models
from hwsim.train.networks.gating import Branch, GateNorm, gated_layers
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.methods import Method
from hwsim.train.record.__main__ import main as record_main
from hwsim.train.record.quantised import sample_of


def encoder_of(method: Method, norm: GateNorm = "batch") -> models.ResNet18:
    torch.manual_seed(1)
    encoder = models.ResNet18(method, 32, gate_norm=norm).to(memory_format=torch.channels_last)
    for layer in gated_layers(encoder).values():
        torch.nn.init.uniform_(layer.tau, -0.5, 0.9)
    recalibrate(encoder, torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8))
    models.round_to_fp16(encoder)
    return encoder.eval()


@pytest.fixture(scope="module", params=["cdg", "scdg"])
def encoder(request: pytest.FixtureRequest) -> models.ResNet18:
    return encoder_of(request.param)


def sampled(trace: MaskTrace) -> LayerData:
    """The sample as a layer alone."""
    sample = trace.sample
    assert sample is not None
    edges = {"input": INPUT, "residual": None, "pool": 1}
    return LayerData(
        layer=trace.network.by_name[sample.layer].model_copy(update=edges),
        activations=sample.activations[None],
        weights=sample.weights,
        thresholds=sample.thresholds.astype(np.int64),
        mask_group=trace.mask_group,
        inverse=trace.header.branch == "inverse",
    )


@pytest.mark.parametrize("layer", ["layer1.0.conv2", "layer2.0.conv1"])
def test_a_recorded_layer_computes(
    encoder: models.ResNet18, layer: str, drawn: Path, tmp_path: Path
) -> None:
    check_recorded(encoder, layer, drawn, tmp_path)


@pytest.mark.parametrize("method", ["cdg", "scdg"])
def test_a_recorded_layer_of_an_instance_gate_computes(
    method: Method, drawn: Path, tmp_path: Path
) -> None:
    check_recorded(encoder_of(method, "instance"), "layer2.0.conv1", drawn, tmp_path)


def check_recorded(encoder: models.ResNet18, layer: str, drawn: Path, tmp_path: Path) -> None:
    """The sample's integers through the dispatch of the schemes that its masks can take."""
    weights, out = tmp_path / "w.npz", tmp_path / "trace.h5"
    models.save_weights(weights, encoder, {})
    arguments = ["--weights", str(weights), "--data", str(drawn), "--images", "2"]
    assert record_main([*arguments, "--out", str(out), "--sample", layer]) == 0
    trace = verify(out)
    assert trace.header.gate_norm == encoder.gate_norm
    data = sampled(trace)
    arch = load_arch("pe16x16-baseline")
    for scheme in ("unstructured", "structured-8x" if trace.mask_group == 8 else "lockstep-8"):
        run = replay(arch, parse_scheme(scheme, arch), data)
        check(run)
        check_torch(run)
        decided = np.packbits(run.mask.ravel(), bitorder="little")
        np.testing.assert_array_equal(decided, trace.sample.mask)
    # Rounding to int8 turns few of the recorded decisions.
    differing = trace.sample.differing_bits(trace.packed(layer, 0, 1)[0])
    assert differing < 0.03 * run.mask.size
    assert f"{differing:,} of {run.mask.size:,} bits" in dict(describe(trace))["int8 sample"]


def test_a_layer_that_is_not_gated_has_no_sample(
    encoder: models.ResNet18, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w.npz"
    models.save_weights(weights, encoder, {})
    arguments = ["--weights", str(weights), "--data", str(drawn), "--out", str(tmp_path / "t.h5")]
    error = refusal(capsys, record_main, [*arguments, "--sample", "conv1"])
    assert "gated layers are layer1.0.conv1" in error


@pytest.mark.parametrize("branch", ["diagonal", "inverse"])
def test_integers_decide_like_the_gate_where_nothing_is_rounded(
    encoder: models.ResNet18, branch: Branch
) -> None:
    layer = gated_layers(encoder)["layer1.0.conv1"]
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(0, 128, (1, 32, 8, 8), generator=generator).float()
    x[0, 0, 0, 0] = 127
    sample = sample_of("layer1.0.conv1", layer, x, branch)
    np.testing.assert_array_equal(sample.activations, x[0].numpy())
    kept = layer.weight.data.clone()
    scale = kept.unflatten(0, (-1, layer.mask_group)).abs().amax((1, 2, 3, 4)) / 127
    steps = torch.from_numpy(sample.weights).unflatten(0, (-1, layer.mask_group))
    layer.weight.data = (steps * scale[:, None, None, None, None]).flatten(0, 1)
    bits = layer.margin(layer.base_sum(x, branch), branch)[0] > 0
    layer.weight.data = kept
    packed = np.packbits(bits.numpy().ravel(), bitorder="little")
    assert sample.differing_bits(packed) <= 1  # a margin within the rounding of fp32
