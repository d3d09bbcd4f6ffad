"""Rounds in which banks run ahead of the array (docs/model/run_ahead.md); part of the cycle model.

A few rounds at a time, which are independent of each other: side by side they fill the lanes of
vector instructions, where the banks of one round would have to wait for their maximum in each beat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.model.kernel.jit import allocating, compiled
from hwsim.model.kernel.lanes import LANES, STRIP, play

LEAST_SPAN = 16
"""Beats that 16 bits have to hold."""


class BeatSequence(NamedTuple):
    """The beats of a pass's rounds, one behind the other.

    ``shifts`` int64 (orders, beats): from which bank on a beat finds its words in bank 0, 1, ...,
    for each order of beats that a layer's tiles have. ``steps`` (beats,): of each beat.
    """

    shifts: np.ndarray
    steps: np.ndarray


class Ahead(NamedTuple):
    """A pass whose rounds wait for banks, which may be ``ahead`` (Q) beats of the array.

    As BeatSequence; the type of ``steps`` is that of all times. They are counted anew every
    ``span`` beats. Where zeros are skipped ``steps`` are (beats, LANES), of the rounds in play.
    """

    shifts: np.ndarray
    steps: np.ndarray
    ahead: int
    span: int


def ahead_of(sequence: BeatSequence, ahead: int, most: int) -> Ahead:
    """The same beats, Q = ``ahead``, where a round has at most ``most`` words in a bank.

    16 bits hold twice as many times in a vector as 32, if those of enough beats fit.
    """
    longest = max(most, int(sequence.steps.max(initial=1)))
    for kind in (np.int16, np.int32):
        span = int(np.iinfo(kind).max) // longest - ahead - 1
        if span >= LEAST_SPAN:
            break
    return Ahead(sequence.shifts, sequence.steps.astype(kind), ahead, span)


class _Room(NamedTuple):
    """LANES rounds in play.

    ``words`` (banks and the first ones once more, LANES); ``served`` (rows of banks, LANES): F_b;
    ``starts`` (Q + 1, LANES): E of the last beats, in a ring.
    """

    words: np.ndarray
    served: np.ndarray
    starts: np.ndarray


@allocating
def _aligned(rows, steps):
    """Zeros (rows, LANES) from a cache line's start on: what crosses one takes twice as long."""
    line = 64 // steps.itemsize
    memory = np.zeros(rows * LANES + line, steps.dtype)
    first = -memory.ctypes.data % 64 // steps.itemsize
    return memory[first : first + rows * LANES].reshape(rows, LANES)


class Late(NamedTuple):
    """Rounds of a batch that wait to be played together.

    int64: ``held`` (most, banks) their words in each bank, ``orders`` and ``places`` (most,) of
    their beats and in the cycles of all rounds; ``waiting`` (1,): how many there are.
    """

    held: np.ndarray
    orders: np.ndarray
    places: np.ndarray
    waiting: np.ndarray


@allocating
def room_for_late(most, banks):
    return Late(
        np.zeros((most, banks), np.int64),
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
        np.zeros(1, np.int64),
    )


@allocating
def play_late(ahead, late, busy):
    """Play the rounds that wait for banks, to their places in ``busy``; none is left."""
    held, orders, places, waiting = late
    few = waiting[0]
    ends = np.zeros(few, np.int64)
    play_rounds(ahead, orders[:few], held[:few], ends)
    for number in range(few):
        busy[places[number]] = ends[number]
    waiting[0] = 0


@allocating
def play_rounds(ahead, orders, words, ends):
    """Cycles of the beats of rounds, to ``ends`` (rounds,): each by its order and words in banks.

    ``orders`` int64 (rounds,), ``words`` int64 (rounds, banks). Rounds of one order go together.
    """
    banks = words.shape[1]
    rows = -(-banks // STRIP) * STRIP
    room = _Room(
        _aligned(banks + rows, ahead.steps),
        _aligned(rows, ahead.steps),
        _aligned(ahead.ahead + 1, ahead.steps),
    )
    chosen = np.zeros(LANES, np.int64)
    for order in range(ahead.shifts.shape[0]):
        late = 0
        for number in range(orders.size):
            if orders[number] != order:
                continue
            for bank in range(banks):
                room.words[bank, late] = words[number, bank]
            chosen[late] = number
            late += 1
            if late == LANES:
                _play(ahead, order, room, chosen, ends)
                late = 0
        if late:
            _play(ahead, order, room, chosen[:late], ends)


@compiled
def _play(ahead, order, room, chosen, ends):
    """Play rounds of one order, which lie in lanes, side by side."""
    words, served, starts = room
    banks = words.shape[0] - served.shape[0]
    for row in range(served.shape[0]):
        for lane in range(LANES):
            words[banks + row, lane] = words[row, lane]
            served[row, lane] = 0
    for row in range(starts.shape[0]):
        for lane in range(LANES):
            starts[row, lane] = 0
    for number in chosen:
        ends[number] = 0
    shifts, steps, now = ahead.shifts[order], ahead.steps, 0
    for first in range(0, steps.shape[0], ahead.span):
        if first:
            _count_anew(served, starts, now, chosen, ends)
        end = first + ahead.span
        now = play(words, shifts[first:end], steps[first:end], served, starts, now)
    for lane in range(chosen.size):
        ends[chosen[lane]] += starts[now, lane]


@compiled
def _count_anew(served, starts, now, chosen, ends):
    """Count times from the last start on; a bank free for longer has been so for Q beats."""
    oldest = now + 1 if now + 1 < starts.shape[0] else 0
    for lane in range(LANES):
        zero = starts[now, lane]
        if lane < chosen.size:
            ends[chosen[lane]] += zero
        for row in range(served.shape[0]):
            served[row, lane] = max(served[row, lane], starts[oldest, lane]) - zero
        for row in range(starts.shape[0]):
            starts[row, lane] -= zero
