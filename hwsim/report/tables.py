"""Tables of a page, with the columns and cells of the terminal's, and a unit in every head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hwsim.counters import CAUSE_LABELS, CAUSES
from hwsim.energy.area import AREA_COMPONENTS
from hwsim.energy.prices import COMPONENT_LABELS
from hwsim.report.figures.parts import Head, Table
from hwsim.report.figures.priced import Priced, Run
from hwsim.run.price_sets import prices_heading
from hwsim.run.tables import (
    BATCH,
    COUNTS,
    CYCLES,
    ENERGY,
    LAYERS,
    NAMES,
    SUMMARY,
    Column,
    Row,
    name_masks,
)
from hwsim.text_table import three_digits

UNITS = {
    "batch": "images", "speed-up": "x dense", "ideal gated": "x dense", "ideal speed-up": "x dense",
    "share realised": "% of the time promised", "utilisation": "% of PE cycles",
    "density": "share of bits", "energy vs dense": "%",
}  # fmt: skip
"""Of columns whose heading on a terminal has none: their cells do."""

OF_LAYER = {label: "% of the layer's cycles" for label in CAUSE_LABELS.values()}


def head_of(column: Column, units: Mapping[str, str] = UNITS) -> Head:
    """``cycles /image`` becomes cycles, with the unit /image."""
    name = column.heading.replace("speed-\nup", "speed-up").replace("-\n", "").replace("\n", " ")
    if name in units:
        return Head(name, units[name])
    if name == "TOPS/W (dense eq.)":
        return Head("dense-equivalent", "TOPS/W")
    first, _, last = name.rpartition(" ")
    if last.startswith("/"):
        return Head(first, first + last)
    return Head(first, last) if first and ("/" in last or last == "mm2") else Head(name)


def _table(
    title: str, names: Sequence[Column], figures: Sequence[Column], rows: Iterable[Row],
    when: Mapping[str, str], units: Mapping[str, str] = UNITS,
) -> Table:  # fmt: skip
    columns = [*names, *figures]
    cells = [[column.cell(row) for column in columns] for row in rows]
    heads = [head_of(column, units) for column in columns]
    return Table(title, heads, cells, len(names), when)


def run_tables(runs: Sequence[Run], priced: Priced) -> list[Table]:
    """All figures of every run, a table per energy table."""
    return [
        _table(
            "Every scheme, all figures", NAMES, COUNTS,
            [priced.row(run, table) for run in runs], {"price": table},
        )
        for table in priced.tables
    ]  # fmt: skip


def energy_tables(runs: Sequence[Run], priced: Priced) -> list[Table]:
    """Energy by component, a table per energy table."""
    heads = [Head("masks"), Head("scheme"), Head("batch", "images"), Head("energy", "uJ/image")]
    heads += [Head(label, "uJ/image") for label in COMPONENT_LABELS.values()]
    tables = []
    for table in priced.tables:
        rows = []
        for run in runs:
            row = priced.row(run, table)
            found = priced.energy_uj(run, table)
            cells = [column.cell(row) for column in (*NAMES, BATCH, ENERGY)]
            cells += [
                three_digits(found[name]) if found else "no price" for name in COMPONENT_LABELS
            ]
            rows.append(cells)
        tables.append(Table("Energy by component", heads, rows, 2, {"price": table}))
    return tables


def area_tables(runs: Sequence[Run], priced: Priced) -> list[Table]:
    """Area by component, a column per hardware."""
    hardware: dict[tuple[str, int], Run] = {}
    seen: set[tuple[str, str]] = set()
    # Gating zeros adds no hardware that is priced.
    for run in [each for each in runs if each.scheme != "dense-zero-gated"] or runs:
        # A decision's channels make no difference to a scheme without decisions.
        own = (run.scheme, repr(priced.areas_mm2(run, priced.tables[0])))
        if own not in seen:
            hardware.setdefault((run.scheme, run.row["mask_group"]), run)
        seen.add(own)
    schemes = [scheme for scheme, _ in hardware]
    heads = [Head("component")] + [
        Head(scheme if schemes.count(scheme) == 1 else f"{scheme}, decisions of {group}", "mm2")
        for scheme, group in hardware
    ]
    tables = []
    for table in priced.tables:
        areas = [priced.areas_mm2(run, table) for run in hardware.values()]
        rows = [
            [part.replace("_", " ")] + [f"{mm2[part]:.4f}" if mm2 else "no price" for mm2 in areas]
            for part in AREA_COMPONENTS
        ]
        total = [f"{sum(mm2.values()):.4f}" if mm2 else "no price" for mm2 in areas]
        rows.append(["total", *total])
        tables.append(Table("Area by component", heads, rows, 1, {"price": table}))
    return tables


def causes_table(runs: Sequence[Run]) -> Table:
    """Where the cycles went, in per cent of each run."""
    heads = [Head("masks"), Head("scheme"), Head("batch", "images"), Head("cycles", "cycles/image")]
    heads += [Head(CAUSE_LABELS[cause], "% of cycles") for cause in CAUSES]
    rows = []
    for run in runs:
        stalls = run.row["stalls"]
        shares = [f"{100 * stalls[cause] / sum(stalls.values()):.1f}" for cause in CAUSES]
        rows.append([*(column.cell(run.row) for column in (*NAMES, BATCH, CYCLES)), *shares])
    return Table("Cycles by cause", heads, rows, 2)


LAYER = Column("layer", lambda row: str(row["layer"]))


def layer_tables(runs: Sequence[Run], keys: Sequence[str], priced: Priced) -> list[Table]:
    """A run's layers, a table per run; energies under each energy table side by side."""
    figures = [column for column in LAYERS if "energy" not in column.heading]
    tables = []
    for key, run in zip(keys, runs, strict=True):
        records: list[Row] = [
            {str(name): value for name, value in record.items()}
            for record in run.layers.to_dict("records")
        ]
        title = f"Layers: {run.name}, batch {run.batch}"
        table = _table(title, [LAYER], figures, records, {"run": key}, UNITS | OF_LAYER)
        energies = [priced.layers_uj(run, name) for name in priced.tables]
        told = [
            [three_digits(found[at]) if found else "no price" for found in energies]
            for at in range(len(records))
        ]
        rows = [[*row, *more] for row, more in zip(table.rows, told, strict=True)]
        heads = [*table.heads, *(Head(f"energy, {name}", "uJ/image") for name in priced.tables)]
        tables.append(replace(table, heads=heads, rows=rows))
    return tables


def prices_table(rows: Sequence[Row]) -> Table | None:
    """Energy per image of every run under every set of prices; None where there is none."""
    if not rows:
        return None
    sets: dict[str, None] = {}
    found: dict[tuple[str, str], tuple[Row, dict[str, str]]] = {}
    for row in name_masks(rows):
        heading = prices_heading(row).replace("\n", ", ")
        sets[heading] = None
        _, cells = found.setdefault((row["trace"], row["scheme"]), (row, {}))
        cells[heading] = three_digits(row["energy_uj_per_image"])
    heads = [Head("masks"), Head("scheme"), *(Head(heading, "uJ/image") for heading in sets)]
    lines = [
        [*(column.cell(row) for column in NAMES), *(cells.get(heading, "-") for heading in sets)]
        for row, cells in found.values()
    ]
    title = (
        "Other prices: energy table, operand network at x times its assumed price; MAC x; DRAM "
        "pJ/bit; gated: share of a MAC"
    )
    return Table(title, heads, lines, 2)


def skipping_table(title: str, rows: Sequence[Row]) -> Table | None:
    """Schemes beside the same with zeros skipped; None where there is none."""
    if not rows:
        return None
    columns = [column for column in SUMMARY if "DRAM" not in column.heading]
    dense = {row["trace"]: row["energy_uj_per_image"] for row in rows if row["scheme"] == "dense"}
    told = []
    for row in name_masks(rows):
        own, base = row["energy_uj_per_image"], dense.get(row["trace"])
        told.append(row | {"energy_vs_dense": own / base if own and base else None})
    return _table(title[:1].upper() + title[1:], NAMES, columns, told, {})
