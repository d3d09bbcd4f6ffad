"""How operands reach the array of the reference, and how the accumulators leave it.

A round runs its beats between ``start`` and ``finish_round``; ``finish_pass`` follows a pass's last
round. ``retire`` is what becomes of a row of accumulators that leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simpy import Environment, Event

from hwsim.model.reference.observer import Observer
from hwsim.model.reference.parts import Entries, Steps, drain, wave

Retire = Callable[[Entries], None]


class Broadcast:
    """All PEs step together; one accumulator bank drains while the other one computes."""

    def __init__(self, env: Environment, rows: int, observer: Observer) -> None:
        self._env, self._observer = env, observer
        self._empty: Sequence[Entries] = [{}] * rows
        self._full: Sequence[Entries] = self._empty
        self._drained: Event = env.event()

    def start(self, retire: Retire) -> None:
        """The bank of the round before drains from now on."""
        self._drained = self._env.process(self._drain(retire))

    def finish_round(self, bank: Sequence[Entries], columns: int, retire: Retire) -> Steps:
        """The banks change places when the drained one is empty."""
        yield self._drained
        self._full = bank

    def finish_pass(self, retire: Retire) -> Steps:
        """A pass ends when its last round has left the accumulators."""
        yield from self._drain(retire)
        self._full = self._empty

    def _drain(self, retire: Retire) -> Steps:
        return drain(self._env, self._full, retire, self._observer)


class Systolic:
    """Operands pass from PE to PE; a round's accumulators leave behind its last operands."""

    def __init__(self, env: Environment, rows: int, observer: Observer) -> None:
        self._env, self._observer = env, observer

    def start(self, retire: Retire) -> None:
        """Nothing is left of the round before."""

    def finish_round(self, bank: Sequence[Entries], columns: int, retire: Retire) -> Steps:
        """The next round starts when the last operands have crossed ``columns`` columns."""
        yield from wave(self._env, bank, columns, retire, self._observer)

    def finish_pass(self, retire: Retire) -> Steps:
        """Nothing is left of the last round."""
        yield from ()
