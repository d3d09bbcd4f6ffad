"""Put beats of pointers to the arbiter; one beat follows the other without a cycle between."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, Timer

from rtl.clocking import begin, read_cases, write_observations
from rtl.vectors import pack, unpack


@cocotb.test()
async def beats(dut: HierarchyObject) -> None:
    await begin(dut, start=0, enable=1, valid=0, addresses=0)
    write_observations([await serve(dut, case["addresses"]) for case in read_cases()])


async def serve(dut: HierarchyObject, addresses: list[int | None]) -> list[dict[str, list[int]]]:
    """Cycle by cycle: the pointers served, and the words that the banks read."""
    bits, banks = int(dut.ADDRESS_BITS.value), int(dut.B.value)
    valid = [address is not None for address in addresses]
    dut.valid.value = pack([int(is_valid) for is_valid in valid], 1)
    dut.addresses.value = pack([address or 0 for address in addresses], bits)
    dut.start.value = 1
    cycles: list[dict[str, list[int]]] = []
    for _ in range(1 + len(addresses)):  # at least one pointer a cycle is served
        await Timer(1, "ns")
        served = unpack(int(dut.served.value), 1, len(addresses))
        reading = unpack(int(dut.reading.value), 1, banks)
        words = unpack(int(dut.words.value), bits, banks)
        cycles.append(
            {
                "served": [pointer for pointer, is_served in enumerate(served) if is_served],
                "banks": [bank for bank in range(banks) if reading[bank]],
                "words": [words[bank] for bank in range(banks) if reading[bank]],
            }
        )
        complete = int(dut.complete.value)
        await FallingEdge(dut.clk)
        dut.start.value = 0
        if complete:
            return cycles
    raise AssertionError("the beat does not end")
