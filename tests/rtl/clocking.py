"""What every bench does: read its cases, run a clock, reset, write its observations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge

PERIOD_NS = 4


def read_cases() -> list[dict[str, Any]]:
    return json.loads(Path("cases.json").read_text())


def write_observations(observations: list[Any]) -> None:
    Path("observations.json").write_text(json.dumps(observations))


async def begin(dut: HierarchyObject, **inputs: int) -> None:
    """Set the inputs, start the clock, reset; returns in the middle of a cycle.

    Benches act in the middle of cycles (falling edges): what registers hold since the last rising
    edge can be read there, and inputs set there reach the registers at the next one.
    """
    for name, level in inputs.items():
        getattr(dut, name).value = level
    dut.rst.value = 1
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    await FallingEdge(dut.clk)
