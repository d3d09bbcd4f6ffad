"""``python -m tools.rtl_energy``: measure the units' energy and area from gates (make rtl-energy).

``--short`` measures two units in a few cycles and compares nothing. ``--write`` keeps the tables as
docs/evidence/gates.md and gates.csv. It exits with 1 where leakage is not what sta says, and with 2
where a tool or the library is missing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.rtl_energy.measure import Measured, Technology, measure_all, wire_pf
from tools.rtl_energy.operands import trace_statistics
from tools.rtl_energy.page import Made, as_csv, page
from tools.rtl_energy.tools import missing, versions
from tools.rtl_energy.units import all_units

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "gates.md"
LIBRARY = Path(__file__).parents[2] / "build" / "osu018" / "usr/share/qflow/tech/osu018"

SHORT = ("MAC", "comparator, 32 bits")
MOST_OFF = 5e-4
"""A share of the leakage; four digits."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    technology = Technology(options.library)
    if lacks := missing(technology):
        print(f"GATES NOT MEASURED: {lacks}; make rtl-energy installs what it needs")
        return 2
    began = time.monotonic()
    units = [unit for unit in all_units() if not options.short or unit.name in SHORT]
    statistics = trace_statistics()
    cycles = 40 if options.short else options.cycles
    measured = measure_all(units, technology, statistics, cycles, options.jobs)
    if wrong := leakage_differs(measured):
        print(f"leakage is not sta's: {wrong}")
        return 1
    if options.short:
        print(as_csv(measured), end="")
        return 0
    library = technology.library()
    minutes = (time.monotonic() - began) / 60
    volts, jobs = library.volts, options.jobs
    made = Made(statistics, cycles, jobs, minutes, versions(technology), volts, wire_pf(library))
    text = page(measured, made)
    print(text)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
        PAGE.with_suffix(".csv").write_text(as_csv(measured), encoding="utf-8")
    return 0


def leakage_differs(measured: Sequence[Measured]) -> str:
    """The units whose leakage is another one in sta, with both; nW."""
    return "; ".join(
        f"{found.unit}: {found.leakage:.6g}, not {found.sta_leakage:.6g}"
        for found in measured
        if found.leakage_off > MOST_OFF
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", type=Path, default=LIBRARY, help="folder of osu018_stdcells")
    parser.add_argument("--cycles", type=int, default=1000, help="of a play (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--short", action="store_true", help="two units, a few cycles")
    parser.add_argument("--write", action="store_true", help="keep page and table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
