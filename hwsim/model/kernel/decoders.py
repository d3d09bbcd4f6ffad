"""Index lists of a tile: what a decoder makes of them, and what they take in the index memory.

Loops over uint64 words, least significant bit first, unused bits 0; part of the cycle model
(hwsim.model.kernel.gated_layers), whose ``Machine`` every function takes.
"""

from __future__ import annotations

import numpy as np

from hwsim.counters import C
from hwsim.model.kernel.bits import lowest_ones, popcount
from hwsim.model.kernel.jit import compiled, inlined

FORMATS = {"bitmap": 0, "coordinate": 1, "run-length": 2}
BITMAP, _RUN_LENGTH = FORMATS["bitmap"], FORMATS["run-length"]
_MASK_BITS, _INDEX_WORDS = C["mask_bits_written"], C["index_words_read"]

_U0, _U1, _U32 = (np.uint64(n) for n in (0, 1, 32))
_LOW_HALF = np.uint64(0xFFFFFFFF)


@inlined
def _book(machine, slots, slot, spent, alike):
    """Equal lists' v_j in the S of their slot: the longest list's, or all of them one by one."""
    slots[slot] = slots[slot] + alike * spent if machine.shared else max(slots[slot], spent)


@inlined
def decode_bitmap(machine, lists, row, pixels, alike, unions, slots):
    """Scan the bitmap ``lists[row]``; returns (rounds, ones, decoder cycles).

    Adds the list's pixels to the ``unions`` of their rounds and books its v_j(i) in ``slots``, for
    ``alike`` lane groups that follow it.
    """
    if machine.indices_per_cycle == 1 and machine.word_bits >= 32:
        return _decode_one_a_cycle(machine, lists, row, pixels, alike, unions, slots)
    each, width = machine.indices_per_cycle, machine.word_bits
    index_mask = ~_U0 >> np.uint64(64 - width)
    current, room, spent, total = 0, machine.rows, 0, 0
    for bit in range(0, pixels, width):
        word, place = bit >> 6, np.uint64(bit & 63)
        rest = (lists[row, word] >> place) & index_mask
        if rest == _U0:
            spent += 1
            continue
        count = popcount(rest)
        while count >= room:
            taken = lowest_ones(rest, room)
            unions[current, word] |= taken << place
            rest ^= taken
            spent += -(-room // each)
            count -= room
            _book(machine, slots, current, spent, alike)
            total += spent
            current, room, spent = current + 1, machine.rows, 0
        if count:
            unions[current, word] |= rest << place
            spent += -(-count // each)
            room -= count
    _book(machine, slots, current, spent, alike)
    ones = (current + 1) * machine.rows - room
    return current + (room < machine.rows), ones, total + spent


@inlined
def _decode_one_a_cycle(machine, lists, row, pixels, alike, unions, slots):
    """The same where a one takes a cycle, wherever rounds are cut: whole words at a time.

    A slot takes its ones and the empty index words, of 32 or 64 bits, that it passes.
    """
    rows = machine.rows
    # An index word of 64 bits is taken for a low half; a list may end in one.
    low, high_halves = ~_U0, 0
    if machine.word_bits == 32:
        low, high_halves = _LOW_HALF, (pixels + 31) // 64
    # Unsigned: an index that may be negative is looked at before each use.
    current, found, cut, spent, total = _U0, 0, machine.rows, 0, 0
    for word in range(-(-pixels // 64)):
        rest = lists[row, word]
        ones = popcount(rest)
        high_empty = (rest >> _U32 == _U0) & (word < high_halves)
        spent += rest & low == _U0
        at = found
        found += ones
        while found >= cut:
            taken = lowest_ones(rest, cut - at)
            unions[current, word] |= taken
            rest ^= taken
            # Ones of earlier words are in ``spent`` already.
            spent += cut - at
            _book(machine, slots, current, spent, alike)
            total += spent
            at, current, cut, spent = cut, current + _U1, cut + rows, 0
        unions[current, word] |= rest
        spent += high_empty + found - at
    _book(machine, slots, current, spent, alike)
    return np.int64(current) + (found > cut - rows), found, total + spent


@compiled
def escapes(machine, gap):
    """Escape symbols before an index that follows ``gap`` zeros."""
    return gap // ((1 << machine.symbol_bits) - 1) if machine.format == _RUN_LENGTH else 0


@compiled
def decode_symbols(machine, lists, row, alike, unions, slots):
    """The same for a coordinate or run-length list: symbol by symbol, cycle by cycle."""
    per_word = machine.word_bits // machine.symbol_bits
    current, room, spent, total = 0, machine.rows, 0, 0
    left, quota, next_zero = per_word, 0, 0
    for word in range(lists.shape[1]):
        rest = lists[row, word]
        while rest != _U0:
            lowest = rest & ~(rest - _U1)
            rest ^= lowest
            pixel = word * 64 + popcount(lowest - _U1)
            for escape in range(escapes(machine, pixel - next_zero), -1, -1):
                if quota == 0:
                    quota = min(machine.indices_per_cycle, left, room)
                    spent += 1
                quota, left = quota - 1, left - 1
                if left == 0:
                    left = per_word
                if escape == 0:
                    room -= 1
            next_zero = pixel + 1
            unions[current, word] |= lowest
            if room == 0:
                _book(machine, slots, current, spent, alike)
                total += spent
                current, room, spent = current + 1, machine.rows, 0
    _book(machine, slots, current, spent, alike)
    ones = (current + 1) * machine.rows - room
    return current + (room < machine.rows), ones, total + spent


@compiled
def store_symbols(machine, lists, row, alike, counts):
    """What ``alike`` equal lists of symbols take in the index memory: bits written, words read."""
    symbols, next_zero = 0, 0
    for word in range(lists.shape[1]):
        rest = lists[row, word]
        if machine.format != _RUN_LENGTH:
            symbols += popcount(rest)
            continue
        while rest != _U0:
            lowest = rest & ~(rest - _U1)
            rest ^= lowest
            pixel = word * 64 + popcount(lowest - _U1)
            symbols += escapes(machine, pixel - next_zero) + 1
            next_zero = pixel + 1
    counts[_MASK_BITS] += alike * symbols * machine.symbol_bits
    words = -(-symbols // (machine.word_bits // machine.symbol_bits))
    counts[_INDEX_WORDS] += alike * words
