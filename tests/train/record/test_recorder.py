"""The trace of a network that is not the package's; what does not fit is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import GATED, Foreign
from torch import Tensor, nn

from hwsim.arch.load import load_arch
from hwsim.network import resnet18
from hwsim.run.simulate import simulate, usable_schemes
from hwsim.trace.files import verify
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train.images.views import plain
from hwsim.train.networks import models
from hwsim.train.networks.gating import GatedConv2d, gated_layers
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.methods import Method
from hwsim.train.record import resnet
from hwsim.train.record.recorder import Recorder, RecordingError

STEPS = {name: f"{name}.step" for name in GATED}
GUIDE = Path(__file__).parents[3] / "docs" / "guide"


def inputs(count: int = 5) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(3))


def foreign(share: int = 1, zero: bool = False) -> Foreign:
    torch.manual_seed(0)
    return Foreign(share, zero).eval()


def recorded(model: nn.Module, path: Path, gates: dict, **options: object) -> MaskTrace:
    options = {"example": inputs(1), "groups": 2} | options
    with Recorder.attach(model, gates, **options) as recorder, torch.no_grad():
        for batch in inputs().split(3):
            model(batch)
    recorder.write(path, method="theirs", dataset="noise")
    return verify(path)


@pytest.mark.parametrize("share", [1, 8])
def test_a_foreign_network_runs_in_every_scheme_that_fits(share: int, tmp_path: Path) -> None:
    model = foreign(share)
    trace = recorded(model, tmp_path / "t.h5", STEPS)
    assert (trace.images, trace.mask_group) == (5, share)
    assert trace.header.training == {"masked_off": "base"}
    layers = trace.network.by_name
    assert list(layers) == [
        "stem.0", "blocks.0.first", "blocks.0.second",
        "blocks.1.first", "blocks.1.second", "blocks.1.down", "head.1", "head.3",
    ]  # fmt: skip
    assert [layer.name for layer in trace.network.gated_layers] == list(GATED)
    assert (layers["stem.0"].pool, layers["stem.0"].kernel_size) == (2, 5)
    assert layers["blocks.0.first"].input == "stem.0"
    assert layers["blocks.0.second"].residual == "stem.0"
    # The shortcut runs last, so it is what the sum is added in.
    assert layers["blocks.1.down"].residual == "blocks.1.second"
    assert layers["blocks.1.down"].input == "blocks.0.second"
    assert (layers["head.1"].input, layers["blocks.1.down"].pool) == ("blocks.1.down", 4)
    assert (layers["head.3"].in_channels, layers["head.3"].out_channels) == (20, 7)
    arch = load_arch("pe16x16-baseline")
    schemes = usable_schemes(arch, trace)
    assert {"dense", "dense-zero-gated", "clock-gated", "unstructured"} < set(schemes)
    assert ("structured-8x" if share == 8 else "lockstep-8") in schemes
    cycles = {name: simulate(arch, trace, name).cycles for name in schemes}
    assert min(cycles.values()) > 0


def test_masks_are_those_that_the_gates_gave_whoever_tells_them(tmp_path: Path) -> None:
    model = foreign()
    by_path = recorded(model, tmp_path / "a.h5", STEPS)
    modules = {name: model.get_submodule(path) for name, path in STEPS.items()}
    by_module = recorded(model, tmp_path / "b.h5", modules)

    def again(layer: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        # Wherever the output is not the full convolution's, the gate was shut.
        return output == layer.weights(args[0])

    by_function = recorded(model, tmp_path / "c.h5", dict.fromkeys(GATED, again))
    seen = {}
    step = model.blocks[0].first.step
    hook = step.register_forward_hook(lambda _, __, mask: seen.update(mask=mask))
    with torch.no_grad():
        model(inputs()[:3])
    hook.remove()
    np.testing.assert_array_equal(by_path.masks("blocks.0.first")[:3], seen["mask"].numpy())
    for name in GATED:
        np.testing.assert_array_equal(by_path.packed(name), by_module.packed(name))
        np.testing.assert_array_equal(by_path.packed(name), by_function.packed(name))


def test_gates_that_zero_are_told_from_those_that_keep_the_base_sum(tmp_path: Path) -> None:
    model = foreign(zero=True)
    with pytest.raises(RecordingError, match=r"layer blocks.0.first: its masks.*off by"):
        recorded(model, tmp_path / "t.h5", STEPS)
    assert not list(tmp_path.iterdir())
    trace = recorded(model, tmp_path / "t.h5", STEPS, masked_off="zero")
    assert trace.header.training == {"masked_off": "zero"}
    unchecked = recorded(model, tmp_path / "u.h5", STEPS, masked_off="unchecked")
    np.testing.assert_array_equal(trace.packed(GATED[3]), unchecked.packed(GATED[3]))
    with pytest.raises(RecordingError, match="masked_off='zero'"):
        recorded(foreign(), tmp_path / "v.h5", STEPS, masked_off="zero")


@pytest.mark.parametrize("method", ["cdg", "scdg"])
@pytest.mark.parametrize("branch", ["diagonal", "inverse"])
def test_own_masks_pass_the_check_and_others_do_not(
    method: Method, branch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    encoder = models.ResNet18(method, 32)
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    recalibrate(encoder, images, branch)
    network = resnet18(16, 10, 32)
    resnet.record(encoder, images, network, branch=branch)
    other = "diagonal" if branch == "inverse" else "inverse"
    layer = gated_layers(encoder)["layer3.1.conv2"]

    def one_bit_wrong(of: GatedConv2d, args: tuple, _: Tensor) -> Tensor:
        margin = of.margin_on(args[0], branch)
        if of is layer:
            margin[0, 0, 0, 0] *= -1
        return margin

    for wrong, name in (
        (one_bit_wrong, "layer3.1.conv2"),
        (lambda of, args, _: of.margin_on(args[0], other), "layer1.0.conv1"),
    ):
        monkeypatch.setattr(resnet, "gate_of", lambda *_, wrong=wrong: wrong)
        with pytest.raises(RecordingError, match=f"layer {name}: its masks"):
            resnet.record(encoder, images, network, branch=branch)


def test_the_derived_list_of_the_own_encoder_is_its_workload() -> None:
    torch.manual_seed(1)
    encoder = models.ResNet18("cdg", 32)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    layers = gated_layers(encoder).items()
    gates = {name: resnet.gate_of(layer, "diagonal") for name, layer in layers}
    recorder = Recorder.attach(encoder, gates, example=plain(images))
    recorder.close()
    wanted = {layer.name: layer for layer in resnet18(width=32).layers}
    del wanted["fc"]
    assert recorder.network.by_name == wanted
    assert [layer.name for layer in recorder.network.layers] == list(wanted)


def test_what_a_network_needs_besides_is_asked_for(tmp_path: Path) -> None:
    model = foreign()
    with pytest.raises(RecordingError, match=r"no module 'blocks\.0\.frist'.*'blocks\.0\.first'"):
        Recorder.attach(model, {"blocks.0.frist": "x"}, example=inputs(1))
    with pytest.raises(RecordingError, match=r"no module .*first\.stop'.*first\.step"):
        Recorder.attach(model, {GATED[0]: "blocks.0.first.stop"}, example=inputs(1))
    with pytest.raises(RecordingError, match="network= or an example="):
        Recorder.attach(model, STEPS)
    with pytest.raises(RecordingError, match=r"layer blocks\.0\.first: named in gates="):
        Recorder.attach(model, STEPS, network=resnet18())
    with pytest.raises(RecordingError, match="run the model on some images first"):
        Recorder.attach(model, STEPS, example=inputs(1), groups=2).write(
            tmp_path / "t.h5", method="none", dataset="none"
        )

    def flat(*_: object) -> Tensor:
        return torch.ones(5, 16)

    with pytest.raises(RecordingError, match=r"layer blocks\.0\.first: a mask of shape \(5, 16\)"):
        recorded(model, tmp_path / "t.h5", {**STEPS, GATED[0]: flat})


def test_one_mask_for_all_channels_or_all_pixels_is_spread(tmp_path: Path) -> None:
    model = foreign()

    def shapes(layer: nn.Module, _: tuple, output: Tensor) -> Tensor:
        count, channels, height, width = output.shape
        size = (
            (count, 1, height, width) if layer is model.blocks[0].first else (count, channels, 1, 1)
        )
        return torch.arange(np.prod(size)).reshape(size) % 2 == 0

    gates = dict.fromkeys(GATED, shapes)
    with pytest.warns(UserWarning, match="kept bit by pixel"):
        trace = recorded(model, tmp_path / "t.h5", gates, masked_off="unchecked")
    assert trace.mask_group == 1
    everywhere, per_channel = (trace.masks(name) for name in GATED[:2])
    assert (everywhere == everywhere[:, :1]).all()
    assert (per_channel == per_channel[:, :, :1, :1]).all()
    assert everywhere.mean() == per_channel.mean() == 0.5


def test_the_example_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, code = re.findall(r"```python\n(.*?)```", (GUIDE / "traces.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/guide/traces.md", "exec"), {})
    trace = verify(tmp_path / "net.h5")
    assert (trace.images, trace.mask_group) == (8, 1)
    assert trace.network.by_name["body"].residual == "stem"
