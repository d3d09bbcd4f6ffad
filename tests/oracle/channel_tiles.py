"""Layers that select channels: what is active, which visits there are, what each brings.

docs/model/channels.md, by sets of channels, rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.network import INPUT, ConvLayer, Network

from .layout import Pixel, Row, ceil_div, touched_columns, touched_rows
from .outputs import finishes_pooled
from .placement import Placement
from .residency import cut_pixels, cuts_rows, moved_bytes, split, weight_residency

FBS, DGC = "output-channel", "input-channel-by-head"

Active = dict[str, set[int]]
"""Tensor -> its active channels in one image."""


@dataclass(frozen=True)
class Gates:
    """What a trace says of its gates; ``masks``: gated layer -> bool (images, *mask shape)."""

    granularity: str
    squeeze: int
    masks: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Visit:
    """A tile's turn: output channels and pixels of one image, and the channels that it reads."""

    image: int
    channels: list[int]
    passes: bool
    reads: set[int]
    pixels: list[Pixel]
    begins: bool  # the image's first
    input_bytes: int = 0
    weight_bytes: int = 0


@dataclass(frozen=True)
class SelectingPlan:
    """A layer's visits in order, with what a dense layer's plan tells its neighbours."""

    layer: ConvLayer
    arch: ArchConfig
    placement: Placement
    weights: str
    tiles: list[Visit]
    held_weight_bytes: int
    first_weight_bytes: int
    known_before: bool  # whether its first tile can be prefetched


def activity(network: Network, gates: Gates, image: int) -> Active:
    """Which channels of each tensor are not zero planes, in one image of the trace."""
    active: Active = {INPUT: set(range(network.layers[0].in_channels))}
    for layer in network.layers:
        own = computed_channels(layer, gates, image)
        if layer.residual is not None:
            own = own | active[layer.residual]
        active[layer.name] = own
    return active


def computed_channels(layer: ConvLayer, gates: Gates, image: int) -> set[int]:
    """Output channels that the convolution makes."""
    if layer.gated and gates.granularity == FBS:
        return {int(channel) for channel in np.flatnonzero(gates.masks[layer.name][image])}
    return set(range(layer.out_channels))


def selects(network: Network, gates: Gates, layer: ConvLayer) -> bool:
    """Whether the layer's channels hang on an image: what masks of zeros would leave out."""
    if layer.gated:
        return True
    if gates.granularity == DGC:
        return False
    empty = {name: np.zeros_like(mask) for name, mask in gates.masks.items()}
    least = activity(network, Gates(gates.granularity, gates.squeeze, empty), 0)
    made = {other.name: other.out_channels for other in network.layers}
    made[INPUT] = network.layers[0].in_channels
    tensors = [tensor for tensor in (layer.input, layer.residual) if tensor is not None]
    return any(len(least[tensor]) < made[tensor] for tensor in tensors)


def plan_selecting(
    layer: ConvLayer,
    machine: ArchConfig,
    shape: Shape,
    gates: Gates,
    active: list[Active],
    numbers: range,
    placement: Placement,
) -> SelectingPlan:
    """Choose the order as if every channel were active, then play it with those that are."""
    arch = machine.shaped(shape)
    tile_bytes = layer.steps * arch.array.columns
    fixed = fixed_tiles(layer, arch, gates)
    weights = weight_residency(layer, arch, len(fixed) * tile_bytes)
    pixels = cut_pixels(layer, machine, shape, len(numbers), placement.input_resident, True)
    everything = set(range(layer.in_channels))
    whole = [[(tile, True, everything) for tile in fixed] for _ in numbers]
    orders = [play(layer, whole, pixels, weights, placement, None, by_tile) for by_tile in (1, 0)]
    by_tile = moved_bytes(orders[1]) >= moved_bytes(orders[0])
    compacted = layer.gated and gates.granularity == FBS
    if gates.granularity == FBS:
        tiles = [image_tiles(layer, arch, gates, number, active[number]) for number in numbers]
    else:
        tiles = [head_tiles(layer, fixed, gates, number) for number in numbers]
    present = [active[number][layer.input] for number in numbers]
    return SelectingPlan(
        layer=layer,
        arch=arch,
        placement=placement,
        weights=weights,
        tiles=play(layer, tiles, pixels, weights, placement, present, by_tile),
        held_weight_bytes=tile_bytes * (len(fixed) if weights == "all" else 1),
        first_weight_bytes=tile_bytes,
        known_before=not compacted,
    )


def fixed_tiles(layer: ConvLayer, arch: ArchConfig, gates: Gates) -> list[list[int]]:
    """Channel tiles with every output active; DGC's stay within a head."""
    heads = layer.groups if layer.gated and gates.granularity == DGC else 1
    parts = split_list(list(range(layer.out_channels)), layer.out_channels // heads)
    return [tile for part in parts for tile in split_list(part, arch.array.columns)]


def split_list(members: list[int], size: int) -> list[list[int]]:
    return split(members, size)  # type: ignore[arg-type]


Turn = tuple[list[int], bool, set[int]]
"""Output channels, whether they take a pass, and the input channels that it reads."""


def image_tiles(
    layer: ConvLayer, arch: ArchConfig, gates: Gates, number: int, active: Active
) -> list[Turn]:
    """FBS: active channels side by side, then those that only the residual has."""
    computed = computed_channels(layer, gates, number)
    added = active[layer.residual] if layer.residual is not None else set()
    reads, columns = active[layer.input], arch.array.columns
    turns = [(tile, True, reads) for tile in split_list(sorted(computed), columns)]
    turns += [(tile, False, set()) for tile in split_list(sorted(added - computed), columns)]
    return turns or [([], False, set())]


def head_tiles(layer: ConvLayer, fixed: list[list[int]], gates: Gates, number: int) -> list[Turn]:
    """DGC: every tile reads what its head keeps."""
    extent = layer.out_channels // layer.groups
    kept = gates.masks[layer.name][number]
    return [
        (tile, True, {int(channel) for channel in np.flatnonzero(kept[tile[0] // extent])})
        for tile in fixed
    ]


def play(
    layer: ConvLayer,
    tiles: list[list[Turn]],
    pixel_tiles: list[list[Pixel]],
    weights: str,
    placement: Placement,
    present: list[set[int]] | None,
    by_tile: bool,
) -> list[Visit]:
    """Visits in order, each with the rows and columns that are not there when it starts."""
    turns = [
        (number, image, at)
        for image, turns in enumerate(tiles)
        for number in range(len(turns))
        for at, pixels in enumerate(pixel_tiles)
        if pixels[0][0] == image
    ]
    turns.sort(key=lambda turn: turn if by_tile else (turn[1], turn[2], turn[0]))
    rows_there: set[Row] = set()
    different: list[list[int]] = []
    before = None
    seen: set[int] = set()
    visits = []
    for number, image, at in turns:
        channels, passes, reads = tiles[image][number]
        pixels = pixel_tiles[at]
        rows = touched_rows(layer, pixels)
        if placement.input_on_chip or (not placement.input_resident and before == at):
            rows = set()
        elif placement.input_resident:
            rows -= rows_there
        rows_there |= rows
        before = at
        columns = set(range(layer.in_width))
        if cuts_rows(layer, placement, pixel_tiles):
            columns = touched_columns(layer, pixels)
        brought = set(range(layer.in_channels)) if present is None else present[image]
        lacking: set[int] = set()
        if passes and (not different or different[-1] != channels):
            kept = {"all": len(different), "two": 2, "one": 1}[weights]
            there = {channel for tile in different[-kept:] for channel in tile} if kept else set()
            lacking = set(channels) - there
            different.append(channels)
        visits.append(
            Visit(
                image, channels, passes, reads, pixels, image not in seen,
                input_bytes=sum(len(columns) for _ in rows for _ in brought),
                weight_bytes=layer.steps * len(lacking),
            )
        )  # fmt: skip
        seen.add(image)
    return visits


def beats_of(layer: ConvLayer, arch: ArchConfig, reads: set[int]) -> list[int]:
    """Steps of every beat: a tap and a word, the kept channels in it."""
    extent, size = layer.in_channels // layer.groups, arch.activation.word_channels
    beats = []
    for _ in range(layer.kernel_size):
        for _ in range(layer.kernel_size):
            for group in range(layer.groups):
                for first in range(0, extent, size):
                    word = range(group * extent + first, group * extent + min(first + size, extent))
                    kept = [channel for channel in word if channel in reads]
                    if kept:
                        beats.append(len(kept))
    return beats


def pooled_pixels(layer: ConvLayer, pixels: list[Pixel]) -> int:
    return sum(finishes_pooled(layer, pixel) for pixel in pixels)


def words_with(arch: ArchConfig, channels: set[int]) -> int:
    """Activation words that have one of these channels."""
    return len({channel // arch.activation.word_channels for channel in channels})


def input_pixels(layer: ConvLayer) -> int:
    return len([(y, x) for y in range(layer.in_height) for x in range(layer.in_width)])


def list_words(arch: ArchConfig, channels: int) -> int:
    """Index words of a list with a bit per channel."""
    return ceil_div(channels, arch.index.word_bits)


def predictors(layer: ConvLayer, gates: Gates) -> list[ConvLayer]:
    """The dense layers in front of a gated one."""
    if gates.granularity == FBS:
        pairs = [(layer.in_channels, layer.out_channels)]
    else:
        narrow = ceil_div(layer.in_channels, gates.squeeze)
        pairs = [(layer.in_channels, layer.groups * narrow)]
        pairs += [(narrow, layer.in_channels)] * layer.groups
    return [
        ConvLayer(
            name=f"predictor{at}", in_channels=inputs, out_channels=outputs, kernel_size=1,
            in_height=1, in_width=1,
        )
        for at, (inputs, outputs) in enumerate(pairs)
    ]  # fmt: skip
