"""Rounds that a window chooses from the lists of a tile (docs/model/window.md).

Loops over uint64 words, least significant bit first, unused bits 0; part of the cycle model. The
indices in a buffer are the first ones of its list that have not been taken yet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwsim.model.kernel.bits import lowest_ones, popcount
from hwsim.model.kernel.decoders import BITMAP, escapes
from hwsim.model.kernel.jit import compiled, inlined

_U0, _U1 = np.uint64(0), np.uint64(1)


class Lists(NamedTuple):
    """The lists of a tile on their way through decoders and buffers.

    ``left`` and ``undecoded`` uint64 (lists, words): ones not taken yet, and not decoded yet.
    int64 (lists,): ``alike`` lane groups that follow the list; ``ones`` that are left, of which the
    first R are in the buffer whenever a round may start; ``following``, the first one, or _NONE;
    ``walks``: whether a decoder's cycles are not simply the indices that it emits. ``decoder``
    (4, lists) then says where it is, in the order of the names below.
    """

    left: np.ndarray
    undecoded: np.ndarray
    alike: np.ndarray
    ones: np.ndarray
    following: np.ndarray
    walks: np.ndarray
    decoder: np.ndarray


_WORD, _IN_WORD, _ESCAPES, _COVERED = range(4)
"""At which index word (or which 64 pixels of symbols); how many ones or symbols of it are left;
escapes before the next index; pixels decoded."""

_NONE = 1 << 62


def room_for_lists(lists: int, words: int) -> Lists:
    """Memory of so many lists."""
    left, undecoded = np.zeros((2, lists, words), np.uint64)
    alike, ones, following, walks = np.zeros((4, lists), np.int64)
    decoder = np.zeros((4, lists), np.int64)
    return Lists(left, undecoded, alike, ones, following, walks, decoder)


@inlined
def _lowest(bits):
    """Place of the lowest one of a word that has one."""
    return popcount((bits & ~(bits - _U1)) - _U1)


@compiled
def windowed_rounds(machine, kept, lists, pixels, unions, slots):
    """Fill ``unions`` and ``slots`` from the first ``lists`` (``left``, ``alike`` set).

    Returns rounds and decoder cycles. One loop without calls that take arrays: such a call costs
    more than what is done here.
    """
    left, undecoded, alike, ones, following, walks, decoder = kept
    at, in_word = decoder[_WORD], decoder[_IN_WORD]
    rows, words, bitmaps = machine.rows, left.shape[1], machine.format == BITMAP
    each, width = machine.indices_per_cycle, machine.word_bits
    index_words = -(-pixels // width)
    index_mask = ~_U0 >> np.uint64(64 - width)
    for number in range(lists):
        ones[number], following[number] = 0, _NONE
        for word in range(words - 1, -1, -1):
            rest = left[number, word]
            if rest != _U0:
                ones[number] += popcount(rest)
                following[number] = word * 64 + _lowest(rest)
            undecoded[number, word] = rest
        decoder[_WORD, number] = decoder[_COVERED, number] = 0
        decoder[_ESCAPES, number] = -1
        decoder[_IN_WORD, number] = popcount(left[number, 0] & index_mask)
        walks[number] = each > 1
        if not bitmaps:
            decoder[_IN_WORD, number], walks[number] = width // machine.symbol_bits, 1
        for bit in range(0, pixels, width):
            rest = left[number, bit >> 6] >> np.uint64(bit & 63)
            walks[number] |= rest & index_mask == _U0
    rounds, worked, limit = 0, 0, 0
    while True:
        first, slowest, union = _NONE, 0, unions[max(0, rounds - 1)]
        for number in range(lists):
            if rounds:
                word = following[number]
                if word >= limit:
                    first = min(first, word)
                    continue
                # Take ones below the limit, up to as many as the buffer holds.
                word >>= 6
                room, rest = rows, _U0
                while room and rest == _U0 and word * 64 < limit and word < words:
                    bits = rest = left[number, word]
                    if limit - word * 64 < 64:
                        bits &= (_U1 << np.uint64(limit - word * 64)) - _U1
                    found = popcount(bits)
                    if found > room:
                        bits = lowest_ones(bits, room)
                        found = room
                    union[word] |= bits
                    rest ^= bits
                    left[number, word] = rest
                    room -= found
                    word += rest == _U0
                while rest == _U0 and word < words:
                    rest = left[number, word]
                    word += rest == _U0
                following[number] = word * 64 + _lowest(rest) if rest != _U0 else _NONE
                first = min(first, following[number])
                # Of the buffer's places those are free that were, and those of what was taken.
                free = 2 * rows - min(rows, ones[number]) - room
                ones[number] -= rows - room
            else:
                first, free = min(first, following[number]), rows
            if not walks[number]:
                # As many indices as fill the buffer, or as there are.
                spent = min(free, free - rows + ones[number])
            elif not bitmaps:
                spent = _decode_symbols(machine, undecoded, decoder, number, free)
            else:
                spent, word, found = 0, at[number], in_word[number]
                while free and word < index_words:
                    if found > free:
                        spent += free if each == 1 else -(-free // each)
                        found -= free
                        break
                    # An empty word takes a cycle, too.
                    spent += max(1, found if each == 1 else -(-found // each))
                    free -= found
                    word += 1
                    if word < index_words:
                        bit = word * width
                        rest = undecoded[number, bit >> 6] >> np.uint64(bit & 63)
                        found = popcount(rest & index_mask)
                at[number], in_word[number] = word, found
            worked += alike[number] * spent
            slowest = slowest + alike[number] * spent if machine.shared else max(slowest, spent)
        slots[rounds] = slowest
        if first == _NONE:
            return rounds, worked
        limit = first + machine.window
        rounds += 1


@compiled
def _decode_symbols(machine, undecoded, decoder, number, room):
    """Cycles until there is no room left, or a list of symbols is at its end."""
    spent, quota = 0, 0
    word, left = decoder[_WORD, number], decoder[_IN_WORD, number]
    pending, covered = decoder[_ESCAPES, number], decoder[_COVERED, number]
    while room and word < undecoded.shape[1]:
        rest = undecoded[number, word]
        if rest == _U0:
            word += 1
            continue
        lowest = rest & ~(rest - _U1)
        pixel = word * 64 + popcount(lowest - _U1)
        if pending < 0:
            pending = escapes(machine, pixel - covered)
        if quota == 0:
            quota = min(machine.indices_per_cycle, left, room)
            spent += 1
        quota, left = quota - 1, left - 1
        if left == 0:
            left = machine.word_bits // machine.symbol_bits
        pending -= 1
        if pending < 0:
            undecoded[number, word] = rest ^ lowest
            room, covered = room - 1, pixel + 1
    decoder[_WORD, number], decoder[_IN_WORD, number] = word, left
    decoder[_ESCAPES, number], decoder[_COVERED, number] = pending, covered
    return spent
