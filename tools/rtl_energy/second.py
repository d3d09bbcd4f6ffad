"""The same measured once with a 45 nm library: what both measure, side by side."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.rtl_energy.measure import Measured

FIGURES = Path(__file__).parent / "gates45.csv"
CLOSE = 0.15

Units = Mapping[str, Measured]


@dataclass(frozen=True)
class Compared:
    """``other`` and ``here`` are shares of a MAC (or what ``what`` says); ``why`` explains."""

    what: str
    other: float
    here: float
    why: str

    @property
    def off(self) -> float:
        return self.here / self.other - 1

    @property
    def close(self) -> bool:
        return abs(self.off) <= CLOSE


def figures(path: Path = FIGURES) -> dict[str, float]:
    """Values by quantity, pJ, um2 or shares."""
    with path.open(encoding="utf-8") as lines:
        return {row["quantity"]: float(row["value"]) for row in csv.DictReader(lines)}


def compare(units: Units, values: Mapping[str, float]) -> list[Compared]:
    """All that both measure, energies first."""
    return [*_macs(units, values), *_pointers(units, values), *_areas(units, values)]


def _macs(units: Units, values: Mapping[str, float]) -> list[Compared]:
    """Its MAC seems to have operand registers: with them the idle clock is the same."""
    mac, registered = units["MAC"].row("non-zero operands"), units["MAC with operand registers"]
    whole = registered.row("non-zero operands").pj
    pj = values["mac_nonzero"]

    def share(condition: str) -> float:
        return registered.row(condition).pj / whole

    found = [
        Compared("MAC with wires", values["mac_nonzero_wire"] / pj, mac.wire_pj / mac.pj, ""),
        Compared(
            "MAC with glitches",
            values["mac_nonzero_glitch"] / pj,
            (mac.delay_pj or 0.0) / mac.pj,
            "unit delays there, the library's here",
        ),
    ]
    rows: list[tuple[str, str, str, Callable[[str], float]]] = [
        ("zeros computed", "mac_61pct_zero_no_gating", "osu018_zeros_without_gating", share),
        (
            "zeros computed, weight held",
            "mac_61pct_zero_operands_held",
            "osu018_operands_held",
            share,
        ),
        ("idle", "pe_gated_clock_running", "osu018_idle_clock_running", share),
    ]
    for condition, at45, at180, of in rows:
        name = f"MAC with operand registers, {condition}"
        found.append(Compared(f"{name} (45 nm)", values[at45] / pj, of(condition), ""))
        found.append(Compared(f"{name} (180 nm)", values[at180], of(condition), ""))
    return found


def _pointers(units: Units, values: Mapping[str, float]) -> list[Compared]:
    mac = units["MAC"].row("non-zero operands").pj
    pj = values["mac_nonzero"]
    pointer = units["pointer, Q = 0"]
    filled = pointer.row("filled, 16 of 16 banks read")
    chosen = units["word multiplexer 16:1"].row("chooses, 16 of 16 banks read")
    beat_clock = 4 * filled.clock_pj
    total = filled.pj + 3 * filled.clock_pj
    anew = pointer.row("waits, a new bank in every cycle")
    return [
        Compared("multiplexer per fill", values["multiplexer_per_fill"] / pj, chosen.pj / mac, ""),
        Compared(
            "line register per fill, without clock",
            values["line_register_per_fill"] / pj,
            (filled.pj - filled.clock_pj - chosen.pj) / mac,
            "here what a pointer takes beyond its multiplexer; there reads may be in it",
        ),
        Compared(
            "line register's clock per fill, a fill every 4 cycles",
            values["line_register_clock_per_fill"] / pj,
            beat_clock / mac,
            "cycles per fill are not stated there: 4 is a guess",
        ),
        Compared(
            "pointer per fill, a fill every 4 cycles",
            values["pointer_fill_total"] / pj,
            total / mac,
            "as above",
        ),
        Compared(
            "waiting pointer, share of a filled one, without clock",
            0.59,
            (anew.pj - anew.clock_pj) / (filled.pj - filled.clock_pj),
            "here with a new bank in every cycle, as there it seems; with its bank held see below",
        ),
    ]


def _areas(units: Units, values: Mapping[str, float]) -> list[Compared]:
    """Its MAC is as large as the one that yosys merges."""
    merged = units["MAC merged by yosys"].area
    um2 = values["pe_area"]
    rows = (
        ("pointer", "pointer_area", "pointer, Q = 0", ""),
        (
            "decoder",
            "decoder_area",
            "bitmap decoder",
            "its source then and its timing target are not known",
        ),
        (
            "arbiter, 32 pointers",
            "arbiter_area_32_pointers",
            "bank arbiter, 32 pointers, 16 banks, Q = 0",
            "",
        ),
        (
            "arbiter, 64 pointers",
            "arbiter_area_64_pointers",
            "bank arbiter, 64 pointers, 16 banks, Q = 0",
            "",
        ),
    )
    return [
        Compared(
            f"area of a {what}, in merged MACs", values[of] / um2, units[unit].area / merged, why
        )
        for what, of, unit, why in rows
        if unit in units
    ]
