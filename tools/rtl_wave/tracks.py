"""The signals that are shown, in the order of a timeline's tracks, and GTKWave's file of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SCOPE = "bench.tile"
"""Of the signals, within the waves."""

RADIX = {"bit": "28", "decimal": "24"}
"""GTKWave's flags: right-aligned, and how numbers are written."""

BEGIN, END = "800200", "1000200"
"""... of a group's first and last line."""


class Signal(NamedTuple):
    """What it shows: an expression over ``dut``, the ``counted_tile_pass``."""

    name: str
    bits: int
    shows: str


def groups(parameters: dict[str, int], causes: Sequence[str], lane_groups: int) -> dict[str, list]:
    """Signals by group."""
    address, held = 16, parameters["R"].bit_length()
    steps = {cause: f"dut.stepping && of_pass == {number}" for number, cause in enumerate(causes)}
    stalls = {
        "bank_stall": "dut.bank_stall",
        "drain": "dut.draining",
        "decode_stall": "dut.decode_stall",
    }
    return {
        "tile": [Signal("clk", 1, "bench.clk"), Signal("active", 1, "dut.active")],
        "rounds": [
            Signal("round_starts", 1, "dut.take"),
            Signal("rounds", 32, "dut.rounds"),
            Signal("pointers", 32, "dut.pointers"),
            Signal("beat_starts", 1, "dut.pass.beat_start"),
            Signal("beat_ends", 1, "dut.beat_ends"),
        ],
        "cycles by cause": [Signal(name, 1, shows) for name, shows in (steps | stalls).items()],
        "accumulator drain": [
            Signal("drain_starts", 1, "dut.pass.drain_starts"),
            Signal("rows_drained", held, "dut.pass.sequencer.drained"),
        ],
        "decoders": [
            signal
            for group in range(lane_groups)
            for signal in (
                Signal(f"decoder_{group}_works", 1, f"dut.decoding[{group}]"),
                Signal(f"decoder_{group}_ready", 1, f"dut.pass.list_ready[{group}]"),
                Signal(
                    f"decoder_{group}_holds", held, f"dut.pass.lane_group[{group}].decoder.count"
                ),
            )
        ],
        "banks": [
            signal
            for bank in range(parameters["B"])
            for signal in (
                Signal(f"bank_{bank}_reads", 1, f"dut.reading[{bank}]"),
                Signal(
                    f"bank_{bank}_word", address,
                    f"dut.reading[{bank}] ? dut.bank_words[{bank * address} +: {address}] "
                    f": {{{address}{{1'bz}}}}",
                ),
            )
        ],
        "counters": [
            Signal(name, 32, f"dut.{name}")
            for name in ("word_reads", "line_fills", "weight_word_reads", "decoder_cycles")
        ],
    }  # fmt: skip


def save_file(shown: dict[str, list[Signal]], waves: Path) -> str:
    """GTKWave's: groups that can be folded."""
    lines = [
        "[*] Signals of a tile, in the order of hwsim timeline's tracks; 1 us is 1 cycle.",
        f'[dumpfile] "{waves.name}"',
        "[timestart] 2000",
        "[size] 1600 1000",
        "[sst_expanded] 0",
        "*-13.5 -1",  # some 80 cycles on a screen
    ]
    for group, signals in shown.items():
        lines += [f"@{BEGIN}", f"-{group}"]
        for signal in signals:
            bus = f"[{signal.bits - 1}:0]" if signal.bits > 1 else ""
            radix = RADIX["decimal" if signal.bits > 1 else "bit"]
            lines += [f"@{radix}", f"{SCOPE}.{signal.name}{bus}"]
        lines += [f"@{END}", f"-{group}"]
    return "\n".join([*lines, ""])
