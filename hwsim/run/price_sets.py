"""Sets of prices under which a conclusion has to hold, or be said not to: counts priced anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.energy.table import table_names
from hwsim.run.results import SimResult

PRICES: tuple[dict[str, str | float], ...] = (
    {"table": "cacti22", "operand_network_scale": 0.0},
    {"table": "cacti22", "operand_network_scale": 1.0},
    {"table": "cacti22", "operand_network_scale": 4.0},
    {"table": "horowitz45", "operand_network_scale": 0.0},
    {"table": "horowitz45", "operand_network_scale": 1.0},
    {"table": "horowitz45", "operand_network_scale": 4.0},
    {"table": "gates45", "operand_network_scale": 0.0},
    {"table": "gates45", "operand_network_scale": 1.0},
    {"table": "gates45", "operand_network_scale": 4.0},
    {"table": "cacti22", "mac_scale": 0.25},
    {"table": "cacti22", "mac_scale": 0.5},
    {"table": "cacti22", "mac_scale": 2.0},
    {"table": "cacti22", "dram_pj_per_bit": 4.0},
    {"table": "cacti22", "dram_pj_per_bit": 20.0},
    {"table": "cacti22", "gated_mac_share": 0.28},
)
"""Each table with the operand network at x0, x1 and x4; the MAC at x0.25, x0.5 and x2; DRAM at 4
and 20 pJ/bit; gated PEs whose clock runs on. What a set does not say is x1, or the machine's."""

PRICE_KEYS = (
    "table", "mac_scale", "operand_network_scale", "dram_pj_per_bit", "gated_mac_share",
    "zeros_run",
)  # fmt: skip
"""What tells one set of prices from another; ``zeros_run``: as if no zero operand were gated."""

PLAIN = {"mac_scale": 1.0, "operand_network_scale": 1.0}


def other_prices(results: Sequence[SimResult]) -> list[dict[str, Any]]:
    """Energy per image of each run under each of PRICES that has all prices: counts priced anew.

    Where the machine gates zeros, under one set more: its own, with zeros that run.
    """
    rows = []
    results = [result for result in results if not result.no_price]
    gating = any(result.arch.array.zero_gating for result in results)
    for result in results:
        sets = [(result.repriced(**PLAIN | prices), False) for prices in PRICES]
        if gating:
            sets.append((result.ungated(), True))
        priced = [(other, zeros_run) for other, zeros_run in sets if not other.no_price]
        rows += [_row(result, other, zeros_run) for other, zeros_run in priced]
    return rows


def under_tables(result: SimResult) -> dict[str, float | None]:
    """Energy per image, uJ, under each energy table, all else as it is; None: it lacks a price."""
    found: dict[str, float | None] = {}
    for name in table_names():
        other = result.repriced(table=name)
        priced = None if other.no_price else sum(other.energy_pj.values()) / other.images / 1e6
        found[f"energy_uj_per_image_{name}"] = priced
    return found


def prices_heading(row: Mapping[str, Any]) -> str:
    """The set of prices of a row of :func:`other_prices`, in a few short lines."""
    heading = f"{row['table']}\nx{row['operand_network_scale']:g}"
    heading += f"\nMAC x{row['mac_scale']:g}" if row["mac_scale"] != 1 else ""
    heading += f"\nDRAM {row['dram_pj_per_bit']:g}"
    heading += f"\ngated {row['gated_mac_share']:g}" if row["gated_mac_share"] else ""
    return heading + ("\nzeros run" if row["zeros_run"] else "")


def _row(result: SimResult, other: SimResult, zeros_run: bool) -> dict[str, Any]:
    pricing = other.arch.pricing
    return {
        "trace": result.trace_name,
        "label": result.header.label,
        "scheme": result.scheme.name,
        "zeros_gated": result.gates_zeros,
        "batch": result.batch,
        "table": pricing.table,
        "mac_scale": pricing.mac_scale,
        "operand_network_scale": pricing.operand_network_scale,
        "dram_pj_per_bit": other.arch.dram.pj_per_bit,
        "gated_mac_share": pricing.gated_mac_share,
        "zeros_run": zeros_run,
        "energy_uj_per_image": sum(other.energy_pj.values()) / result.images / 1e6,
    }
