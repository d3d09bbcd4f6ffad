"""Residency: what stays on chip, and in which order tiles run (docs/model/residency.md).

Decided layer by layer in execution order, from shapes alone, never from a mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Gating
from hwsim.mapping.layout import layout_of_input, plane_bytes, pointer_layout, tensor_layouts
from hwsim.mapping.tiles import Mapping, MappingError, rows_of, tile_layer
from hwsim.network import ConvLayer, Network


@lru_cache(maxsize=64)
def map_network(
    network: Network,
    arch: ArchConfig,
    images: int,
    gating: Gating,
    shapes: tuple[Shape, ...] | None = None,
) -> tuple[Mapping, ...]:
    """Place every layer, in execution order. Raises MappingError where something cannot fit.

    ``shapes``: the array's shape in each layer, without it always the array's own.
    """
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
    for position, (layer, (source, residual, kept)) in enumerate(
        zip(network.layers, residency, strict=True)
    ):
        gated, instance = _of_layer(layer, gating)
        shaped = arch.shaped(shapes[position]) if shapes else arch
        columns = shaped.array.columns
        layout = pointer_layout(layer, layouts[layer.input], arch)
        mappings.append(
            Mapping(
                layer=layer,
                arch=shaped,
                images=images,
                gating=gated,
                instance=instance,
                width=min(columns, layer.out_channels // (layer.groups if gated else 1)),
                pixels=pixels_of(layer, arch, columns, source, 1 if instance else images),
                layout=layout,
                pitch=layout.pitch(images, arch),
                input=source,
                residual=residual,
                stored=not kept or layer.name in from_dram,
                weights=weight_residency(layer, arch, columns, gated),
                order="weights",
                prefetches=False,
            )
        )
    return tuple(_ordered(mapping, following) for mapping, following in _with_next(mappings))


def shapes_held(
    network: Network, arch: ArchConfig, images: int, gating: Gating, shape: Shape
) -> tuple[bool, ...]:
    """Whether each layer finds room in the buffers with the array in ``shape``."""
    layouts = tensor_layouts(network, arch, images)
    sizes = {tensor: layout.stored_bytes(images, arch) for tensor, layout in layouts.items()}
    places = _residency(network, sizes, _activation_room(arch))
    held = []
    for layer, (source, _, _) in zip(network.layers, places, strict=True):
        gated, instance = _of_layer(layer, gating)
        try:
            pixels_of(layer, arch, shape[1], source, 1 if instance else images)
            weight_residency(layer, arch, shape[1], gated)
        except MappingError:
            held.append(False)
        else:
            held.append(True)
    return tuple(held)


def _of_layer(layer: ConvLayer, gating: Gating) -> tuple[bool, bool]:
    """Whether the layer is gated in this run, and whether its gates normalise by instance.

    Masks of gates that zero are known before the layer runs.
    """
    gated = gating != "off" and layer.gated
    return gated, gated and not layer.zeroes and gating == "instance"


def _activation_room(arch: ArchConfig) -> int:
    """Bytes beside two staging tiles of C x P bytes, which are as large in every shape."""
    return arch.activation_buffer_bytes - 2 * arch.partial_sums.entries


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
        made = [*network.outside, *(made_by.name for made_by in network.layers)]
        on_chip = [t for t in made if t in placed and last_read[t] > position]


def _touches_all_rows(layer: ConvLayer) -> bool:
    return len(rows_of(layer, np.arange(layer.out_height))) == layer.in_height


def pixels_of(layer: ConvLayer, arch: ArchConfig, columns: int, source: str, images: int) -> int:
    """P: what the partial sums of ``columns`` hold, or two footprints of a tiled input allow.

    Tiles of a tiled input are cut from ``images`` together.
    """
    most = arch.partial_sums.entries // columns
    if source != "tiled":
        return most
    room = _activation_room(arch)
    layout = layout_of_input(layer, arch)
    rows = images * layer.out_height
    one_row = 0
    for tile_rows in range(most // layer.out_width, 0, -1):
        first = np.arange(0, rows, tile_rows)
        last = np.minimum(first + tile_rows, rows) - 1
        image, row = np.divmod(np.stack([first, last]), layer.out_height)
        padded = image * layout.height + row
        span = int((padded[1] - padded[0]).max()) + 1 + (layer.kernel_size - 1) // layer.stride
        footprint = layout.words * plane_bytes(layout.phases * span * layout.width, arch)
        if 2 * footprint <= room:
            return tile_rows * layer.out_width
        one_row = footprint
    if not one_row:
        raise MappingError(
            f"layer {layer.name}: partial_sums.entries hold {most} pixels, one row of "
            f"a tiled input has {layer.out_width}"
        )
    raise MappingError(
        f"layer {layer.name}: activation buffer: two footprints of one row need {2 * one_row} "
        f"bytes, activation.buffer_kib leaves {max(room, 0)} beside the staging tiles"
    )


def weight_residency(
    layer: ConvLayer, arch: ArchConfig, columns: int, gated: bool
) -> Literal["all", "two", "one"]:
    tile = layer.steps * columns
    tiles = len(layer.channel_tiles(columns, gated=gated))
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


def _ordered(mapping: Mapping, following: Mapping) -> Mapping:
    """Choose the loop order and whether the next layer's first channel tile fits beside."""
    fits = fits_beside(mapping, following)
    pixels_outer = replace(mapping, order="pixels", prefetches=fits)
    weights_outer = replace(mapping, order="weights", prefetches=fits)
    return pixels_outer if _moved(pixels_outer) < _moved(weights_outer) else weights_outer


def fits_beside(mapping: Mapping, following: Mapping) -> bool:
    """Whether the next layer's first weights fit beside the weights of the last tile."""
    tile, next_tile = (at.layer.steps * at.arch.array.columns for at in (mapping, following))
    tiles = len(mapping.channel_tiles)
    held = tile * (tiles if mapping.weights == "all" else 1)
    return held + next_tile <= mapping.arch.weight_buffer_bytes


def _moved(mapping: Mapping) -> int:
    tiles = tile_layer(mapping)
    return int(tiles.input_bytes.sum() + tiles.weight_bytes.sum())
