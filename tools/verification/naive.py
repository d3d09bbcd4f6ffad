"""The naive oracle of the tests beside the kernel: totals of layers; where they differ, tiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from divergence import first_divergence
from oracle.cases import Case
from oracle.cycles import tile as oracle_tile
from oracle.layout import Pixel
from oracle.network import chosen_shapes
from oracle.network import run as run_oracle
from oracle.residency import DoesNotFit, LayerPlan, Tile, plan

from hwsim.arch.config import Shape
from hwsim.counters import CAUSES, COUNTERS, DRAM_COUNTERS
from hwsim.network import ConvLayer, MapLayer

from .replay import NAMES, WITHIN, Place, Replayed, alone, replay, within_tiles, work
from .rounds import Cut, first_round

Counted = tuple[tuple[Shape, ...], np.ndarray, np.ndarray]
"""Shapes by layer, causes (layers, CAUSES) and counters (layers, COUNTERS) of a whole run."""

SHAPES = ("residual_word_reads", "activation_word_writes", *DRAM_COUNTERS)
"""Counters that shapes alone decide: no engine counts them by tile."""

BY_TILE = WITHIN + tuple(name for name in COUNTERS if name not in SHAPES)


def oracle_totals(case: Case) -> Counted | None:
    """What the oracle counts; None where the machine cannot hold a layer."""
    inputs = (case.network, case.arch, case.scheme, case.masks, case.mask_group, case.batch)
    try:
        shapes = chosen_shapes(*inputs, case.images, case.gate_norm, case.inputs)
        counted = run_oracle(
            *inputs, case.images, case.zero_operand_macs, case.gate_norm, shapes,
            case.zero_operand_macs_conditional, case.inputs,
        )  # fmt: skip
    except DoesNotFit:
        return None
    return (tuple(shapes), *counted)


def against_oracle(
    case: Case, replayed: Replayed, kernel: Counted, oracle: Counted | None
) -> str | None:
    """The first layer and name that differ, and the first tile and round where a tile does."""
    if oracle is None:
        return "the kernel's side maps what the oracle's refuses"
    for layer, right, mine in zip(case.network.layers, oracle[0], kernel[0], strict=True):
        if right != mine:
            return f"layer {layer.name}: shape: expected {right}, found {mine}"
    names = CAUSES + COUNTERS
    if not (found := first_divergence(np.hstack(oracle[1:]), np.hstack(kernel[1:]), names)):
        return None
    layer = case.network.layers[found.tile]
    told = f"{found.name}: expected {found.expected}, found {found.actual}"
    place = _first_tile(case, replayed, found.tile, oracle[0])
    return f"layer {layer.name}: {told} in all; {place or 'no tile differs'}"


def _first_tile(
    case: Case, replayed: Replayed, layer: int, shapes: tuple[Shape, ...]
) -> str | None:
    """Batch by batch the oracle's tiles of a layer beside the kernel's."""
    runs = replay(replayed, "kernel")
    for batch, first in enumerate(range(0, case.images, case.batch)):
        images = min(case.batch, case.images - first)
        planned = plan(case.network, case.arch, case.scheme, images, case.gate_norm, shapes)[layer]
        if isinstance(planned.layer, MapLayer):
            return None
        mask = case.masks.get(planned.layer.name)
        mask = None if mask is None else mask[first : first + images]
        bits = _inputs(case, planned, first, images)
        right = [_row(case, planned, mask, bits, tile, tile.pixels) for tile in planned.tiles]
        mine = _by_tile(within_tiles(runs[batch * len(case.network.layers) + layer]))
        if found := first_divergence(np.array(right), mine, BY_TILE):
            place = Place(layer, first, images, found.tile)
            return f"batch {batch}, {found}; {_round(case, replayed, planned, mask, place)}"
    return None


def _round(
    case: Case, replayed: Replayed, planned: LayerPlan, mask: np.ndarray | None, place: Place
) -> str:
    """The tile alone on both, with more and more rounds."""
    tile = planned.tiles[place.tile]
    bits = _inputs(case, planned, place.first, place.images)

    def naive(cuts: Sequence[Cut]) -> Iterator[np.ndarray]:
        for cut in cuts:
            left = mask
            if mask is not None and cut.masks is not None:
                left = cut.masks.reshape(mask.swapaxes(0, 1).shape).swapaxes(0, 1)
            yield _row(case, planned, left, bits, tile, tile.pixels[: cut.pixels])

    def kernel(cuts: Sequence[Cut]) -> Iterator[np.ndarray]:
        return map(_by_tile, alone(replayed, "kernel", place)(cuts))

    return first_round(work(replayed, place).cuts(), naive, kernel, BY_TILE)


def _inputs(case: Case, planned: LayerPlan, first: int, images: int) -> np.ndarray | None:
    """A batch's input bits of the layer, where the case has them."""
    bits = case.inputs.get(planned.layer.name)
    return None if bits is None else bits[first : first + images]


def _row(
    case: Case,
    planned: LayerPlan,
    mask: np.ndarray | None,
    inputs: np.ndarray | None,
    tile: Tile,
    pixels: list[Pixel],
) -> np.ndarray:
    """A tile of the oracle."""
    assert isinstance(planned.layer, ConvLayer)
    assert planned.placement.layout is not None
    causes, counts = oracle_tile(
        planned.layer, planned.arch, case.scheme, mask, case.mask_group, tile.channels, pixels,
        planned.placement.layout, tile.visit, inputs,
    )  # fmt: skip
    found = Counter({**causes, **counts})
    return np.array([found[name] for name in BY_TILE])


def _by_tile(rows: np.ndarray) -> np.ndarray:
    """Of rows of NAMES what is counted by tile."""
    return rows[..., [NAMES.index(name) for name in BY_TILE]]
