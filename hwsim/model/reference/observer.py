"""Who watches the parts of the reference at work: usually nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Round(NamedTuple):
    """A round that the array ran: what its steps are booked on, and the steps of its beats.

    ``lists``: pixels of each lane group; ``words``: how many pointers have each address; ``lanes``
    have a pointer, and ``lit`` of them compute.
    """

    cause: str
    beats: Sequence[int]
    lists: Sequence[Sequence[int]]
    words: Mapping[int, int]
    lanes: int
    lit: int


class Observer:
    """Is told of what parts have done, when they have done it; this one takes no notice.

    ``since`` and ``until`` are on the layer's clock: an action takes the cycles between them. What
    is told before :meth:`visited`, and after the one before, belongs to that visit's slot, in which
    the array works on it, the output stage on the visit before, the DMA on both neighbours.
    """

    def spent(self, cause: str, since: int, until: int) -> None:
        """Cycles booked on ``cause``; maybe none."""

    def ran(self, a_round: Round, since: int, until: int) -> None:
        """From its first step to the start of the next one, or of its pass's last drain."""

    def compared(self, pixels: int, since: int, until: int) -> None:
        """Instance gates decided on these pixels."""

    def decoded(self, group: int, found: Sequence[int], since: int, until: int) -> None:
        """One action of the decoder that serves a lane group, and the pixels that it found."""

    def serving(self, words: Sequence[tuple[object, int, int]], queues: int, since: int) -> None:
        """Words that queues, one for each bank or a single one, begin to serve.

        Each with its beat, its address, and the pointers that wait for it.
        """

    def drained(self, bank: Sequence[Mapping[int, int]], since: int, until: int) -> None:
        """Rows of accumulators left: pixel by lane group."""

    def emptied(self, pixels: int, width: int, since: int, until: int) -> None:
        """The output stage has done the visit before the slot's."""

    def moved(self, transfer: str, since: int, until: int) -> None:
        """The DMA: ``first_load``, ``exposed`` weights, ``store`` and ``load``; maybe none."""

    def visited(self, number: int, since: int, until: int) -> None:
        """The slot of this visit is over; the last slot has none to compute."""


NOBODY = Observer()
