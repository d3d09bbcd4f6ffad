"""Synthesise the parts of the machine with yosys: no latch may come out; count cells.

    python rtl/synth.py

A small machine, R x C = 4 x 8 with B = 8 banks, once with V = 1 (a list and R pointers for every
column) and once with V = 8; each with banks in step (Q = 0) and with banks that may be a beat
ahead. Cells are yosys' gates of one or two inputs and multiplexers, before any mapping to a
library: they compare the machines, they are no area.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
R, C, B, A, W, E, WORDS, ADDRESS_BITS = 4, 8, 8, 4, 32, 1, 2, 12
AHEAD = (0, 1)
LATCHES = ("$_DLATCH", "$_SR_", "$dlatch", "$sr")
FLIP_FLOPS = ("$_DFF", "$_SDFF", "$_DFFE", "$_SDFFE", "$_SDFFCE")


def cells(module: str, sources: list[str], **parameters: int) -> dict[str, int]:
    """Cells by kind of one module after generic synthesis."""
    settings = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "stat.json"
        commands = [
            *(f"read_verilog {FOLDER / source}" for source in sources),
            f"chparam {settings} {module}",
            f"synth -flatten -top {module}",
            "check -assert",
            f"tee -q -o {report} stat -json",
        ]
        subprocess.run(["yosys", "-q", "-p", "; ".join(commands)], check=True)
        design = json.loads(report.read_text())["design"]
    return design["num_cells_by_type"]


def main() -> int:
    print(f"R x C = {R} x {C}, B = {B}, A = {A}, W = {W}, E = {E}, tiles of {WORDS * W} pixels")
    print(
        f"{'module':<17} {'V':>2} {'Q':>2} {'copies':>6} {'cells each':>11}"
        f" {'all cells':>10} {'of them FF':>11}"
    )
    latches = 0
    for lanes in (1, C):
        lane_groups = -(-C // lanes)
        pointers = R * lane_groups
        parts = [
            ("bitmap_decoder", lane_groups, {"R": R, "W": W, "E": E, "WORDS": WORDS}),
            ("round_window", 1, {"J": lane_groups, "INDEX_BITS": (WORDS * W - 1).bit_length()}),
            *(
                (module, 1, {**of, "N": pointers, "B": B, "Q": ahead})
                for ahead in AHEAD
                for module, of in (
                    ("bank_arbiter", {"ADDRESS_BITS": ADDRESS_BITS}),
                    ("operand_network", {"A": A, "ENTRIES": ahead + 2}),
                )
            ),
            *(("beat_length", 1, {"A": A, "B": B, "Q": ahead}) for ahead in AHEAD),
            ("next_operand", pointers, {"A": A}),
        ]
        for module, copies, parameters in parts:
            kinds = cells(module, [f"{module}.v"], **parameters)
            total = sum(kinds.values())
            flops = sum(n for kind, n in kinds.items() if kind.startswith(FLIP_FLOPS))
            latches += sum(n for kind, n in kinds.items() if kind.startswith(LATCHES))
            print(
                f"{module:<17} {lanes:>2} {parameters.get('Q', ''):>2} {copies:>6} {total:>11,}"
                f" {copies * total:>10,} {copies * flops:>11,}"
            )
    for ahead in AHEAD:
        sequencer = cells(
            "round_sequencer", ["round_sequencer.v", "next_beat.v"], R=R, A=A, Q=ahead
        )
        latches += sum(n for kind, n in sequencer.items() if kind.startswith(LATCHES))
        print(f"{'round_sequencer':<17} {'':>2} {ahead:>2} {1:>6} {sum(sequencer.values()):>11,}")
    print(f"latches: {latches}")
    return 1 if latches else 0


if __name__ == "__main__":
    sys.exit(main())
