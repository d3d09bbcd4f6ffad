"""The oracle's tiles, worked out by hand.

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from oracle.beats import Beat, beats_over
from oracle.cycles import Pass, play_round, tile
from oracle.layout import conv_layout
from oracle.machines import conv, machine, whole_tile
from oracle.residency import flattened


def bits(text: str) -> list[int]:
    return [int(bit) for bit in text.replace(" ", "")]


class TestRound:
    def test_a_bank_serves_one_word_per_cycle(self) -> None:
        # B = 2: 0, 2, 4 in bank 0, 5 in bank 1: load 3. Beats of 2 and 1 steps take 3 each.
        causes, counts = Counter[str](), Counter[str]()
        arch = machine(rows=4, banks=2)
        cycles = play_round(
            [[0, 2, 4, 5]], Pass("base", [Beat(2), Beat(1)], 4), arch, causes, counts
        )
        assert cycles == 6
        assert +causes == {"base": 3, "bank_stall": 1 + 2}
        assert +counts == {"activation_word_reads": 8, "line_fills": 8, "weight_word_reads": 3}

    def test_equal_addresses_of_several_lists_merge(self) -> None:
        # B = 2: the union 0, 2, 3 loads bank 0 with two words, which two steps hide.
        causes, counts = Counter[str](), Counter[str]()
        arch = machine(banks=2)
        cycles = play_round(
            [[0, 2], [0, 3]], Pass("conditional", [Beat(2)], 4), arch, causes, counts
        )
        assert cycles == 2
        assert +causes == {"conditional": 2}
        assert +counts == {"activation_word_reads": 3, "line_fills": 4, "weight_word_reads": 2}

    def test_a_short_round_waits_for_the_drain_of_the_one_before(self) -> None:
        causes = Counter[str]()
        arch = machine(rows=5, entries=20)
        cycles = play_round([[0, 1]], Pass("base", [Beat(2), Beat(1)], 4), arch, causes, Counter())
        assert cycles == 5
        assert +causes == {"base": 3, "drain": 2}

    def test_each_input_group_starts_on_a_word(self) -> None:
        # Three groups of five channels in words of two: 2 + 2 + 1 steps per tap and group.
        layer = conv(channels=(15, 3), kernel=1, groups=3)
        beats = beats_over(layer, machine(), conv_layout(layer, machine()), [0, 2])
        assert [beat.steps for beat in beats] == [2, 2, 1, 2, 2, 1]


class TestTile:
    """A gated 1x1 layer of G = 2, 4 -> 4 channels on 2x3 pixels: L_b = L_c = 2, tiles of 2 columns.

    One beat of two steps per pass and round. The words of pixels 0..5 are 0..5, in bank mod 4.
    """

    layer = conv(channels=(4, 4), size=(2, 3), groups=2)
    mask = np.array([bits("100 110"), bits("100 010"), bits("111 111"), bits("111 111")], bool)
    mask = mask.reshape(1, 4, 2, 3)

    def test_dense(self) -> None:
        # Four columns at once, three rounds of 2 x 2 steps, R = 2 to drain.
        causes, counts = whole_tile(self.layer, machine(), "dense", None)
        assert causes == {"base": 12, "drain": 2}
        assert counts == {
            "macs_base": 4 * 6 * 4,
            "activation_word_reads": 6 * 2,
            "line_fills": 6 * 2,
            "weight_word_reads": 3 * 4,
            "psum_base_writes": 6,
            "psum_output_reads": 6,
            "output_ops": 24,
            "activation_word_writes": 2 * 6,
        }

    def test_gated(self) -> None:
        # Both passes: three rounds of two steps and the drain. Bits: 0, 3, 4 and 0, 4.
        causes, counts = whole_tile(self.layer, machine(), "clock-gated", self.mask)
        assert causes == {"base": 6, "conditional": 6, "drain": 4}
        assert counts == {
            "macs_base": 2 * 6 * 2,
            "macs_conditional": 5 * 2,
            "macs_gated_off": 7 * 2,
            "activation_word_reads": 6 + 6,
            "line_fills": 6 + 6,
            "weight_word_reads": 6 + 6,
            "psum_base_writes": 6,
            "psum_conditional_reads": 3,
            "psum_conditional_writes": 3,
            "psum_output_reads": 6,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }

    def test_unstructured(self) -> None:
        # List 0: rounds (0 3) in 2 cycles, (4) in 1. List 1: (0 4) in 2 cycles.
        # S = 2, 1, 0. Round 0 reads 0, 3, 4: 0 and 4 share a bank, two steps hide it; round 1
        # reads 4. T = 2 + max(2, 1) + max(2, 0) + 2.
        causes, counts = whole_tile(self.layer, machine(), "unstructured", self.mask)
        assert causes == {"base": 6, "conditional": 4, "decode_stall": 2, "drain": 4}
        assert counts == {
            "macs_base": 24,
            "macs_conditional": 10,
            "activation_word_reads": 6 + 3 + 1,
            "line_fills": 12 + 5,
            "weight_word_reads": 6 + 4,
            "psum_base_writes": 12,
            "psum_conditional_reads": 5,
            "psum_conditional_writes": 5,
            "psum_output_reads": 12,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "decoder_cycles": 2 + 1 + 2,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }

    def test_lockstep(self) -> None:
        # One list 0, 3, 4 for both lanes; lane 1 idles at pixel 3. Both masks are stored and read.
        causes, counts = whole_tile(self.layer, machine(), "lockstep-2", self.mask)
        assert causes == {"base": 6, "conditional": 4, "decode_stall": 2, "drain": 4}
        assert counts == {
            "macs_base": 24,
            "macs_conditional": 10,
            "macs_gated_off": 2,
            "activation_word_reads": 6 + 2 + 1,
            "line_fills": 6 + 3,
            "weight_word_reads": 6 + 4,
            "psum_base_writes": 6,
            "psum_conditional_reads": 3,
            "psum_conditional_writes": 3,
            "psum_output_reads": 6,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "decoder_cycles": 2 + 1,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }

    def test_structured_decides_once_per_mask_list(self) -> None:
        # One list 0, 3, 4 of a mask that both channels share: one bit per pixel, one addition.
        causes, counts = whole_tile(self.layer, machine(), "structured-2x", self.mask[:, ::2], 2)
        assert causes == {"base": 6, "conditional": 4, "decode_stall": 2, "drain": 4}
        assert counts["macs_conditional"] == 3 * 2 * 2
        assert counts["mask_bits_written"] == 6
        assert counts["index_words_read"] == 1
        assert counts["comparator_ops"] == 6
        assert counts["adder_ops"] == 6
        assert counts["macs_gated_off"] == 0

    def test_structured_refuses_a_mask_that_differs_within_a_lane_group(self) -> None:
        with pytest.raises(ValueError, match="differs"):
            whole_tile(self.layer, machine(), "structured-2x", self.mask)

    def test_a_decoder_slower_than_the_round_stalls_the_next(self) -> None:
        # One list of 48 pixels in a row, ones at 0, 1 and 47. Round 0: 2 cycles. Round 1: the word
        # of 0 and 1 is done, four empty words, then 47: 5 cycles against X = 2.
        layer = conv(channels=(4, 2), size=(1, 48), groups=2)
        mask = np.zeros((1, 2, 1, 48), bool)
        mask[0, 0, 0, [0, 1, 47]] = True
        causes, counts = whole_tile(layer, machine(entries=192), "unstructured", mask)
        assert causes == {
            "base": 24 * 2,
            "conditional": 2 * 2,
            "decode_stall": 2 + (5 - 2),
            "drain": 2 + 2,
        }
        assert counts["decoder_cycles"] == 2 + 5

    def test_an_ungated_layer_runs_one_dense_pass_on_the_schemes_hardware(self) -> None:
        layer = conv(channels=(4, 3), size=(2, 3))
        dense, _ = whole_tile(layer, machine(), "dense", None)
        causes, counts = whole_tile(layer, machine(), "structured-2x", None)
        assert causes == dense == {"base": 12, "drain": 2}
        # Three columns are two lane groups: (0 1) and (2).
        assert counts["line_fills"] == 2 * 6 * 2
        assert counts["psum_base_writes"] == 2 * 6
        assert counts["mask_bits_written"] == counts["comparator_ops"] == 0

    def test_rows_of_a_padded_plane_meet_in_a_bank(self) -> None:
        # 3x3 on 4x4: Wq = 6. R = 8 takes rows y, y+1: words 0..3 and 6..9 of B = 4 banks, two in
        # each; words of one channel leave one step to hide it: every beat stalls one cycle.
        arch = machine(rows=8, entries=64, word_channels=1)
        layer = conv(channels=(1, 4), size=(4, 4), kernel=3)
        causes, _ = whole_tile(layer, arch, "dense", None)
        assert causes == {"base": 2 * 9, "bank_stall": 2 * 9, "drain": 8}

    def test_pooling_finishes_at_the_bottom_right(self) -> None:
        # 4x4 pooled by 2, the first ten pixels (rows 0, 1 and half of row 2): (1, 1), (1, 3).
        layer = conv(channels=(4, 4), size=(4, 4), pool=2)
        pixels = flattened(layer, images=1)[:10]
        layout = conv_layout(layer, machine())
        _, counts = tile(layer, machine(), "dense", None, 1, range(4), pixels, layout)
        assert counts["activation_word_writes"] == 2 * 2
        assert counts["output_ops"] == 40
