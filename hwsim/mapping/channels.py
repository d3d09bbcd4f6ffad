"""How a network whose layers select channels lies on the machine, predictors included.

docs/model/channels.md; shapes decide, never a mask. Mappings of layers that select cut pixels by
image, as mappings with instance gates do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Gating
from hwsim.mapping.layout import layout_of_input
from hwsim.mapping.residency import (
    fits_beside,
    map_network,
    pixels_of,
    require_tile,
    shapes_held,
    weight_residency,
)
from hwsim.mapping.tiles import Mapping, input_pixels
from hwsim.network import AnyLayer, ConvLayer, Network
from hwsim.trace.active_channels import predictors, selecting
from hwsim.trace.format.header import Granularity, TraceHeader


class Placed(NamedTuple):
    """A layer of the run: the network layer it counts for, its mapping, how it selects.

    ``selects``: tiles hold one image and skip channels; ``compacted``: tiles are of active outputs.
    """

    row: int
    mapping: Mapping
    selects: bool
    compacted: bool


class Gates(NamedTuple):
    """What a header says of gates of channels."""

    granularity: Granularity
    squeeze: int

    @classmethod
    def of(cls, header: TraceHeader) -> Gates:
        return cls(header.granularity, header.squeeze)

    @property
    def by_head(self) -> bool:
        """Channel tiles stay within a head."""
        return self.granularity == "input-channel-by-head"

    @property
    def gating(self) -> Gating:
        """Channel tiles are cut as gated layers' are, within a head, or as dense ones."""
        return "batch" if self.by_head else "off"

    def predictors(self, layer: AnyLayer) -> list[ConvLayer]:
        if not isinstance(layer, ConvLayer) or not layer.gated:
            return []
        return predictors(layer, self.granularity, self.squeeze)


@lru_cache(maxsize=64)
def map_channels(
    network: Network, arch: ArchConfig, gates: Gates, images: int, shapes: tuple[Shape, ...]
) -> tuple[Placed, ...]:
    """Place every layer, in execution order, its predictors before it. Raises MappingError."""
    selects = selecting(network, gates.granularity)
    placed: list[Placed] = []
    mappings = map_network(network, arch, images, gates.gating, shapes)
    for row, mapping in enumerate(mappings):
        layer, shaped = mapping.layer, mapping.arch
        placed += [
            Placed(row, _predictor(predictor, shaped, images), False, False)
            for predictor in gates.predictors(layer)
        ]
        compacted = layer.gated and not gates.by_head
        if layer.name in selects:
            require_tile(mapping)
            pixels, in_row = pixels_of(layer, arch, shaped.array.columns, mapping.input, 1)
            by_image = replace(
                mapping, instance=True, pixels=pixels, in_row=in_row, order="weights"
            )
            mapping = _cheaper_order(by_image)
        placed.append(Placed(row, mapping, layer.name in selects, compacted))
    followed = pairwise([*placed, placed[0]])
    return tuple(_prefetching(this, following) for this, following in followed)


def channel_shapes_held(
    network: Network, arch: ArchConfig, gates: Gates, images: int, shape: Shape
) -> tuple[bool, ...]:
    """Whether each layer and its predictors find room with the array in ``shape``."""
    held = shapes_held(network, arch, images, gates.gating, shape)
    return tuple(
        fits and _predictors_fit(gates.predictors(layer), arch, shape[1])
        for layer, fits in zip(network.layers, held, strict=True)
    )


def _predictors_fit(layers: Sequence[ConvLayer], arch: ArchConfig, columns: int) -> bool:
    return all(weight_residency(layer, arch, columns, False) != "parts" for layer in layers)


def _predictor(layer: ConvLayer, arch: ArchConfig, images: int) -> Mapping:
    """A dense layer whose input is on chip and whose output stays there, outside the buffer."""
    columns = arch.array.columns
    layout = layout_of_input(layer, arch)
    return Mapping(
        layer=layer,
        arch=arch,
        images=images,
        gating=False,
        instance=False,
        width=min(columns, layer.out_channels),
        pixels=arch.partial_sums.entries // columns,
        in_row=False,
        layout=layout,
        pitch=layout.pitch(images, arch),
        input="chip",
        loaded_channels=0,
        residual=None,
        stored=False,
        aside_bytes=0,
        aside_words=0,
        weights=weight_residency(layer, arch, columns, False),
        order="weights",
        prefetches=False,
    )


def _prefetching(this: Placed, following: Placed) -> Placed:
    """An FBS layer's tiles are not known before its predictor is done."""
    fits = not following.compacted and fits_beside(this.mapping, following.mapping)
    return this._replace(mapping=replace(this.mapping, prefetches=fits))


def _cheaper_order(mapping: Mapping) -> Mapping:
    """The loop order that moves fewer bytes with every channel active; weights outer on a tie."""
    pixels_outer = replace(mapping, order="pixels")
    cheaper = _moved(pixels_outer) < _moved(mapping)
    return pixels_outer if cheaper else mapping


def _moved(mapping: Mapping) -> int:
    """Input and weight bytes of a batch with every channel active; a whole input is not counted."""
    layer = mapping.convolution
    widths = [width for _, width in mapping.channel_tiles]
    in_image = len(mapping.image_tiles)
    channel, image, pixel = (
        axis.ravel() for axis in np.indices((len(widths), mapping.images, in_image))
    )
    pixels_outer = mapping.order == "pixels"
    order = np.lexsort((channel, pixel, image) if pixels_outer else (pixel, image, channel))
    turn, visited = channel[order], (image * in_image + pixel)[order]
    moved = 0
    if mapping.input == "tiled":
        pixels = input_pixels(mapping, mapping.image_tiles)[visited % in_image]
        moved += int(pixels[np.diff(visited, prepend=-1) != 0].sum())
        moved *= layer.in_channels
    if mapping.weights != "all":
        changes = np.diff(turn, prepend=-1) != 0
        moved += layer.steps * int(np.array(widths)[turn][changes].sum())
    return moved
