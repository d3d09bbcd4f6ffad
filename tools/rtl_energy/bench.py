"""Operands played through a unit's gates and, beside them, through its RTL, in Icarus Verilog.

All inputs change with the clock's rising edge, as if registers drove them. Gates take no time, so
that a net changes at most once a cycle but for the clock, unless ``delays`` asks for the library's
own: then nets may change several times until they settle.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tools.rtl_energy.netlist import Netlist
from tools.rtl_energy.toggles import Toggles, count_toggles

Operands = Mapping[str, Sequence[int] | np.ndarray]
"""By input port one value a cycle; the clock is not among them."""

WARM_UP = 4
"""Cycles in front whose toggles are not counted: flip-flops begin unknown."""

PERIOD_NS = 40


class BenchError(Exception):
    """Gates and RTL disagree, or the simulation did not end as it should."""


def play(
    netlist: Netlist,
    operands: Operands,
    rtl: tuple[str, Sequence[Path], Mapping[str, int]],
    cells: Path,
    folder: Path,
    delays: bool = False,
) -> Toggles:
    """Toggles of the cycles behind WARM_UP.

    ``rtl`` is the module, its sources and parameters, ``cells`` the library's Verilog. BenchError
    where an output of the gates ever differs from the RTL's, at the end of a cycle.
    """
    cycles = len(next(iter(operands.values())))
    _write_vectors(netlist, operands, folder / "operands.hex")
    (folder / "gates.v").write_text(netlist.verilog())
    (folder / "bench.v").write_text(_bench(netlist, rtl[0], rtl[2], cycles, folder))
    binary, dump = folder / "bench.vvp", folder / "gates.vcd"
    sources = [folder / "bench.v", folder / "gates.v", cells, *rtl[1]]
    flags = ["-g2005", "-Ttyp", *(["-gspecify"] if delays else []), "-s", "bench"]
    compiled = ["iverilog", *flags, "-o", str(binary), *map(str, dict.fromkeys(sources))]
    subprocess.run(compiled, check=True, capture_output=True)
    ran = subprocess.run(["vvp", "-n", str(binary)], check=True, capture_output=True, text=True)
    if "differ: 0" not in ran.stdout:
        raise BenchError(f"{netlist.name}: gates against RTL: {ran.stdout.strip()[-300:]}")
    with dump.open(encoding="ascii") as lines:
        toggles = count_toggles(lines)
    dump.unlink()
    return toggles


def _inputs(netlist: Netlist) -> dict[str, int]:
    return {name: len(bits) for name, bits in netlist.inputs.items() if name != "clk"}


def _write_vectors(netlist: Netlist, operands: Operands, path: Path) -> None:
    """A line a cycle: the values of all inputs, the first port in the highest bits."""
    widths = _inputs(netlist)
    if set(widths) != set(operands):
        raise BenchError(f"{netlist.name}: operands {set(operands)} for ports {set(widths)}")
    lines = []
    for values in zip(*(operands[name] for name in widths), strict=True):
        line = 0
        for width, value in zip(widths.values(), values, strict=True):
            line = line << width | int(value) & ((1 << width) - 1)
        lines.append(f"{line:x}")
    path.write_text("\n".join(lines) + "\n")


def _bench(
    netlist: Netlist, module: str, parameters: Mapping[str, int], cycles: int, folder: Path
) -> str:
    widths = _inputs(netlist)
    outputs = {name: len(bits) for name, bits in netlist.outputs.items()}
    total = sum(widths.values())
    settings = ", ".join(f".{name}({value})" for name, value in parameters.items())
    joined = ", ".join(f".{name}({name})" for name in netlist.inputs)
    of = {
        prefix: ", ".join([joined, *(f".{name}({prefix}_{name})" for name in outputs)])
        for prefix in ("gates", "rtl")
    }
    wires = [
        f"  wire [{width - 1}:0] {prefix}_{name};"
        for name, width in outputs.items()
        for prefix in of
    ]
    # 1 where a bit is known in both and differs.
    unequal = " || ".join(f"(|(gates_{name} ^ rtl_{name})) === 1'b1" for name in outputs)
    return "\n".join(
        [
            "`timescale 1ns/10ps",
            "module bench;",
            "  reg clk = 0;",
            f"  reg [{total - 1}:0] operands [0:{cycles - 1}];",
            f"  reg [{total - 1}:0] now;",
            *(f"  wire [{width - 1}:0] {name};" for name, width in widths.items()),
            f"  assign {{{', '.join(widths)}}} = now;",
            *wires,
            f"  gates gates ({of['gates']});",
            f"  {module} #({settings}) rtl ({of['rtl']});",
            "  integer at, differ;",
            "  initial begin",
            f'    $readmemh("{folder / "operands.hex"}", operands);',
            f'    $dumpfile("{folder / "gates.vcd"}");',
            "    differ = 0;",
            "    now = operands[0];",
            f"    for (at = 1; at <= {cycles}; at = at + 1) begin",
            f"      #{PERIOD_NS // 2 - 1};",
            f"      if ({unequal}) differ = differ + 1;",
            # The first dump is of the values that counted toggles begin from.
            f"      if (at == {WARM_UP}) $dumpvars(1, gates);",
            "      #1 clk = 1;",
            f"      now <= operands[at < {cycles} ? at : {cycles} - 1];",
            f"      #{PERIOD_NS // 2} clk = 0;",
            "    end",
            '    $display("differ: %0d", differ);',
            "    $finish;",
            "  end",
            "endmodule",
            "",
        ]
    )
