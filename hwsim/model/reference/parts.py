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

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

from simpy import Environment, Event

from hwsim.model.reference.latencies import LATENCIES

Steps = Generator[Event, Any, None]
"""What a process yields: the events that it waits for."""

Counts = Counter[str]
"""Counters of one tile, by their names in ``hwsim.counters``."""

Entries = Mapping[int, int]
"""One row of an accumulator bank: lane group -> pixel of the tile, where the row holds one."""


class Banks:
    """The activation banks behind one arbiter; each serves one distinct address per cycle.

    Idealised, ``bandwidth`` lets every word lie in a bank that is free, and ``none`` sets no limit.
    """

    def __init__(
        self,
        env: Environment,
        banks: int,
        conflicts: Literal["exact", "bandwidth", "none"] = "exact",
    ) -> None:
        self._env, self._banks = env, banks
        self._waiting: Counter[int] = Counter()  # address -> pointers that wait for it
        self._counts = Counts()
        self._asked, self._filled = env.event(), env.event()
        arbiters = {"exact": self._one_per_bank, "bandwidth": self._any, "none": self._all}
        self._granted = arbiters[conflicts]
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
                granted = self._granted()
                yield self._env.timeout(LATENCIES.bank_word)
                for address in granted:
                    self._counts["activation_word_reads"] += 1
                    self._counts["line_fills"] += self._waiting.pop(address)
            filled = self._filled
            self._asked, self._filled = self._env.event(), self._env.event()
            filled.succeed()

    def _one_per_bank(self) -> list[int]:
        """For every bank the first address, in the order of the pointers: fixed priority."""
        granted: dict[int, int] = {}
        for address in self._waiting:
            granted.setdefault(address % self._banks, address)
        return list(granted.values())

    def _any(self) -> list[int]:
        return list(islice(self._waiting, self._banks))

    def _all(self) -> list[int]:
        return list(self._waiting)


def drain(env: Environment, bank: Sequence[Entries], retire: Callable[[Entries], None]) -> Steps:
    """Empty an accumulator bank, one row of all columns at a time; empty rows take their turn."""
    for entries in bank:
        yield env.timeout(LATENCIES.drained_row)
        if entries:
            retire(entries)


def wave(
    env: Environment, bank: Sequence[Entries], columns: int, retire: Callable[[Entries], None]
) -> Steps:
    """The last operands of a systolic round go from column to column, row behind row.

    A row has its sums when they have passed its last column, one hop after the row before.
    """
    for _ in range(columns - 1):
        yield env.timeout(LATENCIES.hop)
    for row, entries in enumerate(bank):
        if row:
            yield env.timeout(LATENCIES.hop)
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
