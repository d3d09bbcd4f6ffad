"""The parts of the machine as SimPy processes: decoder, banks, drain, output stage, DMA.

Each part moves words, indices or requests and knows nothing of the others; ``hwsim.reference``
connects them. Nothing here computes how long something takes: an action costs its latency, and
the clock adds up.

Order within a cycle: what a part does in a cycle, the others see at the cycle's end. Who waits
for several parts waits for all their events, so the order in which SimPy resumes the parts of one
instant decides nothing. The one shared port, the banks, collects the requests of an instant before
it grants (``timeout(0)``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from simpy import Environment, Event

from hwsim.timing import LATENCIES

Steps = Generator[Event, Any, None]
"""What a process yields: the events that it waits for."""

Counts = Counter[str]
"""Counters of one tile, by their names in ``hwsim.counts``."""

Entries = Mapping[int, int]
"""One row of an accumulator bank: lane group -> pixel of the tile, where the row holds one."""


class IndexMemory:
    """Bitmaps of one tile: a few stored lists of one bit per pixel, in words of W bits."""

    def __init__(self, lists: int, pixels: int, word_bits: int, counts: Counts) -> None:
        self.word_bits = word_bits
        self.words = -(-pixels // word_bits)
        self._stored = [[0] * self.words for _ in range(lists)]
        self._words_read = [0] * lists
        self._counts = counts

    def write(self, pixel: int, bits: Iterable[int]) -> None:
        """One pixel's column, a bit per list: what is written by pixel is read by list."""
        word, position = divmod(pixel, self.word_bits)
        for stored, bit in zip(self._stored, bits, strict=True):
            stored[word] |= bit << position
            self._counts["mask_bits_written"] += 1

    def read(self, lists: Iterable[int], word: int) -> int:
        """The OR of one word of several lists. A list's words are read in order, each only once:
        lane groups that share a list share the reading."""
        union = 0
        for number in lists:
            union |= self._stored[number][word]
            if word == self._words_read[number]:
                self._words_read[number] += 1
                self._counts["index_words_read"] += 1
        return union


class Decoder:
    """Scans one lane group's list and emits the pixels of its ones into a buffer of R entries.

    ``ready`` has happened when the buffer is full or the list is scanned to its end.
    """

    def __init__(
        self,
        env: Environment,
        memory: IndexMemory,
        lists: Sequence[int],
        rows: int,
        per_cycle: int,
        counts: Counts,
    ) -> None:
        self.ready = env.event()
        self._buffer: list[int] = []
        self._emptied = env.event()
        self._scanned = False
        self._env, self._memory, self._lists = env, memory, lists
        self._rows, self._per_cycle, self._counts = rows, per_cycle, counts
        env.process(self._scan())

    def hand_over(self) -> list[int]:
        """Give the buffer's pixels away and clear it; the decoder goes on in the same cycle."""
        pixels, self._buffer = self._buffer, []
        if not self._scanned:
            self.ready = self._env.event()
            self._emptied.succeed()
            self._emptied = self._env.event()
        return pixels

    def _scan(self) -> Steps:
        for position in range(self._memory.words):
            word = self._memory.read(self._lists, position)
            if not word:
                yield from self._room()
                yield from self._work(LATENCIES.empty_word)
            first = position * self._memory.word_bits
            while word:
                yield from self._room()
                room = self._rows - len(self._buffer)
                emitted = list(islice(_ones(word), min(self._per_cycle, room)))
                yield from self._work(LATENCIES.emission)
                word &= ~sum(1 << one for one in emitted)
                self._buffer += [first + one for one in emitted]
                if len(self._buffer) == self._rows:
                    self.ready.succeed()
        self._scanned = True
        if not self.ready.triggered:
            self.ready.succeed()

    def _room(self) -> Steps:
        """Stop while the buffer is full, also before a word without ones."""
        while len(self._buffer) == self._rows:
            yield self._emptied

    def _work(self, cycles: int) -> Steps:
        yield self._env.timeout(cycles)
        self._counts["decoder_cycles"] += cycles


def _ones(word: int) -> Iterable[int]:
    """Positions of the ones of a word, lowest first."""
    while word:
        lowest = word & -word
        yield lowest.bit_length() - 1
        word ^= lowest


class Banks:
    """The activation banks behind one arbiter; each serves one distinct address per cycle."""

    def __init__(self, env: Environment, banks: int) -> None:
        self._env, self._banks = env, banks
        self._waiting: Counter[int] = Counter()  # address -> pointers that wait for it
        self._counts = Counts()
        self._asked, self._filled = env.event(), env.event()
        env.process(self._arbitrate())

    def request(self, addresses: Iterable[int], counts: Counts) -> Event:
        """Every pointer asks for a word, the first pointer first. The event: all have theirs."""
        self._waiting.update(addresses)
        self._counts = counts
        if not self._asked.triggered:
            self._asked.succeed()
        return self._filled

    def _arbitrate(self) -> Steps:
        while True:
            yield self._asked
            while self._waiting:
                yield self._env.timeout(0)  # the requests of this instant are all in
                granted: dict[int, int] = {}
                for address in self._waiting:  # in the order of the pointers: fixed priority
                    granted.setdefault(address % self._banks, address)
                yield self._env.timeout(LATENCIES.bank_word)
                for address in granted.values():
                    self._counts["activation_word_reads"] += 1
                    self._counts["line_fills"] += self._waiting.pop(address)
            filled = self._filled
            self._asked, self._filled = self._env.event(), self._env.event()
            filled.succeed()


def drain(env: Environment, bank: Sequence[Entries], retire: Callable[[Entries], None]) -> Steps:
    """Empty an accumulator bank, one row of all columns at a time; empty rows take their turn."""
    for entries in bank:
        yield env.timeout(LATENCIES.drained_row)
        if entries:
            retire(entries)


def output_stage(
    env: Environment, pixels: int, width: int, lane_groups: int, counts: Counts
) -> Steps:
    """Scale, add, activate, requantise and pool a finished half, pixel by pixel."""
    for _ in range(pixels):
        yield env.timeout(LATENCIES.output_pixel)
        counts["psum_output_reads"] += lane_groups
        counts["output_ops"] += width


def dma(env: Environment, *transfers: int) -> Steps:
    """One transfer after the other, each given in cycles: bytes and bandwidth are shared inputs."""
    for cycles in transfers:
        yield env.timeout(cycles)
