"""The runs of a page, and their counts under every energy table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from hwsim.energy.area import area
from hwsim.energy.hardware import hardware_of
from hwsim.energy.prices import price
from hwsim.energy.table import EnergyTable, PriceError, table_names
from hwsim.run.tables import method_of, name_masks, uses_masks

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A row of the summary (``masks``: of :func:`name_masks`) and the run's layers."""

    row: Row
    layers: pd.DataFrame

    @property
    def scheme(self) -> str:
        return str(self.row["scheme"])

    @property
    def batch(self) -> int:
        return int(self.row["batch"])

    @property
    def trace(self) -> str:
        return str(self.row["trace"])

    @property
    def name(self) -> str:
        """Masks and scheme; the scheme alone where no mask plays a part."""
        return f"{method_of(self.row)}: {self.scheme}" if uses_masks(self.row) else self.scheme


def runs_of(rows: Sequence[Row], layers: pd.DataFrame) -> list[Run]:
    """The rows with their layers; a dense run of figures equal to another's is left out."""
    of_run = dict(iter(layers.groupby(["trace", "scheme", "batch"], sort=False)))
    seen: set[tuple[Any, ...]] = set()
    runs = []
    for row in name_masks(rows):
        figures = tuple(row[key] for key in ("images", "batch", "cycles_per_image"))
        key = (*figures, row["energy_uj_per_image"])
        if row["scheme"] != "dense" or key not in seen:
            runs.append(Run(row, of_run[row["trace"], row["scheme"], row["batch"]]))
        if row["scheme"] == "dense":
            seen.add(key)
    return runs


class Priced:
    """Energies and areas of runs on one machine under each energy table, the machine's first.

    All other prices are the machine's. None where the table has no price.
    """

    def __init__(self, arch: ArchConfig, runs: Sequence[Run]) -> None:
        own = arch.pricing.table
        self.tables = [own, *(name for name in table_names() if name != own)]
        self._machines = {name: _under(arch, name) for name in self.tables}
        self._layers = {
            (id(run), name): _layers(self._machines[name], run)
            for run in runs
            for name in self.tables
        }
        self._areas = {
            (id(run), name): _areas(self._machines[name], run)
            for run in runs
            for name in self.tables
        }

    @cached_property
    def labels(self) -> dict[str, str]:
        """How tables are offered to choose from."""
        nodes = {name: EnergyTable.load(name).node_nm for name in self.tables}
        own = self.tables[0]
        return {
            name: f"{name}, {node} nm" + (" (the machine's)" if name == own else "")
            for name, node in nodes.items()
        }

    def layers_uj(self, run: Run, table: str) -> list[float] | None:
        """Energy per image of each layer."""
        found = self._layers[id(run), table]
        return None if found is None else [sum(energies.values()) for energies in found]

    def energy_uj(self, run: Run, table: str) -> dict[str, float] | None:
        """Energy per image by component."""
        found = self._layers[id(run), table]
        if not found:
            return None
        return {name: sum(energies[name] for energies in found) for name in found[0]}

    def areas_mm2(self, run: Run, table: str) -> dict[str, float] | None:
        """Area by component."""
        return self._areas[id(run), table]

    def row(self, run: Run, table: str) -> Row:
        """The run's row of the summary under a table."""
        energies, areas = self.energy_uj(run, table), self.areas_mm2(run, table)
        total = sum(energies.values()) if energies else None
        macs = run.layers["dense_macs"].sum() / run.layers["images"].iloc[0]
        return run.row | {
            "energy_uj": energies,
            "energy_uj_per_image": total,
            "area_mm2": sum(areas.values()) if areas else None,
            "no_price": None if energies else run.row["no_price"] or f"no price in {table}",
            "tops_per_w_dense_equivalent": 2 * macs / total / 1e6 if total else None,
        }


def _under(arch: ArchConfig, table: str) -> ArchConfig:
    return arch.model_copy(update={"pricing": arch.pricing.model_copy(update={"table": table})})


def _layers(arch: ArchConfig, run: Run) -> list[dict[str, float]] | None:
    """Energy per image, uJ, of each layer by component, on the array in the layer's shape."""
    table = EnergyTable.load(arch.pricing.table)
    found = []
    try:
        for layer in run.layers.to_dict("records"):
            rows, columns = map(int, layer["array"].split("x"))
            machine = (
                arch if (rows, columns) == arch.array.shapes[0] else arch.shaped((rows, columns))
            )
            hardware = hardware_of(run.scheme, machine, run.row["mask_group"])
            counters = {name: int(layer[name]) for name in COUNTERS}
            cycles = sum(int(layer[f"{cause}_cycles"]) for cause in CAUSES)
            energy_pj = price(counters, cycles, machine, hardware, table)
            found.append({name: pj / layer["images"] / 1e6 for name, pj in energy_pj.items()})
    except PriceError:
        return None
    return found


def _areas(arch: ArchConfig, run: Run) -> dict[str, float] | None:
    try:
        table = EnergyTable.load(arch.pricing.table)
        return area(arch, hardware_of(run.scheme, arch, run.row["mask_group"]), table)
    except PriceError:
        return None
