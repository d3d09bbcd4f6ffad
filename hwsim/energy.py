"""Energy: counters x price of an action, plus leakage x time.

``prices`` lists every counter with what one count of it costs in which component; ``price`` adds
them up. ``python -m hwsim.energy --arch NAME`` prints both tables' prices and areas. The
assumptions stand in docs/energy.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwsim.arch import ArchConfig, load_arch, parse_override
from hwsim.area import AREA_COMPONENTS, area, leakage_uw, macro, mux_bits, slow_memories, wire_mm
from hwsim.command import console, status_of
from hwsim.counts import COUNTERS, DRAM_COUNTERS
from hwsim.energy_table import EnergyTable, PriceError, table_names
from hwsim.errors import OneLineParser
from hwsim.hardware import SUM_BITS, Hardware, Memory, hardware_of
from hwsim.schemes import Scheme, scheme_names

__all__ = ["COMPONENTS", "EnergyTable", "Price", "PriceError", "price", "prices"]

COMPONENTS: tuple[str, ...] = (
    "mac",
    "activation_buffer",
    "weight_buffer",
    "partial_sums",
    "operand_network",
    "index",
    "gate",
    "output_stage",
    "dram",
    "leakage",
)


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

    PriceError where ``counters`` does not hold exactly the names of ``hwsim.counts.COUNTERS``, or
    where the table lacks a price.
    """
    for name in sorted(set(counters) ^ set(COUNTERS)):
        problem = "has no price" if name in counters else "is missing"
        raise PriceError(f"counter {name!r} {problem}")
    hardware = hardware_of(scheme, arch)
    energy_pj = dict.fromkeys(COMPONENTS, 0.0)
    for item in prices(arch, hardware, table):
        energy_pj[item.component] += float(counters[item.counter]) * item.pj
    # uW x cycles / MHz = uW x us = pJ
    energy_pj["leakage"] = leakage_uw(arch, hardware, table) * cycles / arch.clock_mhz
    return energy_pj


def prices(
    arch: ArchConfig, scheme: str | Scheme | Hardware, table: EnergyTable
) -> tuple[Price, ...]:
    """What one count of each counter costs on this hardware; every counter appears."""
    hardware = hardware_of(scheme, arch)
    return (
        *_mac(table),
        *_activation_buffer(arch, hardware, table),
        *_weight_buffer(arch, hardware, table),
        *_partial_sums(hardware, table),
        _operand_network(arch, table),
        *_index(arch, hardware, table),
        Price("gate", "comparator_ops", table.energy_pj("comparator_32b"), "comparator"),
        Price("gate", "adder_ops", table.energy_pj("add_int32"), "adder"),
        *_output_stage(arch, table),
        *(Price("dram", counter, 8 * arch.dram.pj_per_bit, "8 bits") for counter in DRAM_COUNTERS),
    )


def _mac(table: EnergyTable) -> list[Price]:
    """The table's MAC holds no accumulator: 32 bits of it are read and 32 written."""
    mac_pj = table.energy_pj("mac_int8_acc32") + 2 * SUM_BITS * table.energy_pj("register_bit")
    return [
        Price("mac", "macs_base", mac_pj, "MAC, accumulator"),
        Price("mac", "macs_conditional", mac_pj, "MAC, accumulator"),
        # The assumption that clock-gating is free; the gated unit leaks like any other.
        Price("mac", "macs_gated_off", 0.0, "clock-gated (assumed free)"),
    ]


def _activation_buffer(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """Buffer words of A bytes, and the line registers that hold a word at every pointer."""
    name, word_bytes = "activation_buffer", arch.activation.word_channels
    read_pj, write_pj = _word_pj(hardware.activation, table)
    line_pj = 2 * 8 * word_bytes * table.energy_pj("register_bit")
    return [
        Price(name, "activation_word_reads", read_pj, "word read"),
        Price(name, "line_fills", line_pj, "line register: 8A bits written, read"),
        Price(name, "residual_word_reads", read_pj, "word read"),
        Price(name, "activation_word_writes", write_pj, "word written"),
        Price(name, "dram_input_bytes", write_pj / word_bytes, "1/A word written"),
        Price(name, "dram_residual_bytes", write_pj / word_bytes, "1/A word written"),
        Price(name, "dram_output_bytes", read_pj / word_bytes, "1/A word read"),
    ]


def _weight_buffer(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    read_pj, write_pj = _word_pj(hardware.weight, table)
    byte_pj = write_pj / arch.array.columns
    return [
        Price("weight_buffer", "weight_word_reads", read_pj, "word read"),
        Price("weight_buffer", "dram_weight_bytes", byte_pj, "1/C word written"),
    ]


def _partial_sums(hardware: Hardware, table: EnergyTable) -> list[Price]:
    """Words of one lane group; what the conditional pass reads is added to and written back."""
    read_pj, write_pj = _word_pj(hardware.partial_sums, table)
    adds_pj = hardware.lanes * table.energy_pj("add_int32")
    name = "partial_sums"
    return [
        Price(name, "psum_base_writes", write_pj, "word written"),
        Price(name, "psum_conditional_reads", read_pj + adds_pj, "word read, one add per lane"),
        Price(name, "psum_conditional_writes", write_pj, "word written"),
        Price(name, "psum_output_reads", read_pj, "word read"),
    ]


def _operand_network(arch: ArchConfig, table: EnergyTable) -> Price:
    """A word on its way to a pointer: 8A bits of wire and all 2:1 multiplexers of the tree."""
    wires_mm = 8 * arch.activation.word_channels * wire_mm(arch, table)
    word_pj = mux_bits(arch) * table.energy_pj("mux2_bit") + wires_mm * table.energy_pj(
        "wire_bit_mm"
    )
    scaled_pj = arch.pricing.operand_network_scale * word_pj
    return Price("operand_network", "line_fills", scaled_pj, "B:1 multiplexer, wire (assumptions)")


def _index(arch: ArchConfig, hardware: Hardware, table: EnergyTable) -> list[Price]:
    """Register array and decoder; the decoder's cycle is an estimate from its parts."""
    index, bit_pj = arch.index, table.energy_pj("register_bit")
    # Finding one set bit compares the word once; its index is written to the buffer and read.
    emit_pj = (
        index.word_bits / 32 * table.energy_pj("comparator_32b") + 2 * hardware.pixel_bits * bit_pj
    )
    decoder_pj = table.energy_pj("counter_16b") + index.indices_per_cycle * emit_pj
    return [
        Price("index", "mask_bits_written", bit_pj, "register bit written"),
        Price("index", "index_words_read", index.word_bits * bit_pj, "W register bits read"),
        Price("index", "decoder_cycles", decoder_pj, "counter, encoder, index (estimate)"),
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


def _word_pj(memory: Memory, table: EnergyTable) -> tuple[float, float]:
    """Read and write energy of one word, pJ."""
    sram = macro(memory, table)
    return memory.split * sram.read_pj, memory.split * sram.write_pj


def price_rows(arch: ArchConfig, tables: Sequence[EnergyTable]) -> list[tuple[str, ...]]:
    """Rows (component, counter, action, schemes, pJ per table); equal schemes share a row."""
    names = _hardware_names(arch)
    lists = [[prices(arch, name, table) for table in tables] for name in names]
    rows: list[tuple[str, ...]] = []
    for position, item in enumerate(lists[0][0]):
        sharing: dict[tuple[str, ...], list[str]] = {}
        for name, by_table in zip(names, lists, strict=True):
            cells = tuple(f"{items[position].pj:.4g}" for items in by_table)
            sharing.setdefault(cells, []).append(name)
        rows += [
            (item.component, item.counter, item.action, _together(schemes, names), *cells)
            for cells, schemes in sharing.items()
        ]
    return rows


def area_rows(arch: ArchConfig, table: EnergyTable) -> list[tuple[str, ...]]:
    """Rows (component, mm2 per scheme) with the total and the leakage in mW below."""
    names = _hardware_names(arch)
    areas = [area(arch, name, table) for name in names]
    rows = [(part, *(f"{mm2[part]:.4f}" for mm2 in areas)) for part in AREA_COMPONENTS]
    rows.append(("total mm2", *(f"{sum(mm2.values()):.4f}" for mm2 in areas)))
    rows.append(("leakage mW", *(f"{leakage_uw(arch, name, table) / 1e3:.3f}" for name in names)))
    return rows


def _hardware_names(arch: ArchConfig) -> list[str]:
    """Schemes whose hardware differs; gating zeros adds none that is priced."""
    return [name for name in scheme_names(arch) if name != "dense-zero-gated"]


def _together(schemes: list[str], names: list[str]) -> str:
    return "all" if schemes == names else ", ".join(schemes)


def main(argv: Sequence[str] | None = None) -> int:
    """Print prices and areas; 2 and one line on stderr for bad input."""
    parser = OneLineParser(prog="python -m hwsim.energy", description=main.__doc__)
    parser.add_argument("--arch", default="pe16x16", help="machine: a path or a shipped name")
    parser.add_argument("--table", nargs="+", default=None, help="energy tables (default: all)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--markdown", action="store_true", help="as in docs/energy.md")
    args = parser.parse_args(argv)
    return status_of(parser.prog, lambda: _command(args))


def _command(args: argparse.Namespace) -> None:
    arch = load_arch(args.arch, dict(parse_override(text) for text in args.set))
    tables = [EnergyTable.load(name) for name in args.table or table_names()]
    header = ("component", "counter", "one count is", "scheme", *(t.name for t in tables))
    sheets = [(f"Price of one count, pJ, on {arch.name}", header, price_rows(arch, tables))]
    for table in tables:
        title = f"Area, mm2, on {arch.name} at {table.node_nm} nm ({table.name})"
        header = ("component", *_hardware_names(arch))
        sheets.append((title, header, area_rows(arch, table)))
    slow = [_slow_line(arch, table) for table in tables]
    for title, header, rows in sheets:
        _show(title, header, rows, args.markdown)
    print("\n".join(line for line in slow if line))


def _slow_line(arch: ArchConfig, table: EnergyTable) -> str:
    slow: dict[str, float] = {}
    for name in _hardware_names(arch):
        slow |= slow_memories(arch, name, table)
    period = f"{1e3 / arch.clock_mhz:.2f} ns"
    found = ", ".join(f"{name} ({latency:.2f} ns)" for name, latency in slow.items())
    return f"{table.name}: slower than a clock period of {period}, pipelined: {found or 'none'}"


def _show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> None:
    if markdown:
        lines = [header, ["---"] * len(header), *rows]
        print(f"**{title}**\n")
        print("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
        return
    from rich.table import Table

    sheet = Table(*header, title=title)
    for row in rows:
        sheet.add_row(*row)
    console(140).print(sheet)


if __name__ == "__main__":
    sys.exit(main())
