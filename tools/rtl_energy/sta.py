"""OpenSTA's own sums over a netlist: leakage, and the longest path, for comparison."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from tools.rtl_energy.netlist import Netlist


class Timing(NamedTuple):
    """``leakage`` in nW; ``path`` the longest of the netlist in ns, None where it has none."""

    leakage: float
    path: float | None


def time(netlist: Netlist, liberty: Path, folder: Path) -> Timing:
    """Ask ``sta``; a clock of 1 us, or inputs and outputs alone where there is no clock."""
    (folder / "timed.v").write_text(netlist.verilog())
    clock = "[get_ports clk]" if "clk" in netlist.inputs else "-name clk"
    inputs = " ".join(name for name in netlist.inputs if name != "clk")
    script = [
        f"read_liberty {liberty}",
        f"read_verilog {folder / 'timed.v'}",
        "link_design gates",
        f"create_clock -period 1000 {clock}",
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
    """Leakage of the line of totals, in W there, and 1 us less the worst slack."""
    totals = re.search(r"^Total +\S+ +\S+ +(\S+)", said, re.MULTILINE)
    if not totals:
        raise ValueError(f"no power in what sta said: {said[-500:]}")
    slack = re.search(r"^worst slack (-?[\d.]+)", said, re.MULTILINE)
    return Timing(float(totals[1]) * 1e9, 1000 - float(slack[1]) if slack else None)
