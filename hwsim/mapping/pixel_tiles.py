"""How a layer's output pixels are cut into pixel tiles, and what each tile reads and finishes.

Shapes alone decide. What is found is remembered for all machines that cut alike: callers do not
write to the arrays.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from hwsim.mapping.touched import fresh_rows, tile_columns, tile_rows
from hwsim.network import AnyLayer, MapLayer
from hwsim.network.description import both


class PixelTiles:
    """The pixel tiles of a layer and batch; arrays int64 (pixel tiles,).

    ``starts``, ``counts``: first pixel, in the batch's flattened order, and number of pixels.
    """

    def __init__(
        self, layer: AnyLayer, images: int, pixels: int, by_image: bool, in_row: bool
    ) -> None:
        self._layer, self._images, self._in_row = layer, images, in_row
        if in_row:
            cuts, extent = images * layer.out_height, layer.out_width
        elif by_image:
            cuts, extent = images, layer.out_pixels
        else:
            cuts, extent = 1, images * layer.out_pixels
        in_cut = np.arange(0, extent, pixels, dtype=np.int64)
        self.starts = (np.arange(cuts, dtype=np.int64)[:, None] * extent + in_cut).ravel()
        self.counts = np.tile(np.minimum(pixels, extent - in_cut), cuts)

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def pooled(self) -> np.ndarray:
        """Pooled pixels whose last pixel, bottom right, lies in each tile."""
        layer = self._layer
        finishes = np.zeros((layer.out_height, layer.out_width), bool)
        finishes[np.ix_(*pooled_ends(layer))] = True
        last = np.tile(finishes.ravel(), self._images)
        finished = np.concatenate([[0], np.cumsum(last, dtype=np.int64)])
        return finished[self.starts + self.counts] - finished[self.starts]

    @cached_property
    def touched(self) -> np.ndarray:
        """Pixels of the input, of each channel, that each tile touches."""
        assert not isinstance(self._layer, MapLayer), "a map's input streams"
        rows = tile_rows(self._layer, self.starts, self.counts)
        if self._in_row:
            return rows * tile_columns(self._layer, self.starts, self.counts)
        return rows * self._layer.in_width

    @cached_property
    def fresh(self) -> np.ndarray:
        """Pixels of the rows that each tile reads, and no tile before it."""
        layer = self._layer
        if isinstance(layer, MapLayer):
            last = (self.starts + self.counts - 1) // layer.out_width
            image, row = np.divmod(last, layer.out_height)
            read = image * layer.in_height - (-(row + 1) * layer.in_height // layer.out_height)
            return np.diff(read, prepend=0) * layer.in_width
        return fresh_rows(layer, self.starts, self.counts) * layer.in_width


def tile_count(layer: AnyLayer, images: int, pixels: int, by_image: bool, in_row: bool) -> int:
    """How many tiles :func:`cut_pixels` makes."""
    if in_row:
        return images * layer.out_height * -(-layer.out_width // pixels)
    if by_image:
        return images * -(-layer.out_pixels // pixels)
    return -(-images * layer.out_pixels // pixels)


@lru_cache(maxsize=2048)
def cut_pixels(
    layer: AnyLayer, images: int, pixels: int, by_image: bool, in_row: bool
) -> PixelTiles:
    """Tiles of ``pixels`` of the flattened batch, of each image, or of each row."""
    return PixelTiles(layer, images, pixels, by_image, in_row)


def pooled_ends(layer: AnyLayer) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the output in which pooled ones end, in order: int64 (pooled,) each."""
    down, right = both(layer.pool)
    return (
        np.minimum(np.arange(1, layer.pooled_height + 1) * down, layer.out_height) - 1,
        np.minimum(np.arange(1, layer.pooled_width + 1) * right, layer.out_width) - 1,
    )
