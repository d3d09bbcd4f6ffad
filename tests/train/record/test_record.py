"""Recorded masks, margins and zero counts against the network and against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from near import assert_near
from refusal import refusal

from hwsim.network import ConvLayer, resnet18
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train.images import views
from hwsim.train.images.views import plain
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.methods import MASK_GROUP, Method
from hwsim.train.record import resnet
from hwsim.train.record.__main__ import main as record_main
from hwsim.train.record.masks.salience import salience_steps
from hwsim.train.record.zero_operands import conditional_zero_macs, zero_operand_macs, zero_operands


@pytest.fixture(scope="module", params=["cdg", "scdg"])
def encoder(request: pytest.FixtureRequest) -> models.ResNet18:
    torch.manual_seed(1)
    encoder = models.ResNet18(request.param, 32).to(memory_format=torch.channels_last)
    for layer in gated_layers(encoder).values():
        torch.nn.init.uniform_(layer.tau, -0.5, 0.9)
    recalibrate(encoder, torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8))
    return encoder.eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=generator)


def test_masks_reapplied_to_base_and_conditional_sums_give_the_outputs(
    encoder: models.ResNet18, images: torch.Tensor
) -> None:
    network = resnet18(width=32)
    masks = resnet.record(encoder, images, network)["masks"]
    seen = {}
    hooks = [
        layer.register_forward_hook(
            lambda _, args, out, name=name: seen.update({name: (args[0], out)})
        )
        for name, layer in gated_layers(encoder).items()
    ]
    with torch.no_grad():
        encoder(plain(images))
    for hook in hooks:
        hook.remove()
    group = MASK_GROUP[encoder.method]
    for name, layer in gated_layers(encoder).items():
        x, output = seen[name]
        blocks = [w.chunk(4, 1)[g] for g, w in enumerate(layer.weight.detach().chunk(4))]
        inputs = zip(x.chunk(4, 1), blocks, strict=True)
        base = torch.cat([F.conv2d(i, w, stride=layer.stride, padding=1) for i, w in inputs], 1)
        conditional = F.conv2d(x, layer.weight.detach(), stride=layer.stride, padding=1) - base
        count, channels, height, width = output.shape
        bits = np.unpackbits(masks[name], axis=1, bitorder="little")
        bits = bits[:, : channels // group * height * width].reshape(count, -1, height, width)
        mask = torch.from_numpy(np.repeat(bits, group, axis=1))
        assert_near(base + mask * conditional, output, 1e-4)
        assert 0 < mask.float().mean() < 1


def test_salience_is_positive_exactly_where_the_mask_is_set(
    encoder: models.ResNet18, images: torch.Tensor
) -> None:
    recorded = resnet.record(encoder, images, resnet18(width=32), salience_images=2)
    for name, steps in recorded["salience"].items():
        assert steps.dtype == np.int8
        assert len(steps) == 2
        bits = np.unpackbits(recorded["masks"][name], axis=1, bitorder="little")
        np.testing.assert_array_equal(steps > 0, bits[:2, : steps.shape[1]].astype(bool))
        assert recorded["salience_scale"][name] > 0


def test_salience_steps_are_rounded_away_from_zero() -> None:
    margins = np.array([[0.0, 1e-30, -1e-30, 63.5, -63.6, 127.0, -127.0, 5.0, 1.5]])
    steps, scale = salience_steps(margins)
    # The largest margin decides the step here: the 99.9 % quantile of these is 127 too.
    assert scale == 1
    np.testing.assert_array_equal(steps, [[0, 1, -1, 64, -64, 127, -127, 5, 2]])


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (
            "fbs",
            "--sample layer1.0.conv1: {} is a network of fbs, whose masks are of whole channels",
        ),
        ("dense", "{}: a dense network has no masks"),
    ],
)
def test_what_a_network_cannot_give_is_told_before_anything_is_read(
    method: Method, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, out = tmp_path / "w.npz", tmp_path / "trace.h5"
    models.save_weights(weights, models.ResNet18(method, 8), {})
    arguments = ["--weights", str(weights), "--data", "nowhere", "--out", str(out)]
    error = refusal(capsys, record_main, [*arguments, "--sample", "layer1.0.conv1"])
    assert words.format(weights) in error
    assert not out.exists()


def naive_zero_macs(x: np.ndarray, out_channels: int, kernel: int, stride: int, pad: int) -> int:
    """Every MAC of one image's dense convolution looked at by itself."""
    channels, height, width = x.shape
    zeros = 0
    for _ in range(out_channels):
        for oy in range((height + 2 * pad - kernel) // stride + 1):
            for ox in range((width + 2 * pad - kernel) // stride + 1):
                for c in range(channels):
                    for ky in range(kernel):
                        for kx in range(kernel):
                            y, z = oy * stride + ky - pad, ox * stride + kx - pad
                            inside = 0 <= y < height and 0 <= z < width
                            zeros += not (inside and x[c, y, z] != 0)
    return zeros


@pytest.mark.parametrize("stride", [1, 2])
def test_zero_operand_macs_equal_the_naive_count(stride: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 8).relu()
    layer = ConvLayer(
        name="l", in_channels=4, out_channels=8, kernel_size=3, stride=stride, padding=1,
        in_height=6, in_width=8,
    )  # fmt: skip
    wanted = [naive_zero_macs(image, 8, 3, stride, 1) for image in x.numpy()]
    found = zero_operand_macs(x, layer)
    assert found.dtype == torch.int64
    assert found.tolist() == wanted


def naive_conditional_zeros(x, mask, layer: ConvLayer, branch: str) -> int:
    """Conditional MACs under set bits whose operand is 0, one by one."""
    groups, zeros = layer.groups, 0
    inputs, outputs = layer.in_channels // groups, layer.out_channels // groups
    lists = layer.out_channels // len(mask)
    for out, oy, ox in np.ndindex(layer.out_channels, layer.out_height, layer.out_width):
        own = out // outputs if branch == "diagonal" else groups - 1 - out // outputs
        if not mask[out // lists, oy, ox]:
            continue
        for c, ky, kx in np.ndindex(layer.in_channels, layer.kernel_size, layer.kernel_size):
            if c // inputs == own and not layer.zeroes:
                continue
            y = oy * layer.stride + ky - layer.padding
            z = ox * layer.stride + kx - layer.padding
            inside = 0 <= y < layer.in_height and 0 <= z < layer.in_width
            zeros += not (inside and x[c, y, z] != 0)
    return zeros


def gated(groups: int, stride: int = 1) -> ConvLayer:
    return ConvLayer(
        name="l", in_channels=6, out_channels=12, kernel_size=3, stride=stride, padding=1,
        in_height=6, in_width=8, gated=True, groups=groups,
    )  # fmt: skip


@pytest.mark.parametrize("branch", ["diagonal", "inverse"])
@pytest.mark.parametrize(("groups", "stride", "mask_group"), [(3, 1, 1), (3, 2, 2), (1, 2, 3)])
def test_zeros_of_conditional_macs_equal_the_naive_count(
    branch, groups: int, stride: int, mask_group: int
) -> None:
    torch.manual_seed(0)
    layer = gated(groups, stride)
    x = torch.randn(2, 6, 6, 8).relu()
    mask = torch.rand(2, 12 // mask_group, layer.out_height, layer.out_width) < 0.4
    found = conditional_zero_macs(zero_operands(x, layer), mask, layer, branch)
    assert found.dtype == torch.int64
    images = zip(x.numpy(), mask.numpy(), strict=True)
    assert found.tolist() == [naive_conditional_zeros(*image, layer, branch) for image in images]


def test_zeros_of_base_and_conditional_macs_make_those_of_the_dense_convolution() -> None:
    torch.manual_seed(0)
    layer, x = gated(3), torch.randn(3, 6, 6, 8).relu()
    dense, every = zero_operand_macs(x, layer), torch.ones(3, 12, 6, 8, dtype=torch.bool)
    conditional = conditional_zero_macs(zero_operands(x, layer), every, layer, "diagonal")
    base = [
        # each output group's own convolution: its 2 input channels, its 4 output channels
        sum(naive_zero_macs(image[2 * g : 2 * g + 2], 4, 3, 1, 1) for g in range(3))
        for image in x.numpy()
    ]
    assert (dense % 3 == 0).all()
    assert (dense // 3).tolist() == base
    assert (dense // 3 + conditional).tolist() == dense.tolist()


def test_an_input_of_zeros_and_one_without() -> None:
    layer = gated(3)
    every = torch.ones(1, 12, 6, 8, dtype=torch.bool)

    def counted(x: torch.Tensor) -> tuple[int, int]:
        zeros = zero_operands(x, layer)
        conditional = conditional_zero_macs(zeros, every, layer, "diagonal")
        return int(zero_operand_macs(x, layer)), int(conditional)

    # 12 outputs on 6 x 8 pixels, 9 taps of 6 channels, 4 of them conditional
    assert counted(torch.zeros(1, 6, 6, 8)) == (12 * 48 * 54, 12 * 48 * 36)
    # Padding alone: the upper and lower row lose 3 taps on 8 pixels, the left and right column 3 on
    # 6, the corners have one of these twice: 2 x 24 + 2 x 18 - 4 = 80 taps of 6 (4) channels.
    assert counted(torch.ones(1, 6, 6, 8)) == (12 * 80 * 6, 12 * 80 * 4)


def test_command_records_the_weights_file(
    encoder: models.ResNet18, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, out = tmp_path / "w.npz", tmp_path / "trace.h5"
    models.round_to_fp16(encoder)
    models.save_weights(weights, encoder, {"knn_percent": 12.5, "barely_trained": True})
    arguments = ["--weights", str(weights), "--data", str(drawn), "--images", "5", "--out"]
    assert record_main([*arguments, str(out)]) == 0
    trace = MaskTrace.open(out)
    assert trace.header.image_ids == (0, 1, 2, 3, 4)
    assert trace.header.training["knn_percent"] == 12.5
    test = views.load_split(drawn, "test", tmp_path)
    shipped, _ = models.load_weights(weights)
    again = resnet.record(shipped, test.images[:5], trace.header.network)
    for name, packed in again["masks"].items():
        np.testing.assert_array_equal(trace.packed(name), packed)
    error = refusal(capsys, record_main, ["--weights", str(out), *arguments[2:], str(out)])
    assert "trace.h5: not a weights file" in error
