"""The rows of a sweep's folder that have figures, and what tells one from another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from hwsim.analysis import pareto_front
from hwsim.arch.load import known_keys
from hwsim.counters import CAUSES
from hwsim.energy.prices import COMPONENTS
from hwsim.errors import UserError
from hwsim.sweep.folder import ResultsFolder
from hwsim.sweep.rows import FIGURES, IDENTITY, OF_MASKS, SCHEMA
from hwsim.text_table import counted, three_digits

CYCLES, ENERGY, AREA = "cycles_per_image", "energy_uj_per_image", "area_mm2"

BESIDE_KEYS = ("trace", "threshold_shift", "channel_order", "batch")
"""What may differ between points beside keys of the machine."""


@dataclass(frozen=True)
class Points:
    """Rows of a folder that have figures; ``impossible`` of its ``all`` points have none."""

    path: Path
    rows: pd.DataFrame
    all: int
    impossible: int

    @cached_property
    def varied(self) -> list[str]:
        """Keys of the machine, and what is beside them, that differ."""
        keys = [*known_keys(), *BESIDE_KEYS]
        there = [key for key in dict.fromkeys(keys) if key in self.rows and key != "name"]
        differ = [key for key in there if self.rows[key].nunique(dropna=False) > 1]
        if "trace" in differ and self.rows.groupby("method")["trace"].nunique().max() == 1:
            differ.remove("trace")
        return differ

    @cached_property
    def best(self) -> pd.DataFrame:
        """The front, fewest cycles first; of points that differ in nothing they spend, one."""
        spent = ["trace", "scheme", CYCLES, ENERGY]
        return self.rows[self.front].sort_values([CYCLES, ENERGY]).drop_duplicates(spent)

    @cached_property
    def front(self) -> pd.Series[bool]:
        """Of each trace's points those that no other beats in cycles and energy."""
        parts = [
            pareto_front(own, [CYCLES, ENERGY] if own[ENERGY].notna().any() else [CYCLES])
            for _, own in self.rows.groupby("trace", sort=False, dropna=False)
        ]
        return pd.concat(parts).reindex(self.rows.index)

    def told(self, row: pd.Series[Any]) -> str:
        """What tells a point from the others: masks, scheme, and the keys that differ."""
        keys = [f"{key.rpartition('.')[2]} {cell(row[key])}" for key in self.varied]
        return ", ".join([f"{row['method']}: {row['scheme']}", *keys])


def read_points(folder: Path) -> Points:
    """Raises UserError where the folder holds no row with figures, or rows that lack columns."""
    rows = ResultsFolder(folder).read()
    needed = [*IDENTITY, *OF_MASKS, *FIGURES, *(f"{name}_uj" for name in COMPONENTS)]
    needed += [f"{cause}_cycles_per_image" for cause in CAUSES]
    needed += [key for key in known_keys() if key != "name"]
    missing = [name for name in needed if name not in rows]
    if missing:
        raise UserError(f"{folder}: rows without column {missing[0]!r}: of an earlier version")
    known = rows[rows["impossible"].isna() & rows["scheme"].notna()].reset_index(drop=True)
    _require_figures(folder, known)
    if known.empty:
        raise UserError(f"{folder}: none of its {counted(len(rows), 'row')} has figures")
    return Points(folder, known, len(rows), len(rows) - len(known))


def _require_figures(folder: Path, rows: pd.DataFrame) -> None:
    """Raise UserError for a column whose type is not a sweep's, and for figures of no machine."""
    for field in SCHEMA:
        if field.name not in rows or pa.types.is_string(field.type):
            continue
        if not (pd.api.types.is_numeric_dtype(rows[field.name]) or rows[field.name].isna().all()):
            raise UserError(f"{folder}: column {field.name!r} holds no numbers")
    for name in ("mask_group", "images", "batch", CYCLES, "speedup"):
        wrong = rows[name][~(rows[name] > 0)]
        if len(wrong):
            raise UserError(f"{folder}: {name} of a row is {wrong.iloc[0]}; expected more than 0")


def cell(value: Any) -> str:
    """A value of a row as text: whole numbers whole, others with three digits."""
    if value is None or value != value:
        return "-"
    if isinstance(value, str):
        return value
    if str(value) in ("True", "False"):
        return str(value).lower()
    return (
        f"{value:,}"
        if float(value).is_integer() and abs(value) < 1e15 and "." not in str(value)
        else three_digits(value)
    )
