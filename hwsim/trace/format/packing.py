"""Bits in bytes and words: how masks are packed.

Masks are packed least significant bit first ("little"), as NumPy's ``packbits(bitorder="little")``
does.
"""

from __future__ import annotations

from math import prod

import numpy as np


def pack_bits(bits: np.ndarray) -> np.ndarray:
    """bool (n, ...) -> uint8 (n, ceil(bits/8)), each row flattened in C order."""
    flat = bits.reshape(len(bits), prod(bits.shape[1:]))
    return np.packbits(flat, axis=1, bitorder="little")


def unpack_bits(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 (n, ceil(bits/8)) -> bool (n, *shape)."""
    bits = int(np.prod(shape))
    return (
        np.unpackbits(packed, axis=1, count=bits, bitorder="little")
        .astype(bool)
        .reshape(-1, *shape)
    )


def count_ones(packed: np.ndarray) -> int:
    """Set bits of packed masks, uint8 (n, bytes)."""
    return int(np.bitwise_count(_words(packed)).sum())


def count_ones_of_images(packed: np.ndarray) -> np.ndarray:
    """The same of each image, int64 (n,)."""
    ones: np.ndarray = np.bitwise_count(_words(packed)).sum(axis=1, dtype=np.int64)
    return ones


def _words(packed: np.ndarray) -> np.ndarray:
    """The same bits, in words where that is possible."""
    whole = packed.shape[1] % 8 == 0 and packed.flags.c_contiguous
    return packed.view(np.uint64) if whole else packed
