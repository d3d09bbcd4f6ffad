"""The oracle's machine options, worked out by hand: feed, bank conflicts, decoders, formats.

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, and every option at its default.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from oracle.beats import Beat
from oracle.cycles import Pass, play_round
from oracle.machines import conv, machine, whole_tile


def bits(text: str) -> list[int]:
    return [int(bit) for bit in text.replace(" ", "")]


LAYER = conv(channels=(4, 4), size=(2, 3), groups=2)
"""1x1, G = 2 on 2x3 pixels, L_b = L_c = 2: tiles of 2 columns, one beat of two steps a round."""

MASK = np.array([bits("100 110"), bits("100 010"), bits("111 111"), bits("111 111")], bool)
MASK = MASK.reshape(1, 4, 2, 3)
"""The first tile's lists are 0, 3, 4 and 0, 4; the OR of its lanes is 0, 3, 4."""


def counted(scheme: str, arch: ArchConfig, mask: np.ndarray = MASK) -> dict[str, int]:
    """The first tile's counters of lists and decoders."""
    _, counts = whole_tile(LAYER, arch, scheme, mask)
    names = ("mask_bits_written", "index_words_read", "decoder_cycles")
    return {name: counts[name] for name in names}


class TestBankConflicts:
    """Words 0, 2, 4 in bank 0 and 5 in bank 1 of B = 2, in beats of 2 and 1 steps; R = 4."""

    @pytest.mark.parametrize(
        ("bank_conflicts", "cycles", "stalls"),
        [
            ("exact", 3 + 3, {"bank_stall": 1 + 2}),  # bank 0 holds three
            ("bandwidth", 2 + 2, {"bank_stall": 1}),  # four words, two a cycle
            ("none", 4, {"drain": 1}),  # 2 + 1, and a drain of R
        ],
    )
    def test_load(self, bank_conflicts: str, cycles: int, stalls: dict[str, int]) -> None:
        causes, counts = Counter[str](), Counter[str]()
        arch = machine(rows=4, banks=2, bank_conflicts=bank_conflicts)
        beats = Pass("base", [Beat(2), Beat(1)], width=4)
        assert play_round([[0, 2, 4, 5]], beats, arch, causes, counts) == cycles
        assert +causes == {"base": 3, **stalls}
        assert counts == {"activation_word_reads": 8, "line_fills": 8, "weight_word_reads": 3}

    def test_bandwidth_is_rounded_up(self) -> None:
        # B = 2, one step: the union 0, 2, 4 takes two cycles, although one bank holds it all.
        causes = Counter[str]()
        arch = machine(banks=2, bank_conflicts="bandwidth")
        beats = Pass("base", [Beat(1)], width=4)
        assert play_round([[0, 2], [0, 4]], beats, arch, causes, Counter()) == 2
        assert causes == {"base": 1, "bank_stall": 1}


class TestSystolicFeed:
    arch = machine(feed="systolic")

    def test_a_round_ends_with_its_last_element(self) -> None:
        # R = 5, three columns: the far corner starts 4 + 2 cycles late. No max against R.
        causes = Counter[str]()
        arch = machine(rows=5, entries=20, feed="systolic")
        assert (
            play_round([[0, 1]], Pass("base", [Beat(2), Beat(1)], 3), arch, causes, Counter())
            == 3 + 6
        )
        assert +causes == {"base": 3, "drain": 6}

    def test_one_element_has_no_skew(self) -> None:
        causes = Counter[str]()
        arch = machine(rows=1, columns=1, feed="systolic")
        assert play_round([[0]], Pass("base", [Beat(2)], 1), arch, causes, Counter()) == 2
        assert +causes == {"base": 2}

    def test_a_bank_stall_comes_before_the_skew(self) -> None:
        # One bank: three words take three cycles, one step hides one; then 1 + 3 of skew.
        causes = Counter[str]()
        arch = machine(banks=1, feed="systolic")
        assert play_round([[0, 1, 2]], Pass("base", [Beat(1)], 4), arch, causes, Counter()) == 7
        assert causes == {"base": 1, "bank_stall": 2, "drain": 4}

    def test_dense(self) -> None:
        # Three rounds of 4 + (2 + 4 - 2); nothing behind the pass.
        causes, _ = whole_tile(LAYER, self.arch, "dense", None)
        assert causes == {"base": 3 * 4, "drain": 3 * 4}

    def test_dense_layers_of_narrow_tiles_cross_the_whole_array(self) -> None:
        # Three columns of four, on lane groups of two: width is C all the same.
        causes, _ = whole_tile(conv(channels=(4, 3)), self.arch, "structured-2x", None)
        assert causes == {"base": 3 * 4, "drain": 3 * 4}

    def test_gated(self) -> None:
        # Tiles are two columns wide, the skew is the array's in both passes: 2 + 4 - 2.
        causes, _ = whole_tile(LAYER, self.arch, "clock-gated", MASK)
        assert causes == {"base": 6, "conditional": 6, "drain": 6 * 4}

    @pytest.mark.parametrize(
        ("scheme", "mask_group", "skew"),
        [("unstructured", 1, 1), ("lockstep-2", 1, 2), ("structured-2x", 2, 2)],
    )
    def test_lists_cross_their_lane_group(self, scheme: str, mask_group: int, skew: int) -> None:
        # Base: three rounds of 2 + 4. Conditional: S = 2, 1; two rounds of 2 + (2 + V - 2), which
        # hide S_1; no R behind them.
        mask = MASK[:, ::mask_group]
        causes, _ = whole_tile(LAYER, self.arch, scheme, mask, mask_group)
        assert causes == {"base": 6, "conditional": 4, "decode_stall": 2, "drain": 3 * 4 + 2 * skew}

    def test_lists_cross_all_lanes_of_a_wide_group(self) -> None:
        # V = 4 on tiles of two columns: 2 + 4 - 2 as in the base pass.
        arch = machine(feed="systolic", lane_group=4)
        causes, _ = whole_tile(LAYER, arch, "lockstep-4", MASK)
        assert causes == {"base": 6, "conditional": 4, "decode_stall": 2, "drain": 3 * 4 + 2 * 4}

    def test_the_skew_hides_decoding(self) -> None:
        # One list, ones at 0, 1 and 47: S = 2, 5; X = 2 + 1 with V = 1, where a broadcast has 2.
        layer = conv(channels=(4, 2), size=(1, 48), groups=2)
        mask = np.zeros((1, 2, 1, 48), bool)
        mask[0, 0, 0, [0, 1, 47]] = True
        causes, _ = whole_tile(layer, machine(entries=192, feed="systolic"), "unstructured", mask)
        assert causes == {
            "base": 24 * 2,
            "conditional": 2 * 2,
            "decode_stall": 2 + (5 - 3),
            "drain": 24 * 4 + 2 * 1,
        }

    def test_an_empty_conditional_pass_has_no_skew(self) -> None:
        # Lists of zeros: one word is scanned.
        causes, _ = whole_tile(LAYER, self.arch, "unstructured", np.zeros_like(MASK))
        assert causes == {"base": 6, "decode_stall": 1, "drain": 3 * 4}


class TestSharedDecoder:
    arch = machine(decoders="shared")

    def test_lists_wait_for_one_another(self) -> None:
        # Private: S = max(2, 2), max(1, 0). Shared: S = 2 + 2, 1 + 0, of which X = 2 hides the 1.
        causes, counts = whole_tile(LAYER, self.arch, "unstructured", MASK)
        assert causes == {"base": 6, "conditional": 4, "decode_stall": 4, "drain": 4}
        assert counts["decoder_cycles"] == 2 + 2 + 1

    def test_tails_wait_too(self) -> None:
        # 24 pixels, W = 8. List 0: 0 and 1, a tail of two words. List 1: 0, 1, an empty word, 23.
        # Private: S = 2, 2. Shared: S = 4, 2 + 2 against X = 2.
        layer = conv(channels=(4, 4), size=(1, 24), groups=2)
        mask = np.zeros((1, 4, 1, 24), bool)
        mask[0, :2, 0, :2] = True
        mask[0, 1, 0, 23] = True
        private, _ = whole_tile(layer, machine(entries=96), "unstructured", mask)
        shared, counts = whole_tile(
            layer, machine(entries=96, decoders="shared"), "unstructured", mask
        )
        assert private["decode_stall"] == 2 + 0
        assert shared["decode_stall"] == 4 + (4 - 2)
        assert counts["decoder_cycles"] == 2 + 2 + 2 + 2

    def test_one_list_has_the_decoder_to_itself(self) -> None:
        private = whole_tile(LAYER, machine(), "lockstep-2", MASK)
        assert whole_tile(LAYER, self.arch, "lockstep-2", MASK) == private

    def test_a_list_of_zeros_is_scanned_in_its_turn(self) -> None:
        causes, _ = whole_tile(LAYER, self.arch, "unstructured", np.zeros_like(MASK))
        assert causes == {"base": 6, "decode_stall": 1 + 1, "drain": 2}


class TestCoordinates:
    """P = 8: three bits a symbol, two symbols a word of 8."""

    arch = machine(index_format="coordinate")

    def test_each_list_stores_its_indices(self) -> None:
        # 0, 3, 4 are three symbols in two words; 0, 4 are two in one.
        assert counted("unstructured", self.arch) == {
            "mask_bits_written": (3 + 2) * 3,
            "index_words_read": 2 + 1,
            "decoder_cycles": 3 + 2,
        }

    def test_lockstep_stores_the_lists_of_its_lanes(self) -> None:
        # It follows 0, 3, 4 and stores 0, 3, 4 and 0, 4.
        assert counted("lockstep-2", self.arch) == {
            "mask_bits_written": (3 + 2) * 3,
            "index_words_read": 2 + 1,
            "decoder_cycles": 3,
        }

    def test_structured_stores_one(self) -> None:
        _, counts = whole_tile(LAYER, self.arch, "structured-2x", MASK[:, ::2], 2)
        assert counts["mask_bits_written"] == 3 * 3
        assert counts["index_words_read"] == 2

    def test_gated_stores_bitmaps(self) -> None:
        assert counted("clock-gated", self.arch) == counted("clock-gated", machine())
        assert counted("clock-gated", self.arch)["mask_bits_written"] == 2 * 6

    def test_a_mask_of_zeros_takes_no_time(self) -> None:
        # Neither scan nor round: the base pass is all.
        causes, _ = whole_tile(LAYER, self.arch, "unstructured", np.zeros_like(MASK))
        assert causes == {"base": 6, "drain": 2}
        lists = counted("unstructured", self.arch, np.zeros_like(MASK))
        assert set(lists.values()) == {0}

    def test_two_symbols_a_cycle(self) -> None:
        # E = 2: (0 3) in one cycle, (4) in one; (0 4) in one. S = 1, 1.
        arch = machine(index_format="coordinate", indices_per_cycle=2)
        causes, counts = whole_tile(LAYER, arch, "unstructured", MASK)
        assert causes["decode_stall"] == 1
        assert counts["decoder_cycles"] == 3

    def test_no_empty_words_between_far_indices(self) -> None:
        # 0, 1 and 47 of 48: S = 2, 1, where a bitmap has S_1 = 5. P = 48: six bits, one a word.
        layer = conv(channels=(4, 2), size=(1, 48), groups=2)
        mask = np.zeros((1, 2, 1, 48), bool)
        mask[0, 0, 0, [0, 1, 47]] = True
        arch = machine(entries=192, index_format="coordinate")
        causes, counts = whole_tile(layer, arch, "unstructured", mask)
        assert causes == {"base": 24 * 2, "conditional": 2 * 2, "decode_stall": 2, "drain": 4}
        assert counts["mask_bits_written"] == 3 * 6
        assert counts["index_words_read"] == 3


class TestRunLengths:
    """Two bits: 3 is the escape, four symbols a word of 8.

    The list 0, 3, 4 is the symbols 0, 2, 0; the list 0, 4 is 0, escape, 0.
    """

    arch = machine(index_format="run-length", run_length_bits=2)

    def test_an_escape_costs_a_cycle_and_a_symbol(self) -> None:
        # Slot 0: (0 2) in two cycles, (0 escape 0) in three; slot 1: (0).
        causes, _ = whole_tile(LAYER, self.arch, "unstructured", MASK)
        assert causes == {"base": 6, "conditional": 4, "decode_stall": 3, "drain": 4}
        assert counted("unstructured", self.arch) == {
            "mask_bits_written": (3 + 3) * 2,
            "index_words_read": 1 + 1,
            "decoder_cycles": 3 + 3,
        }

    def test_a_shared_decoder(self) -> None:
        # S = 2 + 3, 1.
        arch = machine(index_format="run-length", run_length_bits=2, decoders="shared")
        causes, _ = whole_tile(LAYER, arch, "unstructured", MASK)
        assert causes["decode_stall"] == 5

    def test_lockstep_encodes_each_list_by_itself(self) -> None:
        # Followed: 0, 2, 0. Stored: that and 0, escape, 0.
        causes, _ = whole_tile(LAYER, self.arch, "lockstep-2", MASK)
        assert causes["decode_stall"] == 2
        assert counted("lockstep-2", self.arch) == {
            "mask_bits_written": (3 + 3) * 2,
            "index_words_read": 1 + 1,
            "decoder_cycles": 3,
        }

    def test_longer_symbols_need_no_escape(self) -> None:
        # Four bits, two symbols a word: 0, 2, 0 in two words, 0, 3 in one.
        assert counted("unstructured", machine(index_format="run-length")) == {
            "mask_bits_written": (3 + 2) * 4,
            "index_words_read": 2 + 1,
            "decoder_cycles": 3 + 2,
        }

    def test_gated_stores_bitmaps(self) -> None:
        assert counted("clock-gated", self.arch) == counted("clock-gated", machine())
