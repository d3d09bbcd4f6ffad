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


def area_mm2(arch: ArchConfig, scheme: str | Scheme | Hardware, mask_group: int) -> float:
    """Area of a scheme's hardware for such masks, priced by the machine's own table.

    Raises SchemeError, PriceError.
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


def mux_bits(arch: ArchConfig) -> int:
    """2:1 multiplexer bits of one pointer: a B:1 multiplexer of 8A bits is a tree of B - 1."""
    return 8 * arch.activation.word_channels * (arch.activation.banks - 1)


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
    # Line registers of two entries (one fills while one is read) and Q more, one per pointer.
    word_bits = 8 * arch.activation.word_channels * hardware.pointers
    ahead = arch.activation.run_ahead
    # A decoder holds one word; every lane group has the R-entry buffer that is being filled and
    # the one that has been handed over.
    buffers = hardware.lane_groups if hardware.decoders else 0
    buffer_bits = buffers * 2 * arch.array.rows * hardware.pixel_bits
    # A window compares each place of the buffers, and finds the smallest index.
    window = buffers * (arch.array.rows + 1) - 1 if buffers and index.window else 0
    encoders = index.indices_per_cycle * index.word_bits / 32
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
        _logic(
            "line_registers",
            table,
            register_bit=(2 + ahead) * word_bits,
            mux2_bit=ahead * word_bits,
        ),
        # One adder per column bank adds the draining accumulator.
        _logic("partial_sums", table, add_int32=columns),
        _logic("operand_network", table, mux2_bit=scale * hardware.pointers * mux_bits(arch)),
        _logic("index_memory", table, register_bit=hardware.index_bits),
        _logic(
            "decoders",
            table,
            counter_16b=hardware.decoders,
            comparator_32b=hardware.decoders * encoders + window * hardware.pixel_bits / 32,
            register_bit=hardware.decoders * index.word_bits + buffer_bits,
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
