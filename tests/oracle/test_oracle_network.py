"""The oracle's clock, worked out by hand: output stage, DMA and batches.

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

import numpy as np

from hwsim.counters import CAUSES, COUNTERS
from oracle.machines import conv, machine, network, row
from oracle.network import dma_cycles, run


class TestRun:
    def test_transfers_are_rounded_up(self) -> None:
        # 12.8 GB/s at 80 % and 500 MHz: 20.48 bytes per cycle.
        arch = machine(clock_mhz=500, bandwidth_gb_per_s=12.8, efficiency_percent=80)
        assert [dma_cycles(moved, arch) for moved in (0, 1, 20, 21, 2048, 2049)] == [
            0, 1, 1, 2, 100, 101,
        ]  # fmt: skip

    def test_one_layer_in_two_batches(self) -> None:
        # 1x1, 2 -> 4 channels on 2x2, P = 4: an image is a tile of 2 x 2 + 2 = 6 cycles, 8 bytes
        # in, 16 out; weights 8 bytes. Images 0, 1 | 2.
        #   batch 0: load_0 8 + 8 = 16; tile 0: max(6, 8); tile 1: max(6, 4, 16 + 8); max(4, 16)
        #   batch 1, its weights loaded before: load_0 8; tile 0: max(6, 0); max(4, 16)
        layer = conv(channels=(2, 4), size=(2, 2))
        causes, counts = run(network(layer), machine(entries=16), "dense", {}, 1, 2, images=3)
        assert row(causes, CAUSES) == {
            "base": 3 * 4,
            "drain": 3 * 2,
            "output_stall": 4 + 4,
            "dram_stall": (16 + 2 + 18 + 12) + (8 + 12),
        }
        assert causes.sum() == (16 + 8 + 24 + 16) + (8 + 6 + 16)
        dram = {name: count for name, count in row(counts, COUNTERS).items() if "dram" in name}
        assert dram == {"dram_input_bytes": 24, "dram_weight_bytes": 16, "dram_output_bytes": 48}

    def test_a_long_tile_before_a_short_one_waits_for_the_output_stage(self) -> None:
        # 1x10 pixels in tiles of 8 and 2: T = 10 and 4; P_0 = 8 exceeds T_1 by 4. A fast DMA: one
        # cycle a transfer: load_0, and stores and loads hidden.
        arch = machine(bandwidth_gb_per_s=100.0)
        layer = conv(channels=(2, 4), size=(1, 10))
        causes, _ = run(network(layer), arch, "dense", {}, 1, 1, images=1)
        assert row(causes, CAUSES) == {
            "base": 5 * 2,
            "drain": 2 * 2,
            "output_stall": 4 + 2,
            "dram_stall": 1,
        }

    def test_exposed_weights_stall_between_the_tiles(self) -> None:
        # 16 -> 8 channels under 3x3 on one pixel: two tiles of one round of 144 steps and R = 2,
        # 576 bytes of weights each, of which one fits. load_0 = 16 + 576; then 576 exposed; the
        # second tile hides the 4 bytes of the first; 4 bytes at the end, 1 of them output stage.
        layer = conv(channels=(16, 8), size=(1, 1), kernel=3)
        causes, _ = run(network(layer), machine(), "dense", {}, 1, 1, images=1)
        assert row(causes, CAUSES) == {
            "base": 2 * 144,
            "drain": 2 * 2,
            "output_stall": 1,
            "dram_stall": 592 + 576 + 3,
        }

    def test_the_next_layers_weights_come_during_the_last_tile_if_both_fit(self) -> None:
        # On one pixel, one tile per layer. 3x3, 16 -> 4: T = 144 + 2, 16 + 576 bytes. Behind it
        # 1x1, 4 -> 4: its 16 bytes fit beside those, come during that tile and are counted for
        # the second layer, which loads nothing, takes T = 4 + 2 and stores 4 bytes.
        first = conv("first", channels=(16, 4), size=(1, 1), kernel=3)
        second = conv("second", channels=(4, 4), size=(1, 1), input="first")
        causes, counts = run(network(first, second), machine(), "dense", {}, 1, 1, images=1)
        assert row(causes, CAUSES, 0) == {
            "base": 144, "drain": 2, "output_stall": 1, "dram_stall": 592,
        }  # fmt: skip
        assert row(causes, CAUSES, 1) == {
            "base": 4, "drain": 2, "output_stall": 1, "dram_stall": 3,
        }  # fmt: skip
        weights = counts[:, COUNTERS.index("dram_weight_bytes")]
        assert weights.tolist() == [576, 16]

    def test_the_next_layers_weights_wait_if_they_do_not_fit(self) -> None:
        # 16 -> 16 -> 4 channels under 3x3 on one pixel, 576 bytes a channel tile, one fits. The
        # first layer loads 16 + 576, then 3 x 576 exposed, and keeps its output. The second loads
        # 576 itself and stores 4 bytes, one of them hidden by the output stage.
        first = conv("first", channels=(16, 16), size=(1, 1), kernel=3)
        second = conv("second", channels=(16, 4), size=(1, 1), kernel=3, input="first")
        causes, _ = run(network(first, second), machine(), "dense", {}, 1, 1, images=1)
        assert row(causes, CAUSES, 0)["dram_stall"] == 592 + 3 * 576
        assert row(causes, CAUSES, 1)["dram_stall"] == 576 + 3

    def test_a_spilled_residual_comes_with_its_tile(self) -> None:
        # The network of the residency test: d adds 2 bytes x 144 pixels from DRAM.
        a = conv("a", channels=(2, 2), size=(12, 12), kernel=3)
        b = conv("b", channels=(2, 2), size=(12, 12), kernel=3, input="a")
        c = conv("c", channels=(2, 2), size=(12, 12), kernel=3, input="b")
        d = conv("d", channels=(2, 2), size=(12, 12), kernel=3, input="c", residual="a")
        _, counts = run(network(a, b, c, d), machine(), "dense", {}, 1, 1, images=1)
        column = {name: counts[:, at].tolist() for at, name in enumerate(COUNTERS)}
        assert column["dram_input_bytes"] == [288, 0, 0, 0]
        assert column["dram_residual_bytes"] == [0, 0, 0, 288]
        assert column["dram_output_bytes"] == [288, 0, 0, 288]
        assert column["residual_word_reads"] == [0, 0, 0, 144]

    def test_zero_gating_moves_macs_and_nothing_else(self) -> None:
        layer = conv(channels=(4, 4), size=(2, 3), groups=2)
        dense = run(network(layer), machine(), "dense", {}, 1, 2, images=3)
        zeros = {"conv": np.array([5, 7, 11])}
        gated = run(network(layer), machine(), "dense-zero-gated", {}, 1, 2, 3, zeros)
        np.testing.assert_array_equal(gated[0], dense[0])
        moved = row(gated[1] - dense[1], COUNTERS)
        assert moved == {"macs_base": -23, "macs_zero_gated": 23}
