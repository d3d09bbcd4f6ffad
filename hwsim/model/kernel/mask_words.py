"""Masks as the kernel reads them: uint64 words of a tile's pixels, gathered from packed images."""

from __future__ import annotations

import numpy as np

from hwsim.mapping.pixel_tiles import PixelTiles
from hwsim.model.kernel.jit import compiled

WORD = 64
"""Bits of the words in which the kernel holds masks."""


class TileWords:
    """Where the bits of a layer's pixel tiles lie in the packed masks of a batch of images.

    A unit is what can be moved whole: a word, a byte or a bit, as the map and its tiles allow.
    """

    def __init__(self, cut: PixelTiles, images: int, pixels: int, lists: int) -> None:
        """Of ``images`` maps of so many output ``pixels``, each with so many mask ``lists``."""
        starts, counts = cut.starts, cut.counts
        edges = {pixels, *starts.tolist(), *(starts + counts).tolist()}
        unit = next(bits for bits in (WORD, 8, 1) if all(edge % bits == 0 for edge in edges))
        # Of the longest tile: a small map may be far smaller than what tiles may hold.
        self.words = -(-int(counts.max()) // WORD)
        self._lists, self._images, self._unit = lists, images, unit
        self._in_map = pixels // unit
        self._first, self._units = starts // unit, counts // unit

    def gather(self, packed: np.ndarray) -> np.ndarray:
        """uint64 (batches, pixel tiles, lists, words), unused bits 0.

        ``packed`` is uint8 (batches * images, ceil(lists * pixels / 8)), as a trace has it.
        """
        source = np.ascontiguousarray(packed)
        shape = (len(packed) // self._images, len(self._first), self._lists)
        words = np.zeros((*shape, self.words), np.uint64)
        if self._unit == WORD:
            source, target = source.view(np.uint64), words
        elif self._unit == 8:
            target = words.view(np.uint8)
        else:
            bits = self._lists * self._in_map
            source = np.unpackbits(source, axis=1, count=bits, bitorder="little")
            target = np.zeros((*shape, self.words * WORD), np.uint8)
        _gather(source, self._images, self._in_map, self._first, self._units, target)
        if self._unit == 1:
            words = np.packbits(target, axis=-1, bitorder="little").view(np.uint64)
        return words


@compiled
def _gather(source, images, in_map, first, units, target):
    """Copy units: ``source`` (images of all batches, lists * in_map), ``target`` (..., units)."""
    for batch in range(target.shape[0]):
        for tile in range(first.size):
            for unit in range(units[tile]):
                image, at = divmod(first[tile] + unit, in_map)
                for row in range(target.shape[2]):
                    target[batch, tile, row, unit] = source[
                        batch * images + image, row * in_map + at
                    ]
