"""Energy tables: what one action, one macro and one unit of logic cost at a technology node.

A table is two files in ``hwsim/energy/tables/``, with a source beside every number: ``NAME.csv``
(logic, registers, and the labelled assumptions of the operand network), and the SRAM macros of its
node by capacity and width, ``sram_22nm.csv``. A name ends in the node. docs/model/energy.md says
where each number comes from.
"""

from __future__ import annotations

import csv
import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Self

from hwsim.errors import UserError, nearest

_FOLDER = Path(__file__).resolve().parent / "tables"

SMALLEST_BYTES = 1024
"""The smallest macro that was measured; smaller memories are registers or one of these."""


class PriceError(UserError):
    """A price that no table holds; the message is one line for the user."""


@dataclass(frozen=True)
class Sram:
    """One SRAM macro: energy per word, leakage, area and read latency."""

    read_pj: float
    write_pj: float
    leak_uw: float
    area_mm2: float
    read_latency_ns: float


@dataclass(frozen=True)
class Logic:
    """One logic unit in the units of its file; None where the file's cell is empty."""

    energy_fj: float | None
    area_um2: float | None
    leak_nw: float | None


@dataclass(frozen=True, eq=False)
class EnergyTable:
    """The prices of one node; ``srams`` is a full grid keyed by (capacity_bytes, width_bits)."""

    name: str
    node_nm: int
    srams: Mapping[tuple[int, int], Sram]
    logic: Mapping[str, Logic]

    @classmethod
    @cache
    def load(cls, name: str) -> Self:
        """The shipped table ``name``, read once; PriceError where it is unknown or broken."""
        if name not in table_names():
            raise PriceError(f"energy table {name!r}: unknown" + nearest(name, table_names()))
        try:
            node = re.sub(r"^.*?(\d+)$", r"\1", name)
            node_nm, srams = _read_srams(_FOLDER / f"sram_{node}nm.csv")
            return cls(name, node_nm, srams, _read_logic(_FOLDER / f"{name}.csv"))
        except PriceError:
            raise
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise PriceError(f"energy table {name}: cannot be read ({error})") from None

    def energy_pj(self, action: str) -> float:
        """Energy of one action of logic, pJ."""
        return self._price(action, "energy_fj") * 1e-3

    def area_mm2(self, action: str) -> float:
        """Area of one unit of logic, mm2."""
        return self._price(action, "area_um2") * 1e-6

    def leak_uw(self, action: str) -> float:
        """Leakage of one unit of logic, uW."""
        return self._price(action, "leak_nw") * 1e-3

    def sram(
        self, macro: str, capacity_bytes: float, width_bits: int, area_scale: float = 1.0
    ) -> Sram:
        """The macro of this capacity and word width; ``macro`` is its name in the error.

        Between measured points log-log in capacity and width; below 1 KiB register bits, or where
        that takes less area the macro of 1 KiB, partly filled; outside the measured range a
        PriceError. ``area_scale`` is a factor on the area of macros.
        """
        asked = capacity_bytes, width_bits, area_scale
        if asked not in self._found:
            self._found[asked] = self._sram(macro, *asked)
        return self._found[asked]

    @cached_property
    def _found(self) -> dict[tuple[float, int, float], Sram]:
        """Memories that were asked for: sweeps and results ask again."""
        return {}

    def _sram(self, macro: str, capacity_bytes: float, width_bits: int, area_scale: float) -> Sram:
        if capacity_bytes >= SMALLEST_BYTES:
            return self._macro(macro, capacity_bytes, width_bits, area_scale)
        registers = self._registers(capacity_bytes, width_bits)
        widths = [width for _, width in self.srams]
        if not min(widths) <= width_bits <= max(widths):
            return registers
        smallest = self._macro(macro, SMALLEST_BYTES, width_bits, area_scale)
        return min(registers, smallest, key=lambda memory: memory.area_mm2)

    def _macro(self, macro: str, capacity_bytes: float, width_bits: int, area_scale: float) -> Sram:
        capacities = sorted({capacity for capacity, _ in self.srams})
        widths = sorted({width for _, width in self.srams})
        inside = capacities[0] <= capacity_bytes <= capacities[-1]
        if not (inside and widths[0] <= width_bits <= widths[-1]):
            raise PriceError(
                f"{macro}: a macro of {capacity_bytes:.0f} bytes x {width_bits} bits is outside "
                f"the measured range of {self.name}: {capacities[0]} to {capacities[-1]} bytes, "
                f"{widths[0]} to {widths[-1]} bits"
            )
        corners = [
            (self.srams[capacity, width], capacity_share * width_share)
            for capacity, capacity_share in _log_shares(capacities, capacity_bytes)
            for width, width_share in _log_shares(widths, width_bits)
        ]
        found = Sram(
            **{
                field.name: math.exp(
                    sum(share * math.log(getattr(corner, field.name)) for corner, share in corners)
                )
                for field in fields(Sram)
            }
        )
        return replace(found, area_mm2=area_scale * found.area_mm2)

    def _registers(self, capacity_bytes: float, width_bits: int) -> Sram:
        """Register bits: a word costs its bits, and is read within the cycle (latency 0)."""
        word_pj = width_bits * self.energy_pj("register_bit")
        bits = 8 * capacity_bytes
        leak_uw, area_mm2 = self.leak_uw("register_bit"), self.area_mm2("register_bit")
        return Sram(word_pj, word_pj, bits * leak_uw, bits * area_mm2, 0.0)

    def _price(self, action: str, column: str) -> float:
        if action not in self.logic:
            raise PriceError(f"energy table {self.name}: no price for {action!r}")
        value: float | None = getattr(self.logic[action], column)
        if value is None:
            raise PriceError(f"energy table {self.name}: {action!r} has no {column}")
        return value


def table_names() -> list[str]:
    """Names of the shipped tables."""
    return sorted(path.stem for path in _FOLDER.glob("*.csv") if not path.stem.startswith("sram_"))


def _log_shares(grid: Sequence[int], value: float) -> Iterator[tuple[int, float]]:
    """The one or two grid points around ``value`` and their weights in log space."""
    above = bisect_right(grid, value)
    low = grid[above - 1]
    if low == value:
        yield low, 1.0
        return
    high = grid[above]
    share = math.log(value / low) / math.log(high / low)
    yield low, 1.0 - share
    yield high, share


def _read_srams(path: Path) -> tuple[int, dict[tuple[int, int], Sram]]:
    """Node in nm and the grid of macros; PriceError for mixed nodes, holes and zeros."""
    srams: dict[tuple[int, int], Sram] = {}
    nodes = set()
    for row in _rows(path):
        nodes.add(int(row["tech_nm"]))
        sram = Sram(**{field.name: float(row[field.name]) for field in fields(Sram)})
        if min(getattr(sram, field.name) for field in fields(Sram)) <= 0:
            raise PriceError(f"{path.name}: a macro of {row['capacity_bytes']} bytes costs nothing")
        srams[int(row["capacity_bytes"]), int(row["width_bits"])] = sram
    full = len({capacity for capacity, _ in srams}) * len({width for _, width in srams})
    if len(nodes) != 1 or len(srams) != full:
        raise PriceError(f"{path.name}: expected one node and every capacity at every width")
    return nodes.pop(), srams


def _read_logic(path: Path) -> dict[str, Logic]:
    return {
        row["action"]: Logic(
            *(float(row[field.name]) if row[field.name] else None for field in fields(Logic))
        )
        for row in _rows(path)
    }


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
