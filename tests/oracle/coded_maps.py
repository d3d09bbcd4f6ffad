"""Maps that go to DRAM coded by runs of zeros (docs/model/dram_format.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsim.network import MapLayer

from .layout import ceil_div
from .outputs import pooled_at
from .residency import LayerPlan, Tile

WORD_BITS, RUN_BITS, VALUE_BITS = 64, 5, 8


def code_bytes(
    values: Iterable[bool],
    run_bits: int = RUN_BITS,
    value_bits: int = VALUE_BITS,
    word_bits: int = WORD_BITS,
) -> int:
    """The encoder, value by value; ``values``: which are not zero."""
    pairs = zeros = 0
    for value in values:
        if value or zeros == 2**run_bits - 1:
            pairs += 1
            zeros = 0
        else:
            zeros += 1
    if zeros:  # the last of them is the value of a pair that ends with the code
        pairs += 1
    fit = (word_bits - 1) // (run_bits + value_bits)
    return ceil_div(pairs, fit) * word_bits // 8


@dataclass(frozen=True)
class Unit:
    """The values of one row of one image that one tile finishes, and the bytes of their code."""

    maker: int  # place of the tile among its layer's visits
    image: int
    row: int
    columns: list[int]
    channels: range
    bytes: int


def coded(
    plans: list[LayerPlan], inputs: Mapping[str, np.ndarray], numbers: range
) -> list[LayerPlan]:
    """A batch's layers with the bytes that their coded maps move.

    ``inputs``: bool (all images, in_channels, height, width) of the layers of which they are known.
    """
    bits: dict[str, np.ndarray] = {}
    for plan in plans:
        if plan.layer.name in inputs and len(plan.layer.inputs) == 1:
            known = inputs[plan.layer.name][numbers.start : numbers.stop]
            bits.setdefault(plan.layer.inputs[0], known)
    units = {
        plan.layer.name: units_of(plan, bits[plan.layer.name])
        for plan in plans
        if plan.layer.name in bits and not left_dense(plan, plans)
    }
    return [
        replace(plan, tiles=[recoded(plan, at, tile, units) for at, tile in enumerate(plan.tiles)])
        for plan in plans
    ]


def left_dense(maker: LayerPlan, plans: Sequence[LayerPlan]) -> bool:
    """Whether a map is made, or read by anyone, in a way that codes do not go with."""
    if isinstance(maker.layer, MapLayer):
        return True
    name, shape = maker.layer.name, (maker.layer.pooled_height, maker.layer.pooled_width)
    for layer in (plan.layer for plan in plans):
        if name not in layer.reads:
            continue
        if isinstance(layer, MapLayer) or layer.aside == name:
            return True
        if name in layer.inputs and (
            len(layer.inputs) > 1 or (layer.in_height, layer.in_width) != shape
        ):
            return True
        if layer.residual == name and (layer.out_height, layer.out_width) != shape:
            return True
    return False


def units_of(plan: LayerPlan, bits: np.ndarray) -> list[Unit]:
    """A map's units, from the tiles of the layer that makes it."""
    units = []
    for at, tile in enumerate(plan.tiles):
        if not tile.visit.rest:
            continue
        rows: dict[tuple[int, int], list[int]] = {}
        for pixel in tile.pixels:
            if place := pooled_at(plan.layer, pixel):
                rows.setdefault((pixel[0], place[0]), []).append(place[1])
        for (image, row), columns in rows.items():
            values = [bool(bits[image, c, row, x]) for x in columns for c in tile.channels]
            units.append(Unit(at, image, row, columns, tile.channels, code_bytes(values)))
    return units


def recoded(plan: LayerPlan, at: int, tile: Tile, units: Mapping[str, Sequence[Unit]]) -> Tile:
    """A visit with the bytes of its coded maps."""
    layer = plan.layer
    if layer.inputs[0] in units:
        loaded = sum(u.bytes for u in units[layer.inputs[0]] if (u.image, u.row) in tile.rows)
        tile = replace(tile, input_bytes=loaded)
    if layer.residual in units and tile.residual_bytes:
        added = sum(u.bytes for u in units[layer.residual] if adds(tile, u))
        tile = replace(tile, residual_bytes=added)
    if layer.name in units and tile.output_bytes:
        stored = sum(u.bytes for u in units[layer.name] if u.maker == at)
        tile = replace(tile, output_bytes=stored)
    return tile


def adds(tile: Tile, unit: Unit) -> bool:
    """Whether a tile adds one of the unit's values to its outputs."""
    if not set(tile.channels) & set(unit.channels):
        return False
    return any((unit.image, unit.row, x) in tile.pixels for x in unit.columns)
