"""Every method from its command to every scheme that its trace can run, against counts by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from near import assert_near
from torch import Tensor

from hwsim.arch.config import ArchConfig
from hwsim.counters import C
from hwsim.network import ConvLayer
from hwsim.run.simulate import simulate, usable_schemes
from hwsim.trace.files import verify
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train import __main__ as cli
from hwsim.train.evaluate.__main__ import main as evaluate_main
from hwsim.train.images import views
from hwsim.train.networks import models
from hwsim.train.networks.inference import plain
from hwsim.train.networks.methods import CHANNELS_KEPT, GATED, METHODS, Method, dynamic_layers
from hwsim.train.record.__main__ import main as record_main

IMAGES, HEADS = 3, 4
KEPT = 0.25
OPTIONS = [
    "--preset", "tiny", "--data", "tiny", "--steps", "3", "--batch", "8", "--train-images", "64",
    "--knn-queries", "20", "--images", str(IMAGES), "--device", "cpu",
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A finished run of one method."""

    method: Method
    out: Path

    @property
    def weights(self) -> Path:
        return self.out / f"resnet18-tiny-{self.method}.npz"

    @cached_property
    def trace(self) -> MaskTrace:
        return verify(self.weights.with_suffix(".h5"))

    @property
    def training(self) -> dict:
        return json.loads((self.out / "evaluation.json").read_text())

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """What each layer that leaves something out reads of the trace's images."""
        encoder, _ = models.load_weights(self.weights)
        seen: dict[str, Tensor] = {}
        for name, layer in dynamic_layers(encoder).items():
            layer.register_forward_pre_hook(
                lambda _, args, name=name: seen.update({name: args[0].clone()})
            )
        images = views.load_split(Path("tiny"), "test", self.out.parent).images[:IMAGES]
        with torch.no_grad():
            encoder(plain(images).contiguous(memory_format=torch.channels_last))
        return seen


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """By method; each is made by the first test that wants it."""
    return {}


@pytest.fixture(params=METHODS)
def run(
    request: pytest.FixtureRequest, runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    method = request.param
    if method not in runs:
        out = tmp_path_factory.mktemp(method)
        kept = ["--density", str(KEPT)] if method in CHANNELS_KEPT else []
        cache = ["--cache", str(out.parent)]  # the drawn images are drawn once
        assert cli.main(["--method", method, "--out", str(out), *OPTIONS, *cache, *kept]) == 0
        runs[method] = Run(method, out)
    return runs[method]


with_trace = pytest.mark.parametrize("run", [*GATED, *CHANNELS_KEPT], indirect=True)
of_channels = pytest.mark.parametrize("run", [*CHANNELS_KEPT], indirect=True)


def test_what_a_run_leaves(run: Run) -> None:
    assert run.weights.exists()
    assert run.training["data"] == "drawn squares"
    if run.method == "dense":
        assert not list(run.out.glob("*.h5"))
        assert "density_macs" not in run.training
        return
    header = run.trace.header
    assert header.training == run.training
    assert (header.method, header.gate_norm, run.trace.images) == (run.method, "batch", IMAGES)
    assert header.mask_group == (8 if run.method == "scdg" else 1)
    assert header.granularity == {"fbs": "output-channel", "dgc": "input-channel-by-head"}.get(
        run.method, "element"
    )
    assert ("density_channels" in run.training) == (run.method not in GATED)


@of_channels
def test_channel_methods_end_at_their_density(run: Run) -> None:
    encoder, training = models.load_weights(run.weights)
    for name, layer in dynamic_layers(encoder).items():
        channels = layer.out_channels if run.method == "fbs" else layer.in_channels
        assert float(layer.kept) == channels * KEPT
        assert (run.trace.masks(name).sum(-1) == channels * KEPT).all()
    assert training["density_channels"] == training["density_elements"] == KEPT


def test_the_weights_alone_give_the_same_trace(run: Run, tmp_path: Path) -> None:
    again = tmp_path / "again.h5"
    arguments = ["--weights", str(run.weights), "--data", "tiny", "--images", str(IMAGES)]
    status = record_main([*arguments, "--out", str(again), "--cache", str(run.out.parent)])
    assert status == (2 if run.method == "dense" else 0)
    if status == 0:
        assert verify(again).sha256 == run.trace.sha256


@of_channels
def test_masks_of_channels_say_what_the_layers_use(run: Run) -> None:
    encoder, _ = models.load_weights(run.weights)
    for name, layer in dynamic_layers(encoder).items():
        x, mask = run.inputs[name], torch.from_numpy(run.trace.masks(name))
        with torch.no_grad():
            y = layer(x)
            if run.method == "fbs":
                assert (y[~mask] == 0).all()
                assert (y[mask] != 0).any()
                continue
            # Position s of the input holds channel order[s]: the shuffle's numbering.
            order = sorted(range(layer.in_channels), key=lambda c: c % HEADS)
            whole = layer.weight.clone()
            for image in range(IMAGES):
                for used in (True, False):
                    layer.weight.copy_(whole)
                    for rows, kept in zip(layer.weight.chunk(HEADS), mask[image], strict=True):
                        rows[:, [c for c, bit in zip(order, kept, strict=True) if bit == used]] = 0
                    changed = layer(x[image : image + 1])[0]
                    wanted = torch.zeros_like(y[image]) if used else y[image]
                    assert_near(changed, wanted)
            layer.weight.copy_(whole)


def zero_macs_by_hand(x: Tensor, layer: ConvLayer) -> list[int]:
    """Operands that are zero, padding included, per image: a convolution of flags with ones."""
    flags = F.pad((x == 0).double(), (layer.padding,) * 4, value=1)
    taps = torch.ones(1, layer.in_channels, *[layer.kernel_size] * 2, dtype=torch.float64)
    operands = F.conv2d(flags, taps, stride=layer.stride).sum((1, 2, 3))
    return [int(count) * layer.out_channels for count in operands]


@with_trace
def test_zero_operands_are_those_of_what_layers_read(run: Run) -> None:
    trace = run.trace
    for layer in trace.network.gated_layers:
        wanted = zero_macs_by_hand(run.inputs[layer.name], layer)
        assert trace.zero_operand_macs(layer.name).tolist() == wanted
        assert min(wanted) > 0


def kept_by_hand(trace: MaskTrace) -> dict[str, int]:
    """MACs of kept channels over all images, each pair of channels that meets counted by itself.

    In this network only a block's first convolution leaves channels of a tensor inactive: stem and
    shortcuts, which make the rest active, are dense.
    """
    macs = {}
    for layer in trace.network.layers:
        pairs = 0
        for image in range(trace.images):
            reads = np.ones((1, layer.in_channels), bool)
            makes = np.ones((1, layer.out_channels), bool)
            if layer.gated and trace.header.granularity == "output-channel":
                makes = trace.masks(layer.name)[image][None]
                if layer.input.endswith(".conv1"):
                    reads = trace.masks(layer.input)[image][None]
            elif layer.gated:
                reads = trace.masks(layer.name)[image]
                makes = makes.reshape(HEADS, -1)
            for read, made in zip(reads, makes, strict=True):
                pairs += sum(int(bit) for bit in read) * sum(int(bit) for bit in made)
        macs[layer.name] = pairs * layer.kernel_size**2 * layer.out_height * layer.out_width
    return macs


def predictor_by_hand(trace: MaskTrace, layer: ConvLayer) -> int:
    """MACs per image of the dense layers that choose."""
    if not layer.gated:
        return 0
    if trace.header.granularity == "output-channel":
        return layer.in_channels * layer.out_channels
    hidden = -(-layer.in_channels // trace.header.squeeze)
    return 2 * HEADS * hidden * layer.in_channels


def counters_by_hand(trace: MaskTrace, scheme: str, layer: ConvLayer) -> dict[str, int]:
    """MACs executed and clock-gated of a layer over all images; lockstep's idle lanes left out."""
    dense = {"macs_base": layer.macs * IMAGES, "macs_conditional": 0, "macs_gated_off": 0}
    if scheme == "channels":
        predictor = predictor_by_hand(trace, layer) * IMAGES
        return dense | {"macs_base": kept_by_hand(trace)[layer.name] + predictor}
    if scheme == "dense" or not layer.gated:
        return dense
    if scheme == "dense-zero-gated":
        zeros = int(trace.zero_operand_macs(layer.name).sum())
        return dense | {"macs_base": layer.macs * IMAGES - zeros, "macs_zero_gated": zeros}
    bits = np.unpackbits(trace.packed(layer.name), bitorder="little")
    conditional = 9 * layer.in_channels * 3 // 4
    ones = int(bits.sum()) * trace.mask_group
    found = {"macs_base": layer.macs * IMAGES // 4, "macs_conditional": ones * conditional}
    if scheme == "clock-gated":
        outputs = layer.out_channels * layer.out_height * layer.out_width * IMAGES
        return found | {"macs_gated_off": (outputs - ones) * conditional}
    return found if scheme == "lockstep-8" else found | {"macs_gated_off": 0}


@with_trace
def test_every_scheme_counts_the_macs_of_the_masks(run: Run, baseline: ArchConfig) -> None:
    trace = run.trace
    schemes = usable_schemes(baseline, trace)
    of_masks = {"fbs": ["channels"], "dgc": ["channels"]}.get(
        run.method,
        ["clock-gated", "unstructured", "structured-8x" if run.method == "scdg" else "lockstep-8"],
    )
    assert schemes == ["dense", "dense-zero-gated", *of_masks]
    for scheme in schemes:
        found = simulate(baseline, trace, scheme)
        for position, layer in enumerate(trace.network.layers):
            row = found.counters[position]
            wanted = counters_by_hand(trace, scheme, layer)
            assert {name: int(row[C[name]]) for name in wanted} == wanted, (scheme, layer.name)
            # No PE runs more than one MAC in a cycle.
            assert found.causes[position].sum() * 256 >= row[C["macs_base"]] + sum(
                row[C[name]] for name in ("macs_conditional", "macs_gated_off")
            )


@with_trace
def test_density_and_flops_are_the_simulator_s(
    run: Run, pe16x16: ArchConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = run.trace
    arguments = ["--weights", str(run.weights), "--data", "tiny", "--what", "density", "--json"]
    images = ["--train-images", "64", "--test-images", str(IMAGES), "--device", "cpu"]
    images += ["--cache", str(run.out.parent)]
    capsys.readouterr()
    assert evaluate_main([*arguments, *images]) == 0
    figures = json.loads(capsys.readouterr().out)
    found = simulate(pe16x16, trace, usable_schemes(pe16x16, trace)[-1])
    assert figures["density_macs"] == pytest.approx(found.density_macs)
    assert figures["density_elements"] == pytest.approx(
        trace.header.density_elements(found.mask_ones)
    )
    assert figures["flops_reduction_gated"] == pytest.approx(found.ideal_speedup)
    assert figures["flops_reduction_network"] == pytest.approx(found.ideal_speedup_network)
    assert figures["index_bits"] == trace.header.bits
    assert figures["density_layers"] == pytest.approx(trace.densities())
    # The training record has the same figures over all test images.
    assert run.training["density_images"] == 200
    assert {"density_macs", "flops_reduction_gated"} <= set(run.training)
