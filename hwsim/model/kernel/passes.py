"""Passes of the cycle model that no mask changes: arrays of visits at once (docs/model/passes.md).

They are computed once for a layer (``fixed_*``) and add to cycles by cause and counters, int64 with
a row per visit, whose last axes are CAUSES and COUNTERS. The rules of a round serve the compiled
loops of hwsim.model.kernel.gated_layers, too. Part of the cycle model.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwsim.counters import CAUSES, C
from hwsim.model.kernel.run_ahead import BeatSequence, ahead_of, play_rounds

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
    a list's entries take ``symbol_bits``; ``ahead`` is Q, 0 where no beat waits for a bank,
    ``window`` D or 0; ``adds`` is 1 where the conditional pass finds sums to add to.
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
    ahead: int
    window: int
    adds: int


CONFLICTS = {"exact": 0, "bandwidth": 1, "none": 2}
EXACT, _BANDWIDTH = CONFLICTS["exact"], CONFLICTS["bandwidth"]


class Beats(NamedTuple):
    """One pass: ``full`` beats of ``full_steps`` steps and ``short`` beats of ``short_steps``."""

    full: int
    full_steps: int
    short: int
    short_steps: int


class TileArrays(NamedTuple):
    """int64 (visits,) each: first channel, channels, pixels, pixel tile, order of beats.

    Flags: ``first`` (the first pass runs in this visit), ``finishes`` (all the rest does),
    ``compares`` (decisions take a cycle per pixel), ``loads`` and ``stores`` (of partial sums).
    """

    channel_start: np.ndarray
    width: np.ndarray
    pixels: np.ndarray
    pixel_tile: np.ndarray
    order: np.ndarray
    first: np.ndarray
    finishes: np.ndarray
    compares: np.ndarray
    loads: np.ndarray
    stores: np.ndarray


def steps_of(beats: Beats) -> int:
    return beats.full * beats.full_steps + beats.short * beats.short_steps


def busy_cycles(machine: Machine, beats: Beats, fullest: Any, distinct: Any) -> Any:
    """Cycles of the beats of a round, or of several, whose banks do not run ahead.

    ``fullest`` and ``distinct``: words of the fullest bank and of all banks, in each beat.
    """
    if machine.conflicts == EXACT:
        full = beats.full * np.maximum(beats.full_steps, fullest)
        return full + beats.short * np.maximum(beats.short_steps, fullest)
    # Compiled, it finds no function of this file.
    steps = beats.full * beats.full_steps + beats.short * beats.short_steps
    if machine.conflicts == _BANDWIDTH:
        return np.maximum(steps, -(-(beats.full + beats.short) * distinct // machine.banks))
    return steps + 0 * distinct


def waits(beats: Beats, fullest: Any) -> Any:
    """Whether a beat has more words in a bank than it has steps."""
    return fullest > (beats.short_steps if beats.short else beats.full_steps)


def round_cycles(machine: Machine, busy: Any, width: int) -> Any:
    """X: cycles of rounds whose beats take ``busy``, on ``width`` columns."""
    if machine.systolic:
        return busy + machine.rows + width - 2
    return np.maximum(busy, machine.rows)


def consecutive_words(
    rows: int, bank_count: int, banks: np.ndarray, starts: np.ndarray, pixels: np.ndarray
) -> np.ndarray:
    """Words of rounds of ``rows`` consecutive pixels: int64 (pixel tiles, rounds, banks).

    ``banks``: int64 (pixels of the batch,), the bank of each pixel's address; ``starts`` and
    ``pixels``: int64 (pixel tiles,), where each tile begins and how many pixels it has. Rounds
    that a shorter tile lacks have none.
    """
    tile, place = _places(pixels)
    rounds = -(-int(pixels.max()) // rows)
    at = (tile * rounds + place // rows) * bank_count + banks[starts[tile] + place]
    words = np.bincount(at, minlength=len(starts) * rounds * bank_count)
    return words.reshape(len(starts), rounds, bank_count)


def busy_of(
    machine: Machine, beats: Beats, sequence: BeatSequence, words: np.ndarray
) -> np.ndarray:
    """Cycles of the beats of rounds: int64 (orders, pixel tiles, rounds)."""
    fullest, distinct = words.max(axis=2), words.sum(axis=2)
    busy = np.repeat(busy_cycles(machine, beats, fullest, distinct)[None], len(sequence.shifts), 0)
    if machine.ahead:
        late = waits(beats, fullest)
        ahead = ahead_of(sequence, machine.ahead, int(fullest.max()))
        for order, found in enumerate(busy):
            orders = np.full(int(late.sum()), order)
            ends = np.zeros_like(orders)
            play_rounds(ahead, orders, words[late], ends)
            found[late] = ends
    return busy


def bank_masks(
    banks: np.ndarray, starts: np.ndarray, pixels: np.ndarray, bank_count: int, words: int
) -> np.ndarray:
    """uint64 (pixel tiles, words, banks): which pixels of a tile lie in which bank.

    There are whole blocks of words: ``words``, and what they lack of a multiple of 4.
    """
    tile, place = _places(pixels)
    bits = np.zeros((len(starts), bank_count, 64 * (-(-words // 4) * 4)), bool)
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
    busy: np.ndarray,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Tiles of one dense pass each (any scheme's layers that are not gated, too).

    ``busy``, here and below: of the pass's rounds, as :func:`busy_of` returns it.
    """
    _first_pass(machine, beats, visits, busy, cycles, counts)
    _empty(machine, visits, counts)


def fixed_sparse(
    machine: Machine,
    base: Beats,
    visits: TileArrays,
    busy: np.ndarray,
    mask_group: int,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """The base pass of sparse hardware, decisions and emptying."""
    _first_pass(machine, base, visits, busy, cycles, counts)
    _decide(machine, visits, mask_group, cycles, counts)
    _empty(machine, visits, counts)


def fixed_clock_gated(
    machine: Machine,
    base: Beats,
    conditional: Beats,
    visits: TileArrays,
    busy: np.ndarray,
    conditional_busy: np.ndarray,
    mask_group: int,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """The gated scheme: its conditional pass visits every pixel, too, and reads every mask bit."""
    fixed_sparse(machine, base, visits, busy, mask_group, cycles, counts)
    run, busy = visits.finishes, conditional_busy
    _consecutive_pass(machine, conditional, visits, busy, run, 1, _CONDITIONAL, cycles, counts)
    lists = visits.finishes * _mask_lists(visits, mask_group)
    counts[:, _MASK_BITS] += lists * visits.pixels
    counts[:, _INDEX_WORDS] += lists * -(-visits.pixels // machine.word_bits)


def _consecutive_pass(
    machine: Machine,
    beats: Beats,
    visits: TileArrays,
    busy: np.ndarray,
    run: np.ndarray,
    groups: np.ndarray | int,
    cause: int,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """One pass over consecutive pixels where ``run`` is 1, ``groups`` equal pointer lists."""
    steps = steps_of(beats)
    rounds = run * -(-visits.pixels // machine.rows)
    # Tile by tile, which several visits share; one of fewer pixels has fewer rounds.
    pixels = np.zeros(busy.shape[1], np.int64)
    pixels[visits.pixel_tile] = visits.pixels
    there = np.arange(busy.shape[2]) < -(-pixels // machine.rows)[:, None]
    taken = round_cycles(machine, busy, machine.columns)
    own = visits.order if len(busy) > 1 else 0, visits.pixel_tile
    cycles[:, cause] += rounds * steps
    cycles[:, _BANK_STALL] += run * (there * (busy - steps)).sum(axis=2)[own]
    cycles[:, _DRAIN] += run * (there * (taken - busy)).sum(axis=2)[own]
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
    busy: np.ndarray,
    cycles: np.ndarray,
    counts: np.ndarray,
) -> None:
    """The dense or base pass of a tile; its partial sums stay, or leave for DRAM."""
    groups = -(-visits.width // machine.lane_group)
    run = visits.first
    _consecutive_pass(machine, beats, visits, busy, run, groups, _BASE, cycles, counts)
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
    counts[:, _ADDER] += machine.adds * (visits.width - lists) * pixels
    counts[:, _PSUM_BASE] += visits.loads * words
    counts[:, _PSUM_OUTPUT] += visits.compares * words
    cycles[:, _DRAIN] += visits.compares * visits.pixels


def _mask_lists(visits: TileArrays, mask_group: int) -> np.ndarray:
    """Mask lists that a channel tile has a channel of."""
    end = visits.channel_start + visits.width
    return -(-end // mask_group) - visits.channel_start // mask_group
