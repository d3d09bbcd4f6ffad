"""What a scheme's name says (docs/model/schemes.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Hardware:
    """Lanes that share a list (None: all of them), and what runs by the masks."""

    lanes: int | None
    masks: str  # "none", "gated", "sparse" or "lockstep"

    def lane_groups(self, width: int) -> list[range]:
        """Columns of a tile, cut into the groups that share one pixel list."""
        lanes = width if self.lanes is None else self.lanes
        return [range(at, min(at + lanes, width)) for at in range(0, width, lanes)]


SKIP, BOUND = "-skip", "-skip-bound"
"""Behind a scheme's name: the machine skips zeros, with free rows or without. All else is as
without it."""


def hardware(scheme: str) -> Hardware:
    """Read a scheme's name."""
    scheme = scheme.removesuffix(BOUND).removesuffix(SKIP)
    if scheme in ("dense", "dense-zero-gated"):
        return Hardware(lanes=None, masks="none")
    if scheme == "clock-gated":
        return Hardware(lanes=None, masks="gated")
    if scheme == "unstructured":
        return Hardware(lanes=1, masks="sparse")
    if structured := re.fullmatch(r"structured-(\d+)x", scheme):
        return Hardware(lanes=int(structured[1]), masks="sparse")
    if lockstep := re.fullmatch(r"lockstep-(\d+)", scheme):
        return Hardware(lanes=int(lockstep[1]), masks="lockstep")
    raise ValueError(f"no scheme is called {scheme!r}")
