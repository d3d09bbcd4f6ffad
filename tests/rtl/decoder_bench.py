"""Play lists through one decoder; a case tells words, and the waits and limits of rounds."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, Timer

from rtl.clocking import begin, read_cases, write_observations
from rtl.vectors import unpack

PATIENCE = 10_000
"""Cycles after which a list should have ended."""


@cocotb.test()
async def lists(dut: HierarchyObject) -> None:
    await begin(dut, start=0, enable=1, take=0, limited=0, limit=0, words=1, word=0)
    write_observations([await play(dut, case) for case in read_cases()])


async def play(dut: HierarchyObject, case: dict[str, Any]) -> list[dict[str, Any]]:
    """Slots of one list: cycles until ready, cycles worked, the indices handed over.

    ``limits`` are those of the first rounds, the last also of all others; without them there is no
    window.
    """
    words, waits, limits = case["words"], case["waits"], case.get("limits")
    dut.limited.value = int(limits is not None)
    dut.words.value = len(words)
    dut.start.value = 1
    await FallingEdge(dut.clk)
    dut.start.value = 0
    slots: list[dict[str, Any]] = []
    cycles = worked = 0  # of the slot being decoded
    waited = 0
    for _ in range(PATIENCE):
        address = int(dut.word_address.value)
        dut.word.value = words[address] if address < len(words) else 0
        ready, ended = int(dut.ready.value), int(dut.ended.value)
        if not ready:
            cycles += 1
        wait = waits[len(slots) % len(waits)]
        take = ready and waited == wait
        waited = waited + 1 if ready and not take else 0
        if limits:
            dut.limit.value = limits[min(len(slots), len(limits) - 1)]
        dut.take.value = int(take)
        await Timer(1, "ns")  # what the handover says in its own cycle
        if take:
            slots.append({"cycles": cycles, "worked": worked, "indices": handed_over(dut)})
            worked = 0
            cycles = 1 - int(dut.done.value)  # the cycle of the handover decodes on
        elif slots:
            assert handed_over(dut) == slots[-1]["indices"], "the round's buffer changed"
        worked += int(dut.working.value)
        await FallingEdge(dut.clk)
        if take and ended and not int(dut.any.value):
            dut.take.value = 0
            return slots
    raise AssertionError("the list does not end")


def handed_over(dut: HierarchyObject) -> list[int]:
    valid = int(dut.valid.value)
    bits = int(dut.INDEX_BITS.value)
    entries = unpack(int(dut.indices.value), bits, int(dut.R.value))
    assert valid & (valid + 1) == 0, "entries are filled from the first one on"
    return entries[: valid.bit_count()]
