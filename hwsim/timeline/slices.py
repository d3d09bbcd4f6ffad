"""What a timeline is made of: tracks, slices on them, samples of counts, and the whole of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwsim.counters import CAUSES

if TYPE_CHECKING:
    import pandas as pd


class Track(NamedTuple):
    """A part of the machine; tracks are shown in the order of ``place``."""

    place: tuple[int, int]
    name: str


TILES = Track((0, 0), "tiles")
ROUNDS = Track((1, 0), "rounds")
CYCLES = Track((2, 0), "cycles by cause")
DRAIN = Track((3, 0), "accumulator drain")
OUTPUT = Track((4, 0), "output stage")
DMA = Track((5, 0), "DMA")


def decoder(group: int) -> Track:
    """Of a lane group's list, whoever decodes it."""
    return Track((6, group), f"decoder, lane group {group}")


def bank(number: int) -> Track:
    return Track((7, number), f"bank {number}")


BANKS = Track((7, 0), "banks")
"""All of them, where they are idealised."""


@dataclass
class Slice:
    """Something that a part does from cycle ``since`` of the layer on, and no more at ``until``.

    ``visit``: the visit to a tile that it is for; ``counts``: what it adds to cycles by cause and
    to counters, by their names; ``facts``: what else is to know.
    """

    track: Track
    name: str
    since: int
    until: int
    visit: int
    counts: dict[str, int] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def cycles(self) -> int:
        return self.until - self.since

    @property
    def cause(self) -> str:
        """Of a booking, or of the pass that a round is of; "" of everything else."""
        return next((cause for cause in CAUSES if cause in self.name.split(", ")), "")


class Sample(NamedTuple):
    """A count that has this value from cycle ``since`` on, and no more at ``until``.

    It is called ``of`` ``what``.
    """

    of: str
    what: str
    since: int
    until: int
    value: int


@dataclass(frozen=True)
class Timeline:
    """A layer and batch on the reference, or one visit to a tile of it.

    ``subject``: what was run, by name; ``visit``: the only one asked for; ``cycles`` int64
    (visits, CAUSES) and ``counters`` int64 (visits, COUNTERS) are what the reference counted, of
    all visits or of the only one.
    """

    subject: Mapping[str, object]
    visit: int | None
    slices: list[Slice]
    samples: list[Sample]
    cycles: np.ndarray
    counters: np.ndarray

    def totals(self) -> Counter[str]:
        """Cycles by cause and counters as slices add up to them: of the visit, or of all."""
        found: Counter[str] = Counter()
        for each in self.slices:
            if self.visit in (None, each.visit):
                found.update(each.counts)
        return found

    def by_cause(self) -> dict[str, int]:
        """Cycles of every cause that took any."""
        found = self.totals()
        return {cause: found[cause] for cause in CAUSES if found[cause]}

    def to_frame(self) -> pd.DataFrame:
        """A row for each slice, by track: ``track``, ``name``, ``cause`` (or ""), ``since``,
        ``until``, ``tile``."""
        import pandas as pd

        rows = [
            (each.track.name, each.name, each.cause, each.since, each.until, each.visit)
            for each in sorted(self.slices, key=lambda each: (each.track, each.since))
        ]
        return pd.DataFrame(rows, columns=["track", "name", "cause", "since", "until", "tile"])

    def tracks(self) -> list[Track]:
        """In the order in which they are shown."""
        return sorted({each.track for each in self.slices})
