"""The oracle's gates that zero, worked out by hand (docs/model/baseless.md).

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from oracle.cycles import tile
from oracle.layout import conv_layout, flattened
from oracle.machines import conv, machine, network, random_masks, row, whole_tile
from oracle.network import run
from oracle.residency import plan
from oracle.visits import ALONE, AT_ONCE


def bits(text: str) -> list[int]:
    return [int(bit) for bit in text.replace(" ", "")]


LAYER = conv(channels=(4, 2), size=(2, 3), gated=True)
"""1x1, G = 1 on 2x3 pixels: L_b = 0, L_c = 4, two beats of two steps a round. One tile."""

MASK = np.array([bits("100 110"), bits("100 010")], bool).reshape(1, 2, 2, 3)
"""The lists are 0, 3, 4 and 0, 4; their OR is 0, 3, 4. The words of pixels 0..5 are 0..5."""


class TestTile:
    def test_unstructured(self) -> None:
        # No base pass. List 0: rounds (0 3), (4). List 1: (0 4). S = 2, 1, 0. Round 0 reads 0, 3,
        # 4: two of bank 0, which two steps hide; round 1 reads 4. T = 2 + max(4, 1) + 4 + 2.
        causes, counts = whole_tile(LAYER, machine(), "unstructured", MASK)
        assert causes == {"conditional": 8, "decode_stall": 2, "drain": 2}
        assert counts == {
            "macs_conditional": 5 * 4,
            "activation_word_reads": 2 * (3 + 1),
            "line_fills": 2 * 5,
            "weight_word_reads": 2 * 4,
            "psum_conditional_writes": 5,
            "psum_output_reads": 2 * 6,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "decoder_cycles": 2 + 1 + 2,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }

    def test_lockstep(self) -> None:
        # One list 0, 3, 4, lane 1 idle at pixel 3: rounds (0 3), (4).
        causes, counts = whole_tile(LAYER, machine(), "lockstep-2", MASK)
        assert causes == {"conditional": 8, "decode_stall": 2, "drain": 2}
        assert counts == {
            "macs_conditional": 5 * 4,
            "macs_gated_off": 1 * 4,
            "activation_word_reads": 2 * (2 + 1),
            "line_fills": 2 * 3,
            "weight_word_reads": 2 * 4,
            "psum_conditional_writes": 3,
            "psum_output_reads": 6,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "decoder_cycles": 2 + 1,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }

    def test_structured_adds_nothing_up(self) -> None:
        # One mask list of both channels: a decision a pixel, as one comparison and no addition.
        causes, counts = whole_tile(LAYER, machine(), "structured-2x", MASK[:, :1], 2)
        assert causes == {"conditional": 8, "decode_stall": 2, "drain": 2}
        assert counts["macs_conditional"] == 3 * 2 * 4
        assert counts["comparator_ops"] == 6
        assert counts["mask_bits_written"] == 6
        for name in ("adder_ops", "macs_base", "psum_base_writes", "psum_conditional_reads"):
            assert counts[name] == 0

    def test_clock_gated_visits_every_pixel(self) -> None:
        # Three rounds of four steps, and the drain. Bits: 0, 3, 4 and 0, 4.
        causes, counts = whole_tile(LAYER, machine(), "clock-gated", MASK)
        assert causes == {"conditional": 12, "drain": 2}
        assert counts == {
            "macs_conditional": 5 * 4,
            "macs_gated_off": 7 * 4,
            "activation_word_reads": 2 * 6,
            "line_fills": 2 * 6,
            "weight_word_reads": 3 * 4,
            "psum_conditional_writes": 3,
            "psum_output_reads": 6,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }

    @pytest.mark.parametrize("scheme", ["dense", "dense-zero-gated"])
    def test_dense_schemes_run_a_dense_pass(self, scheme: str) -> None:
        plain = conv(channels=(4, 2), size=(2, 3))
        found = whole_tile(LAYER, machine(), scheme, None)
        assert found == whole_tile(plain, machine(), "dense", None)
        assert found[0] == {"base": 12, "drain": 2}

    def test_an_empty_tile_takes_its_decoding(self) -> None:
        # A word of each list, or both one behind the other: S_0, and nothing drains.
        empty = np.zeros_like(MASK)
        for decoders, cycles in (("private", 1), ("shared", 2)):
            arch = machine(decoders=decoders)
            causes, counts = whole_tile(LAYER, arch, "unstructured", empty)
            assert causes == {"decode_stall": cycles}
            assert counts["psum_output_reads"] == 12
            assert counts["output_ops"] == 12
        # Lists of coordinates hold nothing: the tile takes no time.
        causes, _ = whole_tile(LAYER, machine(index_format="coordinate"), "unstructured", empty)
        assert causes == {}

    def test_systolic(self) -> None:
        # Rounds of 4 + (R + V - 2) and no R behind them; clock-gated ones skew C = 4 columns.
        arch = machine(feed="systolic")
        causes, _ = whole_tile(LAYER, arch, "lockstep-2", MASK)
        assert causes == {"conditional": 8, "decode_stall": 2, "drain": 2 * 2}
        causes, _ = whole_tile(LAYER, arch, "clock-gated", MASK)
        assert causes == {"conditional": 12, "drain": 3 * 4}

    def test_run_ahead_and_window(self) -> None:
        # A = 1, B = 2, C = 2: an odd pitch, so each of the four beats of a step begins on another
        # bank than the one before. Rounds of the two lists: (0 3 | 0 4) and (4 | nothing).
        # Q = 0: 0 and 4 are in one bank: two cycles a beat, four of them stall. (4) has none.
        # Q = 1: the banks have 2, 1 words in even beats, and 1, 2 in odd ones.
        #   F(0) = 2, 1; E(1) = 2
        #   F(1) = 2 + 1, 1 + 2, from 0 on; E(2) = 3
        #   F(2) = 3 + 2, 3 + 1, from E(1) on; E(3) = 5
        #   F(3) = 5 + 1, 4 + 2, from E(2) on; E(4) = 6: two of stall
        # w = 3: (0 | 0), with m = 0, then (3 4 | 4), with m = 3: no two words in a bank.
        pixels, layout = flattened(LAYER, 1), conv_layout(LAYER, small())
        assert layout.pitch == 7
        for options, steps, stall in (
            ({}, 8, 4), ({"run_ahead": 1}, 8, 2), ({"window": 3}, 8, 0),
        ):  # fmt: skip
            arch = small(**options)
            causes, _ = tile(
                LAYER, arch, "unstructured", MASK, 1, range(2), pixels, layout, AT_ONCE
            )
            assert (causes["conditional"], causes["bank_stall"]) == (steps, stall)


def small(**options: object) -> ArchConfig:
    return machine(columns=2, entries=16, word_channels=1, banks=2, **options)


class TestNetwork:
    def test_tiles_cross_images_where_others_compare(self) -> None:
        # Two images of six pixels, P = 8: tiles of 8 and 4; its neighbour with a base path has an
        # image a tile, compared alone.
        base = conv("base", channels=(4, 4), size=(2, 3), groups=2)
        zero = conv("zero", channels=(4, 4), size=(2, 3), input="base", gated=True)
        both = network(base, zero)
        with_base, without = plan(both, machine(), "unstructured", 2, "instance")
        assert {part.visit for part in with_base.tiles} == {ALONE}
        assert {len(part.pixels) for part in with_base.tiles} == {6}
        assert [len(part.pixels) for part in without.tiles] == [8, 4]
        assert {part.visit for part in without.tiles} == {AT_ONCE}

    def test_channel_tiles_are_as_wide_as_dense_ones(self) -> None:
        layer = conv("zero", channels=(4, 6), size=(2, 3), gated=True)
        (planned,) = plan(network(layer), machine(), "unstructured", 1)
        assert [part.channels for part in planned.tiles] == [range(4), range(4, 6)]

    def test_an_image_beside_its_output_stage_and_dma(self) -> None:
        # LAYER, T = 12 (above). load_0: 24 bytes of input, 8 of weights. 12 bytes of output behind
        # six cycles of the output stage.
        causes, _ = run(network(LAYER), machine(), "unstructured", {"conv": MASK}, 1, 1, 1)
        assert row(causes, CAUSES) == {
            "conditional": 8, "decode_stall": 2, "drain": 2, "output_stall": 6,
            "dram_stall": 24 + 8 + 6,
        }  # fmt: skip

    @pytest.mark.parametrize("scheme", ["clock-gated", "unstructured", "lockstep-8"])
    @pytest.mark.parametrize("density", [0.0, 0.4, 1.1])
    def test_macs_are_set_bits_times_all_steps(self, scheme: str, density: float) -> None:
        layers = network(conv(channels=(6, 16), size=(6, 5), kernel=3, gated=True))
        arch = machine(columns=8, entries=160, lane_group=8, activation_kib=2, weight_kib=8)
        masks = random_masks(layers, density, images=2)
        _, counts = run(layers, arch, scheme, masks, 1, 2, images=2)
        found = row(counts, COUNTERS)
        assert found.get("macs_conditional", 0) == int(masks["conv"].sum()) * 54
        assert "macs_base" not in found
        assert found["psum_output_reads"] == 60 * 2 * (8 if scheme == "unstructured" else 1)


MASKS = {"base": np.ones((1, 4, 2, 3), bool), "zero": MASK}
ZEROS = {"base": np.array([10]), "zero": np.array([17])}
SET_ZEROS = {"base": np.array([3]), "zero": np.array([6])}


class TestZeroGating:
    """LAYER behind one of G = 2, an image; zeros of all MACs, and of those under set bits."""

    base = conv("base", channels=(4, 4), size=(2, 3), groups=2)
    zero = conv("zero", channels=(4, 2), size=(2, 3), input="base", gated=True)

    def moved(self, arch: ArchConfig, scheme: str, conditional: bool = True) -> list[dict]:
        """By layer, what zero gating takes and gives."""
        inputs = (network(self.base, self.zero), arch, scheme, MASKS, 1, 1, 1)
        counted = SET_ZEROS if conditional else {}
        causes, counts = run(*inputs, ZEROS, zero_operand_macs_conditional=counted)
        plain = (inputs[0], machine(), "dense" if "dense" in scheme else scheme, *inputs[3:])
        bare_causes, bare = run(*plain)
        np.testing.assert_array_equal(causes, bare_causes)
        return [row(counts - bare, COUNTERS, at) for at in (0, 1)]

    @pytest.mark.parametrize("scheme", ["clock-gated", "unstructured", "lockstep-2"])
    def test_nothing_is_taken_from_a_base_pass_that_is_not_there(self, scheme: str) -> None:
        # Of G = 2: 10 / 2 base and 3 conditional MACs. Of G = 1 the 6 under set bits.
        assert self.moved(machine(zero_gating=True), scheme) == [
            {"macs_base": -5, "macs_conditional": -3, "macs_zero_gated": 8},
            {"macs_conditional": -6, "macs_zero_gated": 6},
        ]

    @pytest.mark.parametrize(
        ("scheme", "conditional"), [("dense", True), ("dense-zero-gated", False)]
    )
    def test_a_dense_pass_has_all_zeros(self, scheme: str, conditional: bool) -> None:
        assert self.moved(machine(zero_gating=True), scheme, conditional) == [
            {"macs_base": -10, "macs_zero_gated": 10},
            {"macs_base": -17, "macs_zero_gated": 17},
        ]

    @pytest.mark.parametrize("scheme", ["dense", "unstructured"])
    def test_a_trace_without_conditional_counts_runs_ungated(self, scheme: str) -> None:
        arch = machine(zero_gating=True)
        assert self.moved(arch, scheme, conditional=False) == [{}, {}]

    @pytest.mark.parametrize("scheme", ["dense", "unstructured"])
    def test_without_the_option_nothing_moves(self, scheme: str) -> None:
        assert self.moved(machine(), scheme) == [{}, {}]
