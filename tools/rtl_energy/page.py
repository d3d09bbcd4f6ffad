"""docs/evidence/gates.md and gates.csv: every ratio that was measured, and how.

The page's words are in ``page.md`` beside this file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.rtl_energy import prices, rules, second
from tools.rtl_energy.bench import WARM_UP
from tools.rtl_energy.measure import SLEW_NS, Measured, Row
from tools.rtl_energy.operands import ROUND_STEPS, Statistics
from tools.rtl_energy.plays import WAIT
from tools.rtl_energy.prices import table
from tools.rtl_energy.units import ARBITER_SHARE, LARGE_SHARE, TILE_BITS

TEMPLATE = Path(__file__).parent / "page.md"
REFERENCE, CONDITION = "MAC", "non-zero operands"


@dataclass(frozen=True)
class Made:
    """What the page says of the run itself. ``volts`` and ``wire_pf`` are the library's."""

    statistics: Statistics
    cycles: int
    jobs: int
    minutes: float
    versions: Sequence[str]
    volts: float
    wire_pf: float


def ratios(measured: Sequence[Measured]) -> list[list[str]]:
    """quantity, ratio, unit, condition: what gates.csv holds, a line each."""
    mac = _named(measured, REFERENCE)
    one = mac.row(CONDITION)
    lines = [["quantity", "ratio", "unit", "condition"]]
    for found in measured:
        lines.append([f"{found.unit}: area", f"{found.area / mac.area:.4g}", "MAC", ""])
        lines.append([f"{found.unit}: leakage", f"{found.leakage / mac.leakage:.4g}", "MAC", ""])
        for row in found.rows:
            shares = {
                "energy": row.pj / one.pj,
                "energy of clock pins": row.clock_pj / one.pj,
                "energy with wires": row.wire_pj / one.wire_pj,
            }
            if row.delay_pj is not None and one.delay_pj is not None:
                shares["energy with delays"] = row.delay_pj / one.delay_pj
            lines += [
                [f"{found.unit}: {name}", f"{share:.4g}", f"MAC per {row.per}", row.condition]
                for name, share in shares.items()
            ]
    return lines


def as_csv(measured: Sequence[Measured]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(ratios(measured))
    return text.getvalue()


def page(measured: Sequence[Measured], made: Made) -> str:
    """The page, in Markdown."""
    mac = _named(measured, REFERENCE)
    of = made.statistics
    return TEMPLATE.read_text(encoding="utf-8").format(
        volts=made.volts,
        mac_pj=mac.row(CONDITION).pj,
        mac_area=mac.area,
        versions=", ".join(made.versions),
        cycles=made.cycles,
        arbiter_cycles=round(made.cycles * ARBITER_SHARE),
        leakage_off=100 * max(found.leakage_off for found in measured),
        jobs=made.jobs,
        minutes=made.minutes,
        warm_up=WARM_UP,
        slew=SLEW_NS,
        wire_ff=1e3 * made.wire_pf,
        zeros=of.zero_operands,
        density=of.density,
        lockstep=of.lockstep,
        round_steps=ROUND_STEPS,
        wait=WAIT,
        energies=_energies(measured, mac),
        merged=_named(measured, "MAC merged by yosys").area / mac.area,
        areas=_areas(measured, mac),
        banks=_banks(measured, mac),
        arbiter=_arbiter(measured, mac),
        least_area=min(rules.areas_by_pairs(measured)) / mac.area,
        most_area=max(rules.areas_by_pairs(measured)) / mac.area,
        second=_second(measured),
        large_cycles=round(made.cycles * LARGE_SHARE),
        **_lean(measured, mac),
        **_waiting(measured, mac.row(CONDITION).pj),
    )


def _waiting(measured: Sequence[Measured], pj: float) -> dict[str, float]:
    """Figures of the text about pointers that wait."""
    pointer, gated = _named(measured, "pointer, Q = 0"), _named(measured, "pointer, inputs gated")
    waits, filled = "waits, 16 of 16 banks read", "filled, 16 of 16 banks read"
    return {
        "waits": pointer.row(waits).pj / pointer.row(filled).pj,
        "waits_bare": pointer.row(waits).bare_pj / pointer.row(filled).bare_pj,
        "waits_still": pointer.row("waits, no bank reads").bare_pj / pj,
        "waits_other": pointer.row("waits, another bank reads").bare_pj / pj,
        "gated_fill": gated.row(filled).pj / pj,
        "gated_wait": gated.row(waits).pj / pj,
        "gated_wait_bare": gated.row(waits).bare_pj / pj,
        "gated_area": gated.area / pointer.area,
    }


def _energies(measured: Sequence[Measured], mac: Measured) -> str:
    one = mac.row(CONDITION)
    heads = ("unit", "condition", "per", "energy", "clock", "with wires", "with delays")
    rows = ([found.unit, *_energy(row, one)] for found in measured for row in found.rows)
    return table(heads, 3, rows)


def _energy(row: Row, one: Row) -> list[str]:
    delays = "" if row.delay_pj is None else f"{row.delay_pj / (one.delay_pj or 1):.3f}"
    shares = (row.pj / one.pj, row.clock_pj / one.pj, row.wire_pj / one.wire_pj)
    return [row.condition, row.per, *(f"{share:.3f}" for share in shares), delays]


def _areas(measured: Sequence[Measured], mac: Measured) -> str:
    heads = ("unit", "cells", "area", "leakage", "longest path, ns")
    rows = (
        [
            found.unit,
            f"{found.cells:,}",
            f"{found.area / mac.area:.3f}",
            f"{found.leakage / mac.leakage:.3f}",
            "" if found.path is None else f"{found.path:.1f}",
        ]
        for found in measured
    )
    return table(heads, 1, rows)


def _banks(measured: Sequence[Measured], mac: Measured) -> str:
    """Is a multiplexer's energy linear in the banks that read?"""
    pj, pointer = mac.row(CONDITION).pj, _named(measured, "pointer, Q = 0")
    rows = []
    for name in ("filled", "waits"):
        points = rules.by_banks(pointer, name)
        values = [f"{points[number] / pj:.3f}" for number in rules.BANKS_READ]
        rows.append([name, *values, *_line(rules.line(points), pj, "n")])
    heads = ("a pointer that is", *(f"n = {n}" for n in rules.BANKS_READ), "line", "off")
    return table(heads, 1, rows)


def _arbiter(measured: Sequence[Measured], mac: Measured) -> str:
    pj = mac.row(CONDITION).pj
    rows = [
        [f"energy of a {per}", *_line(rules.line(rules.by_pointers(measured, per)), pj, "N")]
        for per in ("busy cycle", "beat")
    ]
    area = rules.line(rules.areas_by_pointers(measured))
    return table(("in MACs", "line", "off"), 1, [*rows, ["area", *_line(area, mac.area, "N")]])


def _lean(measured: Sequence[Measured], mac: Measured) -> dict[str, object]:
    """Figures of the sections about lean arbiters and pointers of other sizes."""
    pj = mac.row(CONDITION).pj
    energy, area = prices.lean_energy(measured, pj), prices.lean_area(measured, mac.area)
    lean, every = _lean_one(measured, ""), _lean_one(measured, ", all bits compared")
    ahead = _lean_one(measured, "", 1)
    clock = lean.row("nobody asks").clock_pj / 16 / pj
    fill, pointer_area = (
        prices.pointer_energy(measured, pj),
        prices.pointer_area(measured, mac.area),
    )
    return {
        "tile_bits": TILE_BITS,
        "lean_energy": energy,
        "lean_area": area,
        "lean_points": prices.points(energy, ("N", "B", "play")),
        "lean_areas": prices.points(area, ("N", "B")),
        "lean_clock": clock,
        "every_area": every.area / lean.area,
        "every_energy": every.row("works", "beat").pj / lean.row("works", "beat").pj,
        "ahead_area": ahead.area / lean.area,
        "ahead_energy": ahead.row("works", "beat").pj / lean.row("works", "beat").pj,
        "fill": fill,
        "fill_points": prices.points(fill, ("A", "B", "n", "pointer")),
        "pointer_area": pointer_area,
        "pointer_areas": prices.points(pointer_area, ("A", "B")),
    }


def _lean_one(measured: Sequence[Measured], of: str, ahead: int = 0) -> Measured:
    """Of 16 pointers and 16 banks."""
    return _named(measured, f"lean arbiter, 16 pointers, 16 banks, Q = {ahead}{of}")


def _second(measured: Sequence[Measured]) -> str:
    units = {found.unit: found for found in measured}
    rows = [
        [
            found.what,
            f"{found.other:.3f}",
            f"{found.here:.3f}",
            f"{100 * found.off:+.0f} %" if found.close else f"**{100 * found.off:+.0f} %**",
            found.why,
        ]
        for found in second.compare(units, second.figures())
    ]
    heads = ("quantity", "there", "here", "off", "remark")
    return table(heads, 1, rows)


def _line(found: rules.Line, unit: float, of: str) -> list[str]:
    sign = "-" if found.slope < 0 else "+"
    text = f"{found.start / unit:.3f} {sign} {abs(found.slope) / unit:.4f} {of}"
    return [text, f"{100 * found.off:.1f} %"]


def _named(measured: Sequence[Measured], name: str) -> Measured:
    return next(found for found in measured if found.unit == name)
