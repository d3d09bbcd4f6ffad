"""The conclusions of docs/results.md, each checked in every group of networks and every seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from .runs import GROUPS


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
        kinds = self.rows["scheme"].map(kind_of)
        found = self.rows[(self.rows["method"] == method) & (kinds == scheme)]
        return None if found.empty else found.iloc[0]


Choice = tuple[str, str]
"""A method and a scheme without its lane group."""


def kind_of(scheme: str) -> str:
    """A scheme without its lane group: structured-8x and lockstep-4 are structured and lockstep."""
    return re.sub(r"-\d+x?$", "", scheme)


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
    """Groups in their order and seeds one after another, larger batch, on each of the arrays."""
    for array in arrays:
        chosen = rows[rows["array"] == array]
        chosen = chosen[chosen["batch"] == chosen["batch"].max()]
        for group in GROUPS:
            for seed, found in chosen[chosen["group"] == group].groupby("seed"):
                where = f"{group} s{seed}" if array == "16x16" else f"{group} s{seed}, {array}"
                yield Networks(where, found)


def compared(
    key: str, less: Choice, more: Choice, unit: float = 1, digits: int = 2
) -> Callable[[Networks], Case | None]:
    """Whether ``key`` of one method and scheme is below that of another."""

    def shown(networks: Networks) -> Case | None:
        left, right = networks.of(*less), networks.of(*more)
        if left is None or right is None:
            return None
        figure = f"{left[key] * unit:,.{digits}f} : {right[key] * unit:,.{digits}f}"
        return Case(networks.where, bool(left[key] < right[key]), figure)

    return shown


SCDG, CDG, LOCKSTEP = ("scdg", "structured"), ("cdg", "unstructured"), ("cdg", "lockstep")
FBS, DGC = ("fbs", "channels"), ("dgc", "channels")
DENSE, ZERO_GATED = ("scdg", "dense"), ("scdg", "dense-zero-gated")
"""The dense machine on the activations of the SCDG network."""

SPEED, SHARE, ENERGY, KNN = "speedup", "share_realised", "energy_uj_per_image", "knn_percent"
BOTH = ("16x16", "best shape")

CLAIMS = (
    Claim("SCDG on structured hardware is faster than the dense machine (speed-up)",
          compared(SPEED, DENSE, SCDG), BOTH),
    Claim("CDG on V = 1 is faster than the dense machine (speed-up)",
          compared(SPEED, ("cdg", "dense"), CDG), BOTH),
    Claim("SCDG is faster than CDG on V = 1 (speed-up)", compared(SPEED, CDG, SCDG), BOTH),
    Claim("SCDG realises more of the promised time than CDG on V = 1 (%)",
          compared(SHARE, CDG, SCDG, 100, 0), BOTH),
    Claim("CDG on V = 1 is faster than in lockstep (speed-up)",
          compared(SPEED, LOCKSTEP, CDG), BOTH),
    Claim("SCDG takes less energy than CDG on V = 1 (uJ)",
          compared(ENERGY, SCDG, CDG, digits=1), BOTH),
    Claim("CDG takes less energy in lockstep than on V = 1 (uJ)",
          compared(ENERGY, LOCKSTEP, CDG, digits=1), BOTH),
    Claim("SCDG takes less energy than a dense machine that gates zeros (uJ)",
          compared(ENERGY, SCDG, ZERO_GATED, digits=1), BOTH),
    Claim("SCDG is faster than FBS (speed-up)", compared(SPEED, FBS, SCDG), BOTH),
    Claim("SCDG is faster than DGC (speed-up)", compared(SPEED, DGC, SCDG), BOTH),
    Claim("SCDG takes less energy than FBS (uJ)", compared(ENERGY, SCDG, FBS, digits=1), BOTH),
    Claim("SCDG takes less energy than DGC (uJ)", compared(ENERGY, SCDG, DGC, digits=1), BOTH),
    Claim("CDG has a higher kNN accuracy than SCDG (%)", compared(KNN, SCDG, CDG, digits=1)),
    Claim("CDG has a higher kNN accuracy than CGNet (%)",
          compared(KNN, ("cgnet", "unstructured"), CDG, digits=1)),
    Claim("CDG has a higher kNN accuracy than FBS (%)", compared(KNN, FBS, CDG, digits=1)),
    Claim("CDG has a higher kNN accuracy than DGC (%)", compared(KNN, DGC, CDG, digits=1)),
)  # fmt: skip
