"""What no mask changes under ``channels``: dense layers, predictors, the shapes of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Scheme, parse_scheme
from hwsim.mapping.channels import Gates, Placed, map_channels
from hwsim.mapping.tiles import Mapping, input_pixels
from hwsim.model.beats import consecutive_words
from hwsim.model.kernel import passes
from hwsim.model.kernel.channels import visits
from hwsim.model.plan import LayerPlan, machine_of, plan_layer
from hwsim.network import AnyLayer, ConvLayer, Network

SOURCES = {"chip": 0, "whole": visits.WHOLE, "tiled": visits.TILED}
RESIDUALS = {None: 0, "chip": visits.ON_CHIP, "dram": visits.IN_DRAM}
REACH = {"all": 0, "two": 2, "one": visits.ONE}


@dataclass(frozen=True)
class ChannelPlan:
    """A layer of a batch that selects; ``row``: the layer of the network for which it counts."""

    row: int
    mapping: Mapping
    machine: passes.Machine
    layer: visits.Selecting
    first_weights_bytes: int

    @property
    def name(self) -> str:
        return self.mapping.layer.name


@lru_cache(maxsize=64)
def plan_channels(
    arch: ArchConfig,
    network: Network,
    scheme: Scheme,
    gates: Gates,
    images: int,
    shapes: tuple[Shape, ...],
) -> tuple[LayerPlan | ChannelPlan, ...]:
    """Every layer for a batch of ``images``, predictors before the layers they choose for.

    Raises MappingError where the machine cannot hold a layer.
    """
    placed = map_channels(network, arch, gates, images, shapes)
    return tuple(
        _plan(network.layers[this.row], this, parse_scheme(scheme.name, this.mapping.arch), gates)
        for this in placed
    )


def _plan(layer: AnyLayer, placed: Placed, scheme: Scheme, gates: Gates) -> LayerPlan | ChannelPlan:
    mapping = placed.mapping
    if not placed.selects:
        return plan_layer(placed.row, scheme, mapping, mask_group=1)
    machine = machine_of(mapping.arch, scheme)
    first_width = mapping.channel_tiles[0][1]
    return ChannelPlan(
        row=placed.row,
        mapping=mapping,
        machine=machine,
        layer=_selecting(mapping, machine, placed.compacted, gates),
        first_weights_bytes=layer.steps * first_width,
    )


def _selecting(
    mapping: Mapping, machine: passes.Machine, compacted: bool, gates: Gates
) -> visits.Selecting:
    layer, arch, cut = mapping.convolution, mapping.arch, mapping.image_tiles
    tiles = np.array(mapping.channel_tiles, np.int64)
    heads = layer.groups if layer.gated and gates.by_head else 1
    bits = layer.gated * (heads * layer.in_channels if gates.by_head else layer.out_channels)
    return visits.Selecting(
        images=mapping.images,
        taps=layer.taps,
        steps=layer.steps,
        columns=arch.array.columns,
        word_channels=arch.activation.word_channels,
        compacted=int(compacted),
        pixels_outer=int(mapping.order == "pixels"),
        source=SOURCES[mapping.input],
        residual=RESIDUALS[mapping.residual],
        stored=int(mapping.stored),
        reach=REACH[mapping.weights],
        mask_bits=bits,
        means=layer.gated * layer.in_height * layer.in_width,
        tile_start=tiles[:, 0].copy(),
        tile_width=tiles[:, 1].copy(),
        tile_head=tiles[:, 0] // (layer.out_channels // heads),
        pixels=cut.counts,
        pooled=cut.pooled,
        lacking=input_pixels(mapping, cut),
        loads=consecutive_words(mapping.pointers, cut, machine.rows).max(axis=2),
        word_of=_words(layer, arch.activation.word_channels),
    )


def _words(layer: ConvLayer, word_channels: int) -> np.ndarray:
    """Activation word of each input channel; groups start on a word."""
    extent = layer.in_channels // layer.groups
    group, within = np.divmod(np.arange(layer.in_channels, dtype=np.int64), extent)
    return group * -(-extent // word_channels) + within // word_channels
