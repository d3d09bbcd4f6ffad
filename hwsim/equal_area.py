"""Machines of equal area and of equal activation bandwidth: what hardware to compare a scheme with.

Unstructured hardware has C pointers, crossbar inputs and line registers to each row of the array,
structured C/V, dense one. The area that the others save, they may spend on PEs.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.arch import ArchConfig
from hwsim.area import area
from hwsim.energy_table import EnergyTable
from hwsim.errors import UserError
from hwsim.hardware import Hardware, hardware_of


def area_mm2(
    arch: ArchConfig, scheme: str, mask_group: int | None = None, table: EnergyTable | None = None
) -> float:
    """Area of a scheme's hardware, priced by the machine's own table where none is given.

    ``mask_group`` as for :func:`hwsim.hardware.hardware_of`. Raises SchemeError, PriceError.
    """
    hardware: Hardware = hardware_of(scheme, arch, mask_group)
    return sum(area(arch, hardware, table or EnergyTable.load(arch.pricing.table)).values())


def with_most_rows(
    arch: ArchConfig,
    scheme: str,
    limit_mm2: float,
    mask_group: int | None = None,
    table: EnergyTable | None = None,
) -> ArchConfig | None:
    """The machine with the most rows whose ``scheme`` takes no more area; None if no row fits.

    Columns, memories and banks stay; a row brings PEs, and its pointers, line registers,
    multiplexers and index buffers. The partial sums bound the rows: a tile has one round at least.
    ``array.reshape`` is left out, since its shapes have as many PEs as the array had.
    """
    low, high = 0, arch.tile_pixels
    while low < high:
        middle = (low + high + 1) // 2
        taller = _shaped(arch, middle, arch.array.columns)
        if area_mm2(taller, scheme, mask_group, table) <= limit_mm2:
            low = middle
        else:
            high = middle - 1
    return _shaped(arch, low, arch.array.columns) if low else None


def with_most_pes(
    arch: ArchConfig,
    scheme: str,
    limit_mm2: float,
    columns: Sequence[int],
    mask_group: int | None = None,
    table: EnergyTable | None = None,
) -> ArchConfig | None:
    """Of the machines of these columns, each with its most rows, the one with the most PEs.

    On a tie the one listed first. Columns that do not divide the partial sums are no machine.
    None if no machine fits into ``limit_mm2``.
    """
    entries = arch.partial_sums.entries
    found = [
        with_most_rows(_shaped(arch, 1, wide), scheme, limit_mm2, mask_group, table)
        for wide in columns
        if entries % wide == 0
    ]
    return max(filter(None, found), key=lambda machine: machine.pes, default=None)


def peak_bytes_per_cycle(arch: ArchConfig) -> int:
    """Activation bandwidth: what all banks deliver together, B words of A bytes a cycle."""
    return arch.activation.banks * arch.activation.word_channels


def at_bandwidth(arch: ArchConfig, bytes_per_cycle: int) -> ArchConfig:
    """The machine with as many banks as deliver ``bytes_per_cycle``; UserError if none do."""
    banks, rest = divmod(bytes_per_cycle, arch.activation.word_channels)
    if rest or banks < 1:
        raise UserError(
            f"{bytes_per_cycle} bytes a cycle: not a multiple of a word of "
            f"{arch.activation.word_channels} bytes (activation.word_channels)"
        )
    update = {"activation": arch.activation.model_copy(update={"banks": banks})}
    return arch.model_copy(update=update)


def _shaped(arch: ArchConfig, rows: int, columns: int) -> ArchConfig:
    update = {"rows": rows, "columns": columns, "reshape": ()}
    return arch.model_copy(update={"array": arch.array.model_copy(update=update)})
