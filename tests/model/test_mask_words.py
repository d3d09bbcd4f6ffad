"""Mask words of tiles, and the bits in them, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.machines import conv, machine, network

from hwsim.mapping.residency import map_network
from hwsim.model.kernel import bits
from hwsim.model.kernel.bits import lowest_ones, ones_before, popcount
from hwsim.model.kernel.jit import compiled
from hwsim.model.kernel.mask_words import TileWords
from hwsim.trace.format.packing import pack_bits


@compiled
def ones_of(word):
    return popcount(word)


@pytest.mark.parametrize("instance", [False, True])
@pytest.mark.parametrize(
    ("images", "height", "width", "tile_pixels"),
    [
        (2, 8, 8, 64),
        (2, 16, 8, 64),
        (1, 4, 4, 256),
        (2, 4, 4, 16),
        (3, 4, 4, 64),
        (5, 4, 4, 24),
        (2, 3, 5, 7),
        (1, 9, 9, 70),
        (4, 2, 4, 16),
    ],
)
def test_words_hold_each_pixel_of_each_list_at_its_place(
    images: int, height: int, width: int, tile_pixels: int, instance: bool
) -> None:
    layer = conv(channels=(2, 4), size=(height, width), kernel=1, groups=2)
    arch = machine(columns=2, rows=1, entries=2 * tile_pixels, activation_kib=16)
    (mapping,) = map_network(network(layer), arch, images, "instance" if instance else "batch")
    batches, lists = 2, 4
    bits = np.random.default_rng(images).random((batches * images, lists, height, width)) < 0.5
    words = TileWords(mapping.pixel_tiles, images, layer.out_pixels, lists).gather(pack_bits(bits))
    expected = np.zeros((*words.shape[:3], 64 * words.shape[3]), bool)
    pixels = height * width
    in_image = -(-pixels // tile_pixels)
    for image, index, row, column in np.ndindex(bits.shape):
        batch, number = divmod(image, images)
        pixel = row * width + column
        tile, place = divmod(pixel if instance else number * pixels + pixel, tile_pixels)
        tile += number * in_image * instance
        expected[batch, tile, index, place] = bits[image, index, row, column]
    found = np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little").astype(bool)
    np.testing.assert_array_equal(found, expected)


@settings(deadline=None)
@given(word=st.integers(0, 2**64 - 1))
def test_ones_of_a_word(word: int) -> None:
    places = [place for place in range(64) if word >> place & 1]
    before = ones_before(np.uint64(word))
    assert ones_of(np.uint64(word)) == len(places)
    for byte in range(8):
        upto = sum(place < 8 * byte + 8 for place in places)
        assert (int(before) >> (8 * byte)) & 255 == upto
    # With the processor's instruction for it, where it has one, and without.
    for lowest in (lowest_ones, bits._searched):
        for n in range(1, len(places) + 1):
            assert int(lowest(np.uint64(word), n)) == sum(1 << place for place in places[:n])
