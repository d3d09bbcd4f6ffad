"""Checks and counts of zero operands on layers of any geometry, against plain loops."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_gates import Masked, Net, attached, conv, images, listed, recorded, written
from torch import Tensor, nn

from hwsim.network import ConvLayer
from hwsim.train.networks.gating import Branch
from hwsim.train.record.masks.shapes import Mask
from hwsim.train.record.recorder import Recorder, RecordingError
from hwsim.train.record.self_check import check, sums_of
from hwsim.train.record.zero_operands import all_zero_macs, conditional_zero_macs, zero_operands

GEOMETRIES: list[dict[str, Any]] = [
    {"kernel_size": (3, 1), "padding": (1, 0)},
    {"kernel_size": (1, 5), "padding": (0, 2), "stride": (1, 2)},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": (3, 2), "padding": (2, 1), "dilation": (2, 1), "stride": (2, 1)},
    {"kernel_size": 2, "padding": (0, 0, 1, 1)},
    {"kernel_size": 3, "padding": (0, 1, 2, 1), "stride": 2},
    {"kernel_size": 3, "padding": 1, "conv_groups": 2},
    {"kernel_size": 3, "padding": 1, "conv_groups": 8, "groups": 1},
    {"kernel_size": 3, "padding": 1, "conv_groups": 4, "groups": 1, "out_channels": 12},
    {"kernel_size": (5, 6)},
]


def layer_of(geometry: dict[str, Any]) -> ConvLayer:
    fields = {"in_channels": 8, "out_channels": 16, "groups": 2} | geometry
    return ConvLayer(name="l", in_height=5, in_width=6, gated=True, **fields)


def reads(layer: ConvLayer, out: int, branch: Branch) -> tuple[list[int], list[int]]:
    """Input channels of an output channel's base and conditional path, by the page on layers."""
    own, gating = layer.conv_groups, layer.groups
    block = out // (layer.out_channels // (own * gating))
    h, g = divmod(block, gating)
    if branch == "inverse":
        g = gating - 1 - g
    wide = layer.in_channels // (own * gating)
    channels = range(h * gating * wide, (h + 1) * gating * wide)
    base = [] if gating == 1 else [c for c in channels if c // wide == h * gating + g]
    return base, [c for c in channels if c not in base]


def operands(layer: ConvLayer, x: np.ndarray, channel: int, oy: int, ox: int) -> list[float]:
    """What the taps of an output pixel read of one channel of an image."""
    (top, left, _, _), found = layer.edges, []
    for ky, kx in product(*map(range, layer.kernel)):
        y = oy * layer.strides[0] - top + ky * layer.dilations[0]
        z = ox * layer.strides[1] - left + kx * layer.dilations[1]
        inside = 0 <= y < layer.in_height and 0 <= z < layer.in_width
        found.append(float(x[channel, y, z]) if inside else 0.0)
    return found


@pytest.mark.parametrize("branch", ["diagonal", "inverse"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_zeros_are_those_of_plain_loops(geometry: dict[str, Any], branch: Branch) -> None:
    layer = layer_of(geometry)
    x = torch.randn(2, 8, 5, 6).relu()
    mask = torch.rand(2, layer.out_channels, layer.out_height, layer.out_width) < 0.4
    dense, conditional = [0, 0], [0, 0]
    pixels = list(product(range(layer.out_height), range(layer.out_width)))
    for n, (oy, ox) in product(range(2), pixels):
        zeros = [operands(layer, x[n].numpy(), c, oy, ox).count(0.0) for c in range(8)]
        for out in range(layer.out_channels):
            base, others = reads(layer, out, branch)
            dense[n] += sum(zeros[c] for c in [*base, *others])
            conditional[n] += int(mask[n, out, oy, ox]) * sum(zeros[c] for c in others)
    found = zero_operands(x, layer)
    assert found.shape == (2, layer.blocks, layer.out_height, layer.out_width)
    assert all_zero_macs(found, layer).tolist() == dense
    assert conditional_zero_macs(found, mask, layer, branch).tolist() == conditional
    last = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(zero_operands(last, layer), found)


@pytest.mark.parametrize("branch", ["diagonal", "inverse"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_sums_are_those_of_plain_loops(geometry: dict[str, Any], branch: Branch) -> None:
    layer = layer_of(geometry)
    inputs = 8 // layer.conv_groups
    module = nn.Conv2d(8, layer.out_channels, layer.kernel, groups=layer.conv_groups).double()
    module.requires_grad_(False)
    x = torch.randn(1, 8, 5, 6).double()
    base, full = sums_of(module, layer, x, branch)
    for out in (0, layer.out_channels // 2, layer.out_channels - 1):
        weight, bias = module.weight[out].flatten(1).tolist(), float(module.bias[out])
        of_base, others = reads(layer, out, branch)
        oy, ox = layer.out_height - 1, 0
        by_channel = {
            c: sum(np.multiply(operands(layer, x[0].numpy(), c, oy, ox), weight[c % inputs]))
            for c in [*of_base, *others]
        }
        assert float(full[0, out, oy, ox]) == pytest.approx(sum(by_channel.values()) + bias)
        if layer.groups > 1:
            wanted = sum(by_channel[c] for c in of_base) + bias
            assert float(base[0, out, oy, ox]) == pytest.approx(wanted)


def test_one_bit_of_one_layer_is_found() -> None:
    layer = layer_of({"kernel_size": 3, "padding": (0, 1, 2, 1), "conv_groups": 2})
    module = nn.Conv2d(8, 16, 3, groups=2)
    x = torch.randn(2, 8, 5, 6)
    base, full = sums_of(module, layer, x, "diagonal")
    bits = torch.rand(2, 16, layer.out_height, layer.out_width) < 0.5
    output = torch.where(bits, full, base)
    options: dict[str, Any] = {"branch": "diagonal", "masked_off": "base", "ignored": set()}
    check(module, layer, Mask("l", "activation", bits), x, output, **options)
    bits[1, 3, 2, 2] ^= True
    with pytest.raises(RecordingError, match=r"layer l: its masks, applied to its own sums"):
        check(module, layer, Mask("l", "activation", bits), x, output, **options)
    with pytest.raises(RecordingError, match=r"; gates= names the module behind which"):
        check(module, layer, Mask("l", "activation", bits), x, output, **options)
    bits[1, 3, 2, 2] ^= True
    zeroed = torch.where(bits, full, torch.zeros_like(full))
    with pytest.raises(RecordingError, match=r"off by .*; masked_off='zero' does"):
        check(module, layer, Mask("l", "activation", bits), x, zeroed, **options)


class Sequence(nn.Module):
    """A stem and a gated Conv1d; (N, 3, 10)."""

    def __init__(self, **more: Any) -> None:
        super().__init__()
        self.stem = nn.Conv1d(3, 8, 3, padding=1)
        self.body = Masked(nn.Conv1d(8, 8, 3, padding=1, **more), lambda x: x - 0.3)
        self.fc = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(self.stem(x).relu()).mean(2))


class Tokens(nn.Module):
    """A gated linear layer on (N, T, C), with a mask of (N, T, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 8)
        self.body = Masked(nn.Linear(8, 6), lambda x: x.mean(2, keepdim=True) - 0.3)
        self.fc = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(self.stem(x.transpose(1, 2)).relu()).mean(1))


class Vectors(nn.Module):
    """A gated linear layer on vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(30, 8)
        self.body = Masked(nn.Linear(8, 8), lambda x: x - 0.3)
        self.fc = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(self.stem(x.flatten(1)).relu()))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Sequence, ("element", (8, 10, 1))),
        (Tokens, ("element", (1, 10, 1))),
        (Vectors, ("output-channel", (8,))),
    ],
)
def test_layers_that_are_no_maps(model: type[nn.Module], shape: tuple, tmp_path: Path) -> None:
    net, x = model().eval(), torch.randn(5, 3, 10)
    with attached(net, {"body": "body.gate"}, example=x[:2]) as recorder, torch.no_grad():
        net(x[:3])
        net(x[3:])
    trace = written(recorder, tmp_path / "t.h5")
    layer = trace.network.by_name["body"]
    assert (trace.header.granularity, sorted(trace.header.mask_shape(layer))) == (
        shape[0], sorted(shape[1]),
    )  # fmt: skip
    read: list[Tensor] = []
    net.body.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    with torch.no_grad():
        net(x)
    wanted = net.body.gate(read[0]) > 0
    found = trace.masks("body").reshape(wanted.shape)
    np.testing.assert_array_equal(found, wanted.numpy())
    # Every zero meets each of the outputs of its taps.
    patches = read[0]
    if model is Sequence:
        patches = F.unfold(read[0][:, :, None], (1, 3), padding=(0, 1))
    zeros = layer.out_channels * (patches == 0).flatten(1).sum(1)
    assert trace.zero_operand_macs("body").tolist() == zeros.tolist()


def test_a_convolution_that_reads_what_its_module_makes_of_the_input(tmp_path: Path) -> None:
    """Zeros are those that the convolution reads, whether the map was changed in place or not."""

    class Activating(Masked):
        def __init__(self, inplace: bool) -> None:
            super().__init__(conv(), lambda x: x > 0.2)
            self.act = nn.ReLU(inplace)

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(x - 0.1) if not self.act.inplace else self.act(x.sub_(0.1))
            return super().forward(x)

    counts = []
    for inplace in (False, True):
        torch.manual_seed(0)
        net = Net(Activating(inplace))
        trace = recorded(net, tmp_path / "t.h5", {"layers.0": "layers.0.gate"})
        counts.append(trace.zero_operand_macs("layers.0").tolist())
    with torch.no_grad():
        x = (net.stem(images()).relu() - 0.1).relu()
    zeros = 8 * (F.unfold(x, 3, padding=1) == 0).sum((1, 2))
    assert counts[0] == counts[1] == zeros.tolist()


@pytest.mark.parametrize("mode", ["reflect", "circular"])
def test_padding_that_is_no_zero_is_not_counted(mode: str, tmp_path: Path) -> None:
    net = Net(Masked(conv(padding_mode=mode), lambda x: x > 0.3))
    trace = recorded(net, tmp_path / "t.h5", {"layers.0": "layers.0.gate"})
    with torch.no_grad():
        x = F.pad(net.stem(images()).relu(), (1, 1, 1, 1), mode=mode)
    zeros = 8 * (F.unfold(x, 3) == 0).sum((1, 2))
    assert trace.zero_operand_macs("layers.0").tolist() == zeros.tolist()


def test_a_transposed_convolution_is_refused_by_name() -> None:
    network = Net(nn.ConvTranspose2d(8, 8, 3, padding=1))
    with pytest.raises(RecordingError, match=r"layer layers\.0: a transposed convolution cannot"):
        Recorder.attach(network, {"layers.0": torch.sign}, network=listed("layers.0"))


def test_two_convolutions_of_a_shape_are_told_apart_by_ignored(tmp_path: Path) -> None:
    class Deciding(Masked):
        def __init__(self) -> None:
            super().__init__(conv(), lambda x: self.masker(x))
            self.masker = conv()

    def gates(of: nn.Module, args: tuple, _: Tensor) -> Tensor:
        return of.masker(args[0])

    net, network = Net(Deciding()), listed("layers.0")
    with pytest.raises(RecordingError, match=r"2 convolutions or linear layers .* in ignored="):
        recorded(net, tmp_path / "t.h5", {"layers.0": gates}, network=network)
    named = {"network": network, "ignored": ["layers.0.masker"]}
    trace = recorded(net, tmp_path / "t.h5", {"layers.0": gates}, **named)
    assert 0 < trace.masks("layers.0").mean() < 1
    derived = recorded(net, tmp_path / "u.h5", {"layers.0": gates}, ignored="layers.0.masker")
    np.testing.assert_array_equal(derived.packed("layers.0"), trace.packed("layers.0"))
    with pytest.raises(RecordingError, match=r"ignored='layers.0.maskr': no such module.*masker"):
        attached(net, {"layers.0": gates}, ignored=["layers.0.maskr"])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_no_numbers_are_told_as_such(value: float, tmp_path: Path) -> None:
    product = conv()
    with torch.no_grad():
        product.bias[:] = value
    net = Net(Masked(product, torch.sign))
    with pytest.raises(RecordingError, match="its values are not all finite"):
        recorded(net, tmp_path / "t.h5", {"layers.0": "layers.0.gate"}, network=listed("layers.0"))
