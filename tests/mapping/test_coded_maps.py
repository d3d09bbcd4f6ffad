"""Units of coded maps and what visits move of them, by hand: 4 columns, P = 8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from oracle.machines import conv, machine, network

from hwsim.mapping.coded_maps import CodedMap, segments_of
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import Mapping, tile_layer
from hwsim.network import ConvLayer


def mapped(*layers: ConvLayer, images: int = 1) -> Sequence[Mapping]:
    return map_network(network(*layers), machine(), images, "off")


def test_segments_end_at_rows_and_tiles() -> None:
    """Rows of 5 and tiles of 8 pixels: the second row is cut behind three of its pixels."""
    (mapping,) = mapped(conv(channels=(2, 6), size=(3, 5)))
    segments = segments_of(mapping)
    assert segments.first.tolist() == [0, 5, 8, 10]
    assert segments.stop.tolist() == [5, 8, 10, 15]
    assert segments.row.tolist() == [0, 1, 1, 2]
    assert segments.pixel_tile.tolist() == [0, 0, 1, 1]


def test_segments_of_a_pooled_map_go_with_the_last_pixel() -> None:
    """4x4 pixels pooled by 2: tiles of two rows of 4 finish a pooled row of two pixels each."""
    (mapping,) = mapped(conv(channels=(2, 4), size=(4, 4), pool=2), images=2)
    segments = segments_of(mapping)
    assert segments.first.tolist() == [0, 2, 4, 6]
    assert segments.row.tolist() == [0, 1, 2, 3]
    assert segments.pixel_tile.tolist() == [0, 1, 2, 3]


def test_codes_and_stores_of_a_map_without_zeros() -> None:
    """Units of 5, 3, 2 and 5 pixels by 4 and by 2 channels; four values a word of 8 bytes."""
    (mapping,) = mapped(conv(channels=(2, 6), size=(3, 5)))
    coded = CodedMap.of(mapping, np.ones((1, 6, 3, 5), bool))
    assert coded.codes.tolist() == [[[40, 24, 16, 40], [24, 16, 8, 24]]]
    assert coded.stored(tile_layer(mapping)).tolist() == [[40 + 24, 16 + 40, 24 + 16, 8 + 24]]
    kept = CodedMap(replace(mapping, stored=False), coded.codes)
    assert not kept.stored(tile_layer(mapping)).any()


def test_batches_have_codes_of_their_own() -> None:
    """The first image has no zero; of the second all are, a word a unit."""
    (mapping,) = mapped(conv(channels=(2, 4), size=(2, 4)))
    images = np.array([True, False])[:, None, None, None] & np.ones((2, 4, 2, 4), bool)
    assert CodedMap.of(mapping, images).codes.tolist() == [[[32, 32]], [[8, 8]]]


def test_values_are_in_the_order_of_pixels() -> None:
    """8 pixels of 8 channels: the first is never zero, the second in 5 pixels, all others always.

    Pixel by pixel: 11 values and 6 zeros behind them are 12 pairs, three words. Channel by channel
    48 zeros would be behind them, 13 pairs.
    """
    arch = machine(columns=8, entries=64)
    (mapping,) = map_network(network(conv(channels=(2, 8), size=(1, 8))), arch, 1, "off")
    bits = np.zeros((1, 8, 1, 8), bool)
    bits[0, 0] = True
    bits[0, 1, 0, 5:] = True
    assert CodedMap.of(mapping, bits).codes.tolist() == [[[24]]]


@pytest.mark.parametrize("place", ["chip", "whole", "tiled"])
def test_rows_that_a_reader_lacks(place: str) -> None:
    """A 3x3 layer on a map of 8 rows of 4 pixels and 4 channels; rows of 1 to 8 words by hand.

    Tiles of two output rows touch rows 0-2, 1-4, 3-6 and 5-7.
    """
    layers = (
        conv("made", channels=(2, 4), size=(8, 4)),
        conv("reader", channels=(4, 4), size=(8, 4), kernel=3, input="made"),
    )
    maker, reader = mapped(*layers)
    coded = CodedMap(maker, 8 * np.arange(1, 9).reshape(1, 1, 8))
    reader = replace(reader, input=place)
    loaded = coded.loaded(reader, tile_layer(reader)).tolist()
    words = {"chip": [0, 0, 0, 0], "whole": [6, 9, 13, 8], "tiled": [6, 14, 22, 21]}
    assert loaded == [[8 * n for n in words[place]]]


def test_a_residual_loads_every_unit_that_it_touches() -> None:
    """A map of two rows of 6 pixels; its maker's tiles have 4 and 2 channels, and 12 pixels.

    Its reader's have 3 channels and 8 pixels: the second row is in both pixel tiles, the first
    channel tile in both channel tiles.
    """
    (maker,) = mapped(conv("made", channels=(2, 6), size=(2, 6)))
    maker = replace(maker, pixels=12)
    units = np.array([[[1, 10], [100, 1000]]])
    reader = mapped(conv("reader", channels=(2, 6), size=(2, 6), groups=2))[0]
    reader = replace(reader, gating=True, width=3, residual="dram")
    tiles = tile_layer(reader)
    assert list(zip(tiles.channel_start, tiles.pixel_start, strict=True)) == [
        (0, 0), (0, 8), (3, 0), (3, 8),
    ]  # fmt: skip
    added = CodedMap(maker, units).added(reader, tiles)
    assert added.tolist() == [[11, 10, 1111, 1010]]
    on_chip = replace(reader, residual="chip")
    assert not CodedMap(maker, units).added(on_chip, tiles).any()
