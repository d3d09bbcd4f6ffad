"""Mapping a network onto the machine: tiles, loop order, residency, bytes (docs/timing.md).

:func:`map_network` decides, layer by layer, what stays on chip and in which order tiles run;
:func:`tile_layer` lists a layer's tiles with the bytes each moves, as int64 arrays for the kernel.
Everything here depends on shapes alone, never on a mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from hwsim.arch import ArchConfig
from hwsim.errors import UserError
from hwsim.workload import ConvLayer, Network


class MappingError(UserError):
    """A machine that cannot hold what a layer needs; one line naming layer, buffer and bytes."""


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in the buffer: ``words`` planes of phases x n x height x width words."""

    height: int
    width: int
    phases: int
    words: int

    def stored_bytes(self, images: int, arch: ArchConfig) -> int:
        return self.words * _stored_words(self.phases * images * self.height * self.width, arch)


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


def layout_of_input(layer: ConvLayer, arch: ArchConfig) -> Layout:
    """The layout in which ``layer`` reads its input."""
    reach = (layer.kernel_size - 1) // layer.stride
    group_words = -(-(layer.in_channels // layer.groups) // arch.activation.word_channels)
    return Layout(
        layer.out_height + reach,
        layer.out_width + reach,
        layer.stride**2,
        layer.groups * group_words,
    )


def tensor_layouts(network: Network, arch: ArchConfig, images: int) -> dict[str, Layout]:
    """Each tensor's one layout: of its consumer with the largest Hq, then the most stored bytes."""

    def precedence(layout: Layout) -> tuple[int, int]:
        return layout.height, layout.stored_bytes(images, arch)

    layouts: dict[str, Layout] = {}
    for layer in network.layers:
        wanted = [(layer.input, layout_of_input(layer, arch))]
        if layer.residual is not None:
            words = -(-layer.out_channels // arch.activation.word_channels)
            wanted.append((layer.residual, Layout(layer.out_height, layer.out_width, 1, words)))
        for tensor, layout in wanted:
            have = layouts.get(tensor)
            if have is None or precedence(layout) > precedence(have):
                layouts[tensor] = layout
    return layouts


def pointer_layout(layer: ConvLayer, tensor: Layout, arch: ArchConfig) -> Layout:
    """The layout whose Hq and Wq give ``layer`` its addresses (docs/timing.md, reading 3)."""
    own = layout_of_input(layer, arch)
    return tensor if tensor.phases == own.phases and tensor.width >= own.width else own


def map_network(network: Network, arch: ArchConfig, images: int, gating: bool) -> list[Mapping]:
    """Place every layer, in execution order. Raises MappingError where something cannot fit."""
    layouts = tensor_layouts(network, arch, images)
    sizes = {tensor: layout.stored_bytes(images, arch) for tensor, layout in layouts.items()}
    residency = list(_residency(network, sizes, _activation_room(arch)))
    from_dram = {
        tensor
        for layer, (source, residual, _) in zip(network.layers, residency, strict=True)
        for tensor, place in ((layer.input, source), (layer.residual, residual))
        if place in ("whole", "tiled", "dram")
    }
    mappings = []
    for layer, (source, residual, kept) in zip(network.layers, residency, strict=True):
        gated = gating and layer.gated
        width = min(arch.array.columns, layer.out_channels // (layer.groups if gated else 1))
        pixels = _tiled_pixels(layer, arch, images) if source == "tiled" else arch.tile_pixels
        weights = _weight_residency(layer, arch, gated)
        mappings.append(
            Mapping(
                layer=layer,
                images=images,
                gating=gated,
                width=width,
                pixels=pixels,
                layout=pointer_layout(layer, layouts[layer.input], arch),
                input=source,
                residual=residual,
                stored=not kept or layer.name in from_dram,
                weights=weights,
                order="weights",
                prefetches=False,
            )
        )
    return [_ordered(mapping, arch, following) for mapping, following in _with_next(mappings)]


def channel_tiles(layer: ConvLayer, gated: bool, columns: int) -> list[tuple[int, int]]:
    """(first channel, width) of each channel tile; none crosses a gating group if ``gated``."""
    extent = layer.out_channels // (layer.groups if gated else 1)
    return [
        (start, min(columns, group + extent - start))
        for group in range(0, layer.out_channels, extent)
        for start in range(group, group + extent, columns)
    ]


def tile_layer(mapping: Mapping, arch: ArchConfig) -> Tiles:
    """The layer's tiles in loop order with the bytes they move (real bytes, docs/timing.md)."""
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


def _stored_words(plane_words: int, arch: ArchConfig) -> int:
    """Bytes of one plane: padded until pitch mod B = B div ceil(C/A)."""
    banks, word = arch.activation.banks, arch.activation.word_channels
    wanted = banks // -(-arch.array.columns // word)
    return (plane_words + (wanted - plane_words) % banks) * word


def _activation_room(arch: ArchConfig) -> int:
    return arch.activation_buffer_bytes - 2 * arch.array.columns * arch.tile_pixels


def _residency(
    network: Network, sizes: dict[str, int], room: int
) -> Iterator[tuple[Literal["chip", "whole", "tiled"], Literal["chip", "dram"] | None, bool]]:
    """Per layer: where its input is, where its residual is, whether its output is kept."""
    last_read = {}
    for position, layer in enumerate(network.layers):
        for tensor in (layer.input, layer.residual):
            if tensor is not None:
                last_read[tensor] = position
    on_chip: list[str] = []
    for position, layer in enumerate(network.layers):
        if sizes[layer.input] > room:
            yield "tiled", "dram" if layer.residual else None, False
            on_chip = []
            continue
        free = room - sizes[layer.input]
        kept = last_read.get(layer.name, -1) > position and sizes[layer.name] <= free
        if kept:
            free -= sizes[layer.name]
        staying = []
        for tensor in on_chip:
            if tensor == layer.input or last_read[tensor] < position:
                continue
            if sizes[tensor] <= free:
                free -= sizes[tensor]
                staying.append(tensor)
        source: Literal["chip", "whole"] = "chip" if layer.input in on_chip else "whole"
        residual: Literal["chip", "dram"] | None = None
        if layer.residual is not None:
            here = layer.residual == layer.input or layer.residual in staying
            residual = "chip" if here else "dram"
        yield source, residual, kept
        complete = source == "chip" or _touches_all_rows(layer)
        placed = {*staying, *([layer.input] if complete else []), *([layer.name] if kept else [])}
        made = ["input", *(made_by.name for made_by in network.layers)]
        on_chip = [t for t in made if t in placed and last_read[t] > position]


def _touches_all_rows(layer: ConvLayer) -> bool:
    return len(_rows_of(layer, np.arange(layer.out_height))) == layer.in_height


def _rows_of(layer: ConvLayer, flat_rows: np.ndarray) -> np.ndarray:
    """Distinct flat input rows (image * in_height + row) that flat output rows touch."""
    image, row = np.divmod(flat_rows[:, None], layer.out_height)
    source = row * layer.stride - layer.padding + np.arange(layer.kernel_size)
    inside = (source >= 0) & (source < layer.in_height)
    return np.unique((image * layer.in_height + source)[inside])


def _tiled_pixels(layer: ConvLayer, arch: ArchConfig, images: int) -> int:
    """P of a tiled input: the largest multiple of out_width whose two footprints fit."""
    room = _activation_room(arch)
    layout = layout_of_input(layer, arch)
    rows = images * layer.out_height
    one_row = 0
    for tile_rows in range(arch.tile_pixels // layer.out_width, 0, -1):
        first = np.arange(0, rows, tile_rows)
        last = np.minimum(first + tile_rows, rows) - 1
        image, row = np.divmod(np.stack([first, last]), layer.out_height)
        padded = image * layout.height + row
        span = int((padded[1] - padded[0]).max()) + 1 + (layer.kernel_size - 1) // layer.stride
        footprint = layout.words * _stored_words(layout.phases * span * layout.width, arch)
        if 2 * footprint <= room:
            return tile_rows * layer.out_width
        one_row = footprint
    if not one_row:
        raise MappingError(
            f"layer {layer.name}: partial_sums.entries hold {arch.tile_pixels} pixels, one row of "
            f"a tiled input has {layer.out_width}"
        )
    raise MappingError(
        f"layer {layer.name}: activation buffer: two footprints of one row need {2 * one_row} "
        f"bytes, activation.buffer_kib leaves {max(room, 0)} beside the staging tiles"
    )


def _weight_residency(
    layer: ConvLayer, arch: ArchConfig, gated: bool
) -> Literal["all", "two", "one"]:
    tile = layer.steps * arch.array.columns
    tiles = len(channel_tiles(layer, gated, arch.array.columns))
    if tiles * tile <= arch.weight_buffer_bytes:
        return "all"
    if 2 * tile <= arch.weight_buffer_bytes:
        return "two"
    if tile <= arch.weight_buffer_bytes:
        return "one"
    raise MappingError(
        f"layer {layer.name}: weight buffer: one channel tile needs {tile} bytes, "
        f"weight.buffer_kib holds {arch.weight_buffer_bytes}"
    )


def _with_next(mappings: list[Mapping]) -> Iterator[tuple[Mapping, Mapping]]:
    """Each mapping with its successor; the first layer follows the last, in the next batch."""
    yield from pairwise([*mappings, mappings[0]])


def _ordered(mapping: Mapping, arch: ArchConfig, following: Mapping) -> Mapping:
    """Choose the loop order and whether the next layer's first channel tile fits beside."""
    tile = mapping.layer.steps * arch.array.columns
    tiles = len(channel_tiles(mapping.layer, mapping.gating, arch.array.columns))
    held = tile * (tiles if mapping.weights == "all" else 1)
    fits = held + following.layer.steps * arch.array.columns <= arch.weight_buffer_bytes
    pixels_outer = replace(mapping, order="pixels", prefetches=fits)
    weights_outer = replace(mapping, order="weights", prefetches=fits)
    fewer = _moved(pixels_outer, arch) < _moved(weights_outer, arch)
    return pixels_outer if fewer else weights_outer


def _moved(mapping: Mapping, arch: ArchConfig) -> int:
    tiles = tile_layer(mapping, arch)
    return int(tiles.input_bytes.sum() + tiles.weight_bytes.sum())


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
        rows = [len(_rows_of(layer, np.arange(a, b + 1))) for a, b in zip(first, last, strict=True)]
        arriving = np.diff(pixel_tile, prepend=-1) != 0
        return np.where(arriving, np.array(rows, np.int64)[pixel_tile], 0) * row_bytes
    touched = [len(_rows_of(layer, np.arange(b + 1))) for b in last]
    fresh = np.diff(np.array(touched, np.int64), prepend=0)
    return np.where(_first_use(pixel_tile), fresh[pixel_tile], 0) * row_bytes


def _pooled_pixels(mapping: Mapping, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pooled pixels whose bottom right pixel lies in each pixel tile."""
    layer = mapping.layer
    _, row, column = np.indices((mapping.images, layer.out_height, layer.out_width))
    last = (row % layer.pool == layer.pool - 1) & (column % layer.pool == layer.pool - 1)
    finished = np.concatenate([[0], np.cumsum(last)])
    return (finished[starts + counts] - finished[starts]).astype(np.int64)
