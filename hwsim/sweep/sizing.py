"""Machines of equal area and of equal activation bandwidth: what hardware to compare a scheme with.

Unstructured hardware has C pointers, crossbar inputs and line registers to each row of the array,
structured C/V, dense one. The area that the others save, they may spend on PEs.
"""

from __future__ import annotations

from hwsim.arch.config import ArchConfig
from hwsim.energy.area import area
from hwsim.energy.hardware import Hardware, hardware_of
from hwsim.energy.table import EnergyTable


def area_mm2(
    arch: ArchConfig, scheme: str, mask_group: int | None = None, table: EnergyTable | None = None
) -> float:
    """Area of a scheme's hardware, priced by the machine's own table where none is given.

    ``mask_group`` as for :func:`hwsim.energy.hardware.hardware_of`. Raises SchemeError, PriceError.
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


def _shaped(arch: ArchConfig, rows: int, columns: int) -> ArchConfig:
    update = {"rows": rows, "columns": columns, "reshape": ()}
    return arch.model_copy(update={"array": arch.array.model_copy(update=update)})
