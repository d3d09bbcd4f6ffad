"""Energy: counters x price of an action, plus leakage x time.

``prices`` lists every counter with what one count of it costs in which component; ``price`` adds
them up. ``python -m hwsim.energy --arch NAME`` prints all tables' prices and areas. The
assumptions are in docs/model/energy.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Scheme
from hwsim.counters import COUNTERS, DRAM_COUNTERS, idle_pe_cycles
from hwsim.energy.area import (
    decoder_bits,
    leakage_uw,
    line_bits,
    macro,
    multiplexers,
    one_decoder_bits,
    wire_mm,
)
from hwsim.energy.hardware import SUM_BITS, Hardware, Memory, hardware_of
from hwsim.energy.table import EnergyTable, PriceError

__all__ = ["COMPONENTS", "EnergyTable", "Price", "PriceError", "price", "prices"]

COMPONENTS: tuple[str, ...] = (
    "mac",
    "activation_buffer",
    "weight_buffer",
    "partial_sums",
    "operand_network",
    "bank_arbiter",
    "index",
    "gate",
    "output_stage",
    "dram",
    "leakage",
)

AHEAD = 0.3
"""What an arbiter takes more for each beat that banks may be ahead; measured for one size."""

PE_BITS = 2 * SUM_BITS
"""Flip-flops of a PE: two accumulators."""

COMPONENT_LABELS = {
    "mac": "MAC",
    "activation_buffer": "activation buffer",
    "weight_buffer": "weight buffer",
    "partial_sums": "partial sums",
    "operand_network": "operand network",
    "bank_arbiter": "bank arbiter",
    "index": "index decoder",
    "gate": "gate",
    "output_stage": "output stage",
    "dram": "DRAM",
    "leakage": "leakage",
}
"""The components as tables and figures call them."""


@dataclass(frozen=True)
class Price:
    """One count of ``counter`` costs ``pj`` in ``component``; ``action`` says what for."""

    component: str
    counter: str
    pj: float
    action: str


def price(
    counters: Mapping[str, int],
    cycles: int,
    arch: ArchConfig,
    scheme: str | Scheme | Hardware,
    table: EnergyTable,
) -> dict[str, float]:
    """Energy in pJ by component (COMPONENTS) of the counted actions in ``cycles`` cycles.

    PriceError where ``counters`` does not hold exactly the names of ``hwsim.counters.COUNTERS``, or
    where the table lacks a price.
    """
    for name in sorted(set(counters) ^ set(COUNTERS)):
        problem = "has no price" if name in counters else "is missing"
        raise PriceError(f"counter {name!r} {problem}")
    hardware = hardware_of(scheme, arch)
    energy_pj = dict.fromkeys(COMPONENTS, 0.0)
    for item in prices(arch, hardware, table):
        energy_pj[item.component] += float(counters[item.counter]) * item.pj
    clock_pj = arch.pricing.gated_mac_share * mac_pj(arch, table)
    energy_pj["mac"] += clock_pj * idle_pe_cycles(arch.pes, cycles, dict(counters))
    # Where clocks run on, those of other flip-flops do: a PE has as many as two accumulators.
    energy_pj["activation_buffer"] += clock_pj * line_bits(arch, hardware) / PE_BITS * cycles
    energy_pj["index"] += clock_pj * decoder_bits(arch, hardware) / PE_BITS * cycles
    # uW x cycles / MHz = uW x us = pJ
    energy_pj["leakage"] = leakage_uw(arch, hardware, table) * cycles / arch.clock_mhz
    return energy_pj


def prices(
    arch: ArchConfig, scheme: str | Scheme | Hardware, table: EnergyTable
) -> tuple[Price, ...]:
    """What one count of each counter costs on this hardware; every counter appears."""
    hardware = hardware_of(scheme, arch)
    return (
        *_mac(arch, hardware, table),
        *_activation_buffer(arch, hardware, table),
        *_weight_buffer(arch, hardware, table),
        *_partial_sums(arch, hardware, table),
        *_operand_network(arch, hardware, table),
        *_bank_arbiter(arch, hardware, table),
        *_index(arch, hardware, table),
        Price("gate", "comparator_ops", table.energy_pj("comparator_32b"), "comparator"),
        Price("gate", "adder_ops", table.energy_pj("add_int32"), "adder"),
        *_output_stage(arch, table),
        *(Price("dram", counter, 8 * arch.dram.pj_per_bit, "8 bits") for counter in DRAM_COUNTERS),
    )


def mac_pj(arch: ArchConfig, table: EnergyTable) -> float:
    """The table's MAC holds no accumulator: 32 bits of it are read and 32 written."""
    accumulator_pj = 2 * SUM_BITS * table.energy_pj("register_bit")
    return arch.pricing.mac_scale * (table.energy_pj("mac_int8_acc32") + accumulator_pj)


def _mac(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """A gated PE takes ``pricing.gated_mac_share`` of a MAC; it leaks like any other.

    Where zeros are skipped a MAC's weight comes through a multiplexer of A.
    """
    executed_pj, action = mac_pj(arch, table), "MAC, accumulator"
    gated_pj = arch.pricing.gated_mac_share * executed_pj
    if hardware.skips:
        chosen = 8 * (arch.activation.word_channels - 1) * table.energy_pj("mux2_bit")
        executed_pj, action = executed_pj + chosen, "MAC, accumulator, A:1 multiplexer"
    return [
        Price("mac", "macs_base", executed_pj, action),
        Price("mac", "macs_conditional", executed_pj, action),
        Price("mac", "macs_gated_off", gated_pj, "clock-gated (share of a MAC)"),
        Price("mac", "macs_zero_gated", gated_pj, "clock-gated (share of a MAC)"),
        Price("mac", "macs_zero_skipped", 0.0, "none: no PE takes a step for it"),
        Price("mac", "steps_skipped", 0.0, "none: no step"),
    ]


def _activation_buffer(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """Buffer words of A bytes, and the line registers that hold a word at every pointer."""
    name, word_bytes = "activation_buffer", arch.activation.word_channels
    read_pj, write_pj = _word_pj(hardware.activation, arch, table)
    line_pj, line = (
        8 * word_bytes * _line_bit_pj(arch, table),
        "line register: 8A bits written, read",
    )
    if hardware.skips:
        line_pj += 8 / 32 * word_bytes * table.energy_pj("comparator_32b")
        line += ", tested for zero"
    return [
        Price(name, "activation_word_reads", read_pj, "word read"),
        Price(name, "line_fills", line_pj, line),
        Price(name, "residual_word_reads", read_pj, "word read"),
        Price(name, "activation_word_writes", write_pj, "word written"),
        Price(name, "dram_input_bytes", write_pj / word_bytes, "1/A word written"),
        Price(name, "dram_residual_bytes", write_pj / word_bytes, "1/A word written"),
        Price(name, "dram_output_bytes", read_pj / word_bytes, "1/A word read"),
    ]


def _line_bit_pj(arch: ArchConfig, table: EnergyTable) -> float:
    """A bit is written and read; each entry beyond two adds a 2:1 multiplexer on its way."""
    further = arch.activation.run_ahead * table.energy_pj("mux2_bit")
    return 2 * table.energy_pj("register_bit") + further


def _weight_buffer(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """Words of C bytes; where zeros are skipped of A x C, into registers that are read by steps."""
    read_pj, write_pj = _word_pj(hardware.weight, arch, table)
    read, word_bytes = "word read", arch.array.columns
    if hardware.skips:
        word_bytes *= arch.activation.word_channels
        read_pj += 2 * 8 * word_bytes * table.energy_pj("register_bit")
        read = "word of A x C bytes read, registers written, read"
    byte_pj, share = write_pj / word_bytes, "1/AC" if hardware.skips else "1/C"
    return [
        Price("weight_buffer", "weight_word_reads", read_pj, read),
        Price("weight_buffer", "dram_weight_bytes", byte_pj, f"{share} word written"),
    ]


def _partial_sums(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """Words of one lane group; what the conditional pass reads is added to and written back."""
    read_pj, write_pj = _word_pj(hardware.partial_sums, arch, table)
    adds_pj = hardware.lanes * table.energy_pj("add_int32")
    name = "partial_sums"
    return [
        Price(name, "psum_base_writes", write_pj, "word written"),
        Price(name, "psum_conditional_reads", read_pj + adds_pj, "word read, one add per lane"),
        Price(name, "psum_conditional_writes", write_pj, "word written"),
        Price(name, "psum_output_reads", read_pj, "word read"),
    ]


def _operand_network(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """A word on its way to a pointer, and at the pointers that do not take it.

    A fill chooses one of B banks and drives the wire; a word that a bank reads reaches the
    multiplexers of all pointers, of each beat that banks may serve, and is stopped there
    (docs/evidence/gates.md, "Pointers of other sizes").
    """
    name, word_bits = "operand_network", 8 * arch.activation.word_channels
    scale, banks = arch.pricing.operand_network_scale, arch.activation.banks
    chosen_pj = table.energy_pj("choose_bit") + banks * table.energy_pj("choose_bank_bit")
    wire_pj = wire_mm(arch, table) * table.energy_pj("wire_bit_mm")
    stopped_pj = multiplexers(arch, hardware) * table.energy_pj("pass_bit")
    return [
        Price(name, "line_fills", scale * word_bits * (chosen_pj + wire_pj), "bank chosen, wire"),
        Price(
            name, "activation_word_reads", scale * word_bits * stopped_pj, "word at all pointers"
        ),
    ]


def _bank_arbiter(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """A word found among the pointers, and a pointer served (docs/evidence/gates.md)."""
    name, more = "bank_arbiter", 1 + AHEAD * arch.activation.run_ahead
    pointers_pj = hardware.pointers * table.energy_pj("arbiter_pointer")
    read_pj = more * (table.energy_pj("arbiter_read") + pointers_pj)
    fill_pj = more * table.energy_pj("arbiter_fill")
    return [
        Price(name, "activation_word_reads", read_pj, "word found among pointers"),
        Price(name, "line_fills", fill_pj, "pointer served"),
    ]


def _index(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """Register array and decoder: its logic for each index, and the clock of its registers."""
    index, bit_pj = arch.index, table.energy_pj("register_bit")
    compare_pj = hardware.pixel_bits / 32 * table.energy_pj("comparator_32b")
    logic_pj = index.indices_per_cycle * index.word_bits / 32 * table.energy_pj("decode")
    decoder_pj = logic_pj + one_decoder_bits(arch, hardware) * table.energy_pj("clock_bit")
    return [
        Price("index", "mask_bits_written", bit_pj, "register bit written"),
        Price("index", "index_words_read", index.word_bits * bit_pj, "W register bits read"),
        Price("index", "decoder_cycles", decoder_pj, "logic, clock of its registers"),
        Price("index", "window_compares", compare_pj, "comparison of pixel indices"),
    ]


def _output_stage(arch: ArchConfig, table: EnergyTable) -> list[Price]:
    add_pj = table.energy_pj("add_int32")
    output_pj = table.energy_pj("scale_multiply") + add_pj + 2 * table.energy_pj("comparator_32b")
    residual_pj = arch.activation.word_channels * add_pj
    name = "output_stage"
    return [
        Price(name, "output_ops", output_pj, "scale, round, ReLU, clamp"),
        Price(name, "residual_word_reads", residual_pj, "A residual adds"),
    ]


def _word_pj(memory: Memory, arch: ArchConfig, table: EnergyTable) -> tuple[float, float]:
    """Read and write energy of one word, pJ."""
    sram = macro(memory, arch, table)
    return memory.split * sram.read_pj, memory.split * sram.write_pj
