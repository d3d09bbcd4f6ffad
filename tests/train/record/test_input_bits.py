"""Input bits against the tensors that layers read, and against the zero counts beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import GATED, Foreign
from refusal import refusal
from torch import Tensor, nn

from hwsim.network import ConvLayer, Network, resnet18
from hwsim.trace.files import verify
from hwsim.trace.format.packing import unpack_bits
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train.images.views import plain
from hwsim.train.networks import models
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.inference import hooked, recalibrate
from hwsim.train.record import resnet
from hwsim.train.record.__main__ import main as record_main
from hwsim.train.record.input_bits import InputBits, InputBitsError
from hwsim.train.record.recorder import Recorder

STEPS = {name: f"{name}.step" for name in GATED}


@pytest.fixture(scope="module", params=["cdg", "scdg"])
def encoder(request: pytest.FixtureRequest) -> models.ResNet18:
    torch.manual_seed(1)
    encoder = models.ResNet18(request.param, 32).to(memory_format=torch.channels_last)
    for layer in gated_layers(encoder).values():
        nn.init.uniform_(layer.tau, -0.5, 0.9)
    recalibrate(encoder, torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8))
    return encoder.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=generator)


def layer_of(name: str, channels: int, size: int, **more: int | str) -> ConvLayer:
    return ConvLayer(
        name=name, in_channels=channels, out_channels=2, kernel_size=1, in_height=size,
        in_width=size, **more,
    )  # fmt: skip


@contextmanager
def watched(inputs: InputBits, model: nn.Module) -> Iterator[None]:
    before, after = inputs.hooks(model)
    with ExitStack() as hooks:
        for module, call in before:
            hooks.enter_context(module.register_forward_pre_hook(call, with_kwargs=True))
        for module, call in after:
            hooks.enter_context(module.register_forward_hook(call, with_kwargs=True))
        yield


def test_bits_of_tensors_made_by_hand() -> None:
    """A map of two channels of 2x2 pixels; a layer that is missing reads the model's output."""

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            self.a(x)
            self.b(x)
            return x[:, :, 0, 0]

    first = layer_of("a", 2, 2)
    layers = (first, layer_of("b", 2, 2, input="a", pool=2), layer_of("top", 2, 1, input="b"))
    inputs = InputBits(Network(name="n", layers=layers), 3)
    x = torch.tensor([[[[0.0, -1], [2, 0]], [[-0.0, 0], [1e-30, 0]]]])
    model = Rows()
    with watched(inputs, model), torch.no_grad():
        for batch in (x, torch.cat([1 - x, x, x])):
            model(batch)
            inputs.end_batch(len(batch))
    bits = inputs.contents()
    # 0 1 1 0, 0 0 1 0; of 1 - x all are not zero, as 1 - 1e-30 is 1. The third image is x again.
    assert list(bits) == ["b", "top"]
    assert bits["b"].tolist() == [[0b01000110], [0b11111111], [0b01000110]]
    assert bits["top"].tolist() == [[0], [3], [0]]


def test_bits_are_where_the_inputs_of_a_foreign_network_are_not_zero(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Foreign().eval(), torch.randn(5, 3, 16, 16)
    attached = Recorder.attach(model, STEPS, example=x[:1], groups=2, input_images=4)
    with attached as recorder, torch.no_grad():
        for batch in x.split(3):
            model(batch)
    recorder.write(tmp_path / "t.h5", method="theirs", dataset="noise")
    trace = verify(tmp_path / "t.h5")
    assert (trace.images, trace.input_images) == (5, 4)
    seen: dict[str, list[Tensor]] = {}

    def keep(name: str):
        return lambda _, args: seen.setdefault(name, []).append(args[0].clone())

    names = [layer.name for layer in trace.network.layers[1:]]
    assert not trace.has_inputs("stem.0")
    before = [(model.get_submodule(name), keep(name)) for name in names]
    with hooked(before=before), torch.no_grad():
        for batch in x.split(3):  # its gates look at the whole batch
            model(batch)
    zeros = 0
    for name in names:
        bits = trace.inputs(name)
        wanted = torch.cat(seen[name])[:4] != 0
        np.testing.assert_array_equal(bits, wanted.reshape(bits.shape))
        zeros += int((~bits).sum())
    assert zeros > 1000
    assert MaskTrace.open(tmp_path / "t.h5").head(2).input_images == 2


def test_none_are_kept_unless_asked_for(encoder: models.ResNet18, images: Tensor) -> None:
    assert resnet.record(encoder, images, resnet18(width=32))["input_bits"] == {}


def test_counts_from_bits_and_masks_are_those_recorded(
    encoder: models.ResNet18, images: Tensor
) -> None:
    network = resnet18(width=32)
    recorded = resnet.record(encoder, images, network, input_images=2)
    inputs = {
        layer.name: unpack_bits(
            recorded["input_bits"][layer.name], (layer.in_channels, layer.in_height, layer.in_width)
        )
        for layer in network.layers[1:]
    }
    assert list(inputs) == list(recorded["input_bits"])
    for layer in network.gated_layers:
        # Non-zeros of an output pixel's operands: box sums of each group's map of non-zeros.
        nonzero = inputs[layer.name].reshape(2, 4, -1, layer.in_height, layer.in_width).sum(2)
        padded = np.pad(nonzero, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        windows = windows[:, :, :: layer.stride, :: layer.stride]
        zeros = 9 * layer.in_channels // 4 - windows.sum((4, 5))
        dense = layer.out_channels * zeros.sum((1, 2, 3))
        np.testing.assert_array_equal(dense, recorded["zero_operand_macs"][layer.name][:2])
        lists = layer.out_channels // encoder.mask_group
        mask = unpack_bits(
            recorded["masks"][layer.name][:2], (lists, layer.out_height, layer.out_width)
        )
        open_channels = mask.reshape(2, 4, -1, *mask.shape[2:]).sum(2) * encoder.mask_group
        others = zeros.sum(1, keepdims=True) - zeros
        np.testing.assert_array_equal(
            (open_channels * others).sum((1, 2, 3)),
            recorded["zero_operand_macs_conditional"][layer.name][:2],
        )
    with torch.no_grad():
        features = encoder(plain(images).contiguous(memory_format=torch.channels_last))
    np.testing.assert_array_equal(inputs["fc"][:, :, 0, 0], features[:2] != 0)
    for name in ("layer2.0", "layer3.0"):
        np.testing.assert_array_equal(inputs[f"{name}.shortcut"], inputs[f"{name}.conv1"])


def test_what_does_not_fit_is_named() -> None:
    a = layer_of("a", 2, 2)
    model = nn.ModuleDict({"b": nn.Conv2d(2, 2, 1)})
    network = Network(
        name="n", layers=(a, layer_of("bb", 2, 2, input="a"), layer_of("c", 2, 2, input="bb"))
    )
    with pytest.raises(InputBitsError, match="layer bb: no such module in the model"):
        InputBits(network, 1).hooks(model)
    inputs = InputBits(Network(name="n", layers=(a, layer_of("b", 2, 2, input="a"))), 1)
    with watched(inputs, model):
        with pytest.raises(InputBitsError, match=r"layer b: reads a map of \(2, 3, 3\), expected"):
            model["b"](torch.ones(1, 2, 3, 3))
        with pytest.raises(InputBitsError, match="layer b: did not run"):
            inputs.end_batch(1)
        model["b"](torch.ones(1, 2, 2, 2))
        with pytest.raises(InputBitsError, match="layer b: runs twice"):
            model["b"](torch.ones(1, 2, 2, 2))


def test_the_command_records_them(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, out = tmp_path / "w.npz", tmp_path / "trace.h5"
    torch.manual_seed(0)
    models.save_weights(weights, models.ResNet18("cdg", 8), {})
    arguments = ["--weights", str(weights), "--data", str(drawn), "--images", "3"]
    arguments += ["--out", str(out), "--input-images"]
    error = refusal(capsys, record_main, [*arguments, "4"])
    assert "--input-images 4: more than --images 3" in error
    assert record_main([*arguments, "2"]) == 0
    trace = verify(out)
    assert (trace.images, trace.input_images) == (3, 2)
    assert sum(trace.has_inputs(layer.name) for layer in trace.network.layers) == 20
    models.save_weights(weights, models.ResNet18("fbs", 8), {})
    error = refusal(capsys, record_main, [*arguments, "2"])
    assert "whose masks are of whole channels; input bits go with cgnet" in error
