"""The mask-independent part of a layer's run: tiles, fixed cycles and counters, DMA."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.schemes import Gating, Scheme, parse_scheme
from hwsim.counters import CAUSES, COUNTERS, C
from hwsim.mapping.residency import map_network
from hwsim.mapping.tiles import Mapping, Tiles, tile_layer
from hwsim.model.beats import NO_PASS, Kind, beats_of, blocks_of, consecutive_words, pixels_in_banks
from hwsim.model.kernel import decoders, passes
from hwsim.model.kernel.gated_layers import Masked
from hwsim.model.kernel.mask_words import TileWords
from hwsim.model.kernel.run_ahead import Ahead, BeatSequence, ahead_of
from hwsim.model.kernel.window import Lists, room_for_lists
from hwsim.model.skip_plan import Pass, SkipPlan, walk_of
from hwsim.model.transfers import Moves, moves_of
from hwsim.network import ConvLayer, MapLayer, Network


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a batch under a scheme; cycles and counts int64, by visit unless said.

    ``row``: the layer of the network for which it counts; ``conditional``, ``sequence``: beats of
    its conditional pass; ``moves``: bytes of dense maps.
    """

    row: int
    scheme: Scheme
    mapping: Mapping
    mask_group: int
    tiles: Tiles
    machine: passes.Machine
    visits: passes.TileArrays
    conditional: passes.Beats
    sequence: BeatSequence
    fixed_cycles: np.ndarray
    fixed_counts: np.ndarray
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
            group=_block_of(mapping, self.tiles),
            words=consecutive_words(mapping.pointers, mapping.pixel_tiles, machine.rows),
            first=_skipping_pass(mapping, _first_kind(mapping)),
            conditional=_skipping_pass(mapping, "conditional"),
            masked=mapping.gating and self.scheme.kind == "clock-gated",
            free_rows=self.scheme.skipping == "free-rows",
        )

    @cached_property
    def words(self) -> TileWords:
        return TileWords(self.mapping, self.mapping.layer.out_channels // self.mask_group)


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
    return tuple(
        plan_layer(row, parse_scheme(scheme.name, mapping.arch), mapping, mask_group)
        for row, mapping in enumerate(mappings)
    )


def plan_layer(row: int, scheme: Scheme, mapping: Mapping, mask_group: int) -> LayerPlan:
    """One layer; ``row``: which of the network's it counts for."""
    arch, tiles = mapping.arch, tile_layer(mapping)
    machine = machine_of(arch, scheme, adds=not mapping.layer.zeroes)
    conditional, sequence, order = NO_PASS
    if isinstance(mapping.layer, ConvLayer):
        conditional, sequence, order = beats_of(mapping.pointers, "conditional")
    visits = _visits(mapping, tiles, order)
    cycles, counts = _fixed(scheme, mapping, mask_group, machine, visits, conditional, sequence)
    return LayerPlan(
        row=row,
        scheme=scheme,
        mapping=mapping,
        mask_group=mask_group,
        tiles=tiles,
        machine=machine,
        visits=visits,
        conditional=conditional,
        sequence=sequence,
        fixed_cycles=cycles,
        fixed_counts=counts,
        moves=moves_of(mapping, tiles),
        first_weights_bytes=int(tiles.weight_bytes[0]),
    )


def _skipping_pass(mapping: Mapping, kind: Kind) -> Pass:
    found = beats_of(mapping.pointers, kind)
    walk = walk_of(mapping, blocks_of(mapping.convolution, kind))
    return Pass(found.beats, found.sequence, walk, found.order)


def _first_kind(mapping: Mapping) -> Kind:
    return "base" if mapping.gating else "dense"


def _block_of(mapping: Mapping, tiles: Tiles) -> np.ndarray:
    """int64 (visits,): the block of each visit's output channels; in a dense pass the group."""
    layer = mapping.layer
    blocks = layer.blocks if mapping.gating else layer.conv_groups
    return tiles.channel_start // (layer.out_channels // blocks)


def _fixed(
    scheme: Scheme,
    mapping: Mapping,
    mask_group: int,
    machine: passes.Machine,
    visits: passes.TileArrays,
    conditional: passes.Beats,
    sequence: BeatSequence,
) -> tuple[np.ndarray, np.ndarray]:
    """Cycles by cause (visits, CAUSES) and counters (visits, COUNTERS) of every batch."""
    cycles = np.zeros((len(visits.width), len(CAUSES)), np.int64)
    counts = np.zeros((len(visits.width), len(COUNTERS)), np.int64)
    if isinstance(mapping.layer, MapLayer):
        counts[:, C["output_ops"]] = visits.width * visits.pixels
        return cycles, counts
    words = consecutive_words(mapping.pointers, mapping.pixel_tiles, machine.rows)
    first, first_sequence, _ = beats_of(mapping.pointers, _first_kind(mapping))
    busy = passes.busy_of(machine, first, first_sequence, words)
    if not mapping.gating:
        passes.fixed_dense(machine, first, visits, busy, cycles, counts)
    elif scheme.kind == "clock-gated":
        conditional_busy = passes.busy_of(machine, conditional, sequence, words)
        passes.fixed_clock_gated(
            machine, first, conditional, visits, busy, conditional_busy, mask_group, cycles, counts
        )
    else:
        passes.fixed_sparse(machine, first, visits, busy, mask_group, cycles, counts)
    return cycles, counts


def _visits(mapping: Mapping, tiles: Tiles, order: np.ndarray) -> passes.TileArrays:
    flags = (
        tiles.first & ~(mapping.gating and mapping.layer.zeroes),
        tiles.finishes,
        tiles.finishes & mapping.instance,
        tiles.psum_load_bytes > 0,
        tiles.psum_store_bytes > 0,
    )
    return passes.TileArrays(
        tiles.channel_start,
        tiles.width,
        tiles.pixels,
        tiles.pixel_tile,
        order[_block_of(mapping, tiles)] if mapping.gating else np.zeros_like(tiles.pixels),
        *(flag.astype(np.int64) for flag in flags),
    )


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
