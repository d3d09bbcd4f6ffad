"""The oracle's choice of shapes, worked out by hand.

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig, Shape
from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import ConvLayer, Network
from oracle.lists import symbol_bits
from oracle.machines import conv, machine, network, random_masks, row, whole_tile
from oracle.network import chosen_shapes, run
from oracle.residency import DoesNotFit, plan
from oracle.shapes import held_shapes

from .test_oracle_instance import LAYER, MASK

FAST = 100.0
"""GB/s: a thousand bytes a cycle, a cycle for each transfer of these layers."""


def chosen(layers: Network, arch: ArchConfig, scheme: str = "dense") -> list[Shape]:
    return chosen_shapes(layers, arch, scheme, {}, 1, 1, 1)


def held(
    layer: ConvLayer, arch: ArchConfig, scheme: str = "dense", mask_group: int = 1, images: int = 1
) -> list[Shape]:
    return held_shapes(network(layer), arch, scheme, mask_group, {images}, "batch")[layer.name]


def total(causes: np.ndarray, layer: int = 0) -> int:
    return int(causes[layer].sum())


class TestChoice:
    tall = conv("tall", (4, 1), (2, 2), pool=2)
    wide = conv("wide", (1, 8), (1, 1), input="tall")

    def test_each_layer_takes_its_fastest(self) -> None:
        # tall: four pixels of one channel, L = 4, all cycles with load_0 = 1 and P_last = 4:
        #   2x4: two rounds of 4, R = 2:       1 + 10 + 4 = 15
        #   4x2: one round of 4, R = 4:        1 + 8 + 4 = 13
        #   1x8: four rounds of 4, R = 1:      1 + 17 + 4 = 22
        # wide: one pixel of eight channels, L = 1, its first weights there, P_last = 1:
        #   2x4: two tiles of 2 (R) + 2:       8 + 1 = 9
        #   4x2: four tiles of 4 (R) + 4:      32 + 1 = 33
        #   1x8: one tile of 1 + 1:            2 + 1 = 3
        layers = network(self.tall, self.wide)
        arch = machine(reshape=[(4, 2), (1, 8)], bandwidth_gb_per_s=FAST)
        runs = [
            run(layers, machine(*shape, bandwidth_gb_per_s=FAST), "dense", {}, 1, 1, 1)
            for shape in arch.array.shapes
        ]
        assert [[total(causes, at) for at in (0, 1)] for causes, _ in runs] == [
            [15, 9], [13, 33], [22, 3],
        ]  # fmt: skip
        assert chosen(layers, arch) == [(4, 2), (1, 8)]
        causes, counts = run(layers, arch, "dense", {}, 1, 1, 1)
        assert row(causes, CAUSES, 0) == {
            "base": 4, "drain": 4, "output_stall": 4, "dram_stall": 1,
        }  # fmt: skip
        assert row(causes, CAUSES, 1) == {"base": 1, "drain": 1, "output_stall": 1}
        words = counts[:, COUNTERS.index("weight_word_reads")]
        assert words.tolist() == [4, 1]

    def test_on_a_tie_the_arrays_own(self) -> None:
        # Systolic, one pixel of one channel: 4 steps and a skew of R + C - 2 = 4 either way.
        layers = network(conv("one", (4, 1), (1, 1)))
        assert chosen(layers, machine(2, 4, feed="systolic", reshape=[(4, 2)])) == [(2, 4)]
        assert chosen(layers, machine(4, 2, feed="systolic", reshape=[(2, 4)])) == [(4, 2)]

    @pytest.mark.parametrize("listed", [[(4, 2), (2, 4)], [(2, 4), (4, 2)]])
    def test_on_a_tie_the_one_listed_first(self, listed: list[Shape]) -> None:
        # The array's own 1x8 has a skew of 7.
        arch = machine(1, 8, feed="systolic", reshape=listed)
        assert chosen(network(conv("one", (4, 1), (1, 1))), arch) == [listed[0]]

    def test_prefetching_is_part_of_the_run(self) -> None:
        # first: 3x3, 16 -> 4 on one pixel, 144 words of weights: 576 bytes in 2x4; 1,152 in 1x8 do
        # not fit. second: 5x5, 4 -> 8, 100 words: two tiles of 400 bytes, or one of 800.
        #   run of 2x4: first 592 + max(146, 400) + 1, the next 400 fit beside its 576;
        #               second max(102, 400) + max(102, 4) + max(1, 4)
        #   run of 1x8: first (in 2x4) 592 + 146 + 1, since 576 + 800 do not fit;
        #               second 800 + 101 + max(1, 8)
        # first was quicker in the run of 1x8, but cannot hold it.
        first = conv("first", (16, 4), (1, 1), kernel=3)
        second = conv("second", (4, 8), (1, 1), kernel=5, input="first")
        layers = network(first, second)
        arch = machine(reshape=[(1, 8)])
        assert chosen(layers, arch) == [(2, 4), (2, 4)]
        causes, _ = run(layers, arch, "dense", {}, 1, 1, 1)
        assert [total(causes, at) for at in (0, 1)] == [592 + 400 + 1, 400 + 102 + 4]
        # second alone loads its first 400 bytes itself: 4 + 400 + 400 + 102 + 4 against
        # 4 + 800 + 101 + 8.
        alone = network(conv("second", (4, 8), (1, 1), kernel=5))
        causes, _ = run(alone, machine(), "dense", {}, 1, 1, 1)
        assert total(causes) == 910
        assert chosen(alone, arch) == [(2, 4)]
        causes, _ = run(alone, machine(1, 8), "dense", {}, 1, 1, 1)
        assert total(causes) == 913

    def test_a_taller_array_need_not_visit_an_image_twice(self) -> None:
        # P = 4 makes the 144 cycles of test_oracle_instance.py. In 4x2 P = 8, an image is a tile:
        # rounds of max(2, 4), pixels 0..3 and 4, 5.
        #   T_0 = 8 + 4 + 6 + S 3 + 4 + 4 = 29, lists 0, 3, 4 and 0, 4
        #   T_1 = 8 + 4 + 6 + S 4 + 8 + 4 = 34
        # 32 + max(29, 8) + max(34, 6, 12) + max(6, 12) = 107
        arch = machine(entries=16, reshape=[(4, 2)])
        arguments = (network(LAYER), arch, "unstructured", {"conv": MASK}, 1, 1, 1)
        assert chosen_shapes(*arguments, gate_norm="instance") == [(4, 2)]
        causes, counts = run(*arguments, gate_norm="instance")
        assert row(causes, CAUSES) == {
            "base": 8,
            "conditional": 2 + 4,
            "drain": (4 + 4 + 6 + 2 + 4) + (4 + 4 + 6 + 4 + 4),
            "decode_stall": 3 + 4,
            "output_stall": 6,
            "dram_stall": 32 + 6,
        }
        assert causes.sum() == 107
        assert "dram_psum_bytes" not in row(counts, COUNTERS)


class TestHeld:
    def test_weights_that_do_not_fit(self) -> None:
        # 144 words of 8 bytes: 1,152. With one KiB the layer keeps 2x4, the other takes 1x8; with
        # two KiB both do.
        big = conv("big", (16, 8), (1, 1), kernel=3)
        small = conv("small", (8, 8), (1, 1), input="big")
        arch = machine(reshape=[(1, 8)], bandwidth_gb_per_s=FAST)
        assert held(big, arch) == [(2, 4)]
        assert chosen(network(big, small), arch) == [(2, 4), (1, 8)]
        arch = machine(reshape=[(1, 8)], bandwidth_gb_per_s=FAST, weight_kib=2)
        assert chosen(network(big, small), arch) == [(1, 8), (1, 8)]

    def test_a_row_of_a_tiled_input(self) -> None:
        # 3x3, 8 channels of 12x12 are tiled: P = 16 is a row, P = 32 in 4x2 is two, and in 1x8
        # rows are cut at P = 8.
        layer = conv(channels=(8, 8), size=(12, 12), kernel=3)
        arch = machine(entries=64, reshape=[(1, 8), (4, 2)])
        assert held(layer, arch) == [(2, 4), (1, 8), (4, 2)]

    def test_lane_groups_that_span_two_masks(self) -> None:
        # Masks of two channels. Columns 0..2 and 3..5 of 4x3: lanes 3 and 4 have masks 1 and 2.
        # In 3x4, columns 0..3 and 4, 5, each lane group is a mask. Lockstep minds neither.
        layer = conv(channels=(4, 12), size=(2, 3), groups=2)
        arch = machine(2, 6, entries=72, reshape=[(4, 3), (3, 4)])
        assert held(layer, arch, "structured-2x", 2) == [(2, 6), (3, 4)]
        assert held(layer, arch, "lockstep-2", 2) == [(2, 6), (4, 3), (3, 4)]
        assert held(layer, arch, "clock-gated", 2) == [(2, 6), (4, 3), (3, 4)]
        dense = conv(channels=(4, 12), size=(2, 3))
        assert held(dense, arch, "structured-2x", 2) == [(2, 6), (4, 3), (3, 4)]
        # Gating groups of two channels are tiles of two in any shape.
        narrow = conv(channels=(4, 4), size=(2, 3), groups=2)
        assert held(narrow, arch, "structured-2x", 2) == [(2, 6), (4, 3), (3, 4)]

    def test_every_batch_must_hold_it(self) -> None:
        # 3x3, 48 channels on 1x2, 24 words. An image's 3 x 4, pitch 14, are 672 bytes of 896 and
        # whole. Two images', pitch 26, 1,248 bytes, are tiled, and one pixel's 3 x 3, pitch 10,
        # 480 bytes, do not fit twice. Of the own shape nothing is asked.
        layer = conv(channels=(48, 4), size=(1, 2), kernel=3)
        arch = machine(entries=64, weight_kib=4, reshape=[(1, 8)])
        assert held(layer, arch, images=1) == [(2, 4), (1, 8)]
        assert held(layer, arch, images=2) == [(2, 4)]
        sizes = held_shapes(network(layer), arch, "dense", 1, {1, 2}, "batch")
        assert sizes == {"conv": [(2, 4)]}

    def test_the_arrays_own_shape_must_fit(self) -> None:
        # 144 words of 8 bytes again, now in the array's own 1x8: 2x4 would hold them.
        layer = conv(channels=(16, 16), size=(1, 1), kernel=3, groups=2)
        masks = {"conv": np.zeros((1, 16, 1, 1), bool)}
        with pytest.raises(DoesNotFit, match="weights"):
            run(network(layer), machine(1, 8, reshape=[(2, 4)]), "clock-gated", masks, 1, 1, 1)


class TestWhatStays:
    def test_the_pitch(self) -> None:
        # Two rows of the 12x12 are 4 x 14 words. The array's own C = 4 finishes two words of four
        # banks: pitch 58, 464 bytes, twice 928 of 896: a row a tile, also in 4x2, whose pitch of 56
        # would fit.
        layer = conv(channels=(8, 8), size=(12, 12), kernel=3)
        arch = machine(entries=64, reshape=[(4, 2)])
        this = plan(network(layer), arch, "dense", 1, shapes=[(4, 2)])[0]
        assert {len(part.pixels) for part in this.tiles} == {12}
        assert {len(part.channels) for part in this.tiles} == {2}
        other = plan(network(layer), machine(4, 2, entries=64), "dense", 1)[0]
        assert {len(part.pixels) for part in other.tiles} == {24}

    def test_the_bits_of_a_coordinate(self) -> None:
        # P = 8 in 2x4, 32 in 8x1: five bits, one symbol a word of 8, in either shape; without
        # 8x1 three bits and two. Lists 0, 3, 4 and 0, 4.
        arch = machine(index_format="coordinate", reshape=[(8, 1)])
        assert (
            symbol_bits(arch, "coordinate") == symbol_bits(arch.shaped((8, 1)), "coordinate") == 5
        )
        _, counts = whole_tile(LAYER, arch, "unstructured", MASK)
        assert counts["mask_bits_written"] == (3 + 2) * 5
        assert counts["index_words_read"] == 3 + 2
        _, counts = whole_tile(LAYER, machine(index_format="coordinate"), "unstructured", MASK)
        assert counts["mask_bits_written"] == (3 + 2) * 3

    @pytest.mark.parametrize("gate_norm", ["batch", "instance"])
    @pytest.mark.parametrize("scheme", ["dense", "clock-gated", "unstructured", "lockstep-2"])
    def test_a_shape_that_nothing_can_take(self, scheme: str, gate_norm: str) -> None:
        # 3x3, 24 channels: 216 words, 864 bytes in 2x4, 1,728 in 1x8.
        layers = network(conv(channels=(24, 8), size=(3, 4), kernel=3, groups=2))
        masks = random_masks(layers, 0.3, images=3)
        own = run(layers, machine(), scheme, masks, 1, 2, 3, gate_norm=gate_norm)
        arch = machine(reshape=[(1, 8)])
        assert held(layers.layers[0], arch, scheme) == [(2, 4)]
        reshaped = run(layers, arch, scheme, masks, 1, 2, 3, gate_norm=gate_norm)
        np.testing.assert_array_equal(reshaped[0], own[0])
        np.testing.assert_array_equal(reshaped[1], own[1])
