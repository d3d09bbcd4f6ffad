"""Bits in bytes and words: how masks are packed.

Masks are packed least significant bit first ("little"), as NumPy's ``packbits(bitorder="little")``
does; the simulator reads them as uint64 words of a tile.
"""

from __future__ import annotations

import numpy as np

WORD = 64
"""Bits of the words in which kernels hold masks."""


def pack_bits(bits: np.ndarray) -> np.ndarray:
    """bool (n, ...) -> uint8 (n, ceil(bits/8)), each row flattened in C order."""
    return np.packbits(bits.reshape(len(bits), -1), axis=1, bitorder="little")


def unpack_bits(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 (n, ceil(bits/8)) -> bool (n, *shape)."""
    bits = int(np.prod(shape))
    return (
        np.unpackbits(packed, axis=1, count=bits, bitorder="little")
        .astype(bool)
        .reshape(-1, *shape)
    )


def words_of(bits: int) -> int:
    """Words that hold so many bits."""
    return -(-bits // WORD)


def tile_words(
    packed: np.ndarray, lists: int, pixels: int, tile_pixels: int, by_image: bool = False
) -> np.ndarray:
    """Cut a batch's packed masks into the word-aligned lists of its pixel tiles.

    ``packed`` is uint8 (n, ceil(lists*pixels/8)): ``lists`` masks of ``pixels`` bits per image.
    Pixels of the batch are flattened in (image, row, column) order and cut every ``tile_pixels``.
    Returns uint64 (tiles, lists, ceil(tile_pixels/64)), unused bits 0. ``by_image``: no tile
    crosses images.
    """
    if by_image:
        return np.concatenate(
            [tile_words(image[None], lists, pixels, tile_pixels) for image in packed]
        )
    images = len(packed)
    total = images * pixels
    tiles = -(-total // tile_pixels)
    words = words_of(tile_pixels)
    if pixels % 8 == 0 and tile_pixels % 8 == 0:
        per_list = packed.reshape(images, lists, pixels // 8).transpose(1, 0, 2).reshape(lists, -1)
        tile_bytes = tile_pixels // 8
    else:
        bits = unpack_bits(packed, (lists, pixels)).transpose(1, 0, 2).reshape(lists, total)
        padded = np.zeros((lists, tiles * tile_pixels), bool)
        padded[:, :total] = bits
        per_list = np.packbits(
            padded.reshape(lists, tiles, tile_pixels), axis=2, bitorder="little"
        ).reshape(lists, -1)
        tile_bytes = -(-tile_pixels // 8)
    out = np.zeros((tiles, lists, words * 8), np.uint8)
    whole = per_list.shape[1] // tile_bytes
    cut = whole * tile_bytes
    out[:whole, :, :tile_bytes] = (
        per_list[:, :cut].reshape(lists, whole, tile_bytes).transpose(1, 0, 2)
    )
    if cut < per_list.shape[1]:
        out[whole, :, : per_list.shape[1] - cut] = per_list[:, cut:]
    return out.view("<u8")
