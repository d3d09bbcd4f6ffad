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
def _book(machine, slots, slot, spent):
    """One list's v_j in the S of its slot: the longest list's, or all of them one by one."""
    slots[slot] = slots[slot] + spent if machine.shared else max(slots[slot], spent)


@compiled
def decode_bitmap(machine, bits, words, unions, slots):
    """Scan one bitmap list of ``words`` index words; returns (rounds, ones, decoder cycles).

    Adds the list's pixels to the ``unions`` of their rounds and books its v_j(i) in ``slots``.
    """
    index_mask = ~_U0 >> np.uint64(64 - machine.word_bits)
    current, room, spent, ones, total = 0, machine.rows, 0, 0, 0
    for k in range(words):
        bit = k * machine.word_bits
        place = np.uint64(bit & 63)
        rest = (bits[bit >> 6] >> place) & index_mask
        if rest == _U0:
            spent += 1
            continue
        while rest != _U0:
            taken, count = rest, popcount(rest)
            if count > room:
                for _ in range(room):
                    rest &= rest - _U1
                taken, count = taken ^ rest, room
            else:
                rest = _U0
            unions[current, bit >> 6] |= taken << place
            spent += -(-count // machine.indices_per_cycle)
            ones += count
            room -= count
            if room == 0:
                _book(machine, slots, current, spent)
                total += spent
                current, room, spent = current + 1, machine.rows, 0
    _book(machine, slots, current, spent)
    return current + (room < machine.rows), ones, total + spent


@compiled
def _escapes(machine, gap):
    """Escape symbols before an index that follows ``gap`` zeros."""
    return gap // ((1 << machine.symbol_bits) - 1) if machine.format == _RUN_LENGTH else 0


@compiled
def decode_symbols(machine, bits, unions, slots):
    """The same for a coordinate or run-length list: symbol by symbol, cycle by cycle."""
    per_word = machine.word_bits // machine.symbol_bits
    current, room, spent, ones, total = 0, machine.rows, 0, 0, 0
    left, quota, next_zero = per_word, 0, 0
    for word in range(bits.size):
        rest = bits[word]
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
                    room, ones = room - 1, ones + 1
            next_zero = pixel + 1
            unions[current, word] |= lowest
            if room == 0:
                _book(machine, slots, current, spent)
                total += spent
                current, room, spent = current + 1, machine.rows, 0
    _book(machine, slots, current, spent)
    return current + (room < machine.rows), ones, total + spent


@compiled
def store(machine, bits, pixels, counts):
    """What one list of a tile takes in the index memory: bits written, words read."""
    if machine.format == BITMAP:
        counts[_MASK_BITS] += pixels
        counts[_INDEX_WORDS] += -(-pixels // machine.word_bits)
        return
    symbols, next_zero = 0, 0
    for word in range(bits.size):
        rest = bits[word]
        if machine.format != _RUN_LENGTH:
            symbols += popcount(rest)
            continue
        while rest != _U0:
            lowest = rest & ~(rest - _U1)
            rest ^= lowest
            pixel = word * 64 + popcount(lowest - _U1)
            symbols += _escapes(machine, pixel - next_zero) + 1
            next_zero = pixel + 1
    counts[_MASK_BITS] += symbols * machine.symbol_bits
    counts[_INDEX_WORDS] += -(-symbols // (machine.word_bits // machine.symbol_bits))
