"""OpenSTA's own sums over a netlist: leakage, and the longest path, for comparison."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from tools.rtl_energy.netlist import Netlist

PERIOD_NS = 1000
"""Of the clock: long enough for every path."""


class Timing(NamedTuple):
    """``leakage`` in nW; ``path`` the longest of the netlist in ns, None where it has none."""

    leakage: float
    path: float | None


def time(netlist: Netlist, liberty: Path, folder: Path) -> Timing:
    """Ask ``sta``, with all inputs and outputs at the clock's edge."""
    (folder / "timed.v").write_text(netlist.verilog())
    clock = "[get_ports clk]" if "clk" in netlist.inputs else ""
    inputs = " ".join(name for name in netlist.inputs if name != "clk")
    script = [
        f"read_liberty {liberty}",
        f"read_verilog {folder / 'timed.v'}",
        "link_design gates",
        f"create_clock -name clk -period {PERIOD_NS} {clock}",
        f"set_input_delay 0 -clock clk [get_ports {{{inputs}}}]",
        "set_output_delay 0 -clock clk [all_outputs]",
        "report_power -digits 6",
        "report_worst_slack -digits 4",
        "exit",
    ]
    (folder / "time.tcl").write_text("\n".join(script) + "\n")
    command = ["sta", "-no_init", "-no_splash", "-exit", str(folder / "time.tcl")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return read_report(said)


def read_report(said: str) -> Timing:
    """Leakage of the line of totals, in W there, and a period less the worst slack."""
    totals = re.search(r"^Total +\S+ +\S+ +(\S+)", said, re.MULTILINE)
    if not totals:
        raise ValueError(f"no power in what sta said: {said[-500:]}")
    slack = re.search(r"^worst slack (-?[\d.]+)", said, re.MULTILINE)
    path = PERIOD_NS - float(slack[1]) if slack else None
    # A latch in front of a clock gate has half a period alone, and tells nothing of the unit.
    return Timing(float(totals[1]) * 1e9, path if path and path < PERIOD_NS / 2 else None)
