"""Passes of the cycle model that no mask changes: arrays of visits at once (docs/model/passes.md).

They are computed once for a layer (``fixed_*``) and add to cycles by cause and counters, int64 with
a row per visit, whose last axes are CAUSES and COUNTERS. The rules of a round serve the compiled
loops of hwsim.model.kernel.gated_layers, too. Part of the cycle model.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.counters import CAUSES, C

_BASE, _CONDITIONAL = CAUSES.index("base"), CAUSES.index("conditional")
_BANK_STALL, _DRAIN = CAUSES.index("bank_stall"), CAUSES.index("drain")
_MACS_BASE, _OUTPUT = C["macs_base"], C["output_ops"]
_WORD_READS, _FILLS = C["activation_word_reads"], C["line_fills"]
_WEIGHT_READS, _MASK_BITS = C["weight_word_reads"], C["mask_bits_written"]
_INDEX_WORDS = C["index_words_read"]
_PSUM_BASE, _PSUM_OUTPUT = C["psum_base_writes"], C["psum_output_reads"]
_COMPARATOR, _ADDER = C["comparator_ops"], C["adder_ops"]


class Machine(NamedTuple):
    """What the kernel needs of the machine, all int64. ``lane_group`` is V, C on dense hardware.

    ``lockstep`` is 1 where the lists of a lane group's lanes are all stored; ``columns`` is C,
    ``systolic`` and ``shared`` are flags, ``conflicts`` and ``format`` one of the codes below;
    a list's entries take ``symbol_bits``.
    """

    rows: int
    banks: int
    lane_group: int
    lockstep: int
    word_bits: int
    indices_per_cycle: int
    columns: int
    systolic: int
    conflicts: int
    shared: int
    format: int
    symbol_bits: int


CONFLICTS = {"exact": 0, "bandwidth": 1, "none": 2}
_EXACT, _BANDWIDTH = CONFLICTS["exact"], CONFLICTS["bandwidth"]


class Beats(NamedTuple):
    """One pass: ``full`` beats of ``full_steps`` steps and ``short`` beats of ``short_steps``."""

    full: int
    full_steps: int
    short: int
    short_steps: int


class TileArrays(NamedTuple):
    """int64 (visits,) each: first channel, channels, pixels, and which pixel tile it is.

    Flags: ``first`` (the first pass runs in this visit), ``finishes`` (all the rest does),
    ``compares`` (decisions take a cycle per pixel), ``loads`` and ``stores`` (of partial sums).
    """

    channel_start: np.ndarray
    width: np.ndarray
    pixels: np.ndarray
    pixel_tile: np.ndarray
    first: np.ndarray
    finishes: np.ndarray
    compares: np.ndarray
    loads: np.ndarray
    stores: np.ndarray


def steps_of(beats: Beats) -> int:
    return beats.full * beats.full_steps + beats.short * beats.short_steps


def busy_cycles(beats: Beats, load: Any) -> Any:
    """Cycles of the beats of a round, or of several: each takes max(steps, load)."""
    full = beats.full * np.maximum(beats.full_steps, load)
    return full + beats.short * np.maximum(beats.short_steps, load)


def round_cycles(machine: Machine, busy: Any, width: int) -> Any:
    """X: cycles of rounds whose beats take ``busy``, on ``width`` columns."""
    if machine.systolic:
        return busy + machine.rows + width - 2
    return np.maximum(busy, machine.rows)


def bank_load(machine: Machine, fullest: Any, distinct: Any) -> Any:
    """Loads of rounds, from the words of their fullest bank and of all banks."""
    if machine.conflicts == _EXACT:
        return fullest
    if machine.conflicts == _BANDWIDTH:
        return -(-distinct // machine.banks)
    return 0 * distinct


def consecutive_loads(
    machine: Machine, banks: np.ndarray, starts: np.ndarray, pixels: np.ndarray
) -> np.ndarray:
    """Loads of rounds of consecutive pixels: int64 (pixel tiles, rounds).

    ``banks``: int64 (pixels of the batch,), the bank of each pixel's address; ``starts`` and
    ``pixels``: int64 (pixel tiles,), where each tile begins and how many pixels it has. Rounds
    that a shorter tile lacks have load 0.
    """
    tile, place = _places(pixels)
    rounds = -(-int(pixels.max()) // machine.rows)
    at = (tile * rounds + place // machine.rows) * machine.banks + banks[starts[tile] + place]
    held = np.bincount(at, minlength=len(starts) * rounds * machine.banks)
    held = held.reshape(len(starts), rounds, machine.banks)
    return bank_load(machine, held.max(axis=2), held.sum(axis=2))


def bank_masks(
    banks: np.ndarray, starts: np.ndarray, pixels: np.ndarray, bank_count: int, words: int
) -> np.ndarray:
    """uint64 (pixel tiles, words, banks): which pixels of a tile lie in which bank."""
    tile, place = _places(pixels)
    bits = np.zeros((len(starts), bank_count, 64 * words), bool)
    bits[tile, banks[starts[tile] + place], place] = True
    packed = np.packbits(bits, axis=2, bitorder="little").view(np.uint64)
    return np.ascontiguousarray(packed.swapaxes(1, 2))


def _places(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tile, and place in the tile, of every pixel."""
    tile = np.repeat(np.arange(len(pixels)), pixels)
    return tile, np.arange(len(tile)) - np.repeat(np.cumsum(pixels) - pixels, pixels)


def fixed_dense(
    machine: Machine,
    beats: Beats,
    visits: TileArrays,
    loads: np.ndarray,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Tiles of one dense pass each (any scheme's layers that are not gated, too)."""
    _first_pass(machine, beats, visits, loads, cycles, counts)
    _empty(machine, visits, counts)


def fixed_sparse(
    machine: Machine,
    base: Beats,
    visits: TileArrays,
    loads: np.ndarray,
    mask_group: int,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """The base pass of sparse hardware, decisions and emptying."""
    _first_pass(machine, base, visits, loads, cycles, counts)
    _decide(machine, visits, mask_group, cycles, counts)
    _empty(machine, visits, counts)


def fixed_clock_gated(
    machine: Machine,
    base: Beats,
    conditional: Beats,
    visits: TileArrays,
    loads: np.ndarray,
    mask_group: int,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """The gated scheme: its conditional pass visits every pixel, too, and reads every mask bit."""
    fixed_sparse(machine, base, visits, loads, mask_group, cycles, counts)
    run = visits.finishes
    _consecutive_pass(machine, conditional, visits, loads, run, 1, _CONDITIONAL, cycles, counts)
    lists = visits.finishes * _mask_lists(visits, mask_group)
    counts[:, _MASK_BITS] += lists * visits.pixels
    counts[:, _INDEX_WORDS] += lists * -(-visits.pixels // machine.word_bits)


def _consecutive_pass(
    machine: Machine,
    beats: Beats,
    visits: TileArrays,
    loads: np.ndarray,
    run: np.ndarray,
    groups: np.ndarray | int,
    cause: int,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """One pass over consecutive pixels where ``run`` is 1, ``groups`` equal pointer lists."""
    steps = steps_of(beats)
    rounds = run * -(-visits.pixels // machine.rows)
    busy = busy_cycles(beats, loads[visits.pixel_tile])
    taken = round_cycles(machine, busy, machine.columns)
    there = np.arange(loads.shape[1]) < rounds[:, None]
    cycles[:, cause] += rounds * steps
    cycles[:, _BANK_STALL] += (there * (busy - steps)).sum(axis=1)
    cycles[:, _DRAIN] += (there * (taken - busy)).sum(axis=1)
    if not machine.systolic:
        cycles[:, _DRAIN] += run * machine.rows
    words = run * visits.pixels * (beats.full + beats.short)
    counts[:, _WORD_READS] += words
    counts[:, _FILLS] += groups * words
    counts[:, _WEIGHT_READS] += rounds * steps


def _first_pass(
    machine: Machine,
    beats: Beats,
    visits: TileArrays,
    loads: np.ndarray,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """The dense or base pass of a tile; its partial sums stay, or leave for DRAM."""
    groups = -(-visits.width // machine.lane_group)
    run = visits.first
    _consecutive_pass(machine, beats, visits, loads, run, groups, _BASE, cycles, counts)
    counts[:, _MACS_BASE] += run * visits.width * visits.pixels * steps_of(beats)
    counts[:, _PSUM_BASE] += run * groups * visits.pixels
    counts[:, _PSUM_OUTPUT] += visits.stores * groups * visits.pixels


def _empty(machine: Machine, visits: TileArrays, counts: np.ndarray) -> None:
    """The output stage's share of a tile."""
    pixels = visits.finishes * visits.pixels
    counts[:, _PSUM_OUTPUT] += -(-visits.width // machine.lane_group) * pixels
    counts[:, _OUTPUT] += visits.width * pixels


def _decide(
    machine: Machine, visits: TileArrays, mask_group: int, cycles: np.ndarray, counts: np.ndarray
) -> None:
    """Comparators and adders of a tile's decisions, one per mask list and pixel.

    They run on draining entries, or on partial sums that are complete, and maybe reloaded.
    """
    pixels = visits.finishes * visits.pixels
    words = -(-visits.width // machine.lane_group) * visits.pixels
    lists = _mask_lists(visits, mask_group)
    counts[:, _COMPARATOR] += lists * pixels
    counts[:, _ADDER] += (visits.width - lists) * pixels
    counts[:, _PSUM_BASE] += visits.loads * words
    counts[:, _PSUM_OUTPUT] += visits.compares * words
    cycles[:, _DRAIN] += visits.compares * visits.pixels


def _mask_lists(visits: TileArrays, mask_group: int) -> np.ndarray:
    """Mask lists that a channel tile has a channel of."""
    end = visits.channel_start + visits.width
    return -(-end // mask_group) - visits.channel_start // mask_group
