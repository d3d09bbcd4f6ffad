"""The oracle on convolutions of any shape and groups (docs/model/layers.md), worked out by hand.

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import ConvLayer
from oracle.any_layers import SMALL, draw_conv
from oracle.beats import beats_over
from oracle.cycles import input_blocks
from oracle.layout import (
    ceil_div,
    conv_layout,
    flattened,
    pointer_layout,
    tensor_layout,
    touched_columns,
    touched_rows,
    words_by_block,
)
from oracle.machines import conv, machine, network, row, whole_tile
from oracle.network import run
from oracle.outputs import pooled_at
from oracle.residency import cut_channels, plan
from oracle.skipping import zero_macs


class TestShapes:
    layer = conv(
        size=(7, 9), kernel_size=(3, 2), stride=(2, 1), dilation=(1, 3), padding=(1, 2, 0, 0)
    )

    def test_layout(self) -> None:
        # Rows: 7 + 1 - 2 - 1 = 5, div 2 + 1 = 3; columns 9 + 2 - 3 - 1 = 7, + 1 = 8.
        # Hq = 3 + 2 div 2 = 4, Wq = 8 + 3 = 11, two phases: 88 words, pitch 90 (mod 4 = 2).
        assert (self.layer.out_height, self.layer.out_width) == (3, 8)
        layout = conv_layout(self.layer, machine())
        assert (layout.hq, layout.wq, layout.phases, layout.pitch) == (4, 11, 2, 90)

    def test_beats_go_tap_by_tap(self) -> None:
        # Rows 0, 1, 2 of the kernel: phase 0, phase 1 (44 words on), phase 0 a row of 11 further;
        # columns 0 and 3. Two words of two channels each.
        layout = conv_layout(self.layer, machine())
        beats = beats_over(self.layer, machine(), layout, [0])
        offsets = [0, 90, 3, 93, 44, 134, 47, 137, 11, 101, 14, 104]
        assert [beat.offset for beat in beats] == offsets
        assert [beat.steps for beat in beats] == [2] * 12

    def test_rows_and_columns_that_taps_touch(self) -> None:
        # Output row 1 reads 2 - 1 + 0, 1, 2; column 0 reads -2 and 1, column 7 5 and 8.
        assert touched_rows(self.layer, [(0, 1, 0)]) == {(0, 1), (0, 2), (0, 3)}
        assert touched_columns(self.layer, [(0, 1, 0), (0, 1, 7)]) == {1, 5, 8}
        # A dilation of 2 leaves every other row out.
        apart = conv(size=(5, 5), kernel_size=3, dilation=2, padding=0)
        assert touched_rows(apart, flattened(apart, 1)) == {(0, 0), (0, 2), (0, 4)}

    def test_phases_are_a_layers_own_only_if_both_strides_are(self) -> None:
        # Two phases each; the taller 1x2 is the tensor's layout, and not that of the other.
        tall = conv("tall", size=(8, 8), stride=(1, 2))
        flat = conv("flat", size=(8, 8), stride=(2, 1))
        both = network(tall, flat)
        assert tensor_layout(both, "input", machine(), 1).strides == (1, 2)
        assert pointer_layout(both, flat, machine(), 1).strides == (2, 1)

    @pytest.mark.parametrize(
        ("ceil_mode", "rows", "columns"), [(False, (1, 3), (2,)), (True, (1, 3, 4), (2, 4))]
    )
    def test_pooled_pixels(
        self, ceil_mode: bool, rows: tuple[int, ...], columns: tuple[int, ...]
    ) -> None:
        # 5x5 by (2, 3): rows 0-1, 2-3 and 4 is left; columns 0-2 and 3-4 are left.
        layer = conv(size=(5, 5), pool=(2, 3), ceil_mode=ceil_mode)
        last = [pixel for pixel in flattened(layer, 1) if pooled_at(layer, pixel) is not None]
        assert last == [(0, y, x) for y in rows for x in columns]
        found = [pooled_at(layer, pixel) for pixel in last]
        assert found == [(y, x) for y in range(len(rows)) for x in range(len(columns))]


class TestGroups:
    def test_small_groups_share_words(self) -> None:
        # A = 4, c = 2: channels 0..3 in word 0, 4..7 in word 1; beats of two steps.
        layer = conv(channels=(8, 8), conv_groups=4)
        arch = machine(word_channels=4)
        assert words_by_block(layer, arch) == [
            [(0, range(2))], [(0, range(2, 4))], [(1, range(4, 6))], [(1, range(6, 8))],
        ]  # fmt: skip
        assert conv_layout(layer, arch).words == 2

    def test_other_groups_begin_with_a_word(self) -> None:
        # c = 3 does not divide A = 4, c = 5 is more than A.
        arch = machine(word_channels=4)
        assert conv_layout(conv(channels=(9, 3), conv_groups=3), arch).words == 3
        layer = conv(channels=(10, 2), conv_groups=2)
        assert words_by_block(layer, arch)[1] == [(2, range(5, 9)), (3, range(9, 10))]

    def test_blocks_of_a_gated_layer_begin_with_a_word(self) -> None:
        # H = 2, G = 2: blocks of two channels, a word of A = 4 each, in dense schemes, too. Gates
        # that zero have one block a group: two channels of it share words with the other's.
        arch = machine(word_channels=4)
        layer = conv(channels=(8, 8), conv_groups=2, groups=2)
        assert conv_layout(layer, arch).words == 4
        zeroing = conv(channels=(4, 8), conv_groups=2, gated=True)
        assert conv_layout(zeroing, arch).words == 1

    def test_tiles_and_what_they_read(self) -> None:
        # H = 2 halves of 6 outputs: 4 + 2 wide; gated with G = 2, quarters of 3.
        layer = conv(channels=(8, 12), conv_groups=2, groups=2)
        dense = cut_channels(layer, machine(), "dense")
        assert dense == [range(4), range(4, 6), range(6, 10), range(10, 12)]
        assert [input_blocks(layer, tile, False)[0] for tile in dense] == [[0, 1]] * 2 + [
            [2, 3]
        ] * 2
        gated = cut_channels(layer, machine(), "unstructured")
        assert gated == [range(3), range(3, 6), range(6, 9), range(9, 12)]
        assert [input_blocks(layer, tile, True) for tile in gated] == [
            ([0], [1]), ([1], [0]), ([2], [3]), ([3], [2]),
        ]  # fmt: skip

    def test_a_depthwise_tile(self) -> None:
        # 4 channels of 2x3 under 3x3, one column a tile: 6 pixels, 3 rounds of 9 beats of a step.
        # Consecutive pixels of a row of 5 words, banks of 4: at most one in a bank but for pixels
        # 2 and 3, at 2 and 5. X = 9, and R at the end: 29 cycles.
        layer = conv(size=(2, 3), kernel=3, conv_groups=4)
        causes, counts = whole_tile(layer, machine(), "dense", None)
        assert causes == {"base": 27, "drain": 2}
        assert counts["macs_base"] == 6 * 9
        assert counts["activation_word_reads"] == counts["line_fills"] == 6 * 9
        assert counts["weight_word_reads"] == 27

    def test_a_gated_tile_of_a_group(self) -> None:
        # H = 2, G = 2 on 2x2: L = 2, a base and a conditional step. Tile 0, one column: 2 rounds
        # of a base step are drained in R = 2 cycles each, and R; channel 0 has one pixel: S_0 = 1
        # word, X = max(1, 2), R.
        layer = conv(size=(2, 2), conv_groups=2, groups=2)
        mask = np.zeros((1, 4, 2, 2), bool)
        mask[0, 0, 1, 0] = True
        causes, counts = whole_tile(layer, machine(), "unstructured", mask)
        assert causes == {"base": 2, "conditional": 1, "drain": 2 + 2 + 1 + 2, "decode_stall": 1}
        assert (counts["macs_base"], counts["macs_conditional"]) == (4, 1)

    def test_zeros_count_for_the_outputs_of_their_group(self) -> None:
        # One zero among 4 channels of a pixel: C_out / H = 2 MACs.
        bits = np.ones((1, 4, 1, 1), bool)
        bits[0, 1] = False
        layer = conv(channels=(4, 4), size=(1, 1), conv_groups=2)
        assert zero_macs(layer, bits, 0) == 2


class TestCutRows:
    def test_footprints_of_parts(self) -> None:
        # 24 channels, 12 words; 1x3 / (1, 2), two phases: a pixel takes 1 x 2 words of two, 4,
        # pitch 6: 144 bytes. The row of 10 pixels takes 22, 528 bytes; twice 1,056 of 896. Eight
        # take 18, pitch 18, 432 bytes, twice 864. P = 8 from 32 / 4.
        layer = conv(channels=(24, 4), size=(2, 20), kernel_size=(1, 3), stride=(1, 2),
                     padding=(0, 1, 0, 0))  # fmt: skip
        this = plan(network(layer), machine(activation_kib=1, weight_kib=2), "dense", 1)[0]
        assert [len(part.pixels) for part in this.tiles] == [8, 2, 8, 2]
        # Pixels 0..7 touch columns -1..15 of which 16 are there; 8, 9 touch 15..19.
        assert [part.input_bytes for part in this.tiles] == [24 * n for n in (16, 5, 16, 5)]


def closed_form(layer: ConvLayer, rows: int, columns: int, entries: int) -> int:
    """Cycles of the passes of one image: sum of max(L, R) over rounds, and R for each tile."""
    tiles = layer.conv_groups * ceil_div(layer.out_channels // layer.conv_groups, columns)
    pixels, most, cycles = layer.out_height * layer.out_width, entries // columns, 0
    while pixels > 0:
        cycles += ceil_div(min(pixels, most), rows) * max(layer.steps, rows) + rows
        pixels -= most
    return tiles * cycles


@pytest.mark.parametrize("seed", range(60))
def test_dense_cycles_without_conflicts(seed: int) -> None:
    """Output-stationary cycles of layers of any shape, where nothing but their steps counts."""
    rng = Random(f"closed form {seed}")
    layer = draw_conv(rng, "conv", {"input": (rng.choice(SMALL.channels), 7, 6)}, 1)
    layer = layer.model_copy(update={"residual": None})
    arch = machine(3, 4, 60, bank_conflicts="none", activation_kib=64, weight_kib=64)
    causes, counts = run(network(layer), arch, "dense", {}, 1, 1, 1)
    spent, counted = row(causes, CAUSES), row(counts, COUNTERS)
    assert spent["base"] + spent["drain"] == closed_form(layer, 3, 4, 60)
    assert "bank_stall" not in spent
    assert counted["macs_base"] == layer.out_channels * layer.out_pixels * (
        layer.kernel[0] * layer.kernel[1] * layer.in_channels // layer.conv_groups
    )
