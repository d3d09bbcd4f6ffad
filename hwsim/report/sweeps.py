"""The part of a page that is a folder of a sweep, a search or an equal-area comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import known_keys, load_arch, with_keys
from hwsim.energy.table import table_names
from hwsim.errors import UserError, escaped, one_line
from hwsim.network.written import parse_yaml
from hwsim.plots.tradeoffs import LEAST, MOST
from hwsim.report.figures.chart import notes_of
from hwsim.report.figures.machine import drawing
from hwsim.report.figures.parts import Choice, Drawing, Head, Part, Section, Table
from hwsim.report.figures.points import AREA, CYCLES, ENERGY, Points, cell
from hwsim.report.figures.sweeps import ALONE, PAIRS, over_key, scatter, stacks
from hwsim.text_table import counted, three_digits

MOST_ROWS = 1_000
"""Points of charts and tables: of more, those of the front and each scheme's fastest are shown."""


def part_of_sweep(points: Points) -> Part:
    # As many of each scheme, the fastest.
    rank = points.rows.groupby(["trace", "scheme"])[CYCLES].rank(method="first")
    order = np.lexsort((rank, ~points.front.to_numpy(bool)))
    shown = points.rows.iloc[order[:MOST_ROWS]].sort_values([CYCLES, ENERGY], kind="stable")
    schemes = ", ".join(dict.fromkeys(points.rows["scheme"]))
    title = f"{counted(points.all, 'point')} of {escaped(points.path.name)}: {schemes}"
    machines = _machines(points)
    return Part(
        title=title,
        answer=list(_answer(points)),
        notes=list(_notes(points, len(shown))),
        choices=_choices(points, machines),
        sections=list(_sections(points, shown, machines)),
        provenance=_provenance(points),
    )


def _answer(points: Points) -> Iterator[str]:
    """Who is fastest, who takes least energy, how large the fronts are."""
    rows = points.rows
    best = {"Fewest cycles": CYCLES, "Least energy": ENERGY, "Smallest": AREA}
    for what, column in best.items():
        if rows[column].notna().any():
            row = rows.iloc[int(np.nanargmin(rows[column]))]
            yield f"{what}: {points.told(row)}: {_figures(row)}."
    yield (
        f"No other point beats {int(points.front.sum())} of {counted(len(rows), 'point')} in both "
        "cycles and energy (fronts, one for each trace)."
    )


def _figures(row: pd.Series[Any]) -> str:
    told = f"{row[CYCLES]:,.0f} cycles an image ({row['speedup']:.2f}x dense)"
    if pd.notna(row[ENERGY]):
        told += f", {three_digits(row[ENERGY])} uJ, {row[AREA]:.2f} mm2"
    return told


def _notes(points: Points, shown: int) -> Iterator[str]:
    if points.impossible:
        yield f"{counted(points.impossible, 'point')} have no figures: impossible on their machine."
    if shown < len(points.rows):
        yield f"Shown are {shown:,} of {len(points.rows):,} points, those of the fronts first."
    unpriced = int(points.rows[ENERGY].isna().sum())
    if unpriced:
        yield f"{counted(unpriced, 'point')} have no price, and no energy or area."
    note = notes_of(points.rows["label"])
    if note:
        yield f"Of the masks: {note}."


def _machines(points: Points) -> dict[str, tuple[str, pd.Series[Any], ArchConfig]]:
    """Machines to draw, by value of the choice: what is best about each, its row, the machine."""
    rows = points.rows
    found: dict[Any, tuple[str, int]] = {}
    for what, column in (("fewest cycles", CYCLES), ("least energy", ENERGY), ("smallest", AREA)):
        if rows[column].notna().any():
            at = int(np.nanargmin(rows[column]))
            earlier, _ = found.get(at, ("", at))
            found[at] = (f"{earlier}, {what}" if earlier else what, at)
    return {
        str(place): (what, rows.iloc[at], _arch_of(points, rows.iloc[at]))
        for place, (what, at) in enumerate(found.values())
    }


def _arch_of(points: Points, row: pd.Series[Any]) -> ArchConfig:
    """The machine of a row. Raises UserError where its keys make none."""
    keys = {key: _plain(row[key]) for key in known_keys() if key != "name"}
    try:
        keys["array.reshape"] = parse_yaml(str(keys["array.reshape"] or "[]"))
        return with_keys(load_arch("pe16x16"), keys | {"name": str(row["arch"])})
    except UserError as error:
        raise UserError(f"{points.path}: row {row['key']}: {one_line(error)}") from None


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _choices(
    points: Points, machines: Mapping[str, tuple[str, pd.Series[Any], ArchConfig]]
) -> dict[str, Choice]:
    _, _, own = machines["0"]
    return {
        "machine": Choice("Machine of", {
            key: escaped(f"{what}: {points.told(row)}") for key, (what, row, _) in machines.items()
        }),
        "price": Choice("Prices", {name: name for name in table_names()}, own.pricing.table),
        "pair": Choice("Show", {
            key: told for key, (x, y, told) in PAIRS.items()
            if points.rows[x].notna().any() and points.rows[y].notna().any()
        }),
        "key": Choice("Over", {str(at): key for at, key in enumerate(points.varied)}),
        "figure": Choice("Show", {
            key: (LEAST | MOST)[name] for key, name in ALONE.items()
            if points.rows[name].notna().any()
        }),
    }  # fmt: skip


def _sections(
    points: Points,
    shown: pd.DataFrame,
    machines: Mapping[str, tuple[str, pd.Series[Any], ArchConfig]],
) -> Iterator[Section]:
    choices = _choices(points, machines)
    yield Section(
        "The machine",
        ["The machines of the best points. Sizes, areas, energy of an access."],
        ["machine", "price"],
        drawings=list(_drawings(machines)),
    )
    yield Section(
        "Design points",
        ["Lines join each scheme's front: no other point of the scheme and the trace beats it."],
        ["pair"],
        charts=[
            scatter(points, own, str(trace), list(choices["pair"].options))
            for trace, own in shown.groupby("trace", sort=False)
        ],
    )
    if points.varied:
        yield Section(
            "One key at a time",
            ["Every point over the value of one key; lines join the best of each value."],
            ["key", "figure"],
            charts=[
                over_key(points, own, str(trace), list(choices["figure"].options))
                for trace, own in shown.groupby("trace", sort=False)
            ],
        )
    said = "Points of the fronts, fewest cycles first; the column front below has their numbers."
    for heading, chart in stacks(points).items():
        yield Section(f"{heading} of the best", [said], charts=[chart])
    yield Section("All points", ["A click on a heading sorts."], [], tables=[_table(points, shown)])


def _drawings(machines: Mapping[str, tuple[str, pd.Series[Any], ArchConfig]]) -> Iterator[Drawing]:
    for key, (_, row, arch) in machines.items():
        for table in table_names():
            when = {"machine": key, "price": table}
            yield drawing(arch, str(row["scheme"]), int(row["mask_group"]), table, when)


COLUMNS: dict[str, tuple[Head, Callable[[float], str]]] = {
    CYCLES: (Head("cycles", "cycles/image"), "{:,.0f}".format),
    "speedup": (Head("speed-up", "x dense"), "{:.2f}".format),
    "ideal_speedup_network": (Head("ideal speed-up", "x dense"), "{:.2f}".format),
    "utilisation": (Head("utilisation", "share of PE cycles"), "{:.3f}".format),
    ENERGY: (Head("energy", "uJ/image"), three_digits),
    AREA: (Head("area", "mm2"), "{:.3f}".format),
    "dram_bytes_per_image": (Head("DRAM", "bytes/image"), "{:,.0f}".format),
}

UNITS_OF_KEYS = {
    "batch": "images", "clock_mhz": "MHz", "array.rows": "PEs", "array.columns": "PEs",
    "partial_sums.entries": "words", "activation.word_channels": "channels",
    "activation.banks": "banks", "activation.run_ahead": "beats", "activation.buffer_kib": "KiB",
    "weight.buffer_kib": "KiB", "index.lane_group": "columns", "index.word_bits": "bits",
    "index.indices_per_cycle": "indices/cycle", "index.run_length_bits": "bits",
    "index.window": "pixels", "dram.bandwidth_gb_per_s": "GB/s", "dram.efficiency_percent": "%",
    "dram.pj_per_bit": "pJ/bit", "threshold_shift": "Z",
}  # fmt: skip
"""Of keys that are figures; factors and names have none."""


def _table(points: Points, shown: pd.DataFrame) -> Table:
    heads = [Head("masks"), Head("scheme")]
    heads += [Head(key, UNITS_OF_KEYS.get(key, "")) for key in points.varied]
    rows = []
    numbers = {at: str(number) for number, at in enumerate(points.best.index, start=1)}
    for at, row in shown.iterrows():
        cells = [str(row["method"]), str(row["scheme"]), *(cell(row[key]) for key in points.varied)]
        cells.append(numbers.get(at, ""))
        figures = [(row[name], write) for name, (_, write) in COLUMNS.items()]
        cells += ["-" if value != value else write(value) for value, write in figures]
        rows.append(cells)
    heads += [Head("front"), *(head for head, _ in COLUMNS.values())]
    return Table("All points", heads, rows, 2)


def _provenance(points: Points) -> dict[str, Any]:
    rows = points.rows
    return {
        "folder": str(points.path),
        "hwsim": sorted(map(str, rows["hwsim"].dropna().unique())),
        "model_sha256": sorted(map(str, rows["model_sha256"].dropna().unique())),
        "traces": {
            str(name): sorted(map(str, own["trace_sha256"].dropna().unique()))
            for name, own in rows.groupby("trace", sort=False)
        },
        "fixed": {
            key: cell(rows[key].iloc[0]) for key in known_keys()
            if key in rows and key not in points.varied
        },
    }  # fmt: skip
