"""What a timeline is made of: tracks, slices on them, samples of counts, and the whole of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hwsim.counters import CAUSES

GROUPS = ("array", "index decoders", "activation banks", "output stage and DMA")
"""Tracks belong to these, in this order."""


class Track(NamedTuple):
    """A part of the machine; tracks of one group are sorted by their ``place``."""

    group: str
    place: int
    name: str


TILES = Track("array", 0, "tiles")
ROUNDS = Track("array", 1, "rounds")
CYCLES = Track("array", 2, "cycles by cause")
DRAIN = Track("array", 3, "accumulator drain")
OUTPUT = Track("output stage and DMA", 0, "output stage")
DMA = Track("output stage and DMA", 1, "DMA")


def decoder(group: int) -> Track:
    """Of a lane group's list, whoever decodes it."""
    return Track("index decoders", group, f"lane group {group}")


def bank(number: int | None) -> Track:
    """None: all of them, where they are idealised."""
    return Track("activation banks", number or 0, "banks" if number is None else f"bank {number}")


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


class Sample(NamedTuple):
    """A count that has this value from cycle ``since`` on, and no more at ``until``."""

    track: Track
    name: str
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

    def tracks(self) -> list[Track]:
        """In the order in which they are shown."""
        found = {each.track for each in self.slices} | {each.track for each in self.samples}
        return sorted(found, key=lambda track: (GROUPS.index(track.group), track.place))
