"""The bench in Verilog: one tile's passes on ``counted_tile_pass``, its waves in a VCD file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from rtl.simulator import SOURCES

from tools.rtl_wave.tile import Played
from tools.rtl_wave.tracks import Signal

COUNTERS = ("steps", "bank_stall_cycles", "drain_cycles", "decode_stall_cycles")

PATIENCE = 10_000_000
"""Cycles after which a pass should have ended."""

BENCH = """\
`timescale 1us/1ns
module bench;
    reg clk = 0, rst = 1, clear = 0, start = 0;
    integer of_pass = 0, waited = 0;
    always #0.5 clk = ~clk;

{inputs}
    counted_tile_pass #({parameters}) dut (
        .clk(clk), .rst(rst), .clear(clear), .start(start), .write_nonzero(1'b0),
        .nonzero_address(0), .nonzero_word(0),
        {ports});

    generate if (1) begin : tile
{signals}
    end endgenerate

    task play;
        begin
            clear = of_pass == 0;
            start = 1;
            @(negedge clk);
            clear = 0;
            start = 0;
            waited = 0;
            while (dut.active && waited < {patience}) begin
                @(negedge clk);
                waited = waited + 1;
            end
            $display("pass {format}", {counters});
        end
    endtask

    initial begin
        @(negedge clk);
        @(negedge clk);
        rst = 0;
        $dumpfile("{waves}");
        $dumpvars(0, bench.tile);
{passes}
        $finish;
    end
endmodule
"""


def run(played: Played, shown: dict[str, list[Signal]], waves: Path) -> dict[str, int]:
    """Leaves the waves; cycles by cause as the RTL's counters have them."""
    folder = waves.parent
    source, binary = folder / "bench.v", folder / "bench.vvp"
    source.write_text(bench(played, shown, waves.name))
    flags = ["-g2005", "-s", "bench", "-o", str(binary)]
    try:
        _call(["iverilog", *flags, str(source), *map(str, SOURCES)], folder)
        printed = _call(["vvp", "-n", str(binary)], folder)
    finally:
        for file in (source, binary):
            file.unlink(missing_ok=True)
    rows = [list(map(int, row.split())) for row in re.findall(r"^pass (.*)$", printed, re.M)]
    assert len(rows) == len(played.causes), printed
    before = [0, *(row[0] for row in rows)]
    found = {
        cause: row[0] - counted
        for cause, row, counted in zip(played.causes, rows, before, strict=False)
    }
    names = ("bank_stall", "drain", "decode_stall")
    return found | dict(zip(names, rows[-1][1:], strict=True))


def _call(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bench(played: Played, shown: dict[str, list[Signal]], waves: str) -> str:
    """The bench's source: a pass's inputs are set before it starts."""
    tile, passes = played.case["tile"], played.case["passes"]
    of_passes = list(passes[0])
    passed: list[str] = []
    for number, inputs in enumerate(passes):
        passed.append(f"        of_pass = {number};")
        passed += [f"        {name} = {_literal(level)};" for name, level in inputs.items()]
        passed.append("        play;")
    signals = [
        f"        wire {f'[{signal.bits - 1}:0] ' if signal.bits > 1 else ''}{signal.name} = "
        f"{signal.shows};"
        for signals in shown.values()
        for signal in signals
    ]
    ports = [f".{name}({_literal(level)})" for name, level in tile.items()]
    ports += [f".{name}({name})" for name in of_passes]
    return BENCH.format(
        inputs="\n".join(f"    reg [31:0] {name} = 0;" for name in of_passes),
        parameters=", ".join(f".{name}({level})" for name, level in played.parameters.items()),
        ports=",\n        ".join(ports),
        signals="\n".join(signals),
        patience=PATIENCE,
        format=" ".join(["%0d"] * len(COUNTERS)),
        counters=", ".join(f"dut.{name}" for name in COUNTERS),
        waves=waves,
        passes="\n".join(passed),
    )


def _literal(level: str) -> str:
    """A hexadecimal number, as wide as it is."""
    return f"{4 * len(level)}'h{level}"
