"""Load a tile's data, run its base and its conditional pass, read the sums of every pixel."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, RisingEdge, Timer, with_timeout

from rtl.clocking import PERIOD_NS, begin, read_cases, write_observations
from rtl.tile_bench import PATIENCE, drive, load
from rtl.vectors import unpack


@cocotb.test()
async def tiles(dut: HierarchyObject) -> None:
    await begin(dut, start=0, decoded=0, write_activation=0, write_weight=0, read_pixel=0)
    assert int(dut.idle.value) == 1, "a reset leaves nothing under way"
    write_observations([await play(dut, case) for case in read_cases()])


async def play(dut: HierarchyObject, case: dict[str, Any]) -> dict[str, Any]:
    await load(dut, "activation", case["activations"])
    await load(dut, "weight", case["weights"])
    drive(dut, case["tile"])
    cycles, waits, weight_reads, lists = [], [], [], []
    for inputs in case["passes"]:
        drive(dut, inputs)
        spent, waited = await run_pass(dut)
        cycles.append(spent)
        waits.append(waited)
        weight_reads.append(int(dut.weight_word_reads.value))
        lists = read_lists(dut)
    sums = []
    for pixel in range(case["pixels"]):
        dut.read_pixel.value = pixel
        await Timer(1, "ns")
        bits = str(dut.sums.value)  # of columns that the tile does not have nothing is known
        words = [
            bits[len(bits) - 32 * at - 32 : len(bits) - 32 * at] for at in range(case["width"])
        ]
        sums.append([int(word, 2) for word in words])
    await FallingEdge(dut.clk)
    return {
        "cycles": cycles, "waits": waits, "weight_word_reads": weight_reads, "sums": sums,
        "lists": lists,
    }  # fmt: skip


def read_lists(dut: HierarchyObject) -> list[str]:
    """The index memory, a list of WORDS words per lane group."""
    bits = int(dut.WORDS.value) * int(dut.W.value)
    return [f"{word:x}" for word in unpack(int(dut.lists.value), bits, int(dut.J.value))]


async def run_pass(dut: HierarchyObject) -> tuple[int, int]:
    """Cycles of the pass, and those from its start until its last sum is written."""
    dut.start.value = 1
    await FallingEdge(dut.clk)
    dut.start.value = 0
    began = cocotb.simtime.get_sim_time("ns")
    while not int(dut.idle.value):  # as in tile_bench
        await with_timeout(RisingEdge(dut.idle), PERIOD_NS * PATIENCE, "ns")
        await FallingEdge(dut.clk)
    waited = (cocotb.simtime.get_sim_time("ns") - began) / PERIOD_NS
    return int(dut.cycles.value), round(waited)
