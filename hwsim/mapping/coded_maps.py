"""Maps that DRAM holds coded: their units, and what is moved of them (docs/model/dram_format.md).

A unit is what a tile of the map's maker finishes in one row of one image. The maker's mapping says
which units there are, the map's zeros how long their codes are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hwsim.mapping.pixel_tiles import pooled_ends
from hwsim.mapping.run_length import coded_bytes
from hwsim.mapping.tiles import Mapping, Tiles, arrivals
from hwsim.mapping.touched import sum_touched


class Segments(NamedTuple):
    """Parts of a map's rows that pixel tiles finish, in order: int64 (segments,) each.

    ``first``, ``stop``: pixels of the batch's map, flattened; ``row``: image * height + row;
    ``pixel_tile``: who finishes it. Each channel tile makes a unit of each of them.
    """

    first: np.ndarray
    stop: np.ndarray
    row: np.ndarray
    pixel_tile: np.ndarray


@lru_cache(maxsize=256)
def segments_of(maker: Mapping) -> Segments:
    """Of the map that a layer makes; remembered, because batches and sweeps ask again."""
    layer = maker.layer
    shape = maker.images, layer.pooled_height, layer.pooled_width
    image, row, column = (index.ravel() for index in np.indices(shape, np.int64))
    # The last pixel that a pooled one needs, bottom right, is in the tile that finishes it.
    y, x = pooled_ends(layer)
    last = (image * layer.out_height + y[row]) * layer.out_width + x[column]
    tile = np.searchsorted(maker.pixel_cuts[0], last, side="right") - 1
    flat_row = image * layer.pooled_height + row
    begins = (np.diff(tile, prepend=-1) != 0) | (np.diff(flat_row, prepend=-1) != 0)
    first = np.flatnonzero(begins)
    stop = np.append(first[1:], len(last))
    return Segments(first, stop, flat_row[first], tile[first])


@dataclass(frozen=True)
class CodedMap:
    """A map of several batches, and who makes it.

    ``codes``: bytes of its units, int64 (batches, channel tiles, segments). What visits move of it
    is int64 (batches, visits), in bytes.
    """

    maker: Mapping
    codes: np.ndarray

    @classmethod
    def of(cls, maker: Mapping, nonzero: np.ndarray) -> CodedMap:
        """``nonzero``: bool (images of all batches, C, H, W), where the map that is made is not."""
        segments, tiles = segments_of(maker), maker.channel_tiles
        batches, channels = len(nonzero) // maker.images, nonzero.shape[1]
        # In coding order: the channels of a pixel, pixel by pixel.
        values = np.moveaxis(nonzero, 1, -1).reshape(batches, -1, channels)
        codes = np.zeros((batches, len(tiles), len(segments.first)), np.int64)
        lengths = segments.stop - segments.first
        for length in np.unique(lengths):
            some = np.flatnonzero(lengths == length)
            pixels = segments.first[some][:, None] + np.arange(length)
            for tile, (start, width) in enumerate(tiles):
                units = values[:, pixels, start : start + width]
                found = coded_bytes(units.reshape(batches * len(some), -1))
                codes[:, tile, some] = found.reshape(batches, -1)
        return cls(maker, codes)

    def stored(self, tiles: Tiles) -> np.ndarray:
        """What the maker's visits store; ``tiles``: the maker's."""
        if not self.maker.stored:
            return np.zeros((len(self.codes), len(tiles)), np.int64)
        finished = np.zeros((len(self.maker.pixel_tiles), *self.codes.shape[:2]), np.int64)
        np.add.at(finished, segments_of(self.maker).pixel_tile, np.moveaxis(self.codes, 2, 0))
        starts = np.array(self.maker.channel_tiles, np.int64)[:, 0]
        channel_tile = np.searchsorted(starts, tiles.channel_start)
        moved = finished[tiles.pixel_tile, :, channel_tile].T * tiles.finishes
        return np.ascontiguousarray(moved)

    def loaded(self, reader: Mapping, tiles: Tiles) -> np.ndarray:
        """What visits of a layer that reads the map lack of it; ``tiles``: the reader's."""
        layer = reader.convolution
        if reader.input == "chip":
            return np.zeros((len(self.codes), len(tiles)), np.int64)
        row = segments_of(self.maker).row
        begins = np.flatnonzero(np.diff(row, prepend=-1))
        of_row = np.add.reduceat(self.codes.sum(axis=1), begins, axis=1)
        starts, counts = reader.pixel_cuts
        first, stop = starts // layer.out_width, (starts + counts - 1) // layer.out_width + 1
        if reader.input == "whole":
            # With all tiles before it; what it adds to them is what it brings.
            first = np.zeros_like(first)
        brought = sum_touched(layer, of_row, first, stop)
        if reader.input == "whole":
            brought = np.diff(brought, prepend=0)
        moved: np.ndarray = brought[:, tiles.pixel_tile] * arrivals(reader, tiles.pixel_tile)
        return moved

    def added(self, reader: Mapping, tiles: Tiles) -> np.ndarray:
        """What visits of a layer that adds the map load of it, whole units; ``tiles``: its."""
        if reader.residual != "dram":
            return np.zeros((len(self.codes), len(tiles)), np.int64)
        segments = segments_of(self.maker)
        up_to = np.cumsum(self.codes, axis=2)
        up_to = np.concatenate([np.zeros_like(up_to[..., :1]), up_to], axis=2)
        low = np.searchsorted(segments.stop, tiles.pixel_start, side="right")
        high = np.searchsorted(segments.first, tiles.pixel_start + tiles.pixels, side="left")
        start, width = np.array(self.maker.channel_tiles, np.int64).T[:, :, None]
        shared = (start < tiles.channel_start + tiles.width) & (tiles.channel_start < start + width)
        moved: np.ndarray = ((up_to[..., high] - up_to[..., low]) * shared).sum(axis=1)
        return moved * tiles.finishes
