"""Tiles: the pieces in which a layer runs, and the bytes each moves (docs/model/machine.md).

A :class:`Mapping` says how a layer lies on the machine (hwsim.mapping.residency decides it);
:func:`tile_layer` lists its tiles as int64 arrays for the models. Shapes decide, never a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd
from typing import Literal, NamedTuple, TypeVar, cast

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.errors import UserError
from hwsim.mapping.layout import Layout
from hwsim.mapping.pixel_tiles import PixelTiles, cut_pixels
from hwsim.mapping.pointers import Pointers
from hwsim.network import AnyLayer, ConvLayer, MapLayer


class MappingError(UserError):
    """A machine that cannot hold what a layer needs; one line naming layer, buffer and bytes."""


MOST_INT64 = 2**63 - 1

Bytes = TypeVar("Bytes", np.ndarray, np.int64)


@dataclass(frozen=True)
class Mapping:
    """One layer's place on the machine, for a batch of ``images``.

    ``arch``: the machine with its array in this layer's shape; ``instance``: tiles do not cross
    images, because the gate decides on whole maps; ``width``: channel tile width; ``pixels``: P of
    this layer; ``in_row``: tiles are parts of one row; ``layout``, ``pitch``: how pointers see the
    input, and words between its planes; ``input``: on chip already, loaded whole, or tiled;
    ``loaded_channels``: those of the input that are not on chip; ``residual``: where the added
    tensor is, None without one; ``aside_bytes``, ``aside_words``: what a map layer's scale
    brings, and its words in an image; ``weights``: the channel tiles
    resident at once, or one in parts; ``prefetches``: the last tile loads the next layer's first
    channel tile of weights.
    """

    layer: AnyLayer
    arch: ArchConfig
    images: int
    gating: bool
    instance: bool
    width: int
    pixels: int
    in_row: bool
    layout: Layout
    pitch: int
    input: Literal["chip", "whole", "tiled"]
    loaded_channels: int
    residual: Literal["chip", "dram"] | None
    stored: bool
    aside_bytes: int
    aside_words: int
    weights: Literal["all", "two", "one", "parts"]
    order: Literal["weights", "pixels"]
    prefetches: bool

    @property
    def convolution(self) -> ConvLayer:
        """The layer, for what only a layer with passes has."""
        assert isinstance(self.layer, ConvLayer), f"layer {self.layer.name} has no pass"
        return self.layer

    @property
    def total_pixels(self) -> int:
        return self.images * self.layer.out_pixels

    @property
    def channel_tiles(self) -> tuple[tuple[int, int], ...]:
        """(first channel, width) of each channel tile."""
        return self.layer.channel_tiles(self.arch.array.columns, gated=self.gating)

    @cached_property
    def pointers(self) -> Pointers:
        """How the layer's passes find its input."""
        activation = self.arch.activation
        return Pointers(
            self.convolution.unnamed, self.images, self.layout, self.pitch,
            activation.word_channels, activation.banks,
        )  # fmt: skip

    @cached_property
    def tiling(self) -> Tiling:
        """All that the tiles of the layer hang on."""
        layer, array = self.layer, self.arch.array
        return Tiling(
            layer=layer if isinstance(layer, MapLayer) else layer.unnamed,
            images=self.images,
            columns=array.columns,
            rows=array.rows if self.weights == "parts" else None,
            gating=self.gating,
            instance=self.instance,
            pixels=self.pixels,
            in_row=self.in_row,
            input=self.input,
            loaded_channels=self.loaded_channels,
            residual=self.residual,
            stored=self.stored,
            aside_bytes=self.aside_bytes,
            weights=self.weights,
            order=self.order,
        )

    @property
    def pixel_tiles(self) -> PixelTiles:
        return self.tiling.pixel_tiles

    @property
    def image_tiles(self) -> PixelTiles:
        """Those of one image, where tiles do not cross images."""
        return cut_pixels(self.tiling.layer, 1, self.pixels, True, self.in_row)

    @property
    def pixel_cuts(self) -> tuple[np.ndarray, np.ndarray]:
        """First pixel and number of pixels of each pixel tile, in the batch's flattened order."""
        return self.pixel_tiles.starts, self.pixel_tiles.counts


class Tiling(NamedTuple):
    """All of a :class:`Mapping` that decides its tiles; machines with equal ones have equal tiles.

    ``rows``: of the array where weights come in parts, in every round, else None.
    """

    layer: AnyLayer
    images: int
    columns: int
    rows: int | None
    gating: bool
    instance: bool
    pixels: int
    in_row: bool
    input: Literal["chip", "whole", "tiled"]
    loaded_channels: int
    residual: Literal["chip", "dram"] | None
    stored: bool
    aside_bytes: int
    weights: Literal["all", "two", "one", "parts"]
    order: Literal["weights", "pixels"]

    @property
    def pixel_tiles(self) -> PixelTiles:
        return cut_pixels(self.layer, self.images, self.pixels, self.by_image, self.in_row)

    @property
    def by_image(self) -> bool:
        """Whether tiles hold pixels of one image: of instance gates, or each with its weights."""
        return self.instance or self.layer.multiplies


@dataclass(frozen=True, eq=False)
class Tiles:
    """The visits to a layer's tiles in loop order, one entry each, int64 but for the flags.

    A visit runs a tile's first pass (``first``), the rest (``finishes``), or both: only
    instance gates over several tiles of an image part them. ``input_bytes``, ``residual_bytes``,
    ``weight_bytes`` and ``psum_load_bytes`` are what the visit lacks (loaded before it),
    ``output_bytes`` and ``psum_store_bytes`` what it leaves to be stored, ``pooled_pixels`` the
    pixels it finishes.
    """

    channel_start: np.ndarray
    width: np.ndarray
    pixel_start: np.ndarray
    pixels: np.ndarray
    pixel_tile: np.ndarray
    first: np.ndarray
    finishes: np.ndarray
    input_bytes: np.ndarray
    residual_bytes: np.ndarray
    weight_bytes: np.ndarray
    output_bytes: np.ndarray
    pooled_pixels: np.ndarray
    psum_load_bytes: np.ndarray
    psum_store_bytes: np.ndarray

    @property
    def emptied_pixels(self) -> np.ndarray:
        """Pixels that the output stage empties after each visit."""
        return self.pixels * self.finishes

    @cached_property
    def brought_bytes(self) -> int:
        """Inputs and weights."""
        return int(self.input_bytes.sum() + self.weight_bytes.sum())

    def __len__(self) -> int:
        return len(self.width)


def tile_layer(mapping: Mapping) -> Tiles:
    """The layer's tiles in loop order and the real bytes they move (docs/model/residency.md).

    Remembered, because schemes, batches and sweeps ask again: callers do not write to the arrays.
    """
    return tiles_of(mapping.tiling)


@lru_cache(maxsize=2048)
def tiles_of(tiling: Tiling) -> Tiles:
    """Of all layers that lie so."""
    layer, cut = tiling.layer, tiling.pixel_tiles
    channels = np.array(layer.channel_tiles(tiling.columns, gated=tiling.gating), np.int64)
    channel_tile, visit = _loop(tiling, len(channels))
    pixel_tile, first, finishes, kept = (part[visit] for part in _visits(tiling))
    width, pixels = channels[channel_tile, 1], cut.counts[pixel_tile]
    weights = channel_tile
    if layer.multiplies:
        weights = channel_tile * tiling.images + cut.starts[pixel_tile] // layer.out_pixels
    brought = (np.diff(weights, prepend=-1) != 0).astype(np.int64)
    if tiling.weights == "all":
        brought = _first_use(weights).astype(np.int64)
    elif tiling.rows:
        brought = -(-pixels // tiling.rows)
    pooled = cut.pooled[pixel_tile] * finishes
    psum_bytes = 4 * width * pixels * ~kept
    return Tiles(
        channel_start=channels[channel_tile, 0],
        width=width,
        pixel_start=cut.starts[pixel_tile],
        pixels=pixels,
        pixel_tile=pixel_tile,
        first=first,
        finishes=finishes,
        input_bytes=_input_bytes(tiling, pixel_tile),
        residual_bytes=_residual_bytes(tiling, width * pixels * finishes),
        weight_bytes=brought * layer.steps * width,
        output_bytes=width * pooled * tiling.stored,
        pooled_pixels=pooled,
        psum_load_bytes=psum_bytes * ~first,
        psum_store_bytes=psum_bytes * ~finishes,
    )


def dma_cycles(transferred: Bytes, arch: ArchConfig) -> Bytes:
    """ceil(bytes / (bandwidth * efficiency / clock)), in integers (bytes/s, per cent, Hz)."""
    cycles, moved = dma_ratio(arch)
    if int(np.max(transferred, initial=0)) > MOST_INT64 // cycles:
        # In Python's integers, which do not wrap; the quotient has 63 bits again.
        whole = np.asarray(transferred).astype(object)
        return cast(Bytes, np.asarray(-(-whole * cycles // moved), np.int64)[()])
    return -(-transferred * cycles // moved)


def dma_ratio(arch: ArchConfig) -> tuple[int, int]:
    """In how many cycles the DMA moves how many bytes, in lowest terms."""
    cycles = 100 * arch.clock_hz
    moved = arch.dram.bytes_per_s * arch.dram.efficiency_percent
    divisor = gcd(cycles, moved)
    return cycles // divisor, moved // divisor


def _visits(tiling: Tiling) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The visits of one channel tile: pixel tile, first pass, rest, partial sums stay on chip."""
    tiles = np.arange(len(tiling.pixel_tiles), dtype=np.int64)
    always = np.ones(len(tiles), bool)
    in_image = len(tiles) // tiling.images if tiling.instance else 1
    if in_image == 1:
        return tiles, always, always, always
    twice = np.repeat(tiles.reshape(-1, in_image), 2, axis=0)  # (images * 2, tiles of an image)
    finishes = np.zeros_like(twice, bool)
    finishes[1::2] = True
    return twice.ravel(), ~finishes.ravel(), finishes.ravel(), (twice % in_image == 0).ravel()


def _loop(tiling: Tiling, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Channel tile and visit of each step of the loop; an image's visits stay together."""
    tiles = len(tiling.pixel_tiles)
    together = 1
    if tiling.instance and tiles > tiling.images:
        together = 2 * tiles // tiling.images
        tiles *= 2
    channel = np.repeat(np.arange(channels, dtype=np.int64), tiles)
    visit = np.tile(np.arange(tiles, dtype=np.int64), channels)
    if tiling.order == "pixels":
        order = np.argsort(visit // together, kind="stable")
        return channel[order], visit[order]
    return channel, visit


def _first_use(channel_tile: np.ndarray) -> np.ndarray:
    used = np.zeros(len(channel_tile), bool)
    used[np.unique(channel_tile, return_index=True)[1]] = True
    return used


def _input_bytes(tiling: Tiling, pixel_tile: np.ndarray) -> np.ndarray:
    """Rows each visit brings, in bytes."""
    if tiling.input == "chip":
        return np.zeros(len(pixel_tile), np.int64)
    pixels = input_pixels(tiling, tiling.pixel_tiles)
    return np.where(arrivals(tiling, pixel_tile), pixels[pixel_tile], 0) * tiling.loaded_channels


def input_pixels(of: Mapping | Tiling, cut: PixelTiles) -> np.ndarray:
    """int64 (pixel tiles,): pixels of the input that each tile brings, of every channel loaded."""
    streams = isinstance(of.layer, MapLayer)
    return cut.touched if of.input == "tiled" and not streams else cut.fresh


def _residual_bytes(tiling: Tiling, outputs: np.ndarray) -> np.ndarray:
    """Of visits that finish so many ``outputs``; a scale comes with the first."""
    found = outputs * (tiling.residual == "dram")
    found[0] += tiling.aside_bytes
    return found


def arrivals(of: Mapping | Tiling, pixel_tile: np.ndarray) -> np.ndarray:
    """bool (visits,): which visits to pixel tiles bring rows of an input that is not on chip."""
    if of.input == "tiled" and isinstance(of.layer, ConvLayer):
        return np.diff(pixel_tile, prepend=-1) != 0
    return _first_use(pixel_tile)
