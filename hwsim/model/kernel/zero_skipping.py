"""Steps in which no pointer has an operand (docs/model/zero_skipping.md); part of the cycle model.

Here are rounds of listed pixels, and what they need: where words have how many channels that are
not zero. It is kept in bit planes over the pixels of the padded input. A round marks its output
pixels in one more of them; shifted by a tap, and cut with the planes of a word, it tells the most
operands that a pointer has there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.counters import C
from hwsim.model.kernel.bits import popcount
from hwsim.model.kernel.jit import allocating, copied, inlined
from hwsim.model.kernel.lanes import LANES
from hwsim.model.kernel.passes import CONFLICTS, EXACT
from hwsim.model.kernel.rounds import steps_of
from hwsim.model.kernel.run_ahead import play_late

_WORD_READS, _WEIGHT_READS = C["activation_word_reads"], C["weight_word_reads"]
_SKIPPED = C["steps_skipped"]

_BANDWIDTH = CONFLICTS["bandwidth"]

_U0, _U1, _LOW = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFF)

STRETCH = 32
"""Places that a vectorised loop goes through at once: none is left over."""


class Operands(NamedTuple):
    """The operands of a layer's inputs, batch by batch.

    ``planes`` uint32 (batches, words of pixels, places): plane k of a channel word is k * channel
    words behind it, and has the pixels where more than k + 1 of its channels are not zero. There
    are (A - 1) * channel words, and empty ones behind them up to a multiple of STRETCH.
    ``bases`` int64 (pixels of a batch,): the padded pixel of each output pixel's first tap;
    ``taps`` int64 (taps,): what a tap adds to it. ``starts`` int64 (pixel tiles,): first pixels.
    ``totals`` int64 (batches, orders, pixels of a batch): operands of each output pixel in the pass
    of free rows; without any but there.
    """

    planes: np.ndarray
    bases: np.ndarray
    taps: np.ndarray
    starts: np.ndarray
    totals: np.ndarray


class Walk(NamedTuple):
    """The channel words that a pass visits, for each group of output channels (order).

    ``ranges`` int64 (orders, 2, 2): from and to; ``counted`` uint32 (orders, A + 1, places): all
    ones at the planes of these words of which one more operand makes a beat longer than f cycles
    long; ``slots`` int64 (orders, channel words): at which beat the first tap of a word;
    ``per_tap``: beats from there to the next tap; ``beats`` of all.
    """

    ranges: np.ndarray
    counted: np.ndarray
    slots: np.ndarray
    per_tap: int
    beats: int


class Scratch(NamedTuple):
    """Of a round: marked pixels; planes cut with them; steps of each channel word's beat; none."""

    marked: np.ndarray
    cut: np.ndarray
    most: np.ndarray
    no_steps: np.ndarray


@allocating
def room_for_round(operands, walk):
    planes = operands.planes
    return Scratch(
        np.zeros(planes.shape[1] + 1, np.uint32),
        np.zeros(planes.shape[2], np.uint32),
        np.zeros(walk.slots.shape[1], np.int16),
        np.zeros((0, 0), np.int16),
    )


@allocating
def fill_planes(source, shape, edges, word_channels, block_channels, planes):
    """Count, bit by bit, into ``planes``, zeros, with an even number of words of pixels.

    ``source`` uint64 (images of all batches, ceil(bits / 64) + 1): bits (channel, y, x) of
    ``shape`` (channels, height, width); words start anew in every ``block_channels``; ``edges``:
    zeros above, to the left, below, to the right.
    """
    channels, height, width = shape
    batches, words = planes.shape[0], planes.shape[1] // 2
    images = source.shape[0] // batches
    top, left, bottom, right = edges[0], edges[1], edges[2], edges[3]
    wide, high = width + left + right, height + top + bottom
    block_words = -(-block_channels // word_channels)
    channel_words = channels // block_channels * block_words
    plane = np.zeros(words + 1, np.uint64)
    # Sorted: word k has a one where at least k + 1 channels have.
    least = np.zeros((word_channels, words), np.uint64)
    for b in range(batches):
        for number in range(channel_words):
            block, in_block = divmod(number, block_words)
            first = block * block_channels + in_block * word_channels
            last = min(first + word_channels, (block + 1) * block_channels)
            least[:] = _U0
            for channel in range(first, last):
                plane[:] = _U0
                for image in range(images):
                    row = source[b * images + image]
                    for y in range(height):
                        bit = (channel * height + y) * width
                        at = (image * high + y + top) * wide + left
                        _copy_bits(row, bit, plane, at, width)
                for word in range(words):
                    carried = plane[word]
                    for k in range(channel - first + 1):
                        both = least[k, word] & carried
                        least[k, word] |= carried
                        carried = both
            for word in range(words):
                for k in range(1, last - first):
                    place = (k - 1) * channel_words + number
                    planes[b, 2 * word, place] = np.uint32(least[k, word] & _LOW)
                    planes[b, 2 * word + 1, place] = np.uint32(least[k, word] >> np.uint64(32))


@inlined
def _copy_bits(source, bit, target, at, count):
    """OR ``count`` bits from ``bit`` on into ``target`` from ``at`` on."""
    for done in range(0, count, 64):
        few = min(64, count - done)
        word, shift = (bit + done) >> 6, (bit + done) & 63
        bits = source[word] >> np.uint64(shift)
        if shift:
            bits |= source[word + 1] << np.uint64(64 - shift)
        if few < 64:
            bits &= (_U1 << np.uint64(few)) - _U1
        word, shift = (at + done) >> 6, (at + done) & 63
        target[word] |= bits << np.uint64(shift)
        if shift:
            target[word + 1] |= bits >> np.uint64(64 - shift)


@copied
def cut_tap(planes, b, further, left, marked, low, high, cut):
    """Cut the planes with marked pixels, shifted: not zero where one of them is in a plane.

    ``further``, ``left``: words and bits of the shift; ``low``, ``high``: which words have pixels.
    """
    for place in range(cut.size):
        cut[place] = _U0
    for word in range(low, high + 2):
        shifted = np.uint64(marked[word]) << left
        if word:
            shifted |= np.uint64(marked[word - 1]) >> (np.uint64(32) - left)
        bits = np.uint32(shifted)
        if bits:
            for place in range(cut.size):
                cut[place] |= planes[b, word + further, place] & bits


@copied
def longer(cut, counted, own, cycles):
    """Steps, or cycles, by which a tap's beats are longer than so many cycles."""
    more = 0
    for place in range(cut.size):
        more += cut[place] & counted[own, cycles, place] != _U0
    return more


@copied
def keep_steps(walk, own, tap, depth, cut, most, steps, lane):
    """The steps of each beat of a tap, to a lane of ``steps`` (beats, LANES)."""
    channel_words, behind = most.size, tap * walk.per_tap
    for place in range(channel_words):
        most[place] = 1
    for k in range(depth):
        plane = np.uint64(k * channel_words)
        for place in range(np.uint64(channel_words)):
            most[place] += cut[plane + place] != _U0
    for part in range(2):
        for word in range(walk.ranges[own, part, 0], walk.ranges[own, part, 1]):
            steps[walk.slots[own, word] + behind, lane] = most[word]


@copied
def unhurried(machine, walk, few, waited, distinct):
    """Cycles of a round's beats where no bank runs ahead: of steps, or of steps and banks."""
    if machine.conflicts == EXACT:
        return waited
    if machine.conflicts == _BANDWIDTH:
        return max(few, -(-walk.beats * distinct // machine.banks))
    return few


@inlined
def read_words_skipping(
    machine, beats, operands, walk, own, b, tile, order, rounds, first, unions, in_bank, late,
    busy, spent, ahead, counts, scratch,
):  # fmt: skip
    """Steps and cycles of a tile's rounds' beats, to ``spent`` and ``busy`` from ``first`` on.

    ``own``: whose walk it is; ``order``: in which the rounds ask the banks. Those that wait for
    banks stay in ``late`` (Late) while they ask in one order. Leaves the unions empty for the next
    tile. One loop without calls that take arrays, and without views: they cost more than what is
    done here.
    """
    planes, bases, taps, starts, totals = operands
    marked, cut, most, no_steps = scratch
    held, orders, places, waiting = late
    depth = walk.counted.shape[1] - 2
    if ahead is None:
        steps = no_steps
    else:
        steps = ahead.steps
        if waiting[0] and orders[0] != order:
            play_late(ahead, late, busy)
    words_read, total = 0, 0
    for number in range(rounds):
        at_most, low, high = 1, marked.size, 0
        lane = waiting[0]
        for bank in range(machine.banks):
            held[lane, bank] = 0
        for word in range(unions.shape[1]):
            rest = unions[number, word]
            if rest == _U0:
                continue
            unions[number, word] = _U0
            for bank in range(machine.banks):
                held[lane, bank] += popcount(rest & in_bank[word, bank])
            pixel = starts[tile] + word * 64
            while rest != _U0:
                lowest = rest & ~(rest - _U1)
                rest ^= lowest
                place = pixel + popcount(lowest - _U1)
                if totals.size:
                    at_most = max(at_most, totals[b, own, place])
                else:
                    place = bases[place]
                    marked[place >> 5] |= np.uint32(1) << np.uint32(place & 31)
                    low, high = min(low, place >> 5), max(high, place >> 5)
        fullest, distinct = 0, 0
        for bank in range(machine.banks):
            fullest = max(fullest, held[lane, bank])
            distinct += held[lane, bank]
        words_read += distinct
        if totals.size:
            spent[first + number] = busy[first + number] = at_most
            total += at_most
            continue
        plays = machine.ahead > 0 and fullest > 1
        against = min(fullest, depth + 1)
        few, waited = walk.beats, walk.beats * max(1, fullest)
        for tap in range(taps.size):
            further, left = taps[tap] >> 5, np.uint64(taps[tap] & 31)
            cut_tap(planes, b, further, left, marked, low, high, cut)
            more = longer(cut, walk.counted, own, 0)
            few += more
            if plays:
                keep_steps(walk, own, tap, depth, cut, most, steps, lane)
            elif against > 1:
                waited += longer(cut, walk.counted, own, against)
            else:
                waited += more
        for word in range(low, high + 1):
            marked[word] = _U0
        spent[first + number] = few
        total += few
        busy[first + number] = unhurried(machine, walk, few, waited, distinct)
        if ahead is not None and plays:
            orders[lane], places[lane] = order, first + number
            waiting[0] += 1
            if waiting[0] == LANES:
                play_late(ahead, late, busy)
    counts[_WORD_READS] += words_read * walk.beats
    counts[_SKIPPED] += rounds * steps_of(beats) - total
    counts[_WEIGHT_READS] += machine.rows * total if totals.size else rounds * walk.beats
