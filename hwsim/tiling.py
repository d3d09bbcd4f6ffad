"""Tiles: the pieces in which a layer runs, and the bytes each moves (docs/timing.md).

A :class:`Mapping` says how a layer lies on the machine (hwsim.residency decides it);
:func:`tile_layer` lists its tiles as int64 arrays for the models. Shapes decide, never a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from hwsim.arch import ArchConfig
from hwsim.errors import UserError
from hwsim.layout import Layout
from hwsim.workload import ConvLayer


class MappingError(UserError):
    """A machine that cannot hold what a layer needs; one line naming layer, buffer and bytes."""


@dataclass(frozen=True)
class Mapping:
    """One layer's place on the machine, for a batch of ``images``.

    ``width``: channel tile width; ``pixels``: P of this layer; ``input``: on chip already, loaded
    whole, or tiled; ``residual``: where the added tensor is, None without one; ``weights``: the
    channel tiles resident at once; ``prefetched``: the predecessor loads the first channel tile
    (within a batch); ``prefetches``: the same said of this layer's last tile and the next layer.
    """

    layer: ConvLayer
    images: int
    gating: bool
    width: int
    pixels: int
    layout: Layout
    input: Literal["chip", "whole", "tiled"]
    residual: Literal["chip", "dram"] | None
    stored: bool
    weights: Literal["all", "two", "one"]
    order: Literal["weights", "pixels"]
    prefetches: bool

    @property
    def total_pixels(self) -> int:
        return self.images * self.layer.out_pixels

    @property
    def pixel_tiles(self) -> int:
        return -(-self.total_pixels // self.pixels)


@dataclass(frozen=True)
class Tiles:
    """A layer's tiles in loop order, one entry each, all int64.

    ``input_bytes``, ``residual_bytes`` and ``weight_bytes`` are what the tile lacks (loaded before
    it), ``output_bytes`` what it leaves to be stored, ``pooled_pixels`` the pixels it finishes.
    """

    channel_start: np.ndarray
    width: np.ndarray
    pixel_start: np.ndarray
    pixels: np.ndarray
    pixel_tile: np.ndarray
    input_bytes: np.ndarray
    residual_bytes: np.ndarray
    weight_bytes: np.ndarray
    output_bytes: np.ndarray
    pooled_pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.width)


def channel_tiles(layer: ConvLayer, gated: bool, columns: int) -> list[tuple[int, int]]:
    """(first channel, width) of each channel tile; none crosses a gating group if ``gated``."""
    extent = layer.out_channels // (layer.groups if gated else 1)
    return [
        (start, min(columns, group + extent - start))
        for group in range(0, layer.out_channels, extent)
        for start in range(group, group + extent, columns)
    ]


@lru_cache(maxsize=1024)
def tile_layer(mapping: Mapping, arch: ArchConfig) -> Tiles:
    """The layer's tiles in loop order with the bytes they move (real bytes, docs/timing.md).

    Remembered, because schemes, batches and sweeps ask again: callers do not write to the arrays.
    """
    layer = mapping.layer
    channels = np.array(channel_tiles(layer, mapping.gating, arch.array.columns), np.int64)
    starts = np.arange(mapping.pixel_tiles, dtype=np.int64) * mapping.pixels
    counts = np.minimum(mapping.pixels, mapping.total_pixels - starts)
    channel_tile, pixel_tile = _loop(len(channels), len(starts), mapping.order)
    width = channels[channel_tile, 1]
    first_channels = np.diff(channel_tile, prepend=-1) != 0
    if mapping.weights == "all":
        first_channels &= _first_use(channel_tile)
    pooled = _pooled_pixels(mapping, starts, counts)[pixel_tile]
    return Tiles(
        channel_start=channels[channel_tile, 0],
        width=width,
        pixel_start=starts[pixel_tile],
        pixels=counts[pixel_tile],
        pixel_tile=pixel_tile,
        input_bytes=_input_bytes(mapping, starts, counts, pixel_tile),
        residual_bytes=width * counts[pixel_tile] * (mapping.residual == "dram"),
        weight_bytes=np.where(first_channels, layer.steps * width, 0),
        output_bytes=width * pooled * mapping.stored,
        pooled_pixels=pooled,
    )


def pixel_addresses(mapping: Mapping) -> np.ndarray:
    """int64 (images * out_pixels,): word address of each output pixel's pointer, at offset 0."""
    layer, layout = mapping.layer, mapping.layout
    image, row, column = np.indices((mapping.images, layer.out_height, layer.out_width), np.int64)
    return ((image * layout.height + row) * layout.width + column).ravel()


def dma_cycles(transferred: np.ndarray, arch: ArchConfig) -> np.ndarray:
    """ceil(bytes / (bandwidth * efficiency / clock)), in integers (bytes/s, per cent, Hz)."""
    numerator = 100 * arch.clock_hz
    denominator = arch.dram.bytes_per_s * arch.dram.efficiency_percent
    divisor = np.gcd(numerator, denominator)
    return -(-transferred * (numerator // divisor) // (denominator // divisor))


def rows_of(layer: ConvLayer, flat_rows: np.ndarray) -> np.ndarray:
    """Distinct flat input rows (image * in_height + row) that flat output rows touch."""
    image, row = np.divmod(flat_rows[:, None], layer.out_height)
    source = row * layer.stride - layer.padding + np.arange(layer.kernel_size)
    inside = (source >= 0) & (source < layer.in_height)
    return np.unique((image * layer.in_height + source)[inside])


def _loop(channels: int, pixels: int, order: str) -> tuple[np.ndarray, np.ndarray]:
    outer, inner = (channels, pixels) if order == "weights" else (pixels, channels)
    first = np.repeat(np.arange(outer, dtype=np.int64), inner)
    second = np.tile(np.arange(inner, dtype=np.int64), outer)
    return (first, second) if order == "weights" else (second, first)


def _first_use(channel_tile: np.ndarray) -> np.ndarray:
    used = np.zeros(len(channel_tile), bool)
    used[np.unique(channel_tile, return_index=True)[1]] = True
    return used


def _input_bytes(
    mapping: Mapping, starts: np.ndarray, counts: np.ndarray, pixel_tile: np.ndarray
) -> np.ndarray:
    """Rows each tile brings, in bytes."""
    layer = mapping.layer
    if mapping.input == "chip":
        return np.zeros(len(pixel_tile), np.int64)
    first = starts // layer.out_width
    last = (starts + counts - 1) // layer.out_width
    row_bytes = layer.in_width * layer.in_channels
    if mapping.input == "tiled":
        rows = [len(rows_of(layer, np.arange(a, b + 1))) for a, b in zip(first, last, strict=True)]
        arriving = np.diff(pixel_tile, prepend=-1) != 0
        return np.where(arriving, np.array(rows, np.int64)[pixel_tile], 0) * row_bytes
    touched = [len(rows_of(layer, np.arange(b + 1))) for b in last]
    fresh = np.diff(np.array(touched, np.int64), prepend=0)
    return np.where(_first_use(pixel_tile), fresh[pixel_tile], 0) * row_bytes


def _pooled_pixels(mapping: Mapping, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pooled pixels whose bottom right pixel lies in each pixel tile."""
    layer = mapping.layer
    _, row, column = np.indices((mapping.images, layer.out_height, layer.out_width))
    last = (row % layer.pool == layer.pool - 1) & (column % layer.pool == layer.pool - 1)
    finished = np.concatenate([[0], np.cumsum(last)])
    return (finished[starts + counts] - finished[starts]).astype(np.int64)
