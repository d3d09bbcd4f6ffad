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
from hwsim.model.kernel.jit import allocating, compiled, inlined
from hwsim.model.kernel.passes import TileArrays
from hwsim.model.kernel.rounds import busy_cycles, round_cycles, steps_of, waits
from hwsim.model.kernel.run_ahead import play_late, room_for_late
from hwsim.model.kernel.window import windowed_rounds
from hwsim.model.kernel.zero_skipping import read_words_skipping, room_for_round

_CONDITIONAL, _BANK_STALL = CAUSES.index("conditional"), CAUSES.index("bank_stall")
_DRAIN, _DECODE_STALL = CAUSES.index("drain"), CAUSES.index("decode_stall")
_MACS_CONDITIONAL, _MACS_GATED_OFF = C["macs_conditional"], C["macs_gated_off"]
_WORD_READS, _FILLS = C["activation_word_reads"], C["line_fills"]
_WEIGHT_READS, _DECODER = C["weight_word_reads"], C["decoder_cycles"]
_PSUM_READS, _PSUM_WRITES = C["psum_conditional_reads"], C["psum_conditional_writes"]
_MASK_BITS, _INDEX_WORDS = C["mask_bits_written"], C["index_words_read"]
_WINDOW = C["window_compares"]

_U0 = np.uint64(0)

BLOCK = 4
"""Words whose ones are counted at once; ``in_bank`` has whole blocks of words."""

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
def clock_gated_batches(machine, conditional, masked, results):
    """Batches of the clock-gated scheme: cycles are fixed, masked MACs and their updates gated."""
    tiles, masks, mask_group = masked.tiles, masked.masks, masked.mask_group
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


@allocating
def sparse_batches(machine, conditional, masked, computed, results, ahead, window, skipping):
    """Batches of sparse hardware: only the pixels of each lane group's list.

    A lane group's list is the OR of its channels' mask lists: unstructured (V = 1), structured (all
    equal), or lockstep. All tiles are decoded before any is timed: their rounds that wait for banks
    are played side by side.

    ``computed``, int64 (batches, visits): what each takes without a mask; its conditional pass is
    added. ``ahead`` (run_ahead.Ahead), ``window`` (window.Lists) and ``skipping``
    (zero_skipping.Operands, Walk and int64 (visits,), which group's walk each visit takes) are None
    on a machine without: the compiler leaves out what they need.
    """
    visits, words = masked.tiles.width.size, masked.masks.shape[3]
    # A round has a pixel at least with a window, and is full without; a slot follows the last one.
    most = words * 64 // (1 if machine.window else machine.rows) + 2
    unions = np.zeros((most, masked.in_bank.shape[1]), np.uint64)
    merged = np.zeros((1, words), np.uint64)
    # By tile, one behind the other: S_i, and cycles of each round's beats.
    slots, busy = np.empty(visits * most, np.int64), np.empty(visits * most, np.int64)
    spent = np.full(visits * most if skipping is not None else 1, steps_of(conditional))
    if window is None:
        slots[:] = 0
    firsts, rounds = np.zeros(visits, np.int64), np.zeros(visits, np.int64)
    # One round, or with run-ahead those that wait to be played.
    late = room_for_late(1 if ahead is None else WAITING, machine.banks)
    scratch = None if skipping is None else room_for_round(skipping[0], skipping[1])
    room = unions, merged, slots, busy, spent, firsts, rounds, late
    _run_batches(
        machine, conditional, masked, computed, results, ahead, window, skipping, room, scratch
    )


@compiled
def _run_batches(
    machine, conditional, masked, computed, results, ahead, window, skipping, room, scratch
):  # fmt: skip
    """The batches of :func:`sparse_batches`, one after the other, in its ``room``."""
    tiles, masks, mask_group, in_bank = masked
    cycles, counts, by_tile = results
    unions, merged, slots, busy, spent, firsts, rounds, late = room
    for b in range(masks.shape[0]):
        first = 0
        for t in range(tiles.width.size):
            firsts[t] = first
            if not tiles.finishes[t]:
                continue
            p, row = tiles.pixel_tile[t], b + by_tile * t
            rounds[t] = _decode(
                machine, conditional, tiles, t, masks[b, p], mask_group, merged, unions,
                slots[first:], window, counts[row],
            )  # fmt: skip
            if skipping is None:
                _read_words(
                    machine, conditional, tiles.order[t], rounds[t], first, unions, in_bank[p],
                    late, busy, ahead, counts[row],
                )  # fmt: skip
            else:
                operands, walk, groups = skipping
                read_words_skipping(
                    machine, conditional, operands, walk, groups[t], b, p, tiles.order[t],
                    rounds[t], first, unions, in_bank[p], late, busy, spent, ahead, counts[row],
                    scratch,
                )  # fmt: skip
            first += rounds[t] + 1
        if ahead is not None:
            play_late(ahead, late, busy)
        for t in range(tiles.width.size):
            if tiles.finishes[t]:
                row = b + by_tile * t
                computed[b, t] += _conditional_pass(
                    machine, conditional, rounds[t], firsts[t], slots, busy,
                    None if skipping is None else spent, cycles[row], counts[row],
                )  # fmt: skip


@inlined
def _decode(
    machine, conditional, tiles, t, masks, mask_group, merged, unions, slots, window, counts
):
    """All lists of a tile: fills unions and slots, counts; returns the rounds they need.

    Lane groups whose channels share one mask follow equal lists: one is decoded for all of them.
    Sums are kept aside, and divisions out of the loop: it turns once for 40 ns of decoding.
    """
    v, pixels, words = machine.lane_group, tiles.pixels[t], masks.shape[1]
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
            for word in range(words):
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
    machine, beats, order, rounds, first, unions, in_bank, late, busy, ahead, counts
):  # fmt: skip
    """Cycles of the beats of a tile's rounds, to ``busy`` from ``first`` on.

    Rounds that wait for banks stay in ``late`` until there are enough of them. Leaves the unions
    empty for the next tile.
    """
    held, orders, places, waiting = late
    words_read, lane = 0, waiting[0]
    for i in range(rounds):
        fullest, distinct = 0, 0
        if unions.shape[1] == BLOCK:
            a, b, c, d = unions[i, 0], unions[i, 1], unions[i, 2], unions[i, 3]
            unions[i, 0] = unions[i, 1] = unions[i, 2] = unions[i, 3] = _U0
            for bank in range(in_bank.shape[1]):
                found = (
                    popcount(a & in_bank[0, bank]) + popcount(b & in_bank[1, bank])
                    + popcount(c & in_bank[2, bank]) + popcount(d & in_bank[3, bank])
                )  # fmt: skip
                fullest = max(fullest, found)
                distinct += found
                if ahead is not None:
                    held[lane, bank] = found
        else:
            for bank in range(in_bank.shape[1]):
                held[lane, bank] = 0
            for word in range(unions.shape[1]):
                union = unions[i, word]
                if union != _U0:
                    unions[i, word] = _U0
                    for bank in range(in_bank.shape[1]):
                        held[lane, bank] += popcount(union & in_bank[word, bank])
            for bank in range(in_bank.shape[1]):
                fullest = max(fullest, held[lane, bank])
                distinct += held[lane, bank]
        words_read += distinct
        busy[first + i] = busy_cycles(machine, beats, fullest, distinct)
        if ahead is None:
            continue
        if waits(beats, fullest):
            orders[lane], places[lane] = order, first + i
            lane += 1
            if lane == WAITING:
                waiting[0] = lane
                play_late(ahead, late, busy)
                lane = 0
    waiting[0] = lane
    counts[_WORD_READS] += words_read * (beats.full + beats.short)


@inlined
def _conditional_pass(machine, beats, rounds, first, slots, busy, spent, cycles, counts):
    """A tile's rounds against the decoding of the next ones; returns its cycles.

    ``spent``: each round's steps where zeros are skipped. Leaves its slots empty for the next
    batch.
    """
    # Sums stay in registers: the compiler would write each to memory, which ``slots`` may lie in.
    stalled, worked, read, computed = slots[first], 0, 0, 0
    slots[first] = 0
    for i in range(first, first + rounds):
        reading = busy[i]
        taken = round_cycles(machine, reading, machine.lane_group)
        if spent is not None:
            worked += spent[i]
        read += reading
        computed += taken
        stalled += max(0, slots[i + 1] - taken)
        slots[i + 1] = 0
    if spent is None:
        worked = rounds * steps_of(beats)
        counts[_WEIGHT_READS] += worked
    if rounds and not machine.systolic:
        computed += machine.rows
    cycles[_CONDITIONAL] += worked
    cycles[_BANK_STALL] += read - worked
    cycles[_DRAIN] += computed - read
    cycles[_DECODE_STALL] += stalled
    return computed + stalled
