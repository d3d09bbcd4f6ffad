"""Map a unit, play its cases, and sum what their toggles take."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.rtl_energy import sta
from tools.rtl_energy.bench import play
from tools.rtl_energy.energy import energy
from tools.rtl_energy.liberty import Library, read_library
from tools.rtl_energy.netlist import Netlist, map_unit
from tools.rtl_energy.operands import Draw, Statistics
from tools.rtl_energy.toggles import Toggles
from tools.rtl_energy.units import Case, Unit

SLEW_NS = 0.06
"""Of every transition: the fastest that the library's tables know, near that of its cells at loads
of a few pins.
"""


def wire_pf(library: Library) -> float:
    """Where wires are charged, each pin's has as much as an inverter's input."""
    return library.cells["INVX1"].pins["A"].capacitance


@dataclass(frozen=True)
class Technology:
    """The library's liberty file, its cells in Verilog and in LEF."""

    folder: Path

    @property
    def liberty(self) -> Path:
        return self.folder / "osu018_stdcells.lib"

    @property
    def verilog(self) -> Path:
        return self.folder / "osu018_stdcells.v"

    @property
    def lef(self) -> Path:
        return self.folder / "osu018_stdcells.lef"

    def library(self) -> Library:
        return read_library(self.liberty, self.lef)


@dataclass(frozen=True)
class Row:
    """Energy of one count, pJ: without wires, with them, with the gates' delays; the clock's."""

    condition: str
    per: str
    pj: float
    clock_pj: float
    wire_pj: float
    delay_pj: float | None

    @property
    def bare_pj(self) -> float:
        """Without the clock's."""
        return self.pj - self.clock_pj


@dataclass(frozen=True)
class Measured:
    """``area`` in um2, leakages in nW (summed here, and by sta), ``path`` in ns."""

    unit: str
    cells: int
    area: float
    leakage: float
    sta_leakage: float
    path: float | None
    rows: tuple[Row, ...]

    @property
    def leakage_off(self) -> float:
        """How far the two sums of leakage are apart, as a share."""
        return abs(self.leakage / self.sta_leakage - 1)

    def row(self, condition: str, per: str | None = None) -> Row:
        return next(r for r in self.rows if r.condition == condition and per in (None, r.per))


def measure_all(
    units: Sequence[Unit], technology: Technology, statistics: Statistics, cycles: int, jobs: int
) -> list[Measured]:
    """All units in their order, ``jobs`` at a time, those first that take long."""
    with ProcessPoolExecutor(jobs) as pool:
        order = sorted(range(len(units)), key=lambda at: -units[at].parameters.get("N", 0))
        tasks = {
            at: pool.submit(measure, units[at], technology, statistics, cycles) for at in order
        }
        return [tasks[at].result() for at in range(len(units))]


def measure(unit: Unit, technology: Technology, statistics: Statistics, cycles: int) -> Measured:
    """One unit. BenchError, CalledProcessError where gates and RTL differ or a tool fails."""
    library = technology.library()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        netlists = [
            map_unit(unit.module, unit.sources, unit.parameters, option, technology.liberty, folder)
            for option in unit.options
        ]
        netlist = min(netlists, key=lambda found: found.area(library))
        rows = [
            row
            for case in unit.cases
            for row in _rows(unit, case, netlist, technology, library, statistics, cycles, folder)
        ]
        timing = sta.time(netlist, technology.liberty, folder)
    return Measured(
        unit=unit.name,
        cells=len(netlist.instances),
        area=netlist.area(library),
        leakage=netlist.leakage(library),
        sta_leakage=timing.leakage,
        path=timing.path,
        rows=tuple(rows),
    )


def _rows(
    unit: Unit,
    case: Case,
    netlist: Netlist,
    technology: Technology,
    library: Library,
    statistics: Statistics,
    cycles: int,
    folder: Path,
) -> list[Row]:
    played = case.play(Draw(statistics, max(16, round(cycles * unit.share))))

    def toggles(delays: bool) -> Toggles:
        rtl = unit.module, unit.sources, unit.parameters
        return play(netlist, played.operands, rtl, technology.verilog, folder, delays)

    counted = toggles(delays=False)
    plain = energy(netlist, counted, library, SLEW_NS)
    wired = energy(netlist, counted, library, SLEW_NS, wire_pf(library))
    late = energy(netlist, toggles(delays=True), library, SLEW_NS) if unit.delays else None
    return [
        Row(
            case.condition,
            per,
            plain.total / count,
            plain.clock / count,
            wired.total / count,
            late.total / count if late else None,
        )
        for per, count in played.counts.items()
    ]
