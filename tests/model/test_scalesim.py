"""The dense machine held to SCALE-Sim: compute cycles of ResNet-18 on 32x32 images, by layer.

``tests/data/scalesim_os_16x16_resnet18_cifar.csv`` are the cycles that SCALE-Sim 3.0.0 gives for a
16x16 array, output-stationary, in its CALC bandwidth mode; its classifier was not run. They equal
ceil(P/R) * ceil(F/C) * (K + R + C - 2) - 1 for P outputs of K steps and F filters. Outputs are
as many as hwsim's: where strides do not divide, SCALE-Sim rounds their number up, unless its input
is no larger than the kernel reaches (tests/tools/test_anchors.py).
"""

from __future__ import annotations

import numpy as np
import pytest
from oracle.network import run

from benchmarks.anchors.scalesim import resnet18_cycles
from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.counters import CAUSES
from hwsim.network import Network, resnet18
from hwsim.run.simulate import simulate
from hwsim.trace.synthetic import synthetic_trace

COMPUTE = ("base", "conditional", "bank_stall", "drain", "decode_stall")


def compute_cycles(layers: Network, causes: np.ndarray) -> dict[str, int]:
    """Cycles of the passes, without output stage and DMA; layers that SCALE-Sim ran."""
    columns = [CAUSES.index(cause) for cause in COMPUTE]
    totals = causes[:, columns].sum(axis=1).tolist()
    return {
        layer.name: cycles
        for layer, cycles in zip(layers.layers, totals, strict=True)
        if layer.name != "fc"
    }


@pytest.fixture(scope="module")
def systolic() -> ArchConfig:
    options = {"array.feed": "systolic", "activation.bank_conflicts": "none"}
    return load_arch("pe16x16", options)


@pytest.fixture(scope="module")
def one_more() -> dict[str, int]:
    """What docs/model/passes.md says of the systolic feed: SCALE-Sim's cycles plus one."""
    return {name: cycles + 1 for name, cycles in resnet18_cycles().items()}


def test_the_file_is_the_formula_it_is_said_to_be() -> None:
    for name, cycles in resnet18_cycles().items():
        layer = resnet18().by_name[name]
        rounds = -(-layer.out_pixels // 16) * -(-layer.out_channels // 16)
        assert cycles == rounds * (layer.steps + 16 + 16 - 2) - 1


def test_simulator(systolic: ArchConfig, one_more: dict[str, int]) -> None:
    layers = resnet18()
    trace = synthetic_trace(layers, 0.5, images=1)
    result = simulate(systolic, trace, scheme="dense", batch=1)
    assert compute_cycles(layers, result.causes) == one_more


def test_oracle(systolic: ArchConfig, one_more: dict[str, int]) -> None:
    layers = resnet18()
    causes, _ = run(layers, systolic, "dense", {}, mask_group=1, batch=1, images=1)
    assert compute_cycles(layers, causes) == one_more


def test_broadcast_operands_save_the_skew(one_more: dict[str, int]) -> None:
    """Broadcast, a round costs its steps alone; what remains is a drain for every tile."""
    layers = resnet18()
    arch = load_arch("pe16x16", {"activation.bank_conflicts": "none"})
    result = simulate(arch, synthetic_trace(layers, 0.5, images=1), scheme="dense", batch=1)
    for name, cycles in compute_cycles(layers, result.causes).items():
        layer = layers.by_name[name]
        rounds = -(-layer.out_pixels // 16) * -(-layer.out_channels // 16)
        tiles = -(-layer.out_pixels // 256) * -(-layer.out_channels // 16)
        assert cycles == one_more[name] - rounds * (16 + 16 - 2) + tiles * 16
