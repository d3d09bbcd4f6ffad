"""The same measured once with a 45 nm library: what both measure, side by side."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.rtl_energy.measure import Measured

FIGURES = Path(__file__).parent / "gates45.csv"
CLOSE = 0.15

UNKNOWN = "not explained: what is in it there is not told"

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
    """Its cycles per fill are not told: A = 4 here, and as many reads of a byte."""
    mac, pj = units["MAC"].row("non-zero operands").pj, values["mac_nonzero"]
    pointer = units["pointer, Q = 0"]
    filled = pointer.row("filled, 16 of 16 banks read")
    turned = pointer.row("waits, a new bank in every cycle")
    chosen = turned.bare_pj
    clock, reads = 4 * filled.clock_pj, 4 * units["byte multiplexer 4:1"].row("chooses").pj
    register = filled.pj - turned.pj + reads
    total = chosen + register + clock
    figures = (
        ("multiplexer", "multiplexer_per_fill", chosen, ""),
        ("line register without clock", "line_register_per_fill", register, UNKNOWN),
        ("line register's clock", "line_register_clock_per_fill", clock, "4 cycles are a guess"),
        ("pointer", "pointer_fill_total", total, ""),
    )
    return [
        *(
            Compared(f"{what}, per fill", values[of] / pj, here / mac, why)
            for what, of, here, why in figures
        ),
        Compared(
            "pointer that waits, share of a filled one",
            values["waiting_pointer_share"],
            (chosen + clock) / total,
            "with a new bank in every cycle, as it seems there; with its bank held it is less",
        ),
    ]


def _areas(units: Units, values: Mapping[str, float]) -> list[Compared]:
    """Its MAC is as large as the one that yosys merges."""
    merged = units["MAC merged by yosys"].area
    um2 = values["pe_area"]
    rows = (
        ("a pointer", "pointer_area", "pointer, Q = 0", ""),
        (
            "a decoder",
            "decoder_area",
            "bitmap decoder",
            "it meets 2 ns there, and what was in it is not told; nothing is sized here",
        ),
        (
            "an arbiter, 32 pointers",
            "arbiter_area_32_pointers",
            "bank arbiter, 32 pointers, 16 banks, Q = 0",
            "",
        ),
        (
            "an arbiter, 64 pointers",
            "arbiter_area_64_pointers",
            "bank arbiter, 64 pointers, 16 banks, Q = 0",
            "",
        ),
    )
    return [
        Compared(
            f"area of {what}, in merged MACs", values[of] / um2, units[unit].area / merged, why
        )
        for what, of, unit, why in rows
        if unit in units
    ]
