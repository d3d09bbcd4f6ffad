"""A trace replayed on a model, layer by layer and tile by tile; a tile replayed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any
from unittest import mock

import numpy as np
from by_hand import BETWEEN_TILES
from divergence import first_divergence

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import parse_scheme
from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.tiles import Mapping, Tiles, tile_layer
from hwsim.model import Engine
from hwsim.model.engines import ENGINES
from hwsim.model.plan import LayerPlan, plan_network
from hwsim.model.stalls import Bytes, transfers_of
from hwsim.run.simulate import chosen_shapes, replay_by_tile
from hwsim.trace.format.packing import pack_bits
from hwsim.trace.mask_trace import MaskTrace

from .rounds import Cut, Work, first_round

WITHIN = tuple(name for name in CAUSES if name not in BETWEEN_TILES)
"""Causes of a tile's own passes."""

NAMES = WITHIN + COUNTERS


@dataclass(frozen=True)
class Replayed:
    """A machine, a trace and how it is replayed."""

    arch: ArchConfig
    trace: MaskTrace
    scheme: str
    batch: int


@dataclass(frozen=True)
class Place:
    """A tile: layer by its number, the batch's first image and its images, tile by its number."""

    layer: int
    first: int
    images: int
    tile: int


def replay(case: Replayed, engine: Engine) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per batch and layer: cycles by cause and counters, tile by tile."""
    return replay_by_tile(case.arch, case.trace, case.scheme, batch=case.batch, engine=engine)


def within_tiles(run: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(tiles, NAMES): what does not depend on the tiles beside."""
    cycles, counts = run
    return np.hstack([cycles[:, [CAUSES.index(name) for name in WITHIN]], counts])


def difference(
    case: Replayed, expected: Sequence[tuple], actual: Sequence[tuple], engines: tuple[Engine, ...]
) -> str | None:
    """The first layer, tile, name and round in which two engines' replays differ; None if equal.

    The kernel does not say beside which tile an output or DRAM stall fell: those compare by layer.
    """
    layers = case.trace.network.layers
    between = [CAUSES.index(name) for name in BETWEEN_TILES]
    for number, runs in enumerate(zip(expected, actual, strict=True)):
        batch, layer = divmod(number, len(layers))
        where = f"batch {batch}, layer {layers[layer].name}"
        if found := first_divergence(*(within_tiles(run) for run in runs), NAMES):
            first = batch * case.batch
            place = Place(layer, first, min(case.batch, case.trace.images - first), found.tile)
            models = [alone(case, engine, place) for engine in engines]
            return f"{where}, {found}; {first_round(work(case, place).cuts(), *models, NAMES)}"
        by_layer = [run[0][:, between].sum(axis=0, keepdims=True) for run in runs]
        if found := first_divergence(*by_layer, BETWEEN_TILES):
            return f"{where}: {found.name}: expected {found.expected}, found {found.actual}"
    return None


def planned(case: Replayed, place: Place) -> LayerPlan:
    """The tile's layer on the machine."""
    shapes = chosen_shapes(case.arch, case.trace, case.scheme, batch=case.batch)
    scheme = parse_scheme(case.scheme, case.arch)
    trace, instance = case.trace, case.trace.header.gate_norm == "instance"
    # Not the remembered plan: its tiles may be cut.
    plans = plan_network.__wrapped__(
        case.arch, trace.network, scheme, trace.mask_group, instance, place.images, shapes
    )
    return plans[place.layer]


def work(case: Replayed, place: Place) -> Work:
    """The tile, to be cut."""
    mapping = planned(case, place).mapping
    tiles = tile_layer(mapping)
    channel, pixel = int(tiles.channel_start[place.tile]), int(tiles.pixel_start[place.tile])
    masks = None
    if mapping.gating:
        bits = case.trace.masks(mapping.layer.name, place.first, place.first + place.images)
        masks = bits.swapaxes(0, 1).reshape(bits.shape[1], -1)
    return Work(
        mapping.arch.array.rows,
        case.scheme,
        case.trace.mask_group,
        masks,
        range(channel, channel + int(tiles.width[place.tile])),
        range(pixel, pixel + int(tiles.pixels[place.tile])),
    )


def alone(case: Replayed, engine: Engine, place: Place) -> Any:
    """The tile as its layer's only one, by an engine: a model for ``first_round``."""
    idle = np.zeros((1, 1), np.int64)

    def rows(cuts: Sequence[Cut]) -> Iterator[np.ndarray]:
        for cut in cuts:

            def cut_tiles(mapping: Mapping, cut: Cut = cut) -> Tiles:
                tiles = tile_layer(mapping)
                if mapping.layer.name != case.trace.network.layers[place.layer].name:
                    return tiles
                one = slice(place.tile, place.tile + 1)
                kept = {field.name: getattr(tiles, field.name)[one] for field in fields(tiles)}
                return Tiles(**{**kept, "pixels": np.array([cut.pixels])})

            with mock.patch("hwsim.model.plan.tile_layer", cut_tiles):
                plan = planned(case, place)
            packed = None
            if cut.masks is not None and plan.mapping.gating:
                packed = pack_bits(
                    cut.masks.reshape(len(cut.masks), place.images, -1).swapaxes(0, 1)
                )
            inputs = None
            if plan.skips and case.trace.has_inputs(plan.name):
                images = place.first, place.first + place.images
                inputs = case.trace.packed_inputs(plan.name, *images)
            around = Bytes.of([plan.tiles.emptied_pixels], [[plan.moves]], idle > 0, idle)
            transfers = transfers_of(around, case.arch)
            (row,) = within_tiles(ENGINES[engine](plan, packed, inputs, transfers))
            yield row

    return rows
