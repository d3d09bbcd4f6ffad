"""Index lists of a tile: what a decoder makes of them, and what they take in the index memory.

Loops over uint64 words, least significant bit first, unused bits 0; part of the cycle model
(hwsim.kernel), whose ``Machine`` every function takes.
"""

from __future__ import annotations

import numpy as np

from hwsim.counts import C
from hwsim.jit import compiled

FORMATS = {"bitmap": 0, "coordinate": 1, "run-length": 2}
BITMAP, _RUN_LENGTH = FORMATS["bitmap"], FORMATS["run-length"]
_MASK_BITS, _INDEX_WORDS = C["mask_bits_written"], C["index_words_read"]

_U0, _U1, _U2, _U4 = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(4)
_U8, _U16, _U32 = np.uint64(8), np.uint64(16), np.uint64(32)
_M1 = np.uint64(0x5555555555555555)
_M2 = np.uint64(0x3333333333333333)
_M4 = np.uint64(0x0F0F0F0F0F0F0F0F)
_LOW7 = np.uint64(0x7F)


@compiled
def popcount(word):
    """Ones of a uint64, without a multiplication: it must not overflow where JIT is disabled."""
    word = word - ((word >> _U1) & _M1)
    word = (word & _M2) + ((word >> _U2) & _M2)
    word = (word + (word >> _U4)) & _M4
    word = word + (word >> _U8)
    word = word + (word >> _U16)
    word = word + (word >> _U32)
    return np.int64(word & _LOW7)


@compiled
def _book(machine, slots, slot, spent, alike):
    """Equal lists' v_j in the S of their slot: the longest list's, or all of them one by one."""
    slots[slot] = slots[slot] + alike * spent if machine.shared else max(slots[slot], spent)


@compiled
def _lowest(word, ones):
    """The lowest ``ones`` ones of a word."""
    rest = word
    for _ in range(ones):
        rest &= rest - _U1
    return word ^ rest


@compiled
def decode_bitmap(machine, lists, row, pixels, alike, unions, slots):
    """Scan the bitmap ``lists[row]``; returns (rounds, ones, decoder cycles).

    Adds the list's pixels to the ``unions`` of their rounds and books its v_j(i) in ``slots``, for
    ``alike`` lane groups that follow it.
    """
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
            taken = rest if count == room else _lowest(rest, room)
            unions[current, word] |= taken << place
            rest ^= taken
            spent += room if each == 1 else -(-room // each)
            count -= room
            _book(machine, slots, current, spent, alike)
            total += spent
            current, room, spent = current + 1, machine.rows, 0
        if count:
            unions[current, word] |= rest << place
            spent += count if each == 1 else -(-count // each)
            room -= count
    _book(machine, slots, current, spent, alike)
    ones = (current + 1) * machine.rows - room
    return current + (room < machine.rows), ones, total + spent


@compiled
def _escapes(machine, gap):
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
            for escape in range(_escapes(machine, pixel - next_zero), -1, -1):
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
def store(machine, lists, row, pixels, alike, counts):
    """What ``alike`` equal lists of a tile take in the index memory: bits written, words read."""
    if machine.format == BITMAP:
        counts[_MASK_BITS] += alike * pixels
        counts[_INDEX_WORDS] += alike * -(-pixels // machine.word_bits)
        return
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
            symbols += _escapes(machine, pixel - next_zero) + 1
            next_zero = pixel + 1
    counts[_MASK_BITS] += alike * symbols * machine.symbol_bits
    words = -(-symbols // (machine.word_bits // machine.symbol_bits))
    counts[_INDEX_WORDS] += alike * words
