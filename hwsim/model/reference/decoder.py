"""The index decoder of the reference: a scan through each list, a buffer for each, and a clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from math import inf

from simpy import Environment

from hwsim.model.reference.index_memory import Bitmaps, IndexMemory, SymbolLists
from hwsim.model.reference.latencies import LATENCIES
from hwsim.model.reference.observer import NOBODY, Observer
from hwsim.model.reference.parts import Counts, Steps


class Decoder:
    """Serves lists, one buffer of R entries each: its own list, or all of them where it is shared.

    In every slot it takes the lists in their order, each until its buffer is full or the list is at
    its end; then ``ready`` has happened, and it stops until the buffers are handed over.
    ``buffers`` may be looked at then. ``first``: the lane group of the first list.
    """

    def __init__(
        self,
        env: Environment,
        scans: Sequence[BitmapScan | SymbolScan],
        rows: int,
        counts: Counts,
        first: int,
        observer: Observer = NOBODY,
    ) -> None:
        self.ready = env.event()
        self._emptied = env.event()
        self.buffers: list[list[int]] = [[] for _ in scans]
        self._env, self._scans, self._rows, self._counts = env, scans, rows, counts
        self._first, self._observer = first, observer
        env.process(self._decode())

    def hand_over(self, below: float = inf) -> list[list[int]]:
        """Give away the buffers' pixels ``below`` one, and keep the others.

        The decoder goes on in the same cycle, where there is room.
        """
        found = [list(takewhile(lambda pixel: pixel < below, buffer)) for buffer in self.buffers]
        self.buffers = [
            buffer[len(taken) :] for buffer, taken in zip(self.buffers, found, strict=True)
        ]
        if not self._finished():
            self.ready, emptied = self._env.event(), self._emptied
            self._emptied = self._env.event()
            emptied.succeed()
        return found

    def _decode(self) -> Steps:
        while True:
            lists = zip(self._scans, self.buffers, strict=True)
            for group, (scan, buffer) in enumerate(lists, self._first):
                while not scan.ended and len(buffer) < self._rows:
                    since = self._env.now
                    cycles, pixels = scan.step(self._rows - len(buffer))
                    yield self._env.timeout(cycles)
                    self._counts["decoder_cycles"] += cycles
                    buffer += pixels
                    self._observer.decoded(group, pixels, since, self._env.now)
            self.ready.succeed()
            if self._finished():
                break
            yield self._emptied

    def _finished(self) -> bool:
        return all(scan.ended for scan in self._scans)


class BitmapScan:
    """Passes the words without ones of a bitmap, and finds the ones of the others."""

    def __init__(self, memory: Bitmaps, lists: Sequence[int], per_cycle: int) -> None:
        self._words = memory.words(lists)
        self._word = next(self._words, None)
        self._first = 0  # the pixel of the word's first bit
        self._word_bits, self._per_cycle = memory.word_bits, per_cycle

    @property
    def ended(self) -> bool:
        return self._word is None

    def step(self, room: int) -> tuple[int, list[int]]:
        """The next action: its cycles, and the pixels it finds, at most E of one word."""
        if not self._word:
            self._turn()
            return LATENCIES.empty_word, []
        ones = list(islice(_ones(self._word), min(self._per_cycle, room)))
        found = [self._first + one for one in ones]
        self._word &= ~sum(1 << one for one in ones)
        if not self._word:
            self._turn()
        return LATENCIES.emission, found

    def _turn(self) -> None:
        self._word = next(self._words, None)
        self._first += self._word_bits


def _ones(word: int) -> Iterator[int]:
    """Positions of the ones of a word, lowest first."""
    while word:
        lowest = word & -word
        yield lowest.bit_length() - 1
        word ^= lowest


class SymbolScan:
    """Consumes the symbols of a coordinate or run-length list."""

    def __init__(self, memory: SymbolLists, lists: Sequence[int], per_cycle: int) -> None:
        self._code, self._per_cycle = memory.code, per_cycle
        self._words = memory.words(lists)
        self._left = next(self._words, [])  # symbols of the current word
        self._behind = 0  # the first pixel that no symbol has stood for yet

    @property
    def ended(self) -> bool:
        return not self._left

    def step(self, room: int) -> tuple[int, list[int]]:
        """As in BitmapScan: at most E symbols of one word, and no more than there is room for."""
        found = []
        taken = min(self._per_cycle, room)
        for symbol in self._left[:taken]:
            self._behind, one = self._code.decode(self._behind, symbol)
            if one:
                found.append(self._behind - 1)
        self._left = self._left[taken:] or next(self._words, [])
        return LATENCIES.symbols, found


def scan_of(memory: IndexMemory, lists: Sequence[int], per_cycle: int) -> BitmapScan | SymbolScan:
    """A scan through the OR of ``lists``."""
    if isinstance(memory, SymbolLists):
        return SymbolScan(memory, lists, per_cycle)
    assert isinstance(memory, Bitmaps)
    return BitmapScan(memory, lists, per_cycle)
