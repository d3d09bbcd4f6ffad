"""Residency: what stays on chip, and in which order tiles run (docs/model/residency.md).

Decided layer by layer in execution order, from shapes alone, never from a mask.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Literal, NamedTuple

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Gating
from hwsim.mapping.layout import (
    Layout,
    layout_of_input,
    plane_bytes,
    pointer_layout,
    tensor_layouts,
)
from hwsim.mapping.limits import require_pixels, require_tiles
from hwsim.mapping.tiles import Mapping, MappingError, tiles_of
from hwsim.mapping.touched import touches_all_rows
from hwsim.network import AnyLayer, ConvLayer, MapLayer, Network

NONE = 0, 0, 0
"""Shape of a scale that is not there."""


class Place(NamedTuple):
    """Where a layer's tensors are.

    ``input``: on chip, loaded whole or tiled; ``loaded``: those of its tensors that are not on
    chip; ``residual``, ``aside``: on chip or in DRAM, None without one; ``kept``: its output stays.
    """

    input: Literal["chip", "whole", "tiled"]
    loaded: tuple[str, ...]
    residual: Literal["chip", "dram"] | None
    aside: Literal["chip", "dram"] | None
    kept: bool

    def from_dram(self, layer: AnyLayer) -> Iterator[str]:
        """The tensors that the layer needs from DRAM."""
        yield from self.loaded
        for tensor, place in ((layer.residual, self.residual), (layer.aside, self.aside)):
            if tensor is not None and place == "dram":
                yield tensor


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
    layouts, places = _places(network, arch, images)
    layers = list(zip(network.layers, places, strict=True))
    from_dram = {tensor for layer, place in layers for tensor in place.from_dram(layer)}
    mappings = []
    for position, (layer, place) in enumerate(layers):
        gated, instance = _of_layer(layer, gating)
        shaped = arch.shaped(shapes[position]) if shapes else arch
        columns = shaped.array.columns
        require_pixels(layer, arch, images, layout_of_input(layer, arch))
        layout = pointer_layout(layer, layouts[layer.inputs[0]], arch)
        together = _cut_together(layer, instance, images)
        pixels, in_row = pixels_of(layer, arch, columns, place.input, together)
        require_tiles(layer, shaped, images, (pixels, in_row), gated=gated, instance=instance)
        scale = network.shapes[layer.scale] if isinstance(layer, MapLayer) and layer.scale else NONE
        mappings.append(
            Mapping(
                layer=layer,
                arch=shaped,
                images=images,
                gating=gated,
                instance=instance,
                width=max(width for _, width in layer.channel_tiles(columns, gated=gated)),
                pixels=pixels,
                in_row=in_row,
                layout=layout,
                pitch=layout.pitch(images, arch),
                input=place.input,
                loaded_channels=sum(network.shapes[tensor][0] for tensor in place.loaded),
                residual=place.residual,
                stored=not place.kept or layer.name in from_dram,
                aside_bytes=images * prod(scale) * (place.aside == "dram"),
                aside_words=-(-scale[0] // arch.activation.word_channels) * scale[1] * scale[2],
                weights=weight_residency(layer, arch, columns, gated),
                order="weights",
                prefetches=False,
            )
        )
    return tuple(_ordered(mapping, following) for mapping, following in _with_next(mappings))


@lru_cache(maxsize=64)
def _places(
    network: Network, arch: ArchConfig, images: int
) -> tuple[dict[str, Layout], tuple[Place, ...]]:
    """How tensors lie, and where they are in each layer: the same with gates as without."""
    layouts = tensor_layouts(network, arch, images)
    sizes = {tensor: layout.stored_bytes(images, arch) for tensor, layout in layouts.items()}
    return layouts, tuple(_residency(network, sizes, _activation_room(arch)))


def shapes_held(
    network: Network, arch: ArchConfig, images: int, gating: Gating, shape: Shape
) -> tuple[bool, ...]:
    """Whether each layer finds room in the buffers with the array in ``shape``."""
    _, places = _places(network, arch, images)
    shaped, held = arch.shaped(shape), []
    for layer, place in zip(network.layers, places, strict=True):
        gated, instance = _of_layer(layer, gating)
        try:
            together = _cut_together(layer, instance, images)
            require_pixels(layer, arch, images, layout_of_input(layer, arch))
            cut = pixels_of(layer, arch, shape[1], place.input, together)
            require_tiles(layer, shaped, images, cut, gated=gated, instance=instance)
            in_parts = weight_residency(layer, arch, shape[1], gated) == "parts"
        except MappingError:
            held.append(False)
        else:
            held.append(not in_parts)
    return tuple(held)


def _of_layer(layer: AnyLayer, gating: Gating) -> tuple[bool, bool]:
    """Whether the layer is gated in this run, and whether its gates normalise by instance.

    Masks of gates that zero are known before the layer runs.
    """
    gated = gating != "off" and layer.gated
    return gated, gated and not layer.zeroes and gating == "instance"


def _cut_together(layer: AnyLayer, instance: bool, images: int) -> int:
    """How many images tiles are cut from."""
    return 1 if instance or layer.multiplies else images


def _activation_room(arch: ArchConfig) -> int:
    """Bytes beside two staging tiles of C x P bytes, which are as large in every shape."""
    return arch.activation_buffer_bytes - 2 * arch.partial_sums.entries


def _residency(network: Network, sizes: dict[str, int], room: int) -> Iterator[Place]:
    """Of each layer, as reading 12 has it."""
    last_read = {}
    for position, layer in enumerate(network.layers):
        # A product's second operand is read as weights, from DRAM.
        beside = layer.scale if isinstance(layer, MapLayer) else None
        for tensor in (*layer.inputs, layer.residual, beside):
            if tensor is not None:
                last_read[tensor] = position
    made = list(network.shapes)
    on_chip: list[str] = []
    for position, layer in enumerate(network.layers):
        inputs = dict.fromkeys(layer.inputs)
        needed = sum(sizes[tensor] for tensor in inputs)
        if needed > room:
            residual, aside = _there(layer.residual, set()), _there(layer.aside, set())
            yield Place("tiled", tuple(inputs), residual, aside, False)
            on_chip = []
            continue
        free = room - needed
        kept = last_read.get(layer.name, -1) > position and sizes[layer.name] <= free
        if kept:
            free -= sizes[layer.name]
        staying = []
        for tensor in on_chip:
            if tensor in inputs or last_read.get(tensor, -1) < position:
                continue
            if sizes[tensor] <= free:
                free -= sizes[tensor]
                staying.append(tensor)
        loaded = tuple(tensor for tensor in inputs if tensor not in on_chip)
        yield Place(
            "whole" if loaded else "chip",
            loaded,
            _there(layer.residual, {*inputs, *staying}),
            # Weights come from DRAM; a factor may be on chip.
            _there(layer.aside, set() if isinstance(layer, ConvLayer) else {*inputs, *staying}),
            kept,
        )
        complete = [t for t in inputs if t in on_chip or _touches_all_rows(layer)]
        placed = {*staying, *complete, *([layer.name] if kept else [])}
        on_chip = [t for t in made if t in placed and last_read.get(t, -1) > position]


def _there(tensor: str | None, placed: set[str]) -> Literal["chip", "dram"] | None:
    """Where a tensor is that goes through the staging tile, or beside it."""
    if tensor is None:
        return None
    return "chip" if tensor in placed else "dram"


def _touches_all_rows(layer: AnyLayer) -> bool:
    if isinstance(layer, MapLayer):
        return True
    return touches_all_rows(layer)


def pixels_of(
    layer: AnyLayer, arch: ArchConfig, columns: int, source: str, images: int
) -> tuple[int, bool]:
    """P: what the partial sums of ``columns`` hold, or two footprints of a tiled input allow.

    And whether tiles are parts of one row, because not even one row finds room. Tiles of a tiled
    input are cut from ``images`` together. Raises MappingError where not even one pixel does.
    """
    most = arch.partial_sums.entries // columns
    if source != "tiled" or isinstance(layer, MapLayer):
        return most, False
    room, layout = _activation_room(arch), layout_of_input(layer, arch)
    # So many rows find room at the most: what lies between rows of two images comes on top.
    rows = range(1, min(most // layer.out_width, images * layer.out_height) + 1)
    at_most = bisect_right(
        rows, room, key=lambda each: 2 * _footprint(layer, layout, arch, each, layer.out_width)
    )
    for tile_rows in range(at_most, 0, -1):
        span = _row_span(layer, layout.height, tile_rows, images * layer.out_height)
        if 2 * _footprint(layer, layout, arch, span, layer.out_width) <= room:
            return tile_rows * layer.out_width, False
    # A footprint grows with its pixels, so the largest that fits is where bisection ends.
    fits = bisect_right(
        range(1, min(most, layer.out_width) + 1),
        room,
        key=lambda pixels: 2 * _footprint(layer, layout, arch, 1, pixels),
    )
    if not fits:
        needed = 2 * _footprint(layer, layout, arch, 1, 1)
        raise MappingError(
            f"layer {layer.name}: activation buffer: two footprints of one pixel need {needed} "
            f"bytes, activation.buffer_kib leaves {max(room, 0)} beside the staging tiles"
        )
    return fits, True


def _row_span(layer: ConvLayer, padded_height: int, tile_rows: int, rows: int) -> int:
    """Most rows, in padded coordinates, from the first to the last of so many flat output rows."""
    first = np.arange(0, rows, tile_rows)
    last = np.minimum(first + tile_rows, rows) - 1
    image, row = np.divmod(np.stack([first, last]), layer.out_height)
    padded = image * padded_height + row
    return int((padded[1] - padded[0]).max()) + 1


def _footprint(layer: ConvLayer, layout: Layout, arch: ArchConfig, rows: int, columns: int) -> int:
    """Bytes that a tile of so many output rows and columns stores of a tiled input.

    Beyond them its taps reach as far as the layer's own ``layout`` beyond the whole output.
    """
    high, wide = layout.height - layer.out_height, layout.width - layer.out_width
    words = layout.phases * (rows + high) * (columns + wide)
    return layout.words * plane_bytes(words, arch)


def weight_residency(
    layer: AnyLayer, arch: ArchConfig, columns: int, gated: bool
) -> Literal["all", "two", "one", "parts"]:
    """Channel tiles of weights that the buffer holds; parts of one only where no mask says when.

    Raises MappingError where a gated layer's channel tile does not fit.
    """
    tile = layer.steps * columns
    tiles = len(layer.channel_tiles(columns, gated=gated))
    if tiles * tile <= arch.weight_buffer_bytes:
        return "all"
    if 2 * tile <= arch.weight_buffer_bytes:
        return "two"
    if tile <= arch.weight_buffer_bytes:
        return "one"
    if not gated:
        return "parts"
    raise _too_large(layer, tile, arch)


def require_tile(mapping: Mapping) -> None:
    """Raise MappingError where not even one channel tile of weights fits."""
    if mapping.weights == "parts":
        tile = mapping.layer.steps * mapping.arch.array.columns
        raise _too_large(mapping.layer, tile, mapping.arch)


def _too_large(layer: AnyLayer, tile: int, arch: ArchConfig) -> MappingError:
    return MappingError(
        f"layer {layer.name}: weight buffer: one channel tile needs {tile} bytes, "
        f"weight.buffer_kib holds {arch.weight_buffer_bytes}"
    )


def _with_next(mappings: list[Mapping]) -> Iterator[tuple[Mapping, Mapping]]:
    """Each mapping with its successor; the first layer follows the last, in the next batch."""
    yield from pairwise([*mappings, mappings[0]])


def _ordered(mapping: Mapping, following: Mapping) -> Mapping:
    """Choose the loop order and whether the next layer's first channel tile fits beside."""
    fits = fits_beside(mapping, following)
    if isinstance(mapping.layer, MapLayer):
        return replace(mapping, order="pixels", prefetches=fits)
    in_order = mapping.tiling._replace(order="pixels"), mapping.tiling._replace(order="weights")
    pixels_outer, weights_outer = (tiles_of(tiling).brought_bytes for tiling in in_order)
    order: Literal["pixels", "weights"] = "pixels" if pixels_outer < weights_outer else "weights"
    return replace(mapping, order=order, prefetches=fits)


def fits_beside(mapping: Mapping, following: Mapping) -> bool:
    """Whether the next layer's first weights fit beside the weights of the last tile."""
    if following.layer.multiplies or isinstance(following.layer, MapLayer):
        return False  # Weights that are not made yet, or none.
    tile, next_tile = (at.layer.steps * at.arch.array.columns for at in (mapping, following))
    tiles = len(mapping.channel_tiles)
    held = tile * (tiles if mapping.weights == "all" else 1)
    return held + next_tile <= mapping.arch.weight_buffer_bytes
