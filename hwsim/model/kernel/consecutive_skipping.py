"""Rounds of consecutive pixels, where steps without operands are skipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.model.kernel.jit import allocating, inlined
from hwsim.model.kernel.lanes import LANES
from hwsim.model.kernel.passes import CONFLICTS
from hwsim.model.kernel.run_ahead import Ahead, play_rounds
from hwsim.model.kernel.zero_skipping import cut_tap, keep_steps, longer, room_for_round, unhurried

_U0, _U1 = np.uint64(0), np.uint64(1)

_BANDWIDTH = CONFLICTS["bandwidth"]


@inlined
def _mark_consecutive(operands, begin, end, scratch):
    marked = scratch.marked
    for pixel in range(begin, end):
        at = operands.bases[pixel]
        marked[at >> 5] |= np.uint32(1) << np.uint32(at & 31)
    return operands.bases[begin] >> 5, operands.bases[end - 1] >> 5


@allocating
def skip_consecutive(machine, operands, walk, ahead, banks, words, pixels, spent, busy):
    """Steps and cycles of the beats of all rounds of consecutive pixels.

    ``words`` int64 (pixel tiles, rounds, banks): of each round in each bank; ``pixels`` int64
    (pixel tiles,); ``spent``, ``busy``: int64 (batches, orders, pixel tiles, rounds). ``ahead`` is
    None on a machine without; ``banks`` int64 (orders,): which of its shifts an order has.
    """
    scratch = room_for_round(operands, walk)
    orders = walk.ranges.shape[0]
    few, waited = np.zeros(orders, np.int64), np.zeros(orders, np.int64)
    if ahead is not None:
        held = _held(ahead, words.shape[2])
    for b in range(spent.shape[0]):
        for tile in range(pixels.size):
            for number in range(-(-pixels[tile] // machine.rows)):
                begin = operands.starts[tile] + number * machine.rows
                end = min(begin + machine.rows, operands.starts[tile] + pixels[tile])
                if operands.totals.size:
                    for order in range(orders):
                        most = 1
                        for pixel in range(begin, end):
                            most = max(most, operands.totals[b, order, pixel])
                        spent[b, order, tile, number] = busy[b, order, tile, number] = most
                    continue
                fullest, distinct = 0, 0
                for bank in range(words.shape[2]):
                    fullest = max(fullest, words[tile, number, bank])
                    distinct += words[tile, number, bank]
                span = _mark_consecutive(operands, begin, end, scratch)
                _consecutive_taps(operands, walk, b, span, fullest, scratch, few, waited)
                for order in range(orders):
                    spent[b, order, tile, number] = few[order]
                    busy[b, order, tile, number] = unhurried(
                        machine, walk, few[order], waited[order], distinct
                    )
                    if ahead is not None and fullest > 1:
                        row = banks[order]
                        lane = held.late[row]
                        _keep_round(operands, walk, b, order, span, scratch, held.steps[row], lane)
                        held.words[row, lane] = words[tile, number]
                        held.places[row, lane, 0], held.places[row, lane, 1] = b, order
                        held.places[row, lane, 2], held.places[row, lane, 3] = tile, number
                        held.late[row] += 1
                        if held.late[row] == LANES:
                            _play_held(ahead, held, row, busy)
                for word in range(span[0], span[1] + 1):
                    scratch.marked[word] = _U0
    if ahead is not None:
        for row in range(held.late.size):
            _play_held(ahead, held, row, busy)


@inlined
def _consecutive_taps(operands, walk, b, span, fullest, scratch, few, waited):
    """Steps of a marked round's beats, and what they take where no bank runs ahead, by order."""
    planes, taps = operands.planes, operands.taps
    marked, cut = scratch.marked, scratch.cut
    against = min(fullest, walk.counted.shape[1] - 1)
    for order in range(few.size):
        few[order], waited[order] = walk.beats, walk.beats * max(1, fullest)
    for tap in range(taps.size):
        further, left = taps[tap] >> 5, np.uint64(taps[tap] & 31)
        cut_tap(planes, b, further, left, marked, span[0], span[1], cut)
        for order in range(few.size):
            more = longer(cut, walk.counted, order, 0)
            later = longer(cut, walk.counted, order, against) if against > 1 else more
            few[order] += more
            waited[order] += later


@inlined
def _keep_round(operands, walk, b, own, span, scratch, steps, lane):
    """Steps of each of a marked round's beats, to a lane of ``steps`` (beats, LANES)."""
    planes, taps = operands.planes, operands.taps
    marked, cut, most = scratch.marked, scratch.cut, scratch.most
    depth = walk.counted.shape[1] - 2
    for tap in range(taps.size):
        further, left = taps[tap] >> 5, np.uint64(taps[tap] & 31)
        cut_tap(planes, b, further, left, marked, span[0], span[1], cut)
        keep_steps(walk, own, tap, depth, cut, most, steps, lane)


class _Held(NamedTuple):
    """Rounds that wait to be played, for each order in which they ask the banks: LANES at most.

    Their steps (orders, beats, LANES), words in banks, places in ``busy``, and how many there are.
    """

    steps: np.ndarray
    words: np.ndarray
    places: np.ndarray
    late: np.ndarray


@allocating
def _held(ahead, banks):
    orders, beats = ahead.shifts.shape
    return _Held(
        np.zeros((orders, beats, LANES), ahead.steps.dtype),
        np.zeros((orders, LANES, banks), np.int64),
        np.zeros((orders, LANES, 4), np.int64),
        np.zeros(orders, np.int64),
    )


@allocating
def _play_held(ahead, held, row, busy):
    late = held.late[row]
    ends = np.zeros(late, np.int64)
    own = Ahead(ahead.shifts, held.steps[row], ahead.ahead, ahead.span)
    play_rounds(own, np.full(late, row), held.words[row, :late], ends)
    for lane in range(late):
        places = held.places[row, lane]
        busy[places[0], places[1], places[2], places[3]] = ends[lane]
    held.late[row] = 0
