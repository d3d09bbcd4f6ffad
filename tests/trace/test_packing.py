"""Packing of bits, against plain loops."""

from __future__ import annotations

import numpy as np

from hwsim.trace.format.packing import count_ones, pack_bits, unpack_bits


def test_bits_are_packed_least_significant_first() -> None:
    bits = np.zeros((1, 10), bool)
    bits[0, [0, 9]] = True
    # Bit 0 of byte 0 and bit 1 of byte 1.
    np.testing.assert_array_equal(pack_bits(bits), np.array([[1, 2]], np.uint8))


def test_unpacking_gives_back_what_was_packed() -> None:
    bits = np.random.default_rng(0).random((3, 5, 7)) < 0.5
    np.testing.assert_array_equal(unpack_bits(pack_bits(bits), (5, 7)), bits)


def test_ones_are_counted_in_rows_of_any_length() -> None:
    for sides in ((8, 16), (5, 7), (1, 1)):
        bits = np.random.default_rng(1).random((3, *sides)) < 0.5
        assert count_ones(pack_bits(bits)) == bits.sum()
