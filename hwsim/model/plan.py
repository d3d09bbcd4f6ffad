"""The mask-independent part of a layer's run: tiles, fixed cycles and counters, DMA."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Gating, Scheme, parse_scheme
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import Mapping, Tiles, Tiling, tile_layer
from hwsim.model.beats import NO_PASS, Kind, beats_of, blocks_of, consecutive_words, pixels_in_banks
from hwsim.model.fixed import Fixed, Setting, block_of, fixed_of
from hwsim.model.kernel import decoders, passes
from hwsim.model.kernel.gated_layers import Masked
from hwsim.model.kernel.mask_words import TileWords
from hwsim.model.kernel.run_ahead import Ahead, BeatSequence, ahead_of
from hwsim.model.kernel.window import Lists, room_for_lists
from hwsim.model.skip_plan import Pass, SkipPlan, walk_of
from hwsim.model.transfers import Moves, moves_of
from hwsim.network import ConvLayer, Network


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a batch under a scheme.

    ``row``: the layer of the network for which it counts; ``conditional``, ``sequence``: beats of
    its conditional pass; ``moves``: bytes of dense maps.
    """

    row: int
    scheme: Scheme
    mapping: Mapping
    mask_group: int
    tiles: Tiles
    machine: passes.Machine
    setting: Setting
    conditional: passes.Beats
    sequence: BeatSequence
    moves: Moves
    first_weights_bytes: int

    @property
    def name(self) -> str:
        return self.mapping.layer.name

    @property
    def skips(self) -> bool:
        """Whether steps without operands are skipped, where input bits tell them."""
        return self.scheme.skipping != "none"

    @cached_property
    def visits(self) -> passes.TileArrays:
        """The visits as the kernel has them."""
        return self.setting.visits

    @property
    def seen(self) -> Hashable:
        """All of the machine that decides what the layer's visits take, beside masks and inputs."""
        return self.scheme, self.setting, self.machine

    @property
    def fixed(self) -> Fixed:
        """Cycles and counters that no mask changes."""
        return fixed_of(self.setting)

    @cached_property
    def in_bank(self) -> np.ndarray:
        """Which pixels of a tile lie in which bank: uint64 (pixel tiles, words, banks)."""
        mapping = self.mapping
        return pixels_in_banks(mapping.pointers, mapping.pixel_tiles, self.words.words)

    def masked(self, packed: np.ndarray) -> Masked:
        """The visits with the packed masks of the batches' images."""
        words = self.words.gather(packed)
        return Masked(self.visits, words, self.mask_group, self.in_bank)

    @cached_property
    def ahead(self) -> Ahead | None:
        """The conditional pass, if its banks may run ahead."""
        machine = self.machine
        if not machine.ahead:
            return None
        pointers = machine.rows * -(-machine.columns // machine.lane_group)
        most = min(pointers, self.mapping.pixels)
        return ahead_of(self.sequence, machine.ahead, most)

    def window(self) -> Lists | None:
        """Room for a tile's lists, if a window chooses from them."""
        if not self.machine.window:
            return None
        return room_for_lists(self.machine.columns, self.words.words)

    @cached_property
    def skip(self) -> SkipPlan:
        """The layer where zeros are skipped."""
        mapping, machine = self.mapping, self.machine
        return SkipPlan(
            mapping=mapping,
            machine=machine,
            visits=self.visits,
            group=block_of(mapping.tiling, self.tiles),
            words=consecutive_words(mapping.pointers, mapping.pixel_tiles, machine.rows),
            first=_skipping_pass(mapping, self.setting.first_kind),
            conditional=_skipping_pass(mapping, "conditional"),
            masked=mapping.gating and self.scheme.kind == "clock-gated",
            free_rows=self.scheme.skipping == "free-rows",
        )

    @cached_property
    def words(self) -> TileWords:
        return _words(self.setting.tiling, self.mask_group)


@lru_cache(maxsize=1024)
def _words(tiling: Tiling, mask_group: int) -> TileWords:
    layer = tiling.layer
    lists = layer.out_channels // mask_group
    return TileWords(tiling.pixel_tiles, tiling.images, layer.out_pixels, lists)


@lru_cache(maxsize=64)
def plan_network(
    arch: ArchConfig,
    network: Network,
    scheme: Scheme,
    mask_group: int,
    gating: Gating,
    images: int,
    shapes: tuple[Shape, ...],
) -> tuple[LayerPlan, ...]:
    """Every layer for a batch of ``images``, with the array in these shapes.

    Remembered, because comparisons and sweeps ask again; ``arch.core`` says all that it hangs on.
    Raises MappingError where the machine cannot hold a layer.
    """
    mappings = map_network(network, arch, images, gating, shapes)
    shaped = {shape: parse_scheme(scheme.name, arch.shaped(shape)) for shape in set(shapes)}
    return tuple(
        plan_layer(row, shaped[shape], mapping, mask_group)
        for row, (shape, mapping) in enumerate(zip(shapes, mappings, strict=True))
    )


def plan_layer(row: int, scheme: Scheme, mapping: Mapping, mask_group: int) -> LayerPlan:
    """One layer; ``row``: which of the network's it counts for."""
    tiles = tile_layer(mapping)
    machine = machine_of(mapping.arch, scheme, adds=not mapping.layer.zeroes)
    conditional, sequence, _ = NO_PASS
    if isinstance(mapping.layer, ConvLayer):
        conditional, sequence, _ = beats_of(mapping.pointers, "conditional")
    setting = Setting.of(mapping, tiles, machine, mask_group, scheme.kind == "clock-gated")
    return LayerPlan(
        row=row,
        scheme=scheme,
        mapping=mapping,
        mask_group=mask_group,
        tiles=tiles,
        machine=machine,
        setting=setting,
        conditional=conditional,
        sequence=sequence,
        moves=moves_of(mapping, tiles),
        first_weights_bytes=int(tiles.weight_bytes[0]),
    )


def _skipping_pass(mapping: Mapping, kind: Kind) -> Pass:
    found = beats_of(mapping.pointers, kind)
    walk = walk_of(mapping, blocks_of(mapping.convolution, kind))
    return Pass(found.beats, found.sequence, walk, found.order)


def machine_of(arch: ArchConfig, scheme: Scheme, *, adds: bool = True) -> passes.Machine:
    """What the kernel needs; ``adds``: whether a conditional pass finds sums to add to."""
    exact = arch.activation.bank_conflicts == "exact"
    return passes.Machine(
        rows=arch.array.rows,
        banks=arch.activation.banks,
        lane_group=scheme.lane_group,
        lockstep=int(scheme.lockstep),
        word_bits=arch.index.word_bits,
        indices_per_cycle=arch.index.indices_per_cycle,
        columns=arch.array.columns,
        systolic=int(arch.array.feed == "systolic"),
        conflicts=passes.CONFLICTS[arch.activation.bank_conflicts],
        shared=int(arch.index.decoders == "shared"),
        format=decoders.FORMATS[arch.index.format],
        symbol_bits=arch.symbol_bits,
        ahead=arch.activation.run_ahead if exact and scheme.kind != "channels" else 0,
        window=arch.index.window,
        adds=int(adds),
    )
