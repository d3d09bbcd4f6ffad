"""Layers that select channels: cases worked out by hand, and laws (docs/model/channels.md)."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import machine
from oracle.channel_tiles import DGC, FBS
from oracle.machines import conv, network
from oracle.network import run as run_dense

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS, C
from hwsim.network import ConvLayer, Network, resnet18
from hwsim.run.simulate import simulate
from hwsim.run.summary import summary
from hwsim.trace.active_channels import kept_macs, predictors
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.synthetic import synthetic_channels


def pixels_3(name: str, **edges: object) -> ConvLayer:
    """1x1, 4 -> 4 channels on three pixels, two groups: words (0 1) and (2 3)."""
    return conv(name, channels=(4, 4), size=(1, 3), groups=2, **edges)


def traced(layers: Network, granularity: str, masks: dict[str, list[list[int]]]) -> MaskTrace:
    """One image; FBS: the active channels of a layer, DGC: the kept ones of each head."""
    header = TraceHeader(
        network=layers, method="hand", granularity=granularity, mask_group=1, squeeze=4,
        dataset="hand", image_ids=(0,),
    )  # fmt: skip
    bits = {}
    for layer in layers.gated_layers:
        bits[layer.name] = np.zeros((1, *header.mask_shape(layer)), bool)
        for head, kept in enumerate(masks[layer.name]):
            np.atleast_2d(bits[layer.name][0])[head, kept] = True
    return MaskTrace.from_masks(header, bits)


def small(rows: int = 2, columns: int = 2, banks: int = 16) -> ArchConfig:
    """R = 2, C = 2, A = 2, W = 8, tiles of 4 pixels."""
    return machine(rows=rows, columns=columns, tile_pixels=4, banks=banks, lane_group=1)


def rows_of(
    arch: ArchConfig, trace: MaskTrace
) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """Causes and counters of every layer by name."""
    result = simulate(arch, trace, "channels")
    return (
        [dict(zip(CAUSES, row.tolist(), strict=True)) for row in result.causes],
        [dict(zip(COUNTERS, row.tolist(), strict=True)) for row in result.counters],
    )


def picked(row: dict[str, int], **expected: int) -> dict[str, int]:
    return {name: row[name] for name in expected}


def test_an_fbs_layer_by_hand() -> None:
    # Active 0, 2, 3: tiles (0 2) and (3), each 2 rounds of 2 beats of 2 steps (X = 4) and R.
    # Predictor 4 -> 4 on one pixel: two tiles of one round of 4 steps, and R.
    trace = traced(network(pixels_3("conv")), FBS, {"conv": [[0, 2, 3]]})
    (causes,), (counts,) = rows_of(small(), trace)
    expected = dict(base=16 + 8, drain=4 + 4, bank_stall=0, output_stall=3 + 1)
    assert picked(causes, **expected) == expected
    expected = dict(
        macs_base=3 * 3 * 4 + 16,
        activation_word_reads=2 * 3 * 2 + 2 * 2,
        line_fills=2 * 3 * 2 + 2 * 2,
        weight_word_reads=2 * 2 * 4 + 2 * 4,
        psum_base_writes=6 + 2,
        psum_output_reads=6 + 2,
        output_ops=9 + 4,
        activation_word_writes=(2 + 1) * 3 + 2,
        mask_bits_written=4,
        comparator_ops=4,
        adder_ops=4 * 3,
        index_words_read=2 + 1,
        dram_input_bytes=12,
        dram_weight_bytes=3 * 4 + 16,
        dram_output_bytes=9,
        decoder_cycles=0,
    )
    assert picked(counts, **expected) == expected


@pytest.mark.parametrize(("banks", "stall"), [(16, 0), (1, 1)])
def test_inputs_that_the_layer_before_left_inactive(banks: int, stall: int) -> None:
    # "second" computes channel 1 from 0, 2, 3: beats of 1 and 2 steps in 2 rounds, and R. With
    # one bank the round of two pixels has load 2: its beat of one step waits a cycle.
    layers = network(pixels_3("first"), pixels_3("second", input="first"))
    trace = traced(layers, FBS, {"first": [[0, 2, 3]], "second": [[1]]})
    (_, causes), (_, counts) = rows_of(small(banks=banks), trace)
    assert picked(causes, base=0, bank_stall=0) == {"base": 2 * 3 + 8, "bank_stall": stall}
    assert counts["macs_base"] == 1 * 3 * 3 + 16
    assert counts["weight_word_reads"] == 2 * 3 + 8
    assert counts["dram_weight_bytes"] == 1 * 4 + 16
    assert counts["adder_ops"] == 3 * 3


def test_channels_of_the_residual_alone_pass() -> None:
    # Tile (1) with a pass of 8 cycles, then (0 2) and (3) without: each is emptied in 3 cycles.
    layers = network(
        pixels_3("first"),
        pixels_3("second", input="first", residual="first"),
        pixels_3("third", input="second"),
    )
    masks = {"first": [[0, 2, 3]], "second": [[1]], "third": [[0]]}
    (_, causes, _), (_, counts, third) = rows_of(small(), traced(layers, FBS, masks))
    assert causes["output_stall"] == 3 + 3 + 3 + 1
    assert counts["residual_word_reads"] == (0 + 2 + 1) * 3
    assert counts["activation_word_writes"] == (1 + 2 + 1) * 3 + 2
    assert counts["output_ops"] == 4 * 3 + 4
    assert counts["psum_base_writes"] == 3 + 2
    # All four channels of the sum are active: third reads them all.
    assert third["macs_base"] == 1 * 3 * 4 + 16


def test_heads_of_dgc_by_hand() -> None:
    # Head 0 reads channel 0: one beat of one step, X = R = 2. Head 1 reads 1, 2, 3: beats of 1 and
    # 2 steps, X = 3. Predictors: 4 -> 2 in one tile of X = 4; twice 1 -> 4 in two tiles of X = R.
    trace = traced(network(pixels_3("conv")), DGC, {"conv": [[0], [1, 2, 3]]})
    (causes,), (counts,) = rows_of(small(), trace)
    passes, squeeze, excite = 2 * 1 + 2 * 3, 4, 2 * 2 * 1
    assert causes["base"] == passes + squeeze + excite
    assert causes["drain"] == (2 * 1 + 2) + 2 + 2 + 2 * 2 * (1 + 2)
    assert counts["macs_base"] == 2 * 3 * 1 + 2 * 3 * 3 + 4 * 2 + 2 * 4
    assert counts["mask_bits_written"] == counts["comparator_ops"] == 8
    assert counts["index_words_read"] == 2
    assert counts["dram_weight_bytes"] == 16 + 8 + 8


def test_an_image_with_nothing_to_compute() -> None:
    # One visit that brings the input, takes no pass and leaves nothing.
    trace = traced(network(pixels_3("conv")), FBS, {"conv": [[]]})
    (causes,), (counts,) = rows_of(small(), trace)
    assert (causes["base"], causes["output_stall"]) == (8, 1)
    assert counts["dram_input_bytes"] == 12
    assert (counts["dram_output_bytes"], counts["dram_weight_bytes"]) == (0, 16)
    row = summary(*(simulate(small(), trace, name) for name in ("channels", "dense")))
    assert row["ideal_speedup"] == row["ideal_speedup_network"] == np.inf


ALONE = Network(
    name="alone",
    layers=(resnet18().by_name["layer1.1.conv1"].model_copy(update={"input": "input"}),),
)
"""64 -> 64 channels at 32x32: whole tiles of 256 pixels in each image."""


@pytest.mark.parametrize("granularity", [FBS, DGC])
@pytest.mark.parametrize("batch", [1, 3])
def test_with_all_channels_it_is_the_dense_machine(
    pe16x16: ArchConfig, granularity: str, batch: int
) -> None:
    trace = synthetic_channels(ALONE, 1.0, granularity=granularity, images=3)
    dense = simulate(pe16x16, trace, "dense", batch=batch)
    found = simulate(pe16x16, trace, "channels", batch=batch)
    extra, extra_counts = np.zeros(len(CAUSES), np.int64), np.zeros(len(COUNTERS), np.int64)
    for layer in predictors(ALONE.layers[0], granularity, 16):
        causes, counts = run_dense(network(layer), pe16x16, "dense", {}, 1, batch, 3)
        extra, extra_counts = extra + causes[0], extra_counts + counts[0]
    for position, cause in enumerate(CAUSES):
        if cause != "dram_stall":  # other transfers stand around a predictor's
            assert found.causes[0, position] - extra[position] == dense.causes[0, position], cause
    decided = {"mask_bits_written", "comparator_ops", "adder_ops", "index_words_read"}
    # A predictor's means and saliences stay on chip, the oracle's one layer moves them.
    decided |= {"dram_input_bytes", "dram_output_bytes"}
    for position, name in enumerate(COUNTERS):
        if name not in decided:
            assert (
                found.counters[0, position] - extra_counts[position]
                == (dense.counters[0, position])
            ), name
    for name in ("dram_input_bytes", "dram_output_bytes"):
        assert found.counters[0, C[name]] == dense.counters[0, C[name]]


@pytest.mark.parametrize(("granularity", "hidden_macs"), [(FBS, None), (DGC, 4)])
def test_macs_are_kept_pairs(
    pe16x16: ArchConfig, small_network: Network, granularity: str, hidden_macs: int | None
) -> None:
    trace = synthetic_channels(small_network, 0.4, granularity=granularity, images=3, seed=2)
    found = simulate(pe16x16, trace, "channels")
    kept = kept_macs(trace)
    for position, layer in enumerate(small_network.layers):
        small_layers = predictors(layer, granularity, 16) if layer.gated else []
        expected = kept[layer.name] + 3 * sum(each.macs for each in small_layers)
        assert found.counters[position, C["macs_base"]] == expected
    first = small_network.gated_layers[0]
    bits = trace.masks(first.name)
    outputs = bits.sum() * 64 if granularity == FBS else bits.sum() * 16
    assert kept[first.name] == outputs * 9 * first.out_pixels


def test_figures_of_a_row(pe16x16: ArchConfig, small_network: Network) -> None:
    trace = synthetic_channels(small_network, 0.5, images=4)
    dense = simulate(pe16x16, trace, "dense")
    row = summary(simulate(pe16x16, trace, "channels"), dense)
    kept = kept_macs(trace)
    gated = sum(kept[layer.name] for layer in small_network.gated_layers) / 4
    assert row["density_elements"] == 0.5
    assert row["density_macs"] == gated / small_network.gated_macs
    assert row["ideal_speedup"] == small_network.gated_macs / gated
    assert row["ideal_speedup_network"] == small_network.macs * 4 / sum(kept.values())
    assert row["index_bits_per_image"] == trace.header.bits
    assert row["energy_uj"]["index"] > 0
    assert summary(dense, dense)["ideal_speedup"] == 1


def test_threads_and_batches_change_no_totals(pe16x16: ArchConfig, small_network: Network) -> None:
    trace = synthetic_channels(small_network, 0.5, images=7, seed=1)
    one, many = (simulate(pe16x16, trace, "channels", batch=2, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.causes, many.causes)
    np.testing.assert_array_equal(one.counters, many.counters)
    np.testing.assert_array_equal(one.batch_cycles, many.batch_cycles)
    assert len(one.batch_cycles) == 4
    assert one.batch_cycles.sum() == one.cycles
