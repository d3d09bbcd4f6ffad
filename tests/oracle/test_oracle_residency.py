"""The oracle's layouts, loop orders and bytes, worked out by hand.

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

import pytest

from oracle.layout import (
    Layout,
    conv_layout,
    pointer_layout,
    stored_bytes,
    tensor_layout,
    touched_rows,
)
from oracle.machines import conv, machine, network
from oracle.residency import DoesNotFit, plan


def planes(layout: Layout) -> tuple[int, int, int, int]:
    """Hq, Wq, phases and words."""
    return layout.hq, layout.wq, layout.phases, layout.words


class TestLayout:
    def test_stride_splits_the_plane_into_phases(self) -> None:
        # 3x3 / 2 on 8x8: 4x4 outputs, one more row and column of words, four phases; two words.
        assert planes(conv_layout(conv(size=(8, 8), kernel=3, stride=2), machine())) == (5, 5, 4, 2)

    def test_pitch_spreads_the_words_of_a_pixel(self) -> None:
        # C = 4 columns finish two words at a time, B = 4: pitch mod 4 = 2, whatever the tensor.
        assert stored_bytes(machine(), words=1, plane=25) == 26 * 2
        assert stored_bytes(machine(), words=3, plane=26) == 3 * 26 * 2
        # C = 2, one word: pitch mod 4 = 4 mod 4 = 0. C = 10, five words: 4 div 5 = 0.
        assert stored_bytes(machine(columns=2), words=2, plane=25) == 2 * 28 * 2
        assert stored_bytes(machine(columns=10, entries=40), words=2, plane=24) == 2 * 24 * 2

    def test_a_tensor_lies_as_its_tallest_consumer_wants(self) -> None:
        stem = conv("stem", size=(8, 8))
        down = conv("down", size=(8, 8), kernel=3, stride=2, input="stem")
        shortcut = conv("shortcut", size=(8, 8), stride=2, input="stem")
        both = network(stem, down, shortcut)
        assert planes(tensor_layout(both, "stem", machine(), images=1)) == (5, 5, 4, 2)
        added = conv("added", size=(8, 8), input="input", residual="stem")
        assert planes(tensor_layout(network(stem, down, added), "stem", machine(), 1)) == (
            8,
            8,
            1,
            2,
        )

    def test_pointers_step_through_the_tensors_layout_if_it_holds_the_layers_rows(self) -> None:
        # 3x3 and 1x1 on 8x8 share one phase, rows of 10 words hold those of 8. The stride of 2
        # has four phases, and keeps its own.
        tall = conv("tall", size=(8, 8), kernel=3)
        flat = conv("flat", size=(8, 8))
        down = conv("down", size=(8, 8), stride=2)
        three = network(tall, flat, down)
        assert planes(pointer_layout(three, flat, machine(), images=1)) == (10, 10, 1, 2)
        assert planes(pointer_layout(three, down, machine(), images=1)) == (4, 4, 4, 2)
        # Unpadded on 4x5 / 2, both Hq = 2: 2x2 has Wq = 2 and, with G = 2, two words: 2 x 18 of
        # them; 3x3 has Wq = 3 and one word: 26. The tensor lies as the 2x2 wants, too narrow.
        narrow = conv("narrow", (2, 2), (4, 5), kernel=2, stride=2, groups=2, padding=0)
        wide = conv("wide", (2, 2), (4, 5), kernel=3, stride=2, padding=0)
        both = network(narrow, wide)
        assert planes(tensor_layout(both, "input", machine(), images=1)) == (2, 2, 4, 2)
        assert planes(pointer_layout(both, wide, machine(), images=1)) == (2, 3, 4, 1)

    def test_rows_no_tap_touches_are_not_needed(self) -> None:
        layer = conv(size=(8, 8), stride=2)
        assert touched_rows(layer, [(0, 0, 0), (1, 3, 2)]) == {(0, 0), (1, 6)}
        layer = conv(size=(8, 8), kernel=3)
        assert touched_rows(layer, [(0, 0, 5), (0, 7, 5)]) == {(0, 0), (0, 1), (0, 6), (0, 7)}


class TestResidency:
    def test_a_resident_input_is_loaded_once_as_tiles_need_it(self) -> None:
        # 3x3 on 6 rows of 4: tiles of two rows. The first brings rows 0..2, then 3, 4, then 5.
        layer = conv(channels=(2, 8), size=(6, 4), kernel=3)
        tiles = plan(network(layer), machine(), "dense", 1)[0].tiles
        assert [part.input_bytes for part in tiles] == [3 * 8, 2 * 8, 1 * 8, 0, 0, 0]
        assert [part.weight_bytes for part in tiles] == [72, 0, 0, 72, 0, 0]
        assert [part.output_bytes for part in tiles] == [4 * 8] * 6

    def test_a_tiled_input_reloads_halos_and_pixels_go_outer(self) -> None:
        # 8 channels of 12x12 under 3x3: 14 x 14 words of four planes (A = 2), pitch 198 (mod 4 =
        # 2): 4 * 198 * 2 = 1584 bytes exceed 1024 - 2 * 64. One row: 3 x 14 words, pitch 42, 336
        # bytes, twice 672. Two rows do not fit into P = 16. All weights fit (2 * 288), so pixels
        # outer moves each tile's rows once: three, two at the map's edges.
        layer = conv(channels=(8, 8), size=(12, 12), kernel=3)
        this = plan(network(layer), machine(entries=64), "dense", 1)[0]
        assert not this.placement.input_resident
        assert this.weights == "all"
        assert [part.channels for part in this.tiles[:3]] == [range(4), range(4, 8), range(4)]
        rows = [2] + [3] * 10 + [2]
        assert [part.input_bytes for part in this.tiles[::2]] == [96 * n for n in rows]
        assert [part.input_bytes for part in this.tiles[1::2]] == [0] * 12
        assert [part.weight_bytes for part in this.tiles] == [288, 288] + [0] * 22

    def test_the_cheaper_loop_order_reloads_input_instead_of_weights(self) -> None:
        # As above with 14 outputs more: 22 channels are six tiles, four do not fit: "two".
        # Weights outer: 6 * 3264 + 72 * 22 = 21,168 bytes; pixels outer: 3264 + 12 * 1584 = 22,272.
        layer = conv(channels=(8, 22), size=(12, 12), kernel=3)
        this = plan(network(layer), machine(entries=64), "dense", 1)[0]
        assert this.weights == "two"
        assert [part.channels for part in this.tiles[:12]] == [range(4)] * 12
        assert sum(part.input_bytes for part in this.tiles) == 6 * 34 * 96
        assert sum(part.weight_bytes for part in this.tiles) == 72 * 22

    def test_a_row_that_does_not_fit_twice_is_cut(self) -> None:
        # 16 channels: one row takes 8 planes of 3 x 14 words, 672 bytes, twice 1,344; there are
        # 896. Six pixels take 3 x 8, pitch 26, 416 bytes, twice 832; seven 3 x 9, pitch 30.
        # Either half of a row touches 6 columns and one beside it, of 2 or 3 rows.
        layer = conv(channels=(16, 4), size=(12, 12), kernel=3)
        this = plan(network(layer), machine(entries=64), "dense", 1)[0]
        assert [len(part.pixels) for part in this.tiles] == [6] * 24
        assert [part.pixels[0] for part in this.tiles[:3]] == [(0, 0, 0), (0, 0, 6), (0, 1, 0)]
        rows = [2, 2] + [3, 3] * 10 + [2, 2]
        assert [part.input_bytes for part in this.tiles] == [n * 7 * 16 for n in rows]

    def test_one_pixel_must_fit_twice(self) -> None:
        # 46 channels, 23 words of 3 x 3, pitch 10: 460 bytes, twice 920; there are 896.
        layer = conv(channels=(46, 4), size=(12, 12), kernel=3)
        with pytest.raises(DoesNotFit, match="conv: not one output pixel"):
            plan(network(layer), machine(entries=64, weight_kib=2), "dense", 1)

    @pytest.mark.parametrize(("channels", "held"), [(14, "all"), (14, "two"), (16, "one")])
    def test_weights_held(self, channels: int, held: str) -> None:
        # 9 * 14 * 4 = 504 bytes a channel tile: two fit 1,024 bytes; 9 * 16 * 4 = 576: one does.
        outputs = 8 if held == "all" else 12
        this = plan(network(conv(channels=(channels, outputs), kernel=3)), machine(), "dense", 1)[0]
        assert this.weights == held

    def test_a_channel_tile_must_fit(self) -> None:
        layer = conv(channels=(32, 8), kernel=3, groups=2)
        with pytest.raises(DoesNotFit, match="weights"):
            plan(network(layer), machine(), "clock-gated", 1)

    def test_weights_come_in_parts_if_no_mask_hangs_on_them(self) -> None:
        # 288 words of 4 bytes exceed 1,024. Tiles of 4 and 2 pixels are two rounds of R = 2 and
        # one, so the weights come three times for each of the channel tiles of 4 and 1, whichever
        # loop is outside.
        layer = conv(channels=(32, 5), kernel=3)
        this = plan(network(layer), machine(entries=16), "dense", 1)[0]
        assert this.weights == "parts"
        assert [part.weight_bytes for part in this.tiles] == [2304, 1152, 576, 288]

    def test_outputs_and_residuals_stay_while_there_is_room(self) -> None:
        # Tensors of 2 channels on 12x12: 14 x 14 words, pitch 198, 396 bytes; 960 are there: two
        # fit. At c, b and c push a out: a is stored by its maker and read again by d.
        a = conv("a", channels=(2, 2), size=(12, 12), kernel=3)
        b = conv("b", channels=(2, 2), size=(12, 12), kernel=3, input="a")
        c = conv("c", channels=(2, 2), size=(12, 12), kernel=3, input="b")
        d = conv("d", channels=(2, 2), size=(12, 12), kernel=3, input="c", residual="a")
        small = [this.placement for this in plan(network(a, b, c, d), machine(), "dense", 1)]
        assert [there.input_on_chip for there in small] == [False, True, True, True]
        assert [there.output_stored for there in small] == [True, False, False, True]
        assert not small[3].residual_on_chip
        large = [
            this.placement
            for this in plan(network(a, b, c, d), machine(activation_kib=2), "dense", 1)
        ]
        assert [there.output_stored for there in large] == [False, False, False, True]
        assert large[3].residual_on_chip

    def test_an_input_read_in_part_is_not_there_for_the_next(self) -> None:
        # The 1x1 / 2 shortcut loads rows 0 and 2 of 4; the 3x3 behind it loads all four.
        shortcut = conv("shortcut", channels=(2, 2), size=(4, 4), stride=2)
        other = conv("other", channels=(2, 2), size=(4, 4), kernel=3)
        first, second = plan(network(shortcut, other), machine(), "dense", 1)
        assert sum(part.input_bytes for part in first.tiles) == 2 * 8
        assert sum(part.input_bytes for part in second.tiles) == 4 * 8
        # The other way round all rows are there.
        _, second = plan(network(other, shortcut), machine(), "dense", 1)
        assert sum(part.input_bytes for part in second.tiles) == 0
