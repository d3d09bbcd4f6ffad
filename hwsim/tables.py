"""Tables for the terminal: the comparison, the layers, the 2x2 of mask by hardware."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

Row = dict[str, Any]


class Column(NamedTuple):
    """A heading of one or two lines and how a row's cell is written."""

    heading: str
    cell: Callable[[Row], str]
    left: bool = False


def _energy(name: str) -> Callable[[Row], str]:
    return lambda row: _three_digits(row["energy_uj"][name])


def _buffers(row: Row) -> str:
    return _three_digits(row["energy_uj"]["activation_buffer"] + row["energy_uj"]["weight_buffer"])


def _index_gate(row: Row) -> str:
    return _three_digits(row["energy_uj"]["index"] + row["energy_uj"]["gate"])


def _realised(row: Row) -> str:
    if row["share_realised"] is None:
        return "-"
    return f"{round(100 * row['share_realised'])} %"


def _ideal(key: str) -> Callable[[Row], str]:
    return lambda row: "-" if row["share_realised"] is None else f"{row[key]:.2f}x"


NAMES = (
    Column("masks", lambda row: "-" if row["scheme"] == "dense" else row["label"], left=True),
    Column("scheme", lambda row: row["scheme"], left=True),
)

COMPARISON = (
    Column("cycles\n/image", lambda row: f"{row['cycles_per_image']:,.0f}"),
    Column("speed-\nup", lambda row: f"{row['speedup']:.2f}x"),
    Column("ideal\ngated", _ideal("ideal_speedup")),
    Column("ideal\nnetwork", _ideal("ideal_speedup_network")),
    Column("share\nrealised", _realised),
    Column("utili-\nsation", lambda row: f"{100 * row['utilisation']:.1f} %"),
    Column("images\n/s", lambda row: f"{row['images_per_s']:,.0f}"),
    Column("DRAM\nkB/image", lambda row: f"{row['dram_bytes_per_image'] / 1e3:,.0f}"),
    Column("SRAM\nkB/image", lambda row: f"{row['sram_bytes_per_image'] / 1e3:,.0f}"),
    Column("index\nB/image", lambda row: f"{row['index_bits_per_image'] / 8:,.0f}"),
    Column("energy\nuJ/image", lambda row: _three_digits(row["energy_uj_per_image"])),
    Column("area\nmm2", lambda row: f"{row['area_mm2']:.2f}"),
    Column("TOPS/W\n(dense eq.)", lambda row: f"{row['tops_per_w_dense_equivalent']:.2f}"),
    Column("MAC\nuJ", _energy("mac")),
    Column("buffers\nuJ", _buffers),
    Column("partial\nsums uJ", _energy("partial_sums")),
    Column("operand\nnetwork uJ", _energy("operand_network")),
    Column("index +\ngate uJ", _index_gate),
    Column("output\nstage uJ", _energy("output_stage")),
    Column("DRAM\nuJ", _energy("dram")),
    Column("leakage\nuJ", _energy("leakage")),
)


def comparison_table(console: Console, title: str, rows: Sequence[Row]) -> None:
    """Schemes as rows; one table, in as many parts as the console's width asks for."""
    _print(console, title, NAMES, COMPARISON, rows)


CELL = (
    Column("density", lambda row: row["density"], left=True),
    Column("masks", lambda row: row["label"].partition(" ")[0], left=True),
    Column("hardware", lambda row: f"{row['scheme']} (V={row['lane_group']})", left=True),
)

TWO_BY_TWO = (
    Column("images", lambda row: str(row["images"])),
    Column("MAC\ndensity", lambda row: f"{100 * row['density_macs']:.1f} %"),
    Column("cycles\n/image", lambda row: f"{row['cycles_per_image']:,.0f}"),
    Column("speed-\nup", lambda row: f"{row['speedup']:.2f}x"),
    Column("ideal\nnetwork", lambda row: f"{row['ideal_speedup_network']:.2f}x"),
    Column("energy\nuJ/image", lambda row: _three_digits(row["energy_uj_per_image"])),
    Column("condi-\ntional %", lambda row: _stall(row, "conditional")),
    Column("bank\nstall %", lambda row: _stall(row, "bank_stall")),
    Column("decode\nstall %", lambda row: _stall(row, "decode_stall")),
    Column("DRAM\nstall %", lambda row: _stall(row, "dram_stall")),
)


def two_by_two_table(console: Console, rows: Sequence[Row]) -> None:
    """Mask by hardware, as recorded and at equal MAC density."""
    _print(console, f"Masks by hardware, batch {rows[0]['batch']}", CELL, TWO_BY_TWO, rows)
    for density in dict.fromkeys(row["density"] for row in rows):
        cells = [row for row in rows if row["density"] == density]
        console.print(
            f"{density} density: fewest cycles {_least(cells, 'cycles_per_image')}; "
            f"least energy {_least(cells, 'energy_uj_per_image')}"
        )
    if any(row["density"] == "equal" for row in rows):
        console.print(
            "equal density: thresholds of the unstructured network shifted on stored margins; "
            "approximate, later layers do not react"
        )


def prices_table(console: Console, rows: Sequence[Row]) -> None:
    """Energy per image under other prices, one column per set of prices."""
    runs: dict[tuple[str, str], Row] = {}
    headings: dict[str, None] = {}
    for row in rows:
        heading = (
            f"{row['table']}\nx{row['operand_network_scale']:g}\nDRAM {row['dram_pj_per_bit']:g}"
        )
        headings[heading] = None
        run = runs.setdefault((row["trace"], row["scheme"]), dict(row))
        run[heading] = row["energy_uj_per_image"]
    columns = [_price_column(heading) for heading in headings]
    title = (
        f"Energy, uJ/image, under other prices, batch {rows[0]['batch']} "
        "(operand network: x times the assumed price; DRAM: pJ/bit)"
    )
    _print(console, title, NAMES, columns, list(runs.values()))


def _price_column(heading: str) -> Column:
    return Column(heading, lambda row: _three_digits(row[heading]))


def _share_column(cause: str) -> Column:
    return Column(
        _CAUSE_HEADINGS[cause],
        lambda row: f"{100 * row[f'{cause}_cycles'] / row['cycles']:.1f}",
    )


_CAUSE_HEADINGS = {
    "base": "base",
    "conditional": "condi-\ntional",
    "bank_stall": "bank\nstall",
    "drain": "drain",
    "decode_stall": "decode\nstall",
    "output_stall": "output\nstall",
    "dram_stall": "DRAM\nstall",
}


def _spread(key: str) -> Callable[[Row], str]:
    return lambda row: f"{row['cycles_per_image_distribution'][key]:,.0f}"


def _half_width(row: Row) -> str:
    """Half the confidence interval."""
    low, high = row["cycles_per_image_distribution"]["confidence_95"]
    return f"{(high - low) / 2:,.0f}"


SPREAD = (
    Column("batch", lambda row: str(row["batch"])),
    Column("batches", _spread("batches")),
    Column("mean", _spread("mean")),
    Column("95 %\nconf. +-", _half_width),
    Column("p5", _spread("p5")),
    Column("p50", _spread("p50")),
    Column("p95", _spread("p95")),
)


def spread_table(console: Console, rows: Sequence[Row]) -> None:
    """Cycles per image over batches, of runs whose batches differ by more than what DMA finds."""
    spreads = [row["cycles_per_image_distribution"] for row in rows]
    differing = [
        row
        for row, spread in zip(rows, spreads, strict=True)
        if spread["batches"] > 1 and spread["p95"] - spread["p5"] > 1e-4 * spread["mean"]
    ]
    if differing:
        title = "Cycles per image, as batches differ in it (batch 1: image by image)"
        _print(console, title, NAMES, SPREAD, differing)


LAYER = (Column("layer", lambda row: row["layer"], left=True),)
ARRAY = Column("array", lambda row: row["array"])

LAYERS = (
    Column("density", lambda row: f"{row['density']:.3f}" if row["gated"] else "-"),
    Column("cycles\n/image", lambda row: f"{row['cycles'] / row['images']:,.0f}"),
    Column("utili-\nsation", lambda row: f"{100 * row['utilisation']:.1f} %"),
    *(_share_column(cause) for cause in _CAUSE_HEADINGS),
    Column("DRAM\nkB/image", lambda row: f"{_dram_bytes(row) / row['images'] / 1e3:,.1f}"),
    Column("energy\nuJ/image", lambda row: _three_digits(row["energy_pj"] / row["images"] / 1e6)),
)


def layers_table(console: Console, frame: pd.DataFrame) -> None:
    """Cycles per image by cause and energy, one row per layer, one table per run.

    The array's shape is told where layers differ in it.
    """
    for (trace, scheme, batch), run in frame.groupby(["trace", "scheme", "batch"], sort=False):
        title = f"{trace}, {scheme}, batch {batch}: cycles by cause in % of the layer"
        rows = [{str(key): value for key, value in row.items()} for row in run.to_dict("records")]
        reshaped = len({row["array"] for row in rows}) > 1
        _print(console, title, LAYER, (ARRAY, *LAYERS) if reshaped else LAYERS, rows)


def _dram_bytes(row: Row) -> int:
    return sum(value for name, value in row.items() if name.startswith("dram_") and "bytes" in name)


def _stall(row: Row, cause: str) -> str:
    return f"{100 * row['stalls'][cause] / sum(row['stalls'].values()):.1f}"


def _least(cells: Sequence[Row], key: str) -> str:
    """The cells with the smallest figure, named; ties are all named."""
    smallest = min(row[key] for row in cells)
    return " and ".join(
        f"{row['label'].partition(' ')[0]} on {row['scheme']}"
        for row in cells
        if row[key] == smallest
    )


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _print(
    console: Console,
    title: str,
    names: Sequence[Column],
    figures: Sequence[Column],
    rows: Sequence[Row],
) -> None:
    """One table, in as many parts as the console's width asks for; each part repeats ``names``."""
    parts: list[list[Column]] = [[]]
    for column in figures:
        if parts[-1] and _width([*names, *parts[-1], column], rows) > console.width:
            parts.append([])
        parts[-1].append(column)
    for number, part in enumerate(parts):
        console.print(_table(title if number == 0 else "", [*names, *part], rows))


def _width(columns: Sequence[Column], rows: Sequence[Row]) -> int:
    """Characters that a table of these columns takes: a border, and two spaces between columns."""
    return 1 + sum(
        2 + max(len(text) for text in (*column.heading.split("\n"), *map(column.cell, rows)))
        for column in columns
    )


def _table(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(column.heading, justify="left" if column.left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    return table
