"""The oracle on concatenations, products and map layers (docs/model/layers.md), worked out by hand.

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import MapLayer
from oracle.coded_maps import coded, left_dense
from oracle.layout import tensor_layout
from oracle.machines import conv, machine, network, row
from oracle.network import run
from oracle.residency import LayerPlan, plan


def made(
    operator: str, name: str, inputs: tuple[int, int, int], out: tuple[int, int, int], **edges: Any
) -> MapLayer:
    """A map layer of (channels, height, width) in and out."""
    return MapLayer(
        name=name, operator=operator, in_channels=inputs[0], in_height=inputs[1],
        in_width=inputs[2], out_channels=out[0], out_height=out[1], out_width=out[2], **edges,
    )  # fmt: skip


def moved(plans: list[LayerPlan], at: int, kind: str) -> int:
    return sum(getattr(tile, f"{kind}_bytes") for tile in plans[at].tiles)


class TestConcatenation:
    # Channels 3 and 5 of 12x12 beside each other: planes of 12 x 12 = 144 words, pitch 146.
    a = conv("a", (2, 3), (12, 12))
    b = conv("b", (2, 5), (12, 12))
    both = conv("both", (8, 4), (12, 12), input=("a", "b"))

    def test_each_tensor_lies_by_itself(self) -> None:
        # ceil(3/2) = 2 and ceil(5/2) = 3 planes; the layer's own pointers see ceil(8/2) = 4.
        layers = network(self.a, self.b, self.both)
        assert tensor_layout(layers, "a", machine(), 1).words == 2
        assert tensor_layout(layers, "b", machine(), 1).words == 3
        this = plan(layers, machine(activation_kib=4), "dense", 1)[2]
        assert this.placement.layout is not None
        assert (this.placement.layout.words, this.placement.input_on_chip) == (4, True)

    def test_what_is_on_chip_is_not_loaded(self) -> None:
        # 292 bytes a plane: input 1, a 2, b 3: 292, 584, 876 bytes; 1,984 are there. At b the
        # input and b go first, 1,168; a fits. With 1.5 KiB less a is stored and comes back.
        plans = plan(network(self.a, self.b, self.both), machine(activation_kib=2), "dense", 1)
        assert [this.placement.output_stored for this in plans] == [False, False, True]
        assert moved(plans, 2, "input") == 0

    def test_a_part_comes_from_dram(self) -> None:
        # 6 channels of 12x12 are 3 planes, 876 bytes, for b's reader, too: of 1,984 at b input
        # (1 plane) + b (3) + a (3) = 2,044 is too much, and b + a (6 planes, 1,752) is not.
        a, b = conv("a", (2, 6), (12, 12)), conv("b", (2, 6), (12, 12))
        both = conv("both", (12, 4), (12, 12), input=("a", "b"))
        plans = plan(network(a, b, both), machine(activation_kib=2), "dense", 1)
        assert [this.placement.output_stored for this in plans] == [True, False, True]
        assert moved(plans, 2, "input") == 6 * 144

    def test_a_tiled_one_comes_with_all_channels(self) -> None:
        # 8 planes are 2,336 bytes: tiled, though b alone is on chip. Rows of a 1x1 once, for the
        # one channel tile; both makers store.
        a, b = conv("a", (2, 10), (12, 12)), conv("b", (2, 6), (12, 12))
        both = conv("both", (16, 4), (12, 12), input=("a", "b"))
        plans = plan(network(a, b, both), machine(entries=64, activation_kib=2), "dense", 1)
        assert not plans[2].placement.input_resident
        assert [this.placement.output_stored for this in plans] == [True, True, True]
        assert moved(plans, 2, "input") == 16 * 144

    def test_a_tensor_twice_is_loaded_once(self) -> None:
        # The 1x1 / 3 leaves row 1 out, so the input is not there for the next: 2 channels of 6.
        first = conv("first", (2, 4), (2, 3), stride=3)
        twice = conv("twice", (4, 4), (2, 3), input=("input", "input"))
        assert moved(plan(network(first, twice), machine(), "dense", 1), 1, "input") == 12


class TestAnotherShape:
    def test_tokens_of_a_map(self) -> None:
        # 2 channels of 3x4 read as 12x1: the layout is the taller one's, and the map's rows are
        # the reader's: a tile of 8 pixels touches 8 of 12 rows of one column.
        layers = network(conv("a", (2, 2), (3, 4)), conv("b", (2, 2), (12, 1), input="input"))
        layout = tensor_layout(layers, "input", machine(), 1)
        assert (layout.hq, layout.wq) == (12, 1)
        only = network(conv("c", (2, 2), (3, 4), stride=3), layers.layers[1])
        # The 1x1 / 3 touches row 0 alone, so the tokens load all rows: 8 * 2 and 4 * 2 bytes.
        plans = plan(only, machine(), "dense", 1)
        assert [tile.input_bytes for tile in plans[1].tiles] == [16, 8]


class TestProduct:
    # Tokens 6 x 1 of 4 channels times a map of 4 channels and 2 pixels: two outputs. L = 4.
    query = conv("query", (2, 4), (6, 1))
    key = conv("key", (2, 4), (6, 1), stride=3)
    layers = network(query, key, conv("scores", (4, 2), (6, 1), input="query", weights_from="key"))

    def test_weights_of_each_image(self) -> None:
        # Two images of 6 pixels in P = 8: a tile each, with its 4 * 2 weights. The key is stored,
        # and nothing of it comes during the layer before.
        plans = plan(self.layers, machine(), "dense", 2)
        scores = plans[2]
        assert [[p[0] for p in tile.pixels] for tile in scores.tiles] == [[0] * 6, [1] * 6]
        assert [tile.weight_bytes for tile in scores.tiles] == [8, 8]
        assert scores.ahead_bytes == 0
        assert [this.placement.output_stored for this in plans] == [False, True, True]

    def test_one_image_cut(self) -> None:
        # P = 4: 4 and 2 pixels of an image; with "all" the weights come at the first of them.
        plans = plan(self.layers, machine(entries=16), "dense", 2)
        assert [len(tile.pixels) for tile in plans[2].tiles] == [4, 2, 4, 2]
        assert [tile.weight_bytes for tile in plans[2].tiles] == [8, 0, 8, 0]

    def test_weights_of_parts(self) -> None:
        # 288 channels times one pixel of as many: 288 words of 4 bytes exceed the buffer. One
        # image's 3 pixels are two rounds of R = 2: 2 * 288 bytes, and as many for the other.
        wide = conv("wide", (2, 288), (3, 1))
        one = made("pool", "one", (288, 3, 1), (288, 1, 1), input="wide")
        score = conv("score", (288, 1), (3, 1), input="wide", weights_from="one")
        plans = plan(network(wide, one, score), machine(activation_kib=16), "dense", 2)
        assert plans[2].weights == "parts"
        assert [tile.weight_bytes for tile in plans[2].tiles] == [576, 576]

    def test_heads(self) -> None:
        # Two heads: L = 2, outputs 2 * 2 of key's 8 values; a tile of two columns for each.
        scores = conv("scores", (4, 4), (6, 1), input="query", weights_from="key", conv_groups=2)
        plans = plan(network(self.query, self.key, scores), machine(), "dense", 1)
        assert [tile.channels for tile in plans[2].tiles] == [range(2), range(2, 4)]
        assert [tile.weight_bytes for tile in plans[2].tiles] == [4, 4]

    def test_its_own_input_stays(self) -> None:
        # Taken as weights it is stored; read as input it is on chip.
        square = conv("square", (4, 6), (6, 1), input="query", weights_from="query")
        plans = plan(network(self.query, square), machine(), "dense", 1)
        assert plans[0].placement.output_stored
        assert plans[1].placement.input_on_chip


class TestMaps:
    def test_a_pooling_layer(self) -> None:
        # 5 channels of 4x4 become 2x2, from DRAM: channel tiles of 4 and 1, one pixel tile of 4.
        # load_0 all 80 bytes; then two tiles without a pass, P = 4: the second tile waits 4 for
        # the output stage and 16 bytes stored in its time, 12 beyond; behind it 4 and 4 bytes.
        layer = made("pool", "pool", (5, 4, 4), (5, 2, 2))
        causes, counts = run(network(layer), machine(), "dense", {}, 1, 1, 1)
        assert row(causes, CAUSES) == {"output_stall": 8, "dram_stall": 80 + 12}
        assert row(counts, COUNTERS) == {
            "activation_word_reads": 3 * 16,
            "output_ops": 20,
            "activation_word_writes": 4 * 2 + 4 * 1,
            "dram_input_bytes": 80,
            "dram_output_bytes": 20,
        }

    def test_rows_stream(self) -> None:
        # 5 rows become 3 of 2 pixels: row 0 reads 0, 1, row 1 1 to 3, row 2 3, 4. Tiles of 2.
        layer = made("pool", "pool", (4, 5, 2), (4, 3, 2))
        this = plan(network(layer), machine(entries=8), "dense", 1)[0]
        assert [tile.input_bytes for tile in this.tiles] == [16, 16, 8]
        # An input that does not fit streams alike, and once for all channel tiles.
        layer = made("resize", "resize", (8, 12, 12), (8, 24, 12))
        this = plan(network(layer), machine(), "dense", 1)[0]
        assert not this.placement.input_resident
        assert moved([this], 0, "input") == 8 * 144

    @pytest.mark.parametrize("kib", [1, 2])
    def test_a_scale(self, kib: int) -> None:
        # 12 channels of 8x5 are 6 planes of 40 words, pitch 42, 504 bytes; a factor for each
        # channel 6 planes of 2 words. 896 bytes hold the input and the factors beside it, but not
        # the output, which is read no more. The factors are 12 bytes that come whole where they
        # are not there: after a layer whose input does not fit.
        a = conv("a", (2, 12), (8, 5), kernel=1)
        squeeze = made("pool", "squeeze", (12, 8, 5), (12, 1, 1), input="a")
        excite = made("multiply", "excite", (12, 8, 5), (12, 8, 5), input="a", scale="squeeze")
        plans = plan(network(a, squeeze, excite), machine(activation_kib=kib), "dense", 1)
        scale = plans[2].placement.scale
        assert scale is not None
        assert (scale.values, scale.words, scale.on_chip) == (12, 6, True)
        big = made("resize", "big", (12, 8, 5), (12, 24, 5), input="a")
        last = made("multiply", "last", (12, 24, 5), (12, 24, 5), input="big", scale="squeeze")
        layers = network(a, squeeze, big, last)
        _, counts = run(layers, machine(activation_kib=kib), "dense", {}, 1, 2, 2)
        words = row(counts, COUNTERS, 3)
        # Words of A = 2: 6 of each factor, twice for two images; 24 bytes where it was not kept.
        assert words["residual_word_reads"] == 12
        assert words.get("dram_residual_bytes", 0) == 24

    def test_an_addition(self) -> None:
        # 2x3 pixels of 5 channels, both operands on chip: words of 4 and 1 columns.
        a = conv("a", (2, 5), (2, 3))
        b = conv("b", (2, 5), (2, 3), input="input")
        add = made("add", "add", (5, 2, 3), (5, 2, 3), input="a", residual="b")
        _, counts = run(network(a, b, add), machine(), "dense", {}, 1, 1, 1)
        assert row(counts, COUNTERS, 2) == {
            "activation_word_reads": 3 * 6,
            "residual_word_reads": 2 * 6 + 1 * 6,
            "output_ops": 30,
            "activation_word_writes": 2 * 6 + 1 * 6,
            "dram_output_bytes": 30,
        }

    def test_weights_come_during_a_map(self) -> None:
        # No weights are in the buffer, so the next layer's first channel tile always fits. What
        # is in front of a map brings nothing.
        pool = made("pool", "pool", (4, 4, 4), (4, 2, 2), input="a")
        layers = network(conv("a", size=(4, 4)), pool, conv("b", size=(2, 2), input="pool"))
        plans = plan(layers, machine(), "dense", 1)
        assert [this.ahead_bytes for this in plans] == [16, 0, 16]
        assert plans[1].held_weight_bytes == 0


class TestLeftDense:
    a, b = conv("a", (2, 2), (4, 4)), conv("b", (2, 2), (4, 4), input="a")

    def dense(self, *layers: Any) -> bool:
        """Whether the first layer's map is left dense."""
        plans = plan(network(*layers), machine(), "dense", 1)
        return left_dense(plans[0], plans)

    def test_plain_readers(self) -> None:
        assert not self.dense(self.a, self.b)
        assert not self.dense(self.a, self.b, conv("c", (2, 2), (4, 4), input="b", residual="a"))

    def test_readers_that_codes_do_not_go_with(self) -> None:
        others = [
            conv("c", (4, 2), (4, 4), input=("a", "b")),
            conv("c", (2, 2), (8, 2), input="a"),
            conv("c", (2, 2), (8, 2), input="b", residual="a"),
            conv("c", (2, 16), (4, 4), input="b", weights_from="a"),
            made("add", "c", (2, 4, 4), (2, 4, 4), input="b", residual="a"),
            made("pool", "c", (2, 4, 4), (2, 2, 2), input="a"),
            made("multiply", "c", (2, 4, 4), (2, 4, 4), input="b", scale="a"),
        ]
        assert all(self.dense(self.a, self.b, other) for other in others)

    def test_a_map_layers_own(self) -> None:
        assert self.dense(made("rearrange", "a", (2, 4, 4), (2, 4, 4)), self.b)

    def test_part_of_a_row_loads_whole_codes(self) -> None:
        # 40 channels of 1x24 are made in tiles of 8 pixels and 4 channels, each a unit: of zeros
        # 32 values are a pair, 8 bytes. Their reader has 960 bytes of room for 20 planes of 26
        # words, 1,040 bytes, and cuts its row in three. Each part loads all 3 * 10 units.
        a = conv("a", (1, 40), (1, 24))
        b = conv("b", (40, 4), (1, 24), kernel_size=(1, 3), padding=(0, 1), input="a")
        plans = plan(network(a, b), machine(), "dense", 1)
        found = coded(plans, {"b": np.zeros((1, 40, 1, 24), bool)}, range(1))
        assert [len(tile.pixels) for tile in plans[1].tiles] == [8, 8, 8]
        assert [tile.input_bytes for tile in found[1].tiles] == [240] * 3
        assert [tile.output_bytes for tile in found[0].tiles] == [8] * 30
