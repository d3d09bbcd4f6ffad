"""The laws of whole runs on the default machine (docs/model)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer, Network, resnet18
from hwsim.run.simulate import simulate
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_trace


def alone(layer: ConvLayer) -> Network:
    """A network of one layer that reads the input and adds nothing."""
    single = layer.model_copy(update={"input": "input", "residual": None, "pool": 1})
    return Network(name="alone", layers=(single,))


@pytest.fixture(scope="module")
def one_layer() -> Network:
    """64 -> 64 channels at 32x32, four gating groups: L_b = 144, L_c = 432."""
    return alone(resnet18().by_name["layer1.1.conv1"])


def masked(network: Network, mask: np.ndarray, mask_group: int = 1) -> MaskTrace:
    header = synthetic_trace(network, 0.5, images=len(mask), mask_group=mask_group).header
    return MaskTrace.from_masks(header, {network.layers[0].name: mask})


def test_lockstep_density_of_independent_bits(pe16x16: ArchConfig, one_layer: Network) -> None:
    density = 0.2836
    trace = synthetic_trace(one_layer, density, images=4, seed=4)
    result = simulate(pe16x16, trace, "lockstep-8")
    slots = result.totals["macs_conditional"] + result.totals["macs_gated_off"]
    share = slots / (4 * 64 * 1024 * 432)
    groups = 4 * 8 * 1024
    expected = 1 - (1 - density) ** 8
    deviation = (expected * (1 - expected) / groups) ** 0.5
    assert share == pytest.approx(expected, abs=5 * deviation)


@pytest.mark.parametrize(
    ("sparsity", "speedup"), [(0.7164, 2.161), (0.6624, 1.987), (0.4552, 1.518)]
)
def test_ideal_speedups_of_the_poster(
    pe16x16: ArchConfig, one_layer: Network, sparsity: float, speedup: float
) -> None:
    trace = masked(one_layer, np.ones((1, 64, 32, 32), bool))
    ones = {layer.name: (1 - sparsity) * layer.mask_bits() for layer in one_layer.layers}
    result = replace(simulate(pe16x16, trace, "unstructured"), mask_ones=ones)
    assert round(result.ideal_speedup, 3) == speedup


def test_index_bits_per_image(pe16x16: ArchConfig) -> None:
    network = resnet18()
    fine = simulate(pe16x16, synthetic_trace(network, 0.3, images=1), "unstructured")
    coarse = synthetic_trace(network, 0.3, images=1, mask_group=8)
    assert fine.totals["mask_bits_written"] == 491_520
    assert simulate(pe16x16, coarse, "structured-8x").totals["mask_bits_written"] == 61_440


@pytest.mark.parametrize(
    ("scheme", "mask_group", "millions"),
    [
        ("dense", 1, 34.33),
        ("unstructured", 1, 23.15),
        ("lockstep-8", 1, 33.6),
        ("structured-8x", 8, 17.28),
    ],
)
def test_an_independent_implementation_agrees_within_one_per_cent(
    baseline: ArchConfig, scheme: str, mask_group: int, millions: float
) -> None:
    """Each gated layer of ResNet-18 alone, batch 16, independent masks at density 0.2836.

    The figures come from another implementation of the contract, with another seed.
    """
    cycles = 0
    for seed, layer in enumerate(resnet18().gated_layers):
        trace = synthetic_trace(
            alone(layer), 0.2836, images=16, mask_group=mask_group, seed=seed
        )  # fmt: skip
        cycles += simulate(baseline, trace, scheme).cycles
    assert cycles / 1e6 == pytest.approx(millions, rel=0.01)


def test_batches_may_be_any_size(pe16x16: ArchConfig) -> None:
    """A last, smaller batch: MACs are those of all images, whatever the batches."""
    trace = synthetic_trace(resnet18(input_size=8), 0.3, images=5, seed=9)
    whole, cut = (simulate(pe16x16, trace, "unstructured", batch=batch) for batch in (5, 2))
    for counter in ("macs_base", "macs_conditional", "output_ops", "mask_bits_written"):
        assert whole.totals[counter] == cut.totals[counter]
    assert cut.totals["dram_weight_bytes"] == 3 * whole.totals["dram_weight_bytes"]


def test_zero_gating_moves_macs_and_nothing_else(baseline: ArchConfig) -> None:
    network = resnet18(input_size=8)
    made = synthetic_trace(network, 0.3, images=2)
    zeros = {layer.name: np.array([layer.macs // 3, 7]) for layer in network.gated_layers}
    trace = MaskTrace.from_masks(
        made.header, {name: made.masks(name) for name in zeros}, zeros
    )  # fmt: skip
    dense, gated = (simulate(baseline, trace, name) for name in ("dense", "dense-zero-gated"))
    np.testing.assert_array_equal(dense.causes, gated.causes)
    moved = sum(int(counts.sum()) for counts in zeros.values())
    assert gated.totals["macs_zero_gated"] == moved
    assert dense.totals["macs_base"] - gated.totals["macs_base"] == moved
