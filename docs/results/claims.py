"""The conclusions of docs/results.md, each checked in every group of networks and every seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd


class Case(NamedTuple):
    """Whether a conclusion holds ``where`` (group, seed), and the figures that say so."""

    where: str
    holds: bool
    figure: str


class Networks(NamedTuple):
    """The rows of one group, seed and array at the larger batch, found by method and scheme."""

    where: str
    rows: pd.DataFrame

    def of(self, method: str, scheme: str) -> pd.Series | None:
        """The row of a method and scheme (without its lane group); None where it is missing."""
        kind = self.rows["scheme"].str.partition("-")[0]
        found = self.rows[(self.rows["method"] == method) & (kind == scheme)]
        return None if found.empty else found.iloc[0]


@dataclass(frozen=True)
class Claim:
    """A sentence and what shows it: from networks of one seed to a case, None without rows."""

    text: str
    shown: Callable[[Networks], Case | None]
    arrays: tuple[str, ...] = ("16x16",)

    def check(self, rows: pd.DataFrame) -> list[Case]:
        found = (self.shown(networks) for networks in seeds(rows, self.arrays))
        return [case for case in found if case is not None]


def seeds(rows: pd.DataFrame, arrays: Iterable[str]) -> Iterator[Networks]:
    """Groups and seeds one after another, larger batch, on each of the arrays."""
    for array in arrays:
        chosen = rows[rows["array"] == array]
        chosen = chosen[chosen["batch"] == chosen["batch"].max()]
        for (group, seed), found in chosen.groupby(["group", "seed"]):
            where = f"{group} s{seed}" if array == "16x16" else f"{group} s{seed}, {array}"
            yield Networks(where, found)


def compared(
    key: str, less: tuple[str, str], more: tuple[str, str], unit: float = 1, digits: int = 2
) -> Callable[[Networks], Case | None]:
    """Whether ``key`` of one method and scheme is below that of another."""

    def shown(networks: Networks) -> Case | None:
        left, right = networks.of(*less), networks.of(*more)
        if left is None or right is None:
            return None
        figure = f"{left[key] * unit:.{digits}f} : {right[key] * unit:.{digits}f}"
        return Case(networks.where, bool(left[key] < right[key]), figure)

    return shown


SCDG, CDG, LOCKSTEP = ("scdg", "structured"), ("cdg", "unstructured"), ("cdg", "lockstep")

CLAIMS = (
    Claim("SCDG on structured hardware is faster than CDG on V = 1 (speed-up)",
          compared("speedup", CDG, SCDG), ("16x16", "best shape")),
    Claim("SCDG realises more of the promised time than CDG on V = 1 (share, %)",
          compared("share_realised", CDG, SCDG, 100, 0), ("16x16", "best shape")),
    Claim("CDG in lockstep is slower than on V = 1 (speed-up)",
          compared("speedup", LOCKSTEP, CDG), ("16x16", "best shape")),
    Claim("SCDG on structured hardware takes less energy than CDG on V = 1 (uJ)",
          compared("energy_uj_per_image", SCDG, CDG, 1, 1), ("16x16", "best shape")),
    Claim("CDG in lockstep takes less energy than on V = 1 (uJ)",
          compared("energy_uj_per_image", LOCKSTEP, CDG, 1, 1), ("16x16", "best shape")),
    Claim("FBS is faster than SCDG on structured hardware (speed-up)",
          compared("speedup", SCDG, ("fbs", "channels")), ("16x16", "best shape")),
    Claim("DGC is faster than SCDG on structured hardware (speed-up)",
          compared("speedup", SCDG, ("dgc", "channels")), ("16x16", "best shape")),
)  # fmt: skip
