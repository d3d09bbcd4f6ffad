"""Area and leakage of a machine, unit by unit, from the same table as its energy.

What is not in the list below (clock tree, control, address generation, wiring) has no area here;
docs/model/energy.md says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Scheme
from hwsim.energy.hardware import SUM_BITS, Hardware, Memory, hardware_of
from hwsim.energy.table import EnergyTable, Sram

AREA_COMPONENTS: tuple[str, ...] = (
    "pe_array",
    "activation_buffer",
    "line_registers",
    "weight_buffer",
    "partial_sums",
    "operand_network",
    "bank_arbiter",
    "zero_skipping",
    "index_memory",
    "decoders",
    "gate",
    "output_stage",
)


@dataclass(frozen=True)
class Part:
    """All units of one kind in one component."""

    component: str
    area_mm2: float
    leak_uw: float


def area(arch: ArchConfig, scheme: str | Scheme | Hardware, table: EnergyTable) -> dict[str, float]:
    """Area in mm2 by component (AREA_COMPONENTS); what a scheme does not have is 0."""
    total = dict.fromkeys(AREA_COMPONENTS, 0.0)
    for part in parts(arch, hardware_of(scheme, arch), table):
        total[part.component] += part.area_mm2
    return total


def area_mm2(
    arch: ArchConfig, scheme: str | Scheme | Hardware, mask_group: int | None = None
) -> float:
    """Area of a scheme's hardware, priced by the machine's own table.

    ``mask_group`` as for :func:`hwsim.energy.hardware.hardware_of`. Raises SchemeError, PriceError.
    """
    hardware = hardware_of(scheme, arch, mask_group)
    return sum(area(arch, hardware, EnergyTable.load(arch.pricing.table)).values())


def leakage_uw(arch: ArchConfig, scheme: str | Scheme | Hardware, table: EnergyTable) -> float:
    """Leakage power of all macros and logic, uW."""
    return math.fsum(part.leak_uw for part in parts(arch, hardware_of(scheme, arch), table))


def slow_memories(
    arch: ArchConfig, scheme: str | Scheme | Hardware, table: EnergyTable
) -> dict[str, float]:
    """Read latency in ns of each memory slower than a clock period: it must be pipelined."""
    period_ns = 1e3 / arch.clock_mhz
    latencies = {
        memory.name: macro(memory, arch, table).read_latency_ns
        for memory in hardware_of(scheme, arch).memories
    }
    return {name: latency for name, latency in latencies.items() if latency > period_ns}


def wire_mm(arch: ArchConfig, table: EnergyTable) -> float:
    """Wire from a bank to a pointer: half the side of the square of activation buffer and PEs."""
    buffer = _memory_part(hardware_of("dense", arch).activation, arch, table)
    return math.sqrt(buffer.area_mm2 + _pe_array(arch, table).area_mm2) / 2


def multiplexers(arch: ArchConfig, hardware: Hardware) -> int:
    """B:1 multiplexers: a pointer may take a word for each beat that banks may serve."""
    return hardware.pointers * (arch.activation.run_ahead + 1)


def line_bits(arch: ArchConfig, hardware: Hardware) -> int:
    """Line registers: a pointer's two entries (one fills while one is read), and Q more."""
    word_bits = 8 * arch.activation.word_channels
    return (2 + arch.activation.run_ahead) * word_bits * hardware.pointers


def one_decoder_bits(arch: ArchConfig, hardware: Hardware) -> int:
    """Registers that a decoder works on: a word, the buffer being filled, the one handed over."""
    return arch.index.word_bits + 2 * arch.array.rows * hardware.pixel_bits


def decoder_bits(arch: ArchConfig, hardware: Hardware) -> int:
    """Registers of all decoders and of the two buffers of every lane group."""
    if not hardware.decoders:
        return 0
    buffers = hardware.lane_groups * 2 * arch.array.rows * hardware.pixel_bits
    return hardware.decoders * arch.index.word_bits + buffers


def macro(memory: Memory, arch: ArchConfig, table: EnergyTable) -> Sram:
    """Price of one macro of a memory, with the machine's factors on energy and area."""
    pricing = arch.pricing
    found = table.sram(
        memory.name, memory.capacity_bytes, memory.width_bits, pricing.sram_area_scale
    )
    return replace(
        found,
        read_pj=pricing.sram_scale * found.read_pj,
        write_pj=pricing.sram_scale * found.write_pj,
    )


def parts(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Part]:
    """Everything that has an area, and its leakage."""
    columns, index = arch.array.columns, arch.index
    # A window compares each place of the buffers, and finds the smallest index.
    compared = hardware.lane_groups * (arch.array.rows + 1) - 1
    window = compared if hardware.decoders and index.window else 0
    word_bits = 8 * arch.activation.word_channels
    entries = arch.activation.run_ahead * word_bits * hardware.pointers
    chosen_bits = word_bits * multiplexers(arch, hardware)
    scale = arch.pricing.operand_network_scale
    # Where zeros are skipped: A weights a column, a choice among them at each PE, and a test of
    # each pointer's A channels for zero.
    word = arch.activation.word_channels if hardware.skips else 0
    return [
        _pe_array(arch, table),
        _logic(
            "zero_skipping",
            table,
            register_bit=8 * word * columns,
            mux2_bit=8 * max(0, word - 1) * arch.pes,
            comparator_32b=8 / 32 * word * hardware.pointers,
        ),
        *(_memory_part(memory, arch, table) for memory in hardware.memories),
        _logic("line_registers", table, register_bit=line_bits(arch, hardware), mux2_bit=entries),
        # One adder per column bank adds the draining accumulator.
        _logic("partial_sums", table, add_int32=columns),
        _logic(
            "operand_network",
            table,
            choose_bit=scale * chosen_bits,
            choose_bank_bit=scale * chosen_bits * arch.activation.banks,
        ),
        _logic(
            "bank_arbiter",
            table,
            arbiter_pointer=multiplexers(arch, hardware),
            arbiter_pointer_bank=multiplexers(arch, hardware) * arch.activation.banks,
        ),
        _logic("index_memory", table, register_bit=hardware.index_bits),
        _logic(
            "decoders",
            table,
            decode=hardware.decoders * index.indices_per_cycle * index.word_bits / 32,
            comparator_32b=window * hardware.pixel_bits / 32,
            register_bit=decoder_bits(arch, hardware),
        ),
        _logic(
            "gate", table, comparator_32b=hardware.comparators, add_int32=hardware.decision_adders
        ),
        # Per column: scale, residual add, rounding add, ReLU and clamp.
        _logic(
            "output_stage",
            table,
            scale_multiply=columns,
            add_int32=2 * columns,
            comparator_32b=2 * columns,
        ),
    ]


def _pe_array(arch: ArchConfig, table: EnergyTable) -> Part:
    """MACs with their two accumulators (ping-pong), which the table's MAC does not contain."""
    return _logic("pe_array", table, mac_int8_acc32=arch.pes, register_bit=arch.pes * 2 * SUM_BITS)


def _memory_part(memory: Memory, arch: ArchConfig, table: EnergyTable) -> Part:
    sram = macro(memory, arch, table)
    return Part(memory.name, memory.macros * sram.area_mm2, memory.macros * sram.leak_uw)


def _logic(component: str, table: EnergyTable, **units: float) -> Part:
    """A part made of units, by action."""
    return Part(
        component,
        math.fsum(count * table.area_mm2(action) for action, count in units.items()),
        math.fsum(count * table.leak_uw(action) for action, count in units.items()),
    )
