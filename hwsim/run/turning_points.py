"""Turning points: at which price the order of two runs' energies turns.

Energy is linear in each of these prices, so that two energies of a run give its line, and the
lines of two runs cross at one price or at none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hwsim.run.results import SimResult

TURNING_PRICES = {
    "mac_scale": "MAC\nx",
    "operand_network_scale": "operand\nnetwork x",
    "sram_scale": "SRAM\nwords x",
    "dram_pj_per_bit": "DRAM\npJ/bit",
    "gated_mac_share": "gated\nshare",
}
"""The prices that are varied, one at a time, as :meth:`SimResult.repriced` takes them, and how a
table heads them. A share ends at 1."""

WIDEST = 16
"""Tables and figures show prices from a sixteenth of the machine's own to 16 times as much."""

ROUNDING = 1e-9
"""Slopes that differ by less are sums of equal terms, such as the bytes of equal transfers."""


@dataclass(frozen=True)
class Line:
    """Energy of a run, uJ an image: ``start`` where the price is 0, ``slope`` for 1 of it."""

    start: float
    slope: float

    @classmethod
    def of(cls, result: SimResult, price: str) -> Line:
        start, one = (_energy_uj(result.repriced(**{price: value})) for value in (0.0, 1.0))
        return cls(start, one - start)

    def meets(self, other: Line) -> float | None:
        """The price above 0 at which both take the same; None where lines never cross."""
        if math.isclose(self.slope, other.slope, rel_tol=ROUNDING):
            return None
        price = (self.start - other.start) / (other.slope - self.slope)
        return price if price > 0 else None


def turning_points(results: Sequence[SimResult]) -> list[dict[str, Any]]:
    """A row per pair of schemes: ``less`` and ``more`` energy, and where a price turns the order.

    Runs of one scheme on several traces are no pair, nor are those that have no price. Runs are
    told by ``trace``, ``label`` and ``scheme`` (``less_trace``, ``more_trace``, ...); ``*_uj`` are
    their energies an image at the machine's prices, ``own_*``. One column per key of
    TURNING_PRICES: the price at which both are equal while the others stay as they are, None where
    none is.
    """
    results = [result for result in results if not result.no_price]
    lines = [{price: Line.of(result, price) for price in TURNING_PRICES} for result in results]
    energies = [_energy_uj(result) for result in results]
    rows = []
    for pair in combinations(range(len(results)), 2):
        less, more = sorted(pair, key=lambda place: energies[place])
        if results[less].scheme == results[more].scheme:
            continue
        row: dict[str, Any] = {}
        for side, place in (("less", less), ("more", more)):
            result = results[place]
            row |= {
                f"{side}_trace": result.trace_name,
                f"{side}_label": result.header.label,
                f"{side}_scheme": result.scheme.name,
                f"{side}_uj": energies[place],
            }
        for price in TURNING_PRICES:
            found = lines[less][price].meets(lines[more][price])
            share = price == "gated_mac_share"
            row[price] = None if found is None or (share and found > 1) else found
        rows.append(row | _own(results[less]))
    return rows


def _own(result: SimResult) -> dict[str, float]:
    """The machine's own price of each that is varied."""
    pricing = result.arch.pricing.model_dump() | {"dram_pj_per_bit": result.arch.dram.pj_per_bit}
    return {f"own_{price}": pricing[price] for price in TURNING_PRICES}


def _energy_uj(result: SimResult) -> float:
    return sum(result.energy_pj.values()) / result.images / 1e6
