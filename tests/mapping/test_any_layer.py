"""Layers of any network by hand (docs/model/layers.md): tiles, bytes, words, cycles."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.counters import CAUSES, C
from hwsim.mapping.pointers import beat_offsets, conditional_blocks, first_blocks, pixel_addresses
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import Mapping, MappingError, tile_layer
from hwsim.model.plan import plan_network
from hwsim.network import ConvLayer, MapLayer, Network


def arch(**keys: object) -> ArchConfig:
    """4 x 4 PEs, P = 8, words of 4 channels, 16 banks that never wait."""
    small = {"array.rows": 4, "array.columns": 4, "partial_sums.entries": 32}
    return load_arch("pe16x16", {**small, "activation.bank_conflicts": "none", **keys})


def conv(name: str, channels: tuple[int, int], size: tuple[int, int], **keys: object) -> ConvLayer:
    return ConvLayer(
        name=name, in_channels=channels[0], out_channels=channels[1],
        in_height=size[0], in_width=size[1], **{"kernel_size": 1, **keys},
    )  # type: ignore[arg-type]  # fmt: skip


def mapped(*layers: ConvLayer | MapLayer, images: int = 1, **keys: object) -> tuple[Mapping, ...]:
    network = Network(name="by hand", layers=layers)
    return map_network(network, arch(**keys), images, "batch")


def fixed(*layers: ConvLayer | MapLayer, images: int = 1, **keys: object) -> list[np.ndarray]:
    """Cycles by cause of each layer's passes, all tiles together, under dense."""
    from hwsim.arch.schemes import parse_scheme

    machine, network = arch(**keys), Network(name="by hand", layers=layers)
    scheme, shapes = parse_scheme("dense", machine), ((4, 4),) * len(layers)
    plans = plan_network(machine, network, scheme, 1, "off", images, shapes)
    return [plan.fixed.cycles for plan in plans]


def test_a_depthwise_tile_has_one_column() -> None:
    """8 channels x 2 pixel tiles of 8; each 2 rounds of max(9 steps, 4), then a drain of 4."""
    layer = conv("dw", (8, 8), (4, 4), kernel_size=3, padding=1, conv_groups=8)
    (spent,) = fixed(layer)
    assert spent[CAUSES.index("base")] == 16 * 2 * 9
    assert spent[CAUSES.index("drain")] == 16 * 4


def test_small_groups_share_a_word() -> None:
    """Channel 5 of a depthwise layer is in word 1, its taps in it; 3 taps of a row 1 word apart."""
    (mapping,) = mapped(
        conv("dw", (8, 8), (4, 4), kernel_size=(1, 3), padding=(0, 1), conv_groups=8)
    )
    assert mapping.layout.words == 2
    assert (beat_offsets(mapping.pointers, [5]) - mapping.pitch).tolist() == [0, 1, 2]


def test_groups_that_do_not_divide_a_word_begin_with_one() -> None:
    """Groups of 6 channels take two words each, 4 channels and 2."""
    (mapping,) = mapped(conv("two", (12, 4), (2, 2), conv_groups=2))
    assert mapping.layout.words == 4
    assert (beat_offsets(mapping.pointers, [1]) // mapping.pitch).tolist() == [2, 3]


def test_blocks_of_a_gated_layer_with_groups() -> None:
    """Two groups of G = 2: base paths read one block, conditional ones the other of the group."""
    layer = conv("both", (16, 8), (2, 2), conv_groups=2, gated=True, groups=2)
    assert first_blocks(layer, gated=True) == [[0], [1], [2], [3]]
    assert first_blocks(layer, gated=False) == [[0, 1], [2, 3]]
    assert conditional_blocks(layer) == [[1], [0], [3], [2]]


def test_dilated_taps_of_a_strided_layer_lie_in_their_phases() -> None:
    """Stride 2, 3 taps 3 apart: pixels 0, 3, 6, in phases 0, 1, 0, words 0, 1, 3 behind."""
    layer = conv("far", (4, 4), (1, 11), kernel_size=(1, 3), stride=(1, 2), dilation=(1, 3))
    (mapping,) = mapped(layer)
    # Outputs 0, 1, 2; a phase is (3 + 6 div 2) words wide.
    assert (layer.out_width, mapping.layout.width, mapping.layout.phases) == (3, 6, 2)
    assert beat_offsets(mapping.pointers, [0]).tolist() == [0, 6 + 1, 3]
    assert pixel_addresses(mapping.pointers).tolist() == [0, 1, 2]


def test_rows_wider_than_a_tile_are_cut() -> None:
    """20 pixels in 8, 8 and 4; with their halo 9, 10 and 5 columns of 2, 3, 3 and 2 rows."""
    layer = conv("wide", (8, 4), (4, 20), kernel_size=3, padding=1)
    (mapping,) = mapped(layer, **{"activation.buffer_kib": 1})
    assert (mapping.input, mapping.in_row, mapping.pixels) == ("tiled", True, 8)
    starts, counts = mapping.pixel_cuts
    assert starts.tolist() == [row * 20 + first for row in range(4) for first in (0, 8, 16)]
    assert counts.tolist() == [8, 8, 4] * 4
    rows, columns = [2, 3, 3, 2], [9, 10, 5]
    brought = [8 * row * column for row in rows for column in columns]
    assert tile_layer(mapping).input_bytes.tolist() == brought


def test_a_row_is_cut_where_two_of_its_footprints_are_too_large() -> None:
    """64 channels are 16 planes of 4-byte words, padded to 4 banks: 16 x 4 x 4 bytes for 4 pixels.

    Two such footprints fit in the 960 bytes beside the staging tiles, two of more pixels do not.
    """
    layer = conv("deep", (64, 4), (4, 8))
    (mapping,) = mapped(layer, **{"activation.buffer_kib": 1, "activation.banks": 4})
    assert (mapping.input, mapping.in_row, mapping.pixels) == ("tiled", True, 4)


def test_a_product_takes_the_weights_of_each_image() -> None:
    """Three tokens of 4 channels: scores of 3 x 3, by 12 values an image."""
    q, k = conv("q", (4, 4), (3, 1)), conv("k", (4, 4), (3, 1))
    scores = conv("scores", (4, 3), (3, 1), input="q", weights_from="k")
    mappings = mapped(q, k, scores, images=2)
    tiles = tile_layer(mappings[2])
    assert tiles.pixels.tolist() == [3, 3]
    assert tiles.weight_bytes.tolist() == [12, 12]
    # What makes the second operand stores it, and prefetches nothing of it.
    assert [at.stored for at in mappings] == [False, True, True]
    assert [at.prefetches for at in mappings] == [True, False, True]


def test_what_is_not_on_chip_of_a_concatenation_is_loaded() -> None:
    """a (12 channels) is put out by b's input and output; then b stays, and a is loaded."""
    a = conv("a", (4, 12), (4, 4))
    b = conv("b", (4, 20), (4, 4))
    c = conv("c", (32, 4), (4, 4), input=("a", "b"))
    # 16 words of 4 bytes a plane: input 64, a 192, b 320 bytes; 64 more for staging.
    roomy = mapped(a, b, c, **{"activation.buffer_kib": 1})
    assert [at.input for at in roomy] == ["whole", "chip", "chip"]
    assert [at.loaded_channels for at in roomy] == [4, 0, 0]


def test_a_map_layer_takes_no_pass_and_brings_each_row_once() -> None:
    """8 x 8 pooled to 4 x 4, 8 channels: two tiles of 8 pixels, each of two channel tiles."""
    pool = MapLayer(
        name="p", operator="pool", in_channels=8, in_height=8, in_width=8,
        out_channels=8, out_height=4, out_width=4,
    )  # fmt: skip
    (mapping,) = mapped(pool)
    tiles = tile_layer(mapping)
    assert tiles.pixel_tile.tolist() == [0, 0, 1, 1]
    assert tiles.input_bytes.tolist() == [4 * 8 * 8, 0, 4 * 8 * 8, 0]
    assert tiles.weight_bytes.sum() == 0
    assert tiles.output_bytes.tolist() == [4 * 8] * 4
    assert [spent.sum() for spent in fixed(pool)] == [0]


def test_counters_of_a_product_with_factors() -> None:
    """16 pixels of 8 channels, 2 words each, times 8 factors, 2 words; 8 bytes come from DRAM."""
    factors = conv("f", (8, 8), (1, 1), input="s")
    squeezed = MapLayer(
        name="s", operator="pool", in_channels=8, in_height=4, in_width=4,
        out_channels=8, out_height=1, out_width=1,
    )  # fmt: skip
    scaled = MapLayer(
        name="m", operator="multiply", in_channels=8, in_height=4, in_width=4,
        out_channels=8, out_height=4, out_width=4, scale="f",
    )  # fmt: skip
    from hwsim.model.transfers import moves_of

    *_, mapping = mapped(squeezed, factors, scaled)
    counts = moves_of(mapping, tile_layer(mapping)).counts
    assert counts[C["activation_word_reads"]] == 2 * 16
    assert counts[C["residual_word_reads"]] == 2
    assert counts[C["activation_word_writes"]] == 2 * 16
    assert counts[C["dram_residual_bytes"]] == 0


def test_weights_that_do_not_fit_come_in_parts_in_every_round() -> None:
    """L x C = 288 x 4 = 1,152 bytes in 1,024; 6 pixels are 2 rounds of 4, each with 288 x 3."""
    layer = conv("large", (32, 3), (3, 2), kernel_size=(3, 3), padding=1)
    (mapping,) = mapped(layer, **{"weight.buffer_kib": 1})
    assert mapping.weights == "parts"
    tiles = tile_layer(mapping)
    assert tiles.weight_bytes.tolist() == [2 * 9 * 32 * 3]
    gated = layer.model_copy(update={"gated": True, "groups": 1})
    with pytest.raises(MappingError, match="one channel tile needs 1152 bytes"):
        mapped(gated, **{"weight.buffer_kib": 1})


def test_parts_are_hidden_by_nothing() -> None:
    """Two tiles of 8 and 4 pixels: what the second brings, in 1 round, is a stall before it."""
    from hwsim.model.transfers import moves_of

    layer = conv("large", (32, 3), (3, 4), kernel_size=(3, 3), padding=1)
    (mapping,) = mapped(layer, **{"weight.buffer_kib": 1})
    tiles = tile_layer(mapping)
    assert tiles.weight_bytes.tolist() == [2 * 864, 864]
    assert moves_of(mapping, tiles).exposed.tolist() == [0, 864]
