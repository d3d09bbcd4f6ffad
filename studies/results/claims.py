"""The conclusions of docs/evidence/results.md, each checked in every group and every seed."""

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
    key: str, first: Choice, relation: str, second: Choice, unit: float = 1, digits: int = 2
) -> Callable[[Networks], Case | None]:
    """Whether ``key`` of one method and scheme is less (`<`) or more (`>`) than that of another."""

    def shown(networks: Networks) -> Case | None:
        left, right = networks.of(*first), networks.of(*second)
        if left is None or right is None:
            return None
        figure = f"{left[key] * unit:,.{digits}f} : {right[key] * unit:,.{digits}f}"
        holds = {"<": left[key] < right[key], ">": left[key] > right[key]}
        return Case(networks.where, bool(holds[relation]), figure)

    return shown


SCDG, CDG, LOCKSTEP = ("scdg", "structured"), ("cdg", "unstructured"), ("cdg", "lockstep")
GATHERED = ("scdg", "unstructured")
CGNET, FBS, DGC = ("cgnet", "unstructured"), ("fbs", "channels"), ("dgc", "channels")
DENSE = ("scdg", "dense")
"""The same with every network's trace."""

SCDG_ZEROS, CDG_ZEROS = ("scdg", "dense-zero-gated"), ("cdg", "dense-zero-gated")
DENSE_ZEROS = ("dense", "dense-zero-gated")
"""The dense machine on the activations of the SCDG, of the CDG and of the dense network."""

SPEED, SHARE, ENERGY = "speedup", "share_realised", "energy_uj_per_image"
KNN, LINEAR = "knn_percent", "linear_percent"
ONE, BOTH = ("16x16",), ("16x16", "best shape")
"""Shapes are chosen for cycles: the dense machine saves a quarter of a per cent at most and pays
with energy for it, so that its energy is compared on the array as it is."""


def faster(text: str, first: Choice, second: Choice) -> Claim:
    return Claim(f"{text} (speed-up)", compared(SPEED, first, ">", second), BOTH)


def less_energy(text: str, first: Choice, second: Choice, arrays: tuple[str, ...] = BOTH) -> Claim:
    return Claim(f"{text} (uJ)", compared(ENERGY, first, "<", second, digits=1), arrays)


def more_accurate(name: str, first: Choice, other: str, second: Choice) -> Iterator[Claim]:
    """By kNN and by linear evaluation, which is the poster's figure."""
    for figure, key in (("kNN", KNN), ("linear", LINEAR)):
        text = f"{name} has a higher {figure} accuracy than {other} (%)"
        yield Claim(text, compared(key, first, ">", second, digits=1))


CLAIMS = (
    faster("SCDG on structured hardware is faster than the dense machine", SCDG, DENSE),
    faster("CDG on V = 1 is faster than the dense machine", CDG, ("cdg", "dense")),
    faster("SCDG is faster than CDG on V = 1", SCDG, CDG),
    faster("SCDG is faster than CDG in lockstep, same hardware", SCDG, LOCKSTEP),
    Claim(
        "SCDG realises more of the promised time than CDG on V = 1 (%)",
        compared(SHARE, SCDG, ">", CDG, 100, 0),
        BOTH,
    ),
    faster("CDG on V = 1 is faster than in lockstep", CDG, LOCKSTEP),
    less_energy("SCDG takes less energy than CDG on V = 1", SCDG, CDG),
    less_energy("SCDG on V = 1 takes less energy than CDG, same hardware", GATHERED, CDG),
    less_energy("SCDG takes less energy than CDG in lockstep, same hardware", SCDG, LOCKSTEP),
    less_energy("CDG takes less energy in lockstep than on V = 1", LOCKSTEP, CDG),
    less_energy("SCDG takes less energy than the dense machine", SCDG, DENSE, ONE),
    less_energy(
        "SCDG takes less energy than dense-zero-gated on its activations", SCDG, SCDG_ZEROS, ONE
    ),
    less_energy("SCDG takes less energy than dense-zero-gated on CDG's", SCDG, CDG_ZEROS, ONE),
    less_energy(
        "SCDG takes less energy than dense-zero-gated on the dense network's",
        SCDG,
        DENSE_ZEROS,
        ONE,
    ),
    faster("SCDG is faster than FBS", SCDG, FBS),
    faster("SCDG is faster than DGC", SCDG, DGC),
    less_energy("SCDG takes less energy than FBS", SCDG, FBS),
    less_energy("SCDG takes less energy than DGC", SCDG, DGC),
    *more_accurate("A dense network", DENSE_ZEROS, "CDG", CDG),
    *more_accurate("CDG", CDG, "SCDG", SCDG),
    *more_accurate("CDG", CDG, "CGNet", CGNET),
    *more_accurate("CDG", CDG, "FBS", FBS),
    *more_accurate("CDG", CDG, "DGC", DGC),
)
