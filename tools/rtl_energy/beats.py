"""Cycle by cycle what a bank arbiter and a bitmap decoder are given: they answer, and it depends.

Both follow the contracts at the head of rtl/bank_arbiter.v and rtl/bitmap_decoder.v.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

ROWS, STEPS, TILE, PITCH, TAPS = 16, 4, 16, 34, 3
"""R, A; a tile of TILE x TILE pixels of a map 32 wide, with a column of padding at each side."""

ADDRESS_BITS = 16

Beat = list[int | None]
"""The address that each pointer asks for; None where it has no pixel."""


class Arbiter(NamedTuple):
    """Inputs by name, a value a cycle; cycles in which a bank reads; beats; banks that read;
    pointers that are served.
    """

    inputs: dict[str, list[int]]
    busy: int
    beats: int
    reads: int
    fills: int


def arbiter(
    random: np.random.Generator,
    density: float,
    pointers: int,
    banks: int,
    ahead: int,
    cycles: int,
    lane_groups: str = "own",
) -> Arbiter:
    """Rounds of R pixels of each lane group's list, ``cycles`` long, beat behind beat."""
    names = ("rst", "first", "start", "enable", "there", "valid", "addresses")
    inputs: dict[str, list[int]] = {name: [] for name in names}
    busy = begun = reads = fills = 0
    for beats in rounds(random, density, pointers, lane_groups):
        waiting: list[Beat] = []
        for number in range(len(beats)):
            flying = beats[number : number + ahead + 1]
            # The beats move up; a round's first beat asks in all places, else the last one alone.
            waiting = [list(beat) for beat in flying] if number == 0 else waiting[1:]
            if number and len(flying) == ahead + 1:
                waiting.append(list(flying[-1]))
            step, complete = 0, False
            while step < STEPS or not complete:
                if len(inputs["first"]) == cycles:
                    return Arbiter(inputs, busy, begun, reads, fills)
                values = (
                    int(not inputs["first"]),
                    int(number == 0 and step == 0),
                    int(step == 0),
                    1,
                    (1 << len(flying)) - 1,
                    packed([int(address is not None) for address in beats[number]], 1),
                    packed([at or 0 for beat in flying for at in beat], ADDRESS_BITS),
                )
                for name, value in zip(names, values, strict=True):
                    inputs[name].append(value)
                begun += step == 0
                asked = _ask(waiting)
                read = serve(waiting, banks)
                fills += asked - _ask(waiting)
                reads += read
                busy += read > 0
                complete = all(address is None for address in waiting[0])
                step += 1
    raise AssertionError("rounds do not end")


def _ask(waiting: list[Beat]) -> int:
    """How many pointers wait."""
    return sum(address is not None for beat in waiting for address in beat)


def serve(waiting: list[Beat], banks: int) -> int:
    """One cycle: every bank reads for the oldest beat that waits for it; how many banks read."""
    read = set()
    for beat in waiting:
        words: dict[int, int] = {}
        for address in beat:
            if address is not None and address % banks not in read:
                words.setdefault(address % banks, address)
        served = set(words.values())
        beat[:] = [None if address in served else address for address in beat]
        read |= set(words)
    return len(read)


def rounds(
    random: np.random.Generator, density: float, pointers: int, lane_groups: str
) -> Iterator[list[Beat]]:
    """Beats of one round after another: nine taps, two channel words each; tiles without end.

    Lane groups have lists of their "own", or those of a base pass, which has every pixel: "same"
    ones, or the "first" one asks for all.
    """
    while True:
        lists = [
            np.flatnonzero(random.random(TILE * TILE) < density) for _ in range(pointers // ROWS)
        ]
        if lane_groups != "own":
            every, none = np.arange(TILE * TILE), np.arange(0)
            rest = every if lane_groups == "same" else none
            lists = [every, *[rest] * (len(lists) - 1)]
        for start in range(0, max(len(found) for found in lists), ROWS):
            pixels = [
                int(found[at]) if at < len(found) else None
                for found in lists
                for at in range(start, start + ROWS)
            ]
            places = [p if p is None else p // TILE * PITCH + p % TILE for p in pixels]
            yield [
                [p if p is None else p + word * PITCH * PITCH + y * PITCH + x for p in places]
                for word in range(2)
                for y in range(TAPS)
                for x in range(TAPS)
            ]


class Decoder(NamedTuple):
    """Inputs by name, a value a cycle; cycles in which the decoder works; indices it emits."""

    inputs: dict[str, list[int]]
    busy: int
    indices: int


def decoder(lists: Iterator[list[int]], rows: int, cycles: int) -> Decoder:
    """One list after another; a round is taken as soon as it is ready. E = 1, no window."""
    names = ("rst", "start", "words", "enable", "word", "take", "limited", "limit")
    inputs: dict[str, list[int]] = {name: [] for name in names}
    words: list[int] = []
    at = rest = count = busy = indices = 0
    scanning = begun = False
    while len(inputs["rst"]) < cycles:
        ended, reset = not scanning, not inputs["rst"]
        take = not reset and count > 0 and (ended or count == rows)
        start = not reset and ended and count == 0
        if start:
            words = next(lists)
        # Behind the last word the address stands still, and so does what the memory shows.
        word = words[min(at, len(words) - 1)] if words else 0
        values = (int(reset), int(start), len(words) or 1, 1, word, int(take), 0, 0)
        for name, value in zip(names, values, strict=True):
            inputs[name].append(value)
        if start:
            at, count, scanning, begun = 0, 0, True, False
            continue
        count = 0 if take else count
        if not scanning or count == rows:
            continue
        busy += 1
        left = rest if begun else words[at]
        if left:
            indices, count, left = indices + 1, count + 1, left & (left - 1)
        rest, begun = left, left != 0
        if not left:
            at += 1
            scanning = at < len(words)
    return Decoder(inputs, busy, indices)


def lists(
    random: np.random.Generator, density: float, words: int, bits: int
) -> Iterator[list[int]]:
    """Lists of ``words`` words of a mask of that density, without end."""
    while True:
        drawn = random.random((words, bits)) < density
        yield [packed([int(bit) for bit in word], 1) for word in drawn]


def packed(values: list[int], width: int) -> int:
    """The values side by side, the first one lowest."""
    found = 0
    for value in reversed(values):
        found = found << width | value
    return found
