"""What is loaded and stored, visit by visit (docs/model/residency.md; readings 6 to 15).

Map layers, products and rows wider than a tile: docs/model/layers.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.arch.config import ArchConfig, Shape
from hwsim.network import AnyLayer, ConvLayer, MapLayer, Network

from .layout import (
    Pixel,
    Row,
    flattened,
    footprint_bytes,
    segment_bytes,
    touched_columns,
    touched_rows,
)
from .outputs import finishes_pooled
from .placement import Placement, activation_room, place
from .schemes import hardware
from .visits import AT_ONCE, Visit, places


class DoesNotFit(ValueError):
    """A layer that this machine cannot hold; names layer, buffer and bytes."""


@dataclass(frozen=True)
class Tile:
    """One visit to a tile and the bytes it lacks when it starts and leaves when it ends."""

    channels: range
    pixels: list[Pixel]
    visit: Visit
    input_bytes: int
    weight_bytes: int
    residual_bytes: int
    output_bytes: int
    reloaded_psum_bytes: int
    stored_psum_bytes: int
    rows: frozenset[Row]  # of the input, that it brings
    scale_bytes: int = 0


@dataclass(frozen=True)
class LayerPlan:
    """The tiles of one layer and batch in the order in which they run; buffer bytes held."""

    layer: AnyLayer
    arch: ArchConfig  # the array in the layer's shape
    placement: Placement
    weights: str  # "all", "two" or "one": channel tiles the weight buffer holds; or "parts" of one
    tiles: list[Tile]
    held_weight_bytes: int  # during the last tile
    first_weight_bytes: int  # stored bytes of one channel tile

    @property
    def ahead_bytes(self) -> int:
        """Weights of the first tile that the layer before may bring."""
        if isinstance(self.layer, MapLayer) or self.layer.weights_from is not None:
            return 0
        return self.tiles[0].weight_bytes


def plan(
    network: Network,
    arch: ArchConfig,
    scheme: str,
    images: int,
    gate_norm: str = "batch",
    shapes: Sequence[Shape] | None = None,
) -> list[LayerPlan]:
    """Plan one batch of ``images`` images, layer by layer; raises DoesNotFit.

    ``shapes``: of the array in each layer; None: its own.
    """
    own = [(arch.array.rows, arch.array.columns)] * len(network.layers)
    placements = place(network, arch, images)
    return [
        plan_layer(layer, arch, shape, scheme, images, placement, gate_norm)
        for layer, shape, placement in zip(network.layers, shapes or own, placements, strict=True)
    ]


def plan_layer(
    layer: AnyLayer,
    machine: ArchConfig,
    shape: Shape,
    scheme: str,
    images: int,
    placement: Placement,
    gate_norm: str,
) -> LayerPlan:
    """Play both loop orders and take the one that moves fewer bytes."""
    arch = machine.shaped(shape)
    if isinstance(layer, MapLayer):
        return plan_map(layer, arch, images, placement)
    channel_tiles = cut_channels(layer, arch, scheme)
    channel_tile_bytes = layer.steps * arch.array.columns
    streams = not uses_masks(layer, scheme)
    weights = weight_residency(layer, arch, len(channel_tiles) * channel_tile_bytes, streams)
    by_image = gate_norm == "instance" and compares(layer, scheme)
    alone = by_image or layer.weights_from is not None
    pixel_tiles = cut_pixels(layer, machine, shape, images, placement.input_resident, alone)
    turns = places(pixel_tiles, by_image)

    weights_outer = [(cut, *visit) for cut in channel_tiles for turn in turns for visit in turn]
    pixels_outer = [(cut, *visit) for turn in turns for cut in channel_tiles for visit in turn]
    rows = arch.array.rows
    tiles = play_order(layer, weights_outer, placement, weights, rows)
    other = play_order(layer, pixels_outer, placement, weights, rows)
    if moved_bytes(other) < moved_bytes(tiles):
        tiles = other
    return LayerPlan(
        layer=layer,
        arch=arch,
        placement=placement,
        weights=weights,
        tiles=tiles,
        held_weight_bytes=channel_tile_bytes * (len(channel_tiles) if weights == "all" else 1),
        first_weight_bytes=channel_tile_bytes,
    )


def plan_map(layer: MapLayer, arch: ArchConfig, images: int, placement: Placement) -> LayerPlan:
    """Tiles that the output stage makes, each row of the input brought once."""
    columns = arch.array.columns
    channel_tiles = [
        range(first, min(first + columns, layer.out_channels))
        for first in range(0, layer.out_channels, columns)
    ]
    pixel_tiles = split(flattened(layer, images), arch.partial_sums.entries // columns)
    rows_there: set[Row] = set()
    tiles: list[Tile] = []
    for pixels in pixel_tiles:
        for channels in channel_tiles:
            lacking = set() if placement.input_on_chip else touched_rows(layer, pixels) - rows_there
            rows_there |= lacking
            there = placement.scale is None or placement.scale.on_chip or len(tiles) > 0
            tiles.append(
                Tile(
                    channels=channels,
                    pixels=pixels,
                    visit=AT_ONCE,
                    input_bytes=len(lacking) * row_bytes(layer, placement),
                    weight_bytes=0,
                    rows=frozenset(lacking),
                    scale_bytes=0 if there else images * placement.scale.values,
                    **bytes_of_outputs(layer, placement, channels, pixels, AT_ONCE),
                )
            )
    return LayerPlan(layer, arch, placement, "all", tiles, 0, 0)


def moved_bytes(tiles: list[Tile]) -> int:
    """What the loop orders are compared by: input and weights (reading 11)."""
    return sum(tile.input_bytes + tile.weight_bytes for tile in tiles)


def uses_masks(layer: AnyLayer, scheme: str) -> bool:
    """Whether the layer runs a conditional pass."""
    return layer.gated and hardware(scheme).masks != "none"


def compares(layer: AnyLayer, scheme: str) -> bool:
    """Whether the layer decides by the sums of a base pass, which gates that zero have not."""
    return uses_masks(layer, scheme) and layer.groups > 1


def cut_channels(layer: ConvLayer, arch: ArchConfig, scheme: str) -> list[range]:
    """Channel tiles; none crosses the border of a group, with gating of a gating group."""
    groups = layer.blocks if uses_masks(layer, scheme) else layer.conv_groups
    group = layer.out_channels // groups
    tiles = []
    for start in range(0, layer.out_channels, group):
        for first in range(start, start + group, arch.array.columns):
            tiles.append(range(first, min(first + arch.array.columns, start + group)))
    return tiles


def cut_pixels(
    layer: ConvLayer, machine: ArchConfig, shape: Shape, images: int, resident: bool, by_image: bool
) -> list[list[Pixel]]:
    """Pixel tiles of P; with a tiled input the most whole rows whose two footprints fit.

    Where not even one row does, parts of rows. ``by_image``: no tile has pixels of two images.
    Footprints lie as in the machine's own shape.
    """
    pixels = flattened(layer, images)
    pieces = split(pixels, layer.out_pixels) if by_image else [pixels]
    most = machine.partial_sums.entries // shape[1]
    if resident:
        return [tile for piece in pieces for tile in split(piece, most)]
    room = activation_room(machine)
    for rows in range(most // layer.out_width, 0, -1):
        tiles = [tile for piece in pieces for tile in split(piece, rows * layer.out_width)]
        if 2 * max(footprint_bytes(layer, machine, tile) for tile in tiles) <= room:
            return tiles
    for size in range(min(most, layer.out_width), 0, -1):
        if 2 * segment_bytes(layer, machine, size) <= room:
            return [tile for row in split(pixels, layer.out_width) for tile in split(row, size)]
    raise DoesNotFit(f"layer {layer.name}: not one output pixel's input fits twice in {room} bytes")


def cuts_rows(layer: AnyLayer, placement: Placement, pixel_tiles: Sequence[list[Pixel]]) -> bool:
    """Whether tiles of an input that is not there as a whole are parts of rows."""
    return not placement.input_resident and len(pixel_tiles[0]) < layer.out_width


def split(pixels: list[Pixel], size: int) -> list[list[Pixel]]:
    """Pieces of ``size``; the last may be shorter."""
    return [pixels[at : at + size] for at in range(0, len(pixels), size)]


def weight_residency(
    layer: ConvLayer, arch: ArchConfig, all_bytes: int, streams: bool = False
) -> str:
    """How many channel tiles of weights the buffer holds, in whole words of C bytes.

    ``streams``: where not one fits, its parts may go through the buffer in every round.
    """
    room = arch.weight.buffer_kib * 1024
    one = layer.steps * arch.array.columns
    if all_bytes <= room:
        return "all"
    if 2 * one <= room:
        return "two"
    if one <= room:
        return "one"
    if streams:
        return "parts"
    raise DoesNotFit(f"layer {layer.name}: {one} bytes of weights in a buffer of {room}")


def play_order(
    layer: ConvLayer,
    order: list[tuple[range, list[Pixel], Visit]],
    placement: Placement,
    weights: str,
    array_rows: int,
) -> list[Tile]:
    """Bytes of every visit, from the rows and channel tiles that are there when it starts."""
    rows_there: set[Row] = set()
    weights_there: set[tuple[range, int]] = set()
    before: tuple[range, list[Pixel]] | None = None
    tiles = []
    for channels, pixels, visit in order:
        rows = touched_rows(layer, pixels)
        if placement.input_on_chip:
            lacking = set()
        elif placement.input_resident:
            lacking = rows - rows_there
        else:
            same = before is not None and before[1] == pixels
            lacking = set() if same else rows
        rows_there |= lacking
        if weights != "all":  # what is not the predecessor's is gone
            weights_there = set() if before is None else {weights_of(layer, *before)}
        lacks_weights = weights_of(layer, channels, pixels) not in weights_there
        weights_there.add(weights_of(layer, channels, pixels))
        times = int(lacks_weights)
        if weights == "parts":
            times = len(split(pixels, array_rows))
        each = row_bytes(layer, placement)
        if cuts_rows(layer, placement, [tile for _, tile, _ in order]):
            each = each // layer.in_width * len(touched_columns(layer, pixels))
        tiles.append(
            Tile(
                channels=channels,
                pixels=pixels,
                visit=visit,
                input_bytes=len(lacking) * each,
                weight_bytes=layer.steps * len(channels) * times,
                rows=frozenset(lacking),
                **bytes_of_outputs(layer, placement, channels, pixels, visit),
            )
        )
        before = (channels, pixels)
    return tiles


def weights_of(layer: ConvLayer, channels: range, pixels: list[Pixel]) -> tuple[range, int]:
    """A channel tile of weights, and the image whose they are: number 0 if all images'."""
    return channels, 0 if layer.weights_from is None else pixels[0][0]


def row_bytes(layer: AnyLayer, placement: Placement) -> int:
    """Bytes of an input row that comes: what of it is in DRAM, if the rest is on chip."""
    if placement.loaded_channels is None:
        return layer.in_width * layer.in_channels
    return layer.in_width * placement.loaded_channels


def bytes_of_outputs(
    layer: AnyLayer, placement: Placement, channels: range, pixels: list[Pixel], visit: Visit
) -> dict[str, int]:
    """What a visit adds to its outputs, stores of them, and moves of their partial sums."""
    finished = [pixel for pixel in pixels if finishes_pooled(layer, pixel)]
    adds = layer.residual is not None and not placement.residual_on_chip
    psum_bytes = 4 * len(channels) * len(pixels)
    return {
        "residual_bytes": len(channels) * len(pixels) if adds and visit.rest else 0,
        "output_bytes": len(channels) * len(finished)
        if placement.output_stored and visit.rest
        else 0,
        "reloaded_psum_bytes": psum_bytes if visit.reloads else 0,
        "stored_psum_bytes": psum_bytes if visit.stores else 0,
    }
