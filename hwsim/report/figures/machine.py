"""A machine as a drawing: its units with sizes, areas and the energy of an access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hwsim.arch.config import ArchConfig
from hwsim.energy.area import area, multiplexers
from hwsim.energy.hardware import Hardware, Memory, hardware_of
from hwsim.energy.prices import prices
from hwsim.energy.table import EnergyTable, PriceError
from hwsim.errors import escaped
from hwsim.report.figures.parts import Drawing
from hwsim.text_table import three_digits

WIDTH, HEIGHT = 560, 742
"""Of the drawing's coordinates: readable as wide as a telephone, and on half a screen."""

MOST_CELLS = 32
"""Banks, rows or columns that are drawn one by one; more are drawn as so many."""

LEFT, RIGHT, WIDE, FULL = 44, 294, 226, 476


class Unit(NamedTuple):
    """A box of the drawing; ``built`` is false of what the scheme does not have."""

    title: str
    lines: Sequence[str]
    x: int
    y: int
    width: int
    height: int
    built: bool = True


def drawing(
    arch: ArchConfig, scheme: str, mask_group: int, table: str, when: Mapping[str, str]
) -> Drawing:
    """The hardware of a scheme on a machine, priced by an energy table."""
    own = arch.pricing.model_copy(update={"table": table})
    arch = arch.model_copy(update={"pricing": own})
    hardware = hardware_of(scheme, arch, mask_group)
    told = _Told(arch, hardware)
    rows, columns = arch.array.rows, arch.array.columns
    label = (
        f"Machine {escaped(arch.name)}, scheme {scheme}: {rows} x {columns} PEs in "
        f"{hardware.lane_groups} lane groups, {arch.activation.banks} banks; {told.total()}"
    )
    return Drawing(label, {"units": _units(arch, hardware, told), **_cells(arch, hardware)}, when)


class _Told:
    """Areas and prices in words; where there is no price, that."""

    def __init__(self, arch: ArchConfig, hardware: Hardware) -> None:
        table = EnergyTable.load(arch.pricing.table)
        self._areas: dict[str, float] | None = None
        self._pj: dict[tuple[str, str], float] = {}
        try:
            items = prices(arch, hardware, table)
            self._areas = area(arch, hardware, table)
            self._pj = {(item.component, item.counter): item.pj for item in items}
        except PriceError:
            pass

    def area(self, *components: str) -> str:
        if self._areas is None:
            return "no price"
        return f"{sum(self._areas[name] for name in components):.4f} mm²"

    def total(self) -> str:
        return self.area(*self._areas) if self._areas else "no price"

    def pj(self, what: str, component: str, counter: str) -> str:
        found = self._pj.get((component, counter))
        return f"{what} {three_digits(found)} pJ" if found is not None else f"{what}: no price"


def _units(arch: ArchConfig, hardware: Hardware, told: _Told) -> list[Unit]:
    array, index, dram = arch.array, arch.index, arch.dram
    word = arch.activation.word_channels
    group = f"{hardware.lanes} column" + ("s" if hardware.lanes > 1 else "")
    lists = "channels" if hardware.scheme.kind == "channels" else "pixels"
    return [
        Unit("DRAM", [
            f"{dram.bandwidth_gb_per_s:g} GB/s, {dram.efficiency_percent} % of it sustained; "
            f"{dram.pj_per_bit:g} pJ a bit",
        ], LEFT, 8, FULL, 52),
        Unit("Weight buffer", [
            f"{arch.weight.buffer_kib} KiB, {told.area('weight_buffer')}",
            f"word of {_bits(hardware.weight)} bits",
            told.pj("read", "weight_buffer", "weight_word_reads"),
        ], LEFT, 92, WIDE, 116),
        Unit("Activation buffer", [
            f"{arch.activation.buffer_kib} KiB, {told.area('activation_buffer')}",
            f"{arch.activation.banks} banks, word of {word} channels",
            told.pj("read", "activation_buffer", "activation_word_reads") + ", "
            + told.pj("written", "activation_buffer", "activation_word_writes"),
        ], RIGHT, 92, WIDE, 116),
        Unit("Index memory, decoders", [
            f"{hardware.lists} lists of up to {hardware.list_bits:,} bits ({lists})"
            if hardware.index_bits else "none: nothing is skipped",
            f"{hardware.decoders} decoders, {index.format}, {index.word_bits}-bit words"
            if hardware.decoders else "no decoder of pixels",
            told.area("index_memory", "decoders"),
            told.pj("word read", "index", "index_words_read"),
        ] if hardware.index_bits else ["none in this scheme"], LEFT, 240, WIDE, 112,
            bool(hardware.index_bits)),
        Unit("Operand network", [
            f"{hardware.pointers:,} pointers, {multiplexers(arch, hardware):,} multiplexers",
            f"with arbiter {told.area('operand_network', 'bank_arbiter')}",
            f"line registers {told.area('line_registers')}",
            told.pj("line filled", "operand_network", "line_fills"),
        ], RIGHT, 240, WIDE, 112),
        Unit("PE array", [
            f"{array.rows} rows x {array.columns} columns",
            f"at {arch.clock_mhz:,} MHz, {array.feed}",
            f"{hardware.lane_groups} lane group" + ("s" if hardware.lane_groups > 1 else "")
            + f" of {group}",
            told.area("pe_array", "zero_skipping"),
            told.pj("MAC", "mac", "macs_base"),
        ], LEFT, 384, FULL, 150),
        Unit("Gate", [
            f"{hardware.comparators} comparators, {hardware.decision_adders} adders",
            told.area("gate"),
            told.pj("decision", "gate", "comparator_ops"),
        ] if hardware.comparators else ["none in this scheme"], LEFT, 566, WIDE, 84,
            bool(hardware.comparators)),
        Unit("Partial sums", [
            f"2 x {arch.partial_sums.entries:,} of 32 bits, {told.area('partial_sums')}",
            f"tiles of up to {arch.tile_pixels:,} pixels",
            told.pj("read", "partial_sums", "psum_output_reads") + ", "
            + told.pj("written", "partial_sums", "psum_base_writes"),
        ], RIGHT, 566, WIDE, 84),
        Unit("Output stage", [
            f"scale, residual, ReLU: {told.area('output_stage')}, "
            + told.pj("an output", "output_stage", "output_ops"),
        ], LEFT, 682, FULL, 52),
    ]  # fmt: skip


def _bits(memory: Memory) -> int:
    return memory.split * memory.width_bits


def _cells(arch: ArchConfig, hardware: Hardware) -> dict[str, Any]:
    """What is drawn inside of boxes: banks, and the array's rows, columns and lane groups."""
    rows, columns = (min(MOST_CELLS, size) for size in (arch.array.rows, arch.array.columns))
    lanes = max(1, round(columns * hardware.lanes / arch.array.columns))
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "banks": min(MOST_CELLS, arch.activation.banks),
        "rows": rows,
        "columns": columns,
        "groups": [(first, min(lanes, columns - first)) for first in range(0, columns, lanes)],
    }
