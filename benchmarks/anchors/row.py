"""A row of an anchor: their figure, ours, and how near they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

NEAR = 5
"""Per cent up to which a figure that is not exact is no miss."""


class Row(NamedTuple):
    """One figure. All are text; ``source``: paper, year, table or figure.

    ``verdict``: ``exact``, ``within x %``, ``reached``, ``missed: ...`` or ``not run: ...``.
    """

    anchor: str
    what: str
    theirs: str
    ours: str
    source: str
    verdict: str

    @property
    def was_run(self) -> bool:
        return not self.verdict.startswith("not run")


@dataclass(frozen=True)
class Settings:
    """``data``: the folder of others' files, or None; ``measure``: run programs of others anew."""

    data: Path | None = None
    measure: bool = False


def verdict_of(ours: float, theirs: float) -> str:
    """``exact``, ``within x %`` (rounded up to a tenth, NEAR at most), or by how much it misses.

    ``theirs`` is not 0. The difference is a share of theirs.
    """
    if ours == theirs:
        return "exact"
    percent = 100 * abs(ours / theirs - 1)
    # 9 digits: what division rounds must not become a tenth of a per cent.
    above = math.ceil(round(10 * percent, 9)) / 10
    if above <= NEAR:
        return f"within {above:g} %"
    return f"missed: {above:g} % too {'many' if ours > theirs else 'few'}"


def not_run(anchor: str, what: str, theirs: str, source: str, why: str) -> Row:
    """The row of a figure that nothing of ours stands beside; ``why`` in a few words."""
    return Row(anchor, what, theirs, "-", source, f"not run: {why}")
