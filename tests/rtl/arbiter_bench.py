"""Put rounds of beats to the arbiter; one beat follows the other without a cycle between."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, Timer

from rtl.clocking import begin, read_cases, write_observations
from rtl.vectors import pack, unpack

Addresses = list[int | None]


@cocotb.test()
async def rounds(dut: HierarchyObject) -> None:
    await begin(dut, first=0, start=0, enable=0, there=0, valid=0, addresses=0)
    write_observations([await play(dut, case) for case in read_cases()])


async def play(dut: HierarchyObject, case: dict[str, Any]) -> list[list[dict[str, list[Any]]]]:
    """Beat by beat what ``serve`` saw; the arbiter is left when the last one ends."""
    cycles = []
    for number, steps in enumerate(case["steps"]):
        cycles.append(await serve(dut, number, case["beats"], steps))
    dut.enable.value = 0
    return cycles


async def serve(
    dut: HierarchyObject, number: int, beats: list[Addresses], steps: int
) -> list[dict[str, list[Any]]]:
    """Cycle by cycle of a beat: (beat, pointer) served, and the words that the banks read."""
    bits, banks, ahead = (int(getattr(dut, name).value) for name in ("ADDRESS_BITS", "B", "Q"))
    pointers = len(beats[number])
    flying = beats[number : number + ahead + 1]
    dut.there.value = pack([1] * len(flying), 1)
    # All beats of a round have the same pointers.
    dut.valid.value = pack([int(address is not None) for address in beats[number]], 1)
    dut.addresses.value = pack([address or 0 for beat in flying for address in beat], bits)
    dut.enable.value = dut.start.value = 1
    dut.first.value = int(number == 0)
    cycles: list[dict[str, list[Any]]] = []
    for _ in range(steps + pointers * (ahead + 1)):  # each cycle serves a pointer, or is a step
        await Timer(1, "ns")
        served = unpack(int(dut.served.value), 1, pointers * (ahead + 1))
        reading = unpack(int(dut.reading.value), 1, banks)
        words = unpack(int(dut.words.value), bits, banks)
        found = [divmod(at, pointers) for at, is_served in enumerate(served) if is_served]
        cycles.append(
            {
                "served": [(number + beat, pointer) for beat, pointer in found],
                "banks": [bank for bank in range(banks) if reading[bank]],
                "words": [words[bank] for bank in range(banks) if reading[bank]],
            }
        )
        complete = int(dut.complete.value)
        await FallingEdge(dut.clk)
        dut.start.value = dut.first.value = 0
        if complete and len(cycles) >= steps:
            return cycles
    raise AssertionError("the beat does not end")
