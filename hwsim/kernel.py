"""The cycle model: loops over int64 arrays and uint64 mask words (docs/timing.md).

Nothing here validates; the caller does. Every function works on one layer and one batch and fills
an array of cycles by cause, (tiles, len(CAUSES)), and one of counters, (tiles, len(COUNTERS)).
Masks come as words of a tile, least significant bit first, with unused bits 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.counts import CAUSES, C
from hwsim.jit import compiled
from hwsim.lists import BITMAP, decode_bitmap, decode_symbols, popcount, store

BASE, CONDITIONAL, BANK_STALL, DRAIN, DECODE_STALL, OUTPUT_STALL, DRAM_STALL = range(len(CAUSES))

_MACS_BASE, _MACS_CONDITIONAL, _MACS_GATED_OFF = (
    C["macs_base"],
    C["macs_conditional"],
    C["macs_gated_off"],
)
_WORD_READS, _FILLS, _WEIGHT_READS = (
    C["activation_word_reads"],
    C["line_fills"],
    C["weight_word_reads"],
)
_PSUM_BASE, _PSUM_READS, _PSUM_WRITES, _PSUM_OUTPUT = (
    C["psum_base_writes"],
    C["psum_conditional_reads"],
    C["psum_conditional_writes"],
    C["psum_output_reads"],
)
_MASK_BITS, _INDEX_WORDS, _DECODER = (
    C["mask_bits_written"],
    C["index_words_read"],
    C["decoder_cycles"],
)
_COMPARATOR, _ADDER, _OUTPUT = C["comparator_ops"], C["adder_ops"], C["output_ops"]

_U0, _U1 = np.uint64(0), np.uint64(1)


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
def _steps(beats):
    return beats.full * beats.full_steps + beats.short * beats.short_steps


@compiled
def _busy(beats, load):
    """Cycles of a round's beats: each takes max(steps, load)."""
    return beats.full * max(beats.full_steps, load) + beats.short * max(beats.short_steps, load)


@compiled
def _taken(machine, busy, width):
    """X: cycles of a round whose beats take ``busy``, on ``width`` columns."""
    if machine.systolic:
        return busy + machine.rows + width - 2
    return max(busy, machine.rows)


@compiled
def _load(machine, fullest, distinct):
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
    rows = machine.rows
    loads = np.zeros((starts.size, -(-pixels.max() // rows)), np.int64)
    held = np.zeros(machine.banks, np.int64)
    for tile in range(starts.size):
        end = starts[tile] + pixels[tile]
        for i in range(-(-pixels[tile] // rows)):
            start = starts[tile] + i * rows
            held[:] = 0
            for pixel in range(start, min(start + rows, end)):
                held[banks[pixel]] += 1
            loads[tile, i] = _load(machine, held.max(), held.sum())
    return loads


@compiled
def bank_masks(banks, starts, pixels, bank_count, words):
    """uint64 (pixel tiles, banks, words): which pixels of a tile lie in which bank."""
    masks = np.zeros((starts.size, bank_count, words), np.uint64)
    for tile in range(starts.size):
        for place in range(pixels[tile]):
            bank = banks[starts[tile] + place]
            masks[tile, bank, place >> 6] |= _U1 << np.uint64(place & 63)
    return masks


@compiled
def _consecutive_pass(machine, beats, loads, pixels, groups, cause, cycles, counts):
    """One pass over consecutive pixels, ``groups`` pointer lists alike."""
    rounds = -(-pixels // machine.rows)
    steps = _steps(beats)
    for i in range(rounds):
        busy = _busy(beats, loads[i])
        cycles[BANK_STALL] += busy - steps
        cycles[DRAIN] += _taken(machine, busy, machine.columns) - busy
    cycles[cause] += rounds * steps
    if not machine.systolic:
        cycles[DRAIN] += machine.rows
    counts[_WORD_READS] += pixels * (beats.full + beats.short)
    counts[_FILLS] += groups * pixels * (beats.full + beats.short)
    counts[_WEIGHT_READS] += rounds * steps


@compiled
def _first_pass(machine, beats, loads, tiles, t, cycles, counts):
    """The dense or base pass of a tile; its partial sums stay, or leave for DRAM."""
    width, pixels = tiles.width[t], tiles.pixels[t]
    words = -(-width // machine.lane_group) * pixels
    groups = -(-width // machine.lane_group)
    _consecutive_pass(machine, beats, loads, pixels, groups, BASE, cycles, counts)
    counts[_MACS_BASE] += width * pixels * _steps(beats)
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
    cycles[DRAIN] += tiles.compares[t] * pixels


@compiled
def dense_tiles(machine, beats, tiles, loads, cycles, counts):
    """Tiles of one dense pass each (any scheme's layers that are not gated, too)."""
    for t in range(tiles.width.size):
        _first_pass(machine, beats, loads[tiles.pixel_tile[t]], tiles, t, cycles[t], counts[t])
        _empty(machine, tiles, t, counts[t])


@compiled
def gated_tiles(machine, base, conditional, tiles, loads, masks, mask_group, cycles, counts):
    """Base and conditional pass over every pixel; masked MACs are clock-gated."""
    steps = _steps(conditional)
    for t in range(tiles.width.size):
        p, width, pixels = tiles.pixel_tile[t], tiles.width[t], tiles.pixels[t]
        if tiles.first[t]:
            _first_pass(machine, base, loads[p], tiles, t, cycles[t], counts[t])
        if not tiles.finishes[t]:
            continue
        _consecutive_pass(
            machine, conditional, loads[p], pixels, 1, CONDITIONAL, cycles[t], counts[t]
        )
        start = tiles.channel_start[t]
        first, last = start // mask_group, -(-(start + width) // mask_group)
        _decide(machine, last - first, tiles, t, cycles[t], counts[t])
        _empty(machine, tiles, t, counts[t])
        ones = 0
        any_pixels = 0
        for word in range(masks.shape[2]):
            union = _U0
            for row in range(first, last):
                lanes = min(start + width, (row + 1) * mask_group) - max(start, row * mask_group)
                union |= masks[p, row, word]
                ones += lanes * popcount(masks[p, row, word])
            any_pixels += popcount(union)
        counts[t, _MACS_CONDITIONAL] += ones * steps
        counts[t, _MACS_GATED_OFF] += (width * pixels - ones) * steps
        counts[t, _PSUM_READS] += any_pixels
        counts[t, _PSUM_WRITES] += any_pixels
        counts[t, _MASK_BITS] += (last - first) * pixels
        counts[t, _INDEX_WORDS] += (last - first) * -(-pixels // machine.word_bits)


@compiled
def _conditional_pass(machine, beats, rounds, unions, slots, in_bank, cycles, counts):
    """Rounds of the lane groups' lists against the decoding of the next ones."""
    steps = _steps(beats)
    cycles[DECODE_STALL] += slots[0]
    for i in range(rounds):
        fullest, distinct = 0, 0
        for bank in range(machine.banks):
            held = 0
            for word in range(unions.shape[1]):
                held += popcount(unions[i, word] & in_bank[bank, word])
            fullest = max(fullest, held)
            distinct += held
        busy = _busy(beats, _load(machine, fullest, distinct))
        taken = _taken(machine, busy, machine.lane_group)
        cycles[BANK_STALL] += busy - steps
        cycles[DRAIN] += taken - busy
        cycles[DECODE_STALL] += max(0, slots[i + 1] - taken)
        counts[_WORD_READS] += distinct * (beats.full + beats.short)
    if rounds and not machine.systolic:
        cycles[DRAIN] += machine.rows
    cycles[CONDITIONAL] += rounds * steps
    counts[_WEIGHT_READS] += rounds * steps


@compiled
def sparse_tiles(
    machine, base, conditional, tiles, loads, masks, mask_group, in_bank, cycles, counts
):
    """Base pass, then only the pixels of each lane group's list.

    ``masks`` uint64 (pixel tiles, mask lists, words); a lane group's list is the OR of the mask
    lists of its channels: unstructured (V = 1), structured (all equal), or lockstep.
    """
    v = machine.lane_group
    words = masks.shape[2]
    most_rounds = -(-(words * 64) // machine.rows) + 1
    unions = np.zeros((most_rounds, words), np.uint64)
    slots = np.zeros(most_rounds + 1, np.int64)
    bits = np.zeros(words, np.uint64)
    steps, beats = _steps(conditional), conditional.full + conditional.short
    for t in range(tiles.width.size):
        p, width, pixels = tiles.pixel_tile[t], tiles.width[t], tiles.pixels[t]
        if tiles.first[t]:
            _first_pass(machine, base, loads[p], tiles, t, cycles[t], counts[t])
        if not tiles.finishes[t]:
            continue
        start, end = tiles.channel_start[t], tiles.channel_start[t] + width
        mask_lists = -(-end // mask_group) - start // mask_group
        _decide(machine, mask_lists, tiles, t, cycles[t], counts[t])
        _empty(machine, tiles, t, counts[t])
        unions[:] = _U0
        slots[:] = 0
        index_words = -(-pixels // machine.word_bits)
        if machine.lockstep:
            for row in range(start // mask_group, start // mask_group + mask_lists):
                store(machine, masks[p, row], pixels, counts[t])
        rounds = 0
        for lane in range(start, end, v):
            lane_end = min(lane + v, end)
            first, last = lane // mask_group, -(-lane_end // mask_group)
            bits[:] = _U0
            ones = 0
            for row in range(first, last):
                lanes = min(lane_end, (row + 1) * mask_group) - max(lane, row * mask_group)
                for word in range(words):
                    bits[word] |= masks[p, row, word]
                    ones += lanes * popcount(masks[p, row, word])
            if not machine.lockstep:
                store(machine, bits, pixels, counts[t])
            if machine.format == BITMAP:
                list_rounds, list_ones, decoder = decode_bitmap(
                    machine, bits, index_words, unions, slots
                )
            else:
                list_rounds, list_ones, decoder = decode_symbols(machine, bits, unions, slots)
            rounds = max(rounds, list_rounds)
            counts[t, _MACS_CONDITIONAL] += ones * steps
            counts[t, _MACS_GATED_OFF] += ((lane_end - lane) * list_ones - ones) * steps
            counts[t, _FILLS] += list_ones * beats
            counts[t, _PSUM_READS] += list_ones
            counts[t, _PSUM_WRITES] += list_ones
            counts[t, _DECODER] += decoder
        _conditional_pass(
            machine, conditional, rounds, unions, slots, in_bank[p], cycles[t], counts[t]
        )


@compiled
def layer_stalls(tile_cycles, emptied, loads, stores, exposed):
    """(output stall, DRAM stall) of a layer's visits in loop order.

    ``emptied`` int64 (tiles,): pixels that the output stage empties behind each.
    ``loads`` int64 (tiles + 1,): load_k in DMA cycles, the last being the next layer's weights;
    ``stores`` (tiles,): store_k; ``exposed`` (tiles,): weight loads that nothing hides.
    """
    output, dram = 0, loads[0]
    last = tile_cycles.size - 1
    for k in range(last + 1):
        emptying = emptied[k - 1] if k else 0
        storing = stores[k - 1] if k else 0
        computing = max(tile_cycles[k], emptying)
        output += computing - tile_cycles[k]
        dram += max(0, storing + loads[k + 1] - computing) + exposed[k]
    output += emptied[last]
    dram += max(0, stores[last] - emptied[last])
    return output, dram
