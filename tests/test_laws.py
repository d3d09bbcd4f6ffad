"""The laws of the timing contract, held on the default machine (docs/timing.md)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.arch import ArchConfig
from hwsim.counts import CAUSES, C
from hwsim.results import SimResult
from hwsim.simulate import simulate
from hwsim.synthetic import synthetic_trace
from hwsim.trace import MaskTrace
from hwsim.workload import ConvLayer, Network, resnet18

CAUSE = {name: position for position, name in enumerate(CAUSES)}


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


def expanded(trace: MaskTrace) -> MaskTrace:
    """The same masks written with one bit per channel."""
    header = trace.header.model_copy(update={"mask_group": 1})
    masks = {
        layer.name: np.repeat(trace.masks(layer.name), trace.mask_group, axis=1)
        for layer in trace.network.gated_layers
    }
    return MaskTrace.from_masks(header, masks)


def total(result: SimResult, *causes: str) -> int:
    return int(sum(result.causes[:, CAUSE[cause]].sum() for cause in causes))


PASSES = ("base", "conditional", "bank_stall", "drain", "decode_stall")


def test_all_ones(pe16x16: ArchConfig, one_layer: Network) -> None:
    """16 tiles of 256 pixels, 16 rounds a pass; the first round waits for 16 indices.

    Lists run in step, so a round is 16 consecutive pixels of a 32-pixel row: no bank conflict.
    """
    result = simulate(pe16x16, masked(one_layer, np.ones((1, 64, 32, 32), bool)), "unstructured")
    assert total(result, "base") == 16 * 16 * 144
    assert total(result, "conditional") == 16 * 16 * 432
    assert total(result, "decode_stall") == 16 * 16
    assert total(result, "drain") == 16 * (16 + 16)
    assert total(result, "bank_stall") == 0
    # 64 lists of 1,024 pixels, one index a cycle.
    assert result.totals["decoder_cycles"] == 64 * 1024
    assert result.totals["macs_conditional"] == 64 * 1024 * 432


def test_all_zeros(pe16x16: ArchConfig, one_layer: Network) -> None:
    """Only the scan of 256 / 32 empty words a tile is left of the conditional pass."""
    result = simulate(pe16x16, masked(one_layer, np.zeros((1, 64, 32, 32), bool)), "unstructured")
    assert total(result, "conditional") == 0
    assert total(result, "decode_stall") == 16 * 8
    assert total(result, "drain") == 16 * 16
    assert result.totals["macs_conditional"] == 0
    assert result.totals["decoder_cycles"] == 64 * (1024 // 32)


def test_dense_is_its_closed_form(pe16x16: ArchConfig, one_layer: Network) -> None:
    trace = masked(one_layer, np.ones((1, 64, 32, 32), bool))
    result = simulate(pe16x16, trace, "dense")
    assert total(result, *PASSES) == 16 * (16 * 576 + 16)
    assert result.totals["macs_base"] == one_layer.macs


def test_one_bit_by_hand(pe16x16: ArchConfig, one_layer: Network) -> None:
    """One set bit, in the third word of one list: its list is scanned to the end before the round.

    v(0) = 2 empty words, 1 index, 5 empty words = 8 cycles, as long as the other lists' scans.
    """
    mask = np.zeros((1, 64, 32, 32), bool)
    mask[0, 5, 2, 7] = True
    result = simulate(pe16x16, masked(one_layer, mask), "unstructured")
    assert total(result, "decode_stall") == 16 * 8
    assert total(result, "conditional") == 432
    assert total(result, "drain") == 16 * 16 + 16
    assert result.totals["macs_conditional"] == 432
    # 9 taps x 3 groups x 4 words = 108 beats of the one pointer.
    base_fills = 64 * 1024 * 9 * 4
    assert result.totals["line_fills"] == base_fills + 108


@pytest.mark.parametrize("scheme", ["gated", "unstructured", "lockstep-8"])
def test_conditional_macs_are_the_set_bits(pe16x16: ArchConfig, scheme: str) -> None:
    network = resnet18(input_size=16)
    trace = synthetic_trace(network, 0.4, images=3, seed=1)
    result = simulate(pe16x16, trace, scheme, batch=2)
    for position, layer in enumerate(network.layers):
        ones = int(trace.masks(layer.name).sum()) if layer.gated else 0
        executed = result.counters[position, C["macs_conditional"]]
        assert executed == ones * layer.conditional_steps


def test_structured_masks_take_equal_cycles_on_both_hardwares(pe16x16: ArchConfig) -> None:
    network = resnet18(input_size=16)
    trace = synthetic_trace(network, 0.3, images=3, mask_group=8, seed=2)
    fine, coarse = (
        simulate(pe16x16, trace, name, batch=2) for name in ("unstructured", "structured-8x")
    )
    np.testing.assert_array_equal(fine.causes, coarse.causes)
    gated = [i for i, layer in enumerate(network.layers) if layer.gated]
    for counter in ("line_fills", "decoder_cycles", "index_words_read", "mask_bits_written"):
        np.testing.assert_array_equal(
            fine.counters[gated, C[counter]], 8 * coarse.counters[gated, C[counter]]
        )
    for counter in ("macs_conditional", "activation_word_reads", "weight_word_reads"):
        np.testing.assert_array_equal(fine.counters[:, C[counter]], coarse.counters[:, C[counter]])


def test_a_structured_mask_in_lockstep_gates_nothing_off(pe16x16: ArchConfig) -> None:
    """The same bits written per channel: lockstep hardware cannot tell, but stores every list."""
    trace = synthetic_trace(resnet18(input_size=16), 0.3, images=2, mask_group=8, seed=3)
    structured = simulate(pe16x16, trace, "structured-8x")
    lockstep = simulate(pe16x16, expanded(trace), "lockstep-8")
    np.testing.assert_array_equal(structured.causes, lockstep.causes)
    assert lockstep.totals["macs_gated_off"] == 0
    assert lockstep.totals["index_words_read"] == 8 * structured.totals["index_words_read"]


@pytest.mark.parametrize(
    ("scheme", "lane_group"), [("unstructured", 1), ("structured-8x", 8)]
)  # fmt: skip
def test_lane_groups_of_a_tile_may_change_places(
    pe16x16: ArchConfig, one_layer: Network, scheme: str, lane_group: int
) -> None:
    mask_group = lane_group
    generator = np.random.default_rng(7)
    mask = generator.random((2, 64 // mask_group, 32, 32)) < 0.3
    lists = 16 // lane_group
    order = np.concatenate([tile * lists + generator.permutation(lists) for tile in range(4)])
    results = [
        simulate(pe16x16, masked(one_layer, bits, mask_group), scheme)
        for bits in (mask, mask[:, order])
    ]
    np.testing.assert_array_equal(results[0].causes, results[1].causes)
    np.testing.assert_array_equal(results[0].counters, results[1].counters)


@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 0.95])
def test_the_conditional_pass_is_no_faster_than_its_macs(
    pe16x16: ArchConfig, one_layer: Network, density: float
) -> None:
    mask = np.random.default_rng(11).random((1, 64, 32, 32)) < density
    result = simulate(pe16x16, masked(one_layer, mask), "unstructured")
    least = 0
    for tile in range(16):
        rows, channels = 8 * (tile % 4), 16 * (tile // 4)
        ones = int(mask[0, channels : channels + 16, rows : rows + 8].sum())
        least += 432 * -(-ones // 256)
    assert total(result, "conditional") >= least


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
    pe16x16: ArchConfig, scheme: str, mask_group: int, millions: float
) -> None:
    """Each gated layer of ResNet-18 alone, batch 16, independent masks at density 0.2836.

    The figures come from another implementation of the contract, with another seed.
    """
    cycles = 0
    for seed, layer in enumerate(resnet18().gated_layers):
        trace = synthetic_trace(
            alone(layer), 0.2836, images=16, mask_group=mask_group, seed=seed
        )  # fmt: skip
        cycles += simulate(pe16x16, trace, scheme).cycles
    assert cycles / 1e6 == pytest.approx(millions, rel=0.01)


def test_batches_may_be_any_size(pe16x16: ArchConfig) -> None:
    """A last, smaller batch: MACs are those of all images, whatever the batches."""
    trace = synthetic_trace(resnet18(input_size=8), 0.3, images=5, seed=9)
    whole, cut = (simulate(pe16x16, trace, "unstructured", batch=batch) for batch in (5, 2))
    for counter in ("macs_base", "macs_conditional", "output_ops", "mask_bits_written"):
        assert whole.totals[counter] == cut.totals[counter]
    assert cut.totals["dram_weight_bytes"] == 3 * whole.totals["dram_weight_bytes"]


def test_zero_gating_moves_macs_and_nothing_else(pe16x16: ArchConfig) -> None:
    network = resnet18(input_size=8)
    made = synthetic_trace(network, 0.3, images=2)
    zeros = {layer.name: np.array([layer.macs // 3, 7]) for layer in network.gated_layers}
    trace = MaskTrace.from_masks(
        made.header, {name: made.masks(name) for name in zeros}, zeros
    )  # fmt: skip
    dense, gated = (simulate(pe16x16, trace, name) for name in ("dense", "dense-zero-gated"))
    np.testing.assert_array_equal(dense.causes, gated.causes)
    moved = sum(int(counts.sum()) for counts in zeros.values())
    assert gated.totals["macs_gated_off"] == moved
    assert dense.totals["macs_base"] - gated.totals["macs_base"] == moved
