"""What no mask changes: visits, and their cycles and counters before any mask is read.

Remembered for all machines whose arrays see the same: callers do not write to the arrays.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hwsim.counters import CAUSES, COUNTERS, C
from hwsim.mapping.pointers import Pointers
from hwsim.mapping.tiles import Mapping, Tiles, Tiling
from hwsim.model.beats import Kind, beats_of, consecutive_words
from hwsim.model.kernel import passes
from hwsim.model.memory import Memory
from hwsim.network import MapLayer

DECODING = dict.fromkeys(
    ("lockstep", "indices_per_cycle", "shared", "format", "symbol_bits", "window"), 0
)
"""Of a machine what only lists of pixels meet."""


class Setting(NamedTuple):
    """All that decides them; ``mask_group`` and ``clock_gated`` of gated layers alone.

    ``pointers``: None of a layer without passes.
    """

    tiling: Tiling
    tiles: Tiles
    pointers: Pointers | None
    machine: passes.Machine
    mask_group: int
    clock_gated: bool

    @classmethod
    def of(
        cls,
        mapping: Mapping,
        tiles: Tiles,
        machine: passes.Machine,
        mask_group: int,
        clock_gated: bool,
    ) -> Setting:
        clock_gated = clock_gated and mapping.gating
        return cls(
            mapping.tiling,
            tiles,
            None if isinstance(mapping.layer, MapLayer) else mapping.pointers,
            _without_decoding(machine, clock_gated),
            mask_group * mapping.gating,
            clock_gated,
        )

    @property
    def first_kind(self) -> Kind:
        return "base" if self.tiling.gating else "dense"

    @property
    def visits(self) -> passes.TileArrays:
        """The visits as the kernel has them."""
        return _visits(self.tiling, self.tiles, self.pointers)


@lru_cache(maxsize=1024)
def _without_decoding(machine: passes.Machine, clock_gated: bool) -> passes.Machine:
    """Index words are read by clock-gated passes, too."""
    return machine._replace(**DECODING, word_bits=machine.word_bits if clock_gated else 0)


class Fixed(NamedTuple):
    """Of a batch: int64 ``computed`` (visits,), cycles of each visit.

    ``cycles`` (CAUSES,) and ``counts`` (COUNTERS,) of all visits.
    """

    computed: np.ndarray
    cycles: np.ndarray
    counts: np.ndarray


_memory: Memory[Fixed] = Memory(1 << 26)


def fixed_of(setting: Setting) -> Fixed:
    """The totals."""
    known = _memory.get(setting)
    if known is not None:
        return known
    cycles, counts = fixed_by_visit(setting)
    found = Fixed(cycles.sum(axis=1), cycles.sum(axis=0), counts.sum(axis=0))
    _memory.keep(setting, found, sum(array.nbytes for array in found))
    return found


def fixed_by_visit(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Cycles by cause (visits, CAUSES) and counters (visits, COUNTERS), int64."""
    pointers, machine, visits = setting.pointers, setting.machine, setting.visits
    cycles = np.zeros((len(visits.width), len(CAUSES)), np.int64)
    counts = np.zeros((len(visits.width), len(COUNTERS)), np.int64)
    if pointers is None:
        counts[:, C["output_ops"]] = visits.width * visits.pixels
        return cycles, counts
    words = consecutive_words(pointers, setting.tiling.pixel_tiles, machine.rows)
    first, first_sequence, _ = beats_of(pointers, setting.first_kind)
    busy = passes.busy_of(machine, first, first_sequence, words)
    if not setting.tiling.gating:
        passes.fixed_dense(machine, first, visits, busy, cycles, counts)
    elif setting.clock_gated:
        conditional, sequence, _ = beats_of(pointers, "conditional")
        conditional_busy = passes.busy_of(machine, conditional, sequence, words)
        group = setting.mask_group
        passes.fixed_clock_gated(
            machine, first, conditional, visits, busy, conditional_busy, group, cycles, counts
        )
    else:
        passes.fixed_sparse(machine, first, visits, busy, setting.mask_group, cycles, counts)
    return cycles, counts


@lru_cache(maxsize=2048)
def _visits(tiling: Tiling, tiles: Tiles, pointers: Pointers | None) -> passes.TileArrays:
    order = np.zeros_like(tiles.pixels)
    if tiling.gating and pointers is not None:
        order = beats_of(pointers, "conditional").order[block_of(tiling, tiles)]
    flags = (
        tiles.first & ~(tiling.gating and tiling.layer.zeroes),
        tiles.finishes,
        tiles.finishes & tiling.instance,
        tiles.psum_load_bytes > 0,
        tiles.psum_store_bytes > 0,
    )
    return passes.TileArrays(
        tiles.channel_start,
        tiles.width,
        tiles.pixels,
        tiles.pixel_tile,
        order,
        *(flag.astype(np.int64) for flag in flags),
    )


def block_of(tiling: Tiling, tiles: Tiles) -> np.ndarray:
    """int64 (visits,): the block of each visit's output channels; in a dense pass the group."""
    layer = tiling.layer
    blocks = layer.blocks if tiling.gating else layer.conv_groups
    return tiles.channel_start // (layer.out_channels // blocks)
