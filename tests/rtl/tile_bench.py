"""Run the passes of tiles; a case gives inputs by name, for the tile and for each pass.

What a case has of ``nonzero`` stays for the cases behind it.
"""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, with_timeout

from rtl.clocking import PERIOD_NS, begin, read_cases, write_observations

PATIENCE = 100_000
"""Cycles after which a pass should have ended."""

COUNTERS = [
    "steps",
    "bank_stall_cycles",
    "drain_cycles",
    "decode_stall_cycles",
    "rounds",
    "word_reads",
    "line_fills",
    "weight_word_reads",
    "steps_skipped",
    "decoder_cycles",
    "window_compares",
    "pixel_uses",
]


@cocotb.test()
async def tiles(dut: HierarchyObject) -> None:
    await begin(dut, clear=0, start=0, decoded=0, write_nonzero=0)
    assert int(dut.active.value) == 0, "a reset leaves no pass behind"
    assert not any(counters(dut).values()), "nothing is counted before a pass"
    observations = []
    for case in read_cases():
        await load(dut, "nonzero", case.get("nonzero", []))
        drive(dut, case["tile"])
        seen = []
        for inputs in case["passes"]:
            drive(dut, inputs)
            seen.append(await run_pass(dut))
        observations.append(seen)
    write_observations(observations)


def drive(dut: HierarchyObject, inputs: dict[str, str]) -> None:
    """Set inputs, written in hexadecimal: some are thousands of bits wide."""
    for name, level in inputs.items():
        getattr(dut, name).value = int(level, 16)


async def load(dut: HierarchyObject, memory: str, words: list[str]) -> None:
    """Write a memory from its first word on, one word per cycle."""
    getattr(dut, f"write_{memory}").value = 1
    for address, word in enumerate(words):
        getattr(dut, f"{memory}_address").value = address
        getattr(dut, f"{memory}_word").value = int(word, 16)
        await FallingEdge(dut.clk)
    getattr(dut, f"write_{memory}").value = 0


async def run_pass(dut: HierarchyObject) -> dict[str, int]:
    """What the counters say when the pass has ended, and the cycles of the clock that it took."""
    dut.clear.value = 1
    dut.start.value = 1
    await FallingEdge(dut.clk)
    dut.clear.value = 0
    dut.start.value = 0
    first = cocotb.simtime.get_sim_time("ns")  # in the middle of the first cycle
    while int(dut.active.value):  # it may fall and rise again before a cycle's signals have settled
        await with_timeout(FallingEdge(dut.active), PERIOD_NS * PATIENCE, "ns")
        await FallingEdge(dut.clk)
    clock = (cocotb.simtime.get_sim_time("ns") - first) / PERIOD_NS
    return {"clock": round(clock), **counters(dut)}


def counters(dut: HierarchyObject) -> dict[str, int]:
    return {name: int(getattr(dut, name).value) for name in COUNTERS}
