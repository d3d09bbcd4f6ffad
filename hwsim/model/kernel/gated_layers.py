"""The cycle model: loops over int64 arrays and uint64 mask words (docs/model/passes.md).

Nothing here validates; the caller does. What no mask changes is in ``passes``; here are
batches of images, whose visits take what their masks make them take. Functions add to cycles by
cause and counters, whose last axes are CAUSES and COUNTERS. Masks come as words of a tile, least
significant bit first, with unused bits 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.counters import CAUSES, C
from hwsim.model.kernel.bits import popcount
from hwsim.model.kernel.decoders import BITMAP, decode_bitmap, decode_symbols, store_symbols
from hwsim.model.kernel.jit import compiled, inlined
from hwsim.model.kernel.passes import TileArrays
from hwsim.model.kernel.pipeline import finish, start, visit
from hwsim.model.kernel.rounds import busy_cycles, round_cycles, steps_of, waits
from hwsim.model.kernel.run_ahead import play_rounds
from hwsim.model.kernel.window import windowed_rounds

_CONDITIONAL, _BANK_STALL = CAUSES.index("conditional"), CAUSES.index("bank_stall")
_DRAIN, _DECODE_STALL = CAUSES.index("drain"), CAUSES.index("decode_stall")
_MACS_CONDITIONAL, _MACS_GATED_OFF = C["macs_conditional"], C["macs_gated_off"]
_WORD_READS, _FILLS = C["activation_word_reads"], C["line_fills"]
_WEIGHT_READS, _DECODER = C["weight_word_reads"], C["decoder_cycles"]
_PSUM_READS, _PSUM_WRITES = C["psum_conditional_reads"], C["psum_conditional_writes"]
_MASK_BITS, _INDEX_WORDS = C["mask_bits_written"], C["index_words_read"]
_WINDOW = C["window_compares"]

_U0 = np.uint64(0)

WAITING = 256
"""Rounds of a batch that wait to be played together."""


class Masked(NamedTuple):
    """Visits of a layer and the masks of its batches.

    ``masks`` uint64 (batches, pixel tiles, mask lists, words), a list deciding for ``mask_group``
    channels; ``in_bank`` uint64 (pixel tiles, words, banks): which pixels are in which bank.
    """

    tiles: TileArrays
    masks: np.ndarray
    mask_group: int
    in_bank: np.ndarray


@compiled
def dense_batches(transfers, batches, results):
    """Batches whose visits all take ``transfers.computed`` cycles: the stalls between them."""
    for b in range(batches):
        clock = start(transfers, b)
        for t in range(transfers.computed.size):
            clock = visit(transfers, b, t, transfers.computed[t], clock)
        finish(clock, results.cycles[b + results.by_tile * (transfers.computed.size - 1)])


@compiled
def clock_gated_batches(machine, conditional, masked, transfers, results):
    """Batches of the clock-gated scheme: cycles are fixed, masked MACs and their updates gated."""
    tiles, masks, mask_group = masked.tiles, masked.masks, masked.mask_group
    dense_batches(transfers, masks.shape[0], results)
    steps = steps_of(conditional)
    for b in range(masks.shape[0]):
        for t in range(tiles.width.size):
            if not tiles.finishes[t]:
                continue
            p, start, width = tiles.pixel_tile[t], tiles.channel_start[t], tiles.width[t]
            ones, any_pixels = 0, 0
            for word in range(masks.shape[3]):
                union = _U0
                for row in range(start // mask_group, -(-(start + width) // mask_group)):
                    lanes = _lanes(start, start + width, row, mask_group)
                    union |= masks[b, p, row, word]
                    ones += lanes * popcount(masks[b, p, row, word])
                any_pixels += popcount(union)
            at = results.counts[b + results.by_tile * t]
            at[_MACS_CONDITIONAL] += ones * steps
            at[_MACS_GATED_OFF] += (width * tiles.pixels[t] - ones) * steps
            at[_PSUM_READS] += machine.adds * any_pixels
            at[_PSUM_WRITES] += any_pixels


@compiled
def _lanes(start, end, row, mask_group):
    """Columns from ``start`` to ``end`` whose mask is ``row``."""
    return min(end, (row + 1) * mask_group) - max(start, row * mask_group)


@compiled
def sparse_batches(machine, conditional, masked, transfers, results, ahead, window):
    """Batches of sparse hardware: only the pixels of each lane group's list.

    A lane group's list is the OR of its channels' mask lists: unstructured (V = 1), structured (all
    equal), or lockstep. All tiles are decoded before any is timed: their rounds that wait for banks
    are played side by side.

    ``ahead`` (run_ahead.Ahead) and ``window`` (window.Lists) are None on a machine without: the
    compiler leaves out what they need.
    """
    tiles, masks, mask_group, in_bank = masked
    cycles, counts, by_tile = results
    visits, words = tiles.width.size, masks.shape[3]
    # A round has a pixel at least with a window, and is full without; a slot follows the last one.
    most = words * 64 // (1 if machine.window else machine.rows) + 2
    unions = np.zeros((most, words), np.uint64)
    merged = np.zeros((1, words), np.uint64)
    # By tile, one behind the other: S_i, and cycles of each round's beats.
    slots, busy = np.empty(visits * most, np.int64), np.empty(visits * most, np.int64)
    if window is None:
        slots[:] = 0
    firsts, rounds = np.zeros(visits, np.int64), np.zeros(visits, np.int64)
    # Words in each bank of a round; with run-ahead, of those that wait to be played.
    held = np.zeros((1 if ahead is None else WAITING, machine.banks), np.int64)
    orders, places = np.zeros(held.shape[0], np.int64), np.zeros(held.shape[0], np.int64)
    for b in range(masks.shape[0]):
        first, late = 0, 0
        for t in range(tiles.width.size):
            firsts[t] = first
            if not tiles.finishes[t]:
                continue
            p, row = tiles.pixel_tile[t], b + by_tile * t
            rounds[t] = _decode(
                machine, conditional, tiles, t, masks[b, p], mask_group, merged, unions,
                slots[first:], window, counts[row],
            )  # fmt: skip
            late = _read_words(
                machine, conditional, tiles.order[t], rounds[t], first, unions, in_bank[p], held,
                orders, places, busy, late, ahead, counts[row],
            )  # fmt: skip
            first += rounds[t] + 1
        if ahead is not None:
            _play_late(ahead, held, orders, places, late, busy)
        clock = start(transfers, b)
        for t in range(tiles.width.size):
            spent = transfers.computed[t]
            if tiles.finishes[t]:
                row = b + by_tile * t
                spent += _conditional_pass(
                    machine, conditional, rounds[t], firsts[t], slots, busy, cycles[row],
                    counts[row],
                )  # fmt: skip
            clock = visit(transfers, b, t, spent, clock)
        finish(clock, cycles[b + by_tile * (tiles.width.size - 1)])


@inlined
def _decode(
    machine, conditional, tiles, t, masks, mask_group, merged, unions, slots, window, counts
):
    """All lists of a tile: fills unions and slots, counts; returns the rounds they need.

    Lane groups whose channels share one mask follow equal lists: one is decoded for all of them.
    Sums are kept aside, and divisions out of the loop: it turns once for 40 ns of decoding.
    """
    v, pixels = machine.lane_group, tiles.pixels[t]
    lane, end = tiles.channel_start[t], tiles.channel_start[t] + tiles.width[t]
    bitmaps, mask = machine.format == BITMAP, lane // mask_group
    if bitmaps:
        stored = -(-end // mask_group) - mask if machine.lockstep else -(-tiles.width[t] // v)
        counts[_MASK_BITS] += stored * pixels
        counts[_INDEX_WORDS] += stored * -(-pixels // machine.word_bits)
    elif machine.lockstep:
        for each in range(mask, -(-end // mask_group)):
            store_symbols(machine, masks, each, 1, counts)
    rounds, ones_run, lanes_run, pointers, decoder_cycles, kept = 0, 0, 0, 0, 0, 0
    if window is not None:
        left, followers = window.left, window.alike
    while lane < end:
        while (mask + 1) * mask_group <= lane:
            mask += 1
        shared_end = min((mask + 1) * mask_group, end)
        alike = shared_end - lane
        if v > 1:
            alike = (alike + (v - 1 if shared_end == end else 0)) // v
        if alike:
            lists, row, ones = masks, mask, -1
            lane_end = min(lane + alike * v, end)
        else:
            alike, lane_end = 1, min(lane + v, end)
            lists, row, ones = merged, 0, _merge(masks, mask_group, lane, lane_end, merged)
        if window is not None:
            list_ones, followers[kept] = 0, alike
            for word in range(masks.shape[1]):
                left[kept, word] = lists[row, word]
                list_ones += popcount(lists[row, word])
            found = 0, list_ones, 0
            kept += 1
        elif bitmaps:
            found = decode_bitmap(machine, lists, row, pixels, alike, unions, slots)
        else:
            found = decode_symbols(machine, lists, row, alike, unions, slots)
        if not (bitmaps or machine.lockstep):
            store_symbols(machine, lists, row, alike, counts)
        list_rounds, list_ones, spent = found
        rounds = max(rounds, list_rounds)
        lanes_run += (lane_end - lane) * list_ones
        ones_run += (lane_end - lane) * list_ones if ones < 0 else ones
        pointers += alike * list_ones
        decoder_cycles += alike * spent
        lane = lane_end
    if window is not None:
        rounds, decoder_cycles = windowed_rounds(machine, window, kept, pixels, unions, slots)
        groups = -(-tiles.width[t] // v)
        counts[_WINDOW] += rounds * (groups * (machine.rows + 1) - 1)
    steps = steps_of(conditional)
    counts[_MACS_CONDITIONAL] += ones_run * steps
    counts[_MACS_GATED_OFF] += (lanes_run - ones_run) * steps
    counts[_FILLS] += pointers * (conditional.full + conditional.short)
    counts[_PSUM_READS] += machine.adds * pointers
    counts[_PSUM_WRITES] += pointers
    counts[_DECODER] += decoder_cycles
    return rounds


@compiled
def _merge(masks, mask_group, lane, lane_end, merged):
    """The OR of the masks of these lanes as list 0 of ``merged``; returns the lanes' own ones."""
    ones = 0
    for word in range(masks.shape[1]):
        merged[0, word] = _U0
        for mask in range(lane // mask_group, -(-lane_end // mask_group)):
            merged[0, word] |= masks[mask, word]
            ones += _lanes(lane, lane_end, mask, mask_group) * popcount(masks[mask, word])
    return ones


@inlined
def _read_words(
    machine, beats, order, rounds, first, unions, in_bank, held, orders, places, busy, late, ahead,
    counts,
):  # fmt: skip
    """Cycles of the beats of a tile's rounds, to ``busy`` from ``first`` on.

    Rounds that wait for banks stay in ``held`` until there are enough of them; returns how many do.
    Leaves the unions empty for the next tile.
    """
    words_read = 0
    for i in range(rounds):
        words = held[late]
        words[:] = 0
        for word in range(unions.shape[1]):
            union = unions[i, word]
            if union != _U0:
                unions[i, word] = _U0
                for bank in range(words.size):
                    words[bank] += popcount(union & in_bank[word, bank])
        fullest, distinct = 0, 0
        for bank in range(words.size):
            fullest = max(fullest, words[bank])
            distinct += words[bank]
        words_read += distinct
        busy[first + i] = busy_cycles(machine, beats, fullest, distinct)
        if ahead is None:
            continue
        if waits(beats, fullest):
            orders[late], places[late] = order, first + i
            late += 1
            if late == WAITING:
                late = _play_late(ahead, held, orders, places, late, busy)
    counts[_WORD_READS] += words_read * (beats.full + beats.short)
    return late


@compiled
def _play_late(ahead, held, orders, places, late, busy):
    """Play the rounds that wait for banks; none is left."""
    ends = np.zeros(late, np.int64)
    play_rounds(ahead, orders[:late], held[:late], ends)
    for number in range(late):
        busy[places[number]] = ends[number]
    return 0


@inlined
def _conditional_pass(machine, beats, rounds, first, slots, busy, cycles, counts):
    """A tile's rounds against the decoding of the next ones; returns its cycles.

    Leaves its slots empty for the next batch.
    """
    steps, stalled, computed = steps_of(beats), slots[first], 0
    slots[first] = 0
    for i in range(first, first + rounds):
        taken = round_cycles(machine, busy[i], machine.lane_group)
        cycles[_BANK_STALL] += busy[i] - steps
        cycles[_DRAIN] += taken - busy[i]
        computed += taken
        stalled += max(0, slots[i + 1] - taken)
        slots[i + 1] = 0
    if rounds and not machine.systolic:
        cycles[_DRAIN] += machine.rows
        computed += machine.rows
    cycles[_CONDITIONAL] += rounds * steps
    cycles[_DECODE_STALL] += stalled
    counts[_WEIGHT_READS] += rounds * steps
    return computed + stalled
