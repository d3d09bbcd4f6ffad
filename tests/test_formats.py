"""Packing of bits, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.formats import pack_bits, tile_words, unpack_bits


def test_bits_are_packed_least_significant_first() -> None:
    bits = np.zeros((1, 10), bool)
    bits[0, [0, 9]] = True
    # Bit 0 of byte 0 and bit 1 of byte 1.
    np.testing.assert_array_equal(pack_bits(bits), np.array([[1, 2]], np.uint8))


def test_unpacking_gives_back_what_was_packed() -> None:
    bits = np.random.default_rng(0).random((3, 5, 7)) < 0.5
    np.testing.assert_array_equal(unpack_bits(pack_bits(bits), (5, 7)), bits)


@pytest.mark.parametrize(
    ("images", "lists", "height", "width", "tile_pixels"),
    [
        (2, 3, 4, 4, 16),
        (3, 2, 4, 4, 64),
        (5, 4, 4, 4, 24),
        (2, 3, 3, 5, 7),
        (1, 2, 9, 9, 70),
        (4, 8, 2, 4, 16),
    ],
)
def test_tile_words_hold_each_pixel_of_each_list_at_its_place(
    images: int, lists: int, height: int, width: int, tile_pixels: int
) -> None:
    bits = np.random.default_rng(images).random((images, lists, height, width)) < 0.5
    words = tile_words(pack_bits(bits), lists, height * width, tile_pixels)
    ones = 0
    for image in range(images):
        for row in range(height):
            for column in range(width):
                pixel = (image * height + row) * width + column
                tile, place = divmod(pixel, tile_pixels)
                for index in range(lists):
                    word = int(words[tile, index, place // 64])
                    assert (word >> (place % 64)) & 1 == bits[image, index, row, column]
                    ones += int(bits[image, index, row, column])
    assert int(np.bitwise_count(words).sum()) == ones
