"""Passes of the cycle model that no mask changes: loops over int64 arrays (docs/timing.md).

They are computed once for a layer (``fixed_*``) and add to cycles by cause and counters, a row per
visit, whose last axes are CAUSES and COUNTERS. Part of the cycle model, hwsim.kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.counts import CAUSES, C
from hwsim.jit import compiled

_BASE, _CONDITIONAL = CAUSES.index("base"), CAUSES.index("conditional")
_BANK_STALL, _DRAIN = CAUSES.index("bank_stall"), CAUSES.index("drain")
_MACS_BASE, _OUTPUT = C["macs_base"], C["output_ops"]
_WORD_READS, _FILLS = C["activation_word_reads"], C["line_fills"]
_WEIGHT_READS, _MASK_BITS = C["weight_word_reads"], C["mask_bits_written"]
_INDEX_WORDS = C["index_words_read"]
_PSUM_BASE, _PSUM_OUTPUT = C["psum_base_writes"], C["psum_output_reads"]
_COMPARATOR, _ADDER = C["comparator_ops"], C["adder_ops"]

_U1 = np.uint64(1)


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


@compiled
def steps_of(beats):
    return beats.full * beats.full_steps + beats.short * beats.short_steps


@compiled
def busy_cycles(beats, load):
    """Cycles of a round's beats: each takes max(steps, load)."""
    return beats.full * max(beats.full_steps, load) + beats.short * max(beats.short_steps, load)


@compiled
def round_cycles(machine, busy, width):
    """X: cycles of a round whose beats take ``busy``, on ``width`` columns."""
    if machine.systolic:
        return busy + machine.rows + width - 2
    return max(busy, machine.rows)


@compiled
def bank_load(machine, fullest, distinct):
    """A round's load, from the words of its fullest bank and of all banks."""
    if machine.conflicts == _EXACT:
        return fullest
    return -(-distinct // machine.banks) if machine.conflicts == _BANDWIDTH else 0


@compiled
def consecutive_loads(machine, banks, starts, pixels):
    """Loads of rounds of consecutive pixels: int64 (pixel tiles, rounds).

    ``banks``: int64 (pixels of the batch,), the bank of each pixel's address; ``starts`` and
    ``pixels``: int64 (pixel tiles,), where each tile begins and how many pixels it has.
    """
    rows, most = machine.rows, 0
    for tile in range(starts.size):
        most = max(most, pixels[tile])
    loads = np.zeros((starts.size, -(-most // rows)), np.int64)
    held = np.zeros(machine.banks, np.int64)
    for tile in range(starts.size):
        end = starts[tile] + pixels[tile]
        for i in range(-(-pixels[tile] // rows)):
            start, fullest = starts[tile] + i * rows, 0
            last = min(start + rows, end)
            held[:] = 0
            for pixel in range(start, last):
                held[banks[pixel]] += 1
                fullest = max(fullest, held[banks[pixel]])
            loads[tile, i] = bank_load(machine, fullest, last - start)
    return loads


@compiled
def bank_masks(banks, starts, pixels, bank_count, words):
    """uint64 (pixel tiles, words, banks): which pixels of a tile lie in which bank."""
    masks = np.zeros((starts.size, words, bank_count), np.uint64)
    for tile in range(starts.size):
        for place in range(pixels[tile]):
            bank = banks[starts[tile] + place]
            masks[tile, place >> 6, bank] |= _U1 << np.uint64(place & 63)
    return masks


@compiled
def _consecutive_pass(machine, beats, loads, pixels, groups, cause, cycles, counts):
    """One pass over consecutive pixels, ``groups`` pointer lists alike."""
    rounds = -(-pixels // machine.rows)
    steps = steps_of(beats)
    for i in range(rounds):
        busy = busy_cycles(beats, loads[i])
        cycles[_BANK_STALL] += busy - steps
        cycles[_DRAIN] += round_cycles(machine, busy, machine.columns) - busy
    cycles[cause] += rounds * steps
    if not machine.systolic:
        cycles[_DRAIN] += machine.rows
    counts[_WORD_READS] += pixels * (beats.full + beats.short)
    counts[_FILLS] += groups * pixels * (beats.full + beats.short)
    counts[_WEIGHT_READS] += rounds * steps


@compiled
def _first_pass(machine, beats, loads, tiles, t, cycles, counts):
    """The dense or base pass of a tile; its partial sums stay, or leave for DRAM."""
    width, pixels = tiles.width[t], tiles.pixels[t]
    words = -(-width // machine.lane_group) * pixels
    groups = -(-width // machine.lane_group)
    _consecutive_pass(machine, beats, loads, pixels, groups, _BASE, cycles, counts)
    counts[_MACS_BASE] += width * pixels * steps_of(beats)
    counts[_PSUM_BASE] += words
    counts[_PSUM_OUTPUT] += tiles.stores[t] * words


@compiled
def _empty(machine, tiles, t, counts):
    """The output stage's share of a tile."""
    width, pixels = tiles.width[t], tiles.pixels[t]
    counts[_PSUM_OUTPUT] += -(-width // machine.lane_group) * pixels
    counts[_OUTPUT] += width * pixels


@compiled
def _decide(machine, mask_lists, tiles, t, cycles, counts):
    """Comparators and adders of a tile's decisions, one per mask list and pixel.

    They run on draining entries, or on partial sums that are complete, and maybe reloaded.
    """
    width, pixels = tiles.width[t], tiles.pixels[t]
    words = -(-width // machine.lane_group) * pixels
    counts[_COMPARATOR] += mask_lists * pixels
    counts[_ADDER] += (width - mask_lists) * pixels
    counts[_PSUM_BASE] += tiles.loads[t] * words
    counts[_PSUM_OUTPUT] += tiles.compares[t] * words
    cycles[_DRAIN] += tiles.compares[t] * pixels


@compiled
def fixed_dense(machine, beats, tiles, loads, cycles, counts):
    """Tiles of one dense pass each (any scheme's layers that are not gated, too)."""
    for t in range(tiles.width.size):
        _first_pass(machine, beats, loads[tiles.pixel_tile[t]], tiles, t, cycles[t], counts[t])
        _empty(machine, tiles, t, counts[t])


@compiled
def fixed_sparse(machine, base, tiles, loads, mask_group, cycles, counts):
    """The base pass of sparse hardware, decisions and emptying."""
    for t in range(tiles.width.size):
        if tiles.first[t]:
            _first_pass(machine, base, loads[tiles.pixel_tile[t]], tiles, t, cycles[t], counts[t])
        if tiles.finishes[t]:
            _decide(machine, _mask_lists(tiles, t, mask_group), tiles, t, cycles[t], counts[t])
            _empty(machine, tiles, t, counts[t])


@compiled
def fixed_gated(machine, base, conditional, tiles, loads, mask_group, cycles, counts):
    """The gated scheme: its conditional pass visits every pixel, too, and reads every mask bit."""
    fixed_sparse(machine, base, tiles, loads, mask_group, cycles, counts)
    for t in range(tiles.width.size):
        if not tiles.finishes[t]:
            continue
        pixels, lists = tiles.pixels[t], _mask_lists(tiles, t, mask_group)
        _consecutive_pass(
            machine,
            conditional,
            loads[tiles.pixel_tile[t]],
            pixels,
            1,
            _CONDITIONAL,
            cycles[t],
            counts[t],
        )
        counts[t, _MASK_BITS] += lists * pixels
        counts[t, _INDEX_WORDS] += lists * -(-pixels // machine.word_bits)


@compiled
def _mask_lists(tiles, t, mask_group):
    """Mask lists that a channel tile has a channel of."""
    start = tiles.channel_start[t]
    return -(-(start + tiles.width[t]) // mask_group) - start // mask_group
