"""The parts of the machine as SimPy processes: banks, drain, systolic wave, output stage, DMA.

Each part moves words, indices or requests and knows nothing of the others; ``machine``
connects them. Nothing here computes how long something takes: an action costs its latency, and
the clock adds up.

Order within a cycle: what a part does in a cycle, the others see at the cycle's end. Who waits
for several parts waits for all their events, so the order in which SimPy resumes the parts of one
instant decides nothing. The one shared port, the banks, collects the requests of an instant before
it grants (``timeout(0)``).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from sys import maxsize
from typing import Any, Literal

from simpy import Environment, Event

from hwsim.model.reference.latencies import LATENCIES
from hwsim.model.reference.observer import NOBODY, Observer

Steps = Generator[Event, Any, None]
"""What a process yields: the events that it waits for."""

Counts = Counter[str]
"""Counters of one tile, by their names in ``hwsim.counters``."""

Entries = Mapping[int, int]
"""One row of an accumulator bank: lane group -> pixel of the tile, where the row holds one."""


@dataclass
class Fetch:
    """The words of a beat on their way: how many are ``missing``, and the event that none is."""

    missing: int
    filled: Event


Word = tuple[Fetch, int, int]
"""A word of a beat: its address, and how many pointers wait for it."""


class Banks:
    """The activation banks behind one arbiter; each serves one distinct word per cycle.

    Words wait in a queue for each bank, those of older beats in front. Idealised, ``bandwidth``
    has one queue, of which every cycle serves as many words as there are banks, and ``none`` all.
    """

    def __init__(
        self,
        env: Environment,
        banks: int,
        conflicts: Literal["exact", "bandwidth", "none"] = "exact",
        observer: Observer = NOBODY,
    ) -> None:
        exact = conflicts == "exact"
        self._queues: list[deque[Word]] = [deque() for _ in range(banks if exact else 1)]
        self._together = banks if conflicts == "bandwidth" else maxsize
        self._granted = self._one_per_bank if exact else self._any
        self._counts, self._observer = Counts(), observer
        self._env, self._asked = env, env.event()
        env.process(self._arbitrate())

    def request(self, words: Mapping[int, int], counts: Counts, offset: int = 0) -> Event:
        """The pointers of a beat ask for their words. The event: all have theirs.

        ``words``: an address and how many pointers wait for it, the first pointer's word first;
        the beat adds ``offset`` to each. A word of another beat is another word.
        """
        fetch = Fetch(len(words), self._env.event())
        queues, number = self._queues, len(self._queues)
        for address, pointers in words.items():
            place = address + offset
            queues[place % number].append((fetch, place, pointers))
        self._counts = counts
        if not self._asked.triggered:
            self._asked.succeed()
        return fetch.filled

    def _arbitrate(self) -> Steps:
        number = len(self._queues)
        while True:
            yield self._asked
            while any(self._queues):
                yield self._env.timeout(0)  # the requests of this instant are all in
                granted = self._granted()
                self._observer.serving(granted, number, self._env.now)
                yield self._env.timeout(LATENCIES.bank_word)
                fetches, _, pointers = zip(*granted, strict=True)
                self._counts["activation_word_reads"] += len(granted)
                self._counts["line_fills"] += sum(pointers)
                for fetch in fetches:
                    fetch.missing -= 1
                    if not fetch.missing:
                        fetch.filled.succeed()
            self._asked = self._env.event()

    def _one_per_bank(self) -> list[Word]:
        return [queue.popleft() for queue in self._queues if queue]

    def _any(self) -> list[Word]:
        (queue,) = self._queues
        return [queue.popleft() for _ in range(min(len(queue), self._together))]


def drain(
    env: Environment,
    bank: Sequence[Entries],
    retire: Callable[[Entries], None],
    observer: Observer = NOBODY,
) -> Steps:
    """Empty an accumulator bank, one row of all columns at a time; empty rows take their turn."""
    since = env.now
    for entries in bank:
        yield env.timeout(LATENCIES.drained_row)
        if entries:
            retire(entries)
    observer.drained(bank, since, env.now)


def wave(
    env: Environment,
    bank: Sequence[Entries],
    columns: int,
    retire: Callable[[Entries], None],
    observer: Observer = NOBODY,
) -> Steps:
    """The last operands of a systolic round go from column to column, row behind row.

    A row has its sums when they have passed its last column, one hop after the row before.
    """
    since = env.now
    for _ in range(columns - 1):
        yield env.timeout(LATENCIES.hop)
    for row, entries in enumerate(bank):
        if row:
            yield env.timeout(LATENCIES.hop)
        if entries:
            retire(entries)
    observer.drained(bank, since, env.now)


def output_stage(
    env: Environment,
    pixels: int,
    width: int,
    lane_groups: int,
    counts: Counts,
    observer: Observer = NOBODY,
) -> Steps:
    """Scale, add, activate, requantise and pool a finished half, pixel by pixel."""
    since = env.now
    for _ in range(pixels):
        yield env.timeout(LATENCIES.output_pixel)
        counts["psum_output_reads"] += lane_groups
        counts["output_ops"] += width
    observer.emptied(pixels, width, since, env.now)


def dma(env: Environment, observer: Observer = NOBODY, **transfers: int) -> Steps:
    """One transfer after the other, each given in cycles: bytes and bandwidth are shared inputs."""
    for name, cycles in transfers.items():
        since = env.now
        yield env.timeout(cycles)
        observer.moved(name, since, env.now)
