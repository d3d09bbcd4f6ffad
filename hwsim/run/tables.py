"""The tables of a run: which columns they have and how a figure is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.counters import CAUSE_LABELS, CAUSES, DRAM_COUNTERS
from hwsim.energy.prices import COMPONENT_LABELS
from hwsim.run.price_sets import prices_heading
from hwsim.run.turning_points import TURNING_PRICES, WIDEST
from hwsim.text_table import print_table, three_digits

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


class Column(NamedTuple):
    """A heading of one or several lines and how a row's cell is written."""

    heading: str
    cell: Callable[[Row], str]


def _lines(label: str) -> str:
    """A label as a heading: a word a line."""
    return label.replace(" ", "\n").replace("conditional", "condi-\ntional")


def method_of(row: Row) -> str:
    """The label without its notes, such as (synthetic); the trace where several share a method."""
    return str(row.get("masks") or row["label"].partition(" (")[0])


def uses_masks(row: Row) -> bool:
    """Whether a row's figures depend on its trace; those of dense rows without gating do not."""
    return row["scheme"] != "dense" or bool(row.get("zeros_gated"))


def name_masks(rows: Sequence[Row]) -> list[Row]:
    """The rows with ``masks``: the trace's name where traces share a method, else None."""
    traces: dict[str, set[str]] = {}
    for row in rows:
        traces.setdefault(row["label"], set()).add(row["trace"])
    return [
        row | {"masks": row["trace"] if len(traces[row["label"]]) > 1 else None} for row in rows
    ]


def _priced(value: float | None, write: Callable[[float], str] = three_digits) -> str:
    """A figure that needs prices; a data frame has NaN where there are none."""
    return "no price" if value is None or value != value else write(value)


def _or_dash(value: float | None, write: Callable[[float], str]) -> str:
    return "-" if value is None else write(value)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _energy_ratio(row: Row, dense: Row) -> float | None:
    if row["no_price"] or dense["no_price"]:
        return None
    return float(row["energy_uj_per_image"] / dense["energy_uj_per_image"])


def _realised(row: Row) -> str:
    share = row["share_realised"]
    return "-" if share is None else f"{round(100 * share)} %"


def _promised(key: str) -> Callable[[Row], str]:
    return lambda row: "-" if row["share_realised"] is None else f"{row[key]:.2f}x"


NAMES = (
    Column("masks", lambda row: method_of(row) if uses_masks(row) else "-"),
    Column("scheme", lambda row: row["scheme"]),
)
CYCLES = Column("cycles\n/image", lambda row: f"{row['cycles_per_image']:,.0f}")
SPEEDUP = Column("speed-\nup", lambda row: f"{row['speedup']:.2f}x")
IDEAL = Column("ideal\nspeed-up", _promised("ideal_speedup_network"))
DRAM = Column("DRAM\nkB/image", lambda row: f"{row['dram_bytes_per_image'] / 1e3:,.0f}")
ENERGY = Column("energy\nuJ/image", lambda row: _priced(row["energy_uj_per_image"]))
BATCH = Column("batch", lambda row: str(row["batch"]))

SUMMARY = (
    CYCLES,
    SPEEDUP,
    IDEAL,
    Column("share\nrealised", _realised),
    DRAM,
    ENERGY,
    Column("energy\nvs dense", lambda row: _or_dash(row["energy_vs_dense"], _percent)),
    Column("area\nmm2", lambda row: _priced(row["area_mm2"], "{:.2f}".format)),
)
"""With NAMES at most 100 characters wide."""


def summary_table(title: str, rows: Sequence[tuple[Row, Row]], *, dram: bool = True) -> None:
    """Schemes at one batch size, each with its dense run."""
    told = [row | {"energy_vs_dense": _energy_ratio(row, dense)} for row, dense in rows]
    _print(title, NAMES, [column for column in SUMMARY if dram or column is not DRAM], told)


COUNTS = (
    BATCH,
    CYCLES,
    SPEEDUP,
    Column("ideal\ngated", _promised("ideal_speedup")),
    IDEAL,
    Column("share\nrealised", _realised),
    Column("utili-\nsation", lambda row: f"{100 * row['utilisation']:.1f} %"),
    Column("images\n/s", lambda row: f"{row['images_per_s']:,.0f}"),
    DRAM,
    Column("SRAM\nkB/image", lambda row: f"{row['sram_bytes_per_image'] / 1e3:,.0f}"),
    Column("index\nB/image", lambda row: f"{row['index_bits_per_image'] / 8:,.0f}"),
    ENERGY,
    Column("area\nmm2", lambda row: _priced(row["area_mm2"], "{:.2f}".format)),
    Column(
        "TOPS/W\n(dense eq.)",
        lambda row: _or_dash(row["tops_per_w_dense_equivalent"], "{:.2f}".format),
    ),
)


def counts_table(title: str, rows: Sequence[Row]) -> None:
    """All figures of every scheme, at every batch size."""
    _print(f"{title}: all figures", NAMES, COUNTS, rows)


def causes_table(title: str, rows: Sequence[Row]) -> None:
    """Where the cycles went, in per cent of each run."""
    columns = [Column(_lines(CAUSE_LABELS[cause]), _stall(cause)) for cause in CAUSES]
    _print(f"{title}: cycles by cause, %", NAMES, (BATCH, CYCLES, *columns), rows)


def energy_table(title: str, rows: Sequence[Row]) -> None:
    """Energy by component."""
    columns = [Column(_lines(label), _energy(name)) for name, label in COMPONENT_LABELS.items()]
    _print(f"{title}: energy, uJ/image", NAMES, (BATCH, ENERGY, *columns), rows)


CELL = (
    Column("density", lambda row: row["density"]),
    Column("masks", method_of),
    Column("hardware", lambda row: f"{row['scheme']} (V={row['lane_group']})"),
)


def mask_by_hardware_table(rows: Sequence[Row]) -> None:
    """Mask by hardware, as recorded and at equal MAC density."""
    figures = (
        Column("images", lambda row: str(row["images"])),
        Column("MAC\ndensity", lambda row: f"{100 * row['density_macs']:.1f} %"),
        CYCLES,
        SPEEDUP,
        IDEAL,
        ENERGY,
        *(
            Column(f"{_lines(CAUSE_LABELS[cause])} %", _stall(cause))
            for cause in ("conditional", "bank_stall", "decode_stall", "dram_stall")
        ),
    )
    _print(f"Masks by hardware, batch {rows[0]['batch']}", CELL, figures, rows)
    for density in dict.fromkeys(row["density"] for row in rows):
        cells = [row for row in rows if row["density"] == density]
        told = f"{density} density: fewest cycles {_least(cells, 'cycles_per_image')}"
        if not any(row["no_price"] for row in cells):
            told += f"; least energy {_least(cells, 'energy_uj_per_image')}"
        print(told)
    if any(row["density"] == "equal" for row in rows):
        print(
            "equal density: thresholds of the unstructured network shifted on stored margins; "
            "approximate, later layers do not react"
        )
    print()


def prices_table(rows: Sequence[Row]) -> None:
    """Energy per image under other prices, one column per set of prices."""
    runs: dict[tuple[str, str], Row] = {}
    headings = dict.fromkeys(map(prices_heading, rows))
    for row in rows:
        run = runs.setdefault((row["trace"], row["scheme"]), dict(row))
        run[prices_heading(row)] = row["energy_uj_per_image"]
    title = (
        f"Energy, uJ/image, under other prices, batch {rows[0]['batch']} "
        "(operand network: x times the assumed price; DRAM: pJ/bit; gated PEs: share of a MAC)"
    )
    _print(title, NAMES, [_figure(heading) for heading in headings], list(runs.values()))


def turning_points_table(rows: Sequence[Row], batch: int) -> None:
    """At which price, of a range, the order of two runs turns; pairs without one are counted."""
    named = _name_sides(rows)
    turned = [row for row in named if any(_turn(price)(row) != "-" for price in TURNING_PRICES)]
    pairs = [Column("less energy", itemgetter("less")), Column("more energy", itemgetter("more"))]
    figures = [
        Column("less\nuJ", lambda row: three_digits(row["less_uj"])),
        Column("more\nuJ", lambda row: three_digits(row["more_uj"])),
        *(Column(heading, _turn(price)) for price, heading in TURNING_PRICES.items()),
    ]
    title = f"Prices at which the order of two runs turns, each by itself, batch {batch}"
    _print(title, pairs, figures, turned)
    print(
        f"{len(rows) - len(turned)} further pairs keep their order. Prices were varied from a "
        f"{WIDEST}th to {WIDEST} times,\nthe share that gated PEs take of a MAC from 0 to 1.\n"
    )


def _name_sides(rows: Sequence[Row]) -> list[Row]:
    """The rows with ``less`` and ``more``: scheme and masks, told apart as in other tables."""
    found = [dict(row) for row in rows]
    runs = [(row, side) for row in found for side in ("less", "more")]
    masks = name_masks(
        [{"trace": row[f"{side}_trace"], "label": row[f"{side}_label"]} for row, side in runs]
    )
    for (row, side), of in zip(runs, masks, strict=True):
        row[side] = f"{row[f'{side}_scheme']} ({method_of(of)})"
    return found


def _turn(price: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        found, own = row[price], row[f"own_{price}"]
        told = found and (not own or own / WIDEST <= found <= WIDEST * own)
        return three_digits(found) if told else "-"

    return cell


def _figure(heading: str) -> Column:
    return Column(heading, lambda row: three_digits(row[heading]))


def _spread(key: str) -> Callable[[Row], str]:
    return lambda row: f"{row['cycles_per_image_distribution'][key]:,.0f}"


def _half_width(row: Row) -> str:
    """Half the confidence interval."""
    low, high = row["cycles_per_image_distribution"]["confidence_95"]
    return f"{(high - low) / 2:,.0f}"


SPREAD = (
    BATCH,
    Column("batches", _spread("batches")),
    Column("mean", _spread("mean")),
    Column("95 %\nconf. +-", _half_width),
    Column("p5", _spread("p5")),
    Column("p50", _spread("p50")),
    Column("p95", _spread("p95")),
)


def spread_table(rows: Sequence[Row]) -> None:
    """Cycles per image over batches, of runs whose batches differ by more than what DMA finds."""
    spreads = [row["cycles_per_image_distribution"] for row in rows]
    differing = [
        row
        for row, spread in zip(rows, spreads, strict=True)
        if spread["batches"] > 1 and spread["p95"] - spread["p5"] > 1e-4 * spread["mean"]
    ]
    if differing:
        _print("Cycles per image over batches (batch 1: over images)", NAMES, SPREAD, differing)
    else:
        print("Cycles per image are the same in every batch.\n")


LAYER = (Column("layer", lambda row: row["layer"]),)
ARRAY = Column("array", lambda row: row["array"])


def _share(cause: str) -> Column:
    return Column(
        _lines(CAUSE_LABELS[cause]),
        lambda row: f"{100 * row[f'{cause}_cycles'] / row['cycles']:.1f}",
    )


def _density(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:.3f}"


def _utilisation(row: Row) -> str:
    return f"{100 * row['utilisation']:.1f} %" if row["dense_macs"] else "-"


LAYERS = (
    Column("density", lambda row: _density(row["density"])),
    Column("cycles\n/image", lambda row: f"{row['cycles'] / row['images']:,.0f}"),
    Column("utili-\nsation", _utilisation),
    *(_share(cause) for cause in CAUSES),
    Column("DRAM\nkB/image", lambda row: f"{_dram_bytes(row) / row['images'] / 1e3:,.1f}"),
    Column("energy\nuJ/image", lambda row: _priced(row["energy_pj"] / row["images"] / 1e6)),
)


def layers_table(frame: pd.DataFrame) -> None:
    """Cycles per image by cause and energy, one row per layer, one table per run.

    The array's shape is told where layers differ in it.
    """
    for (trace, scheme, batch), run in frame.groupby(["trace", "scheme", "batch"], sort=False):
        title = f"{trace}, {scheme}, batch {batch}: cycles by cause in % of the layer"
        rows = [{str(key): value for key, value in row.items()} for row in run.to_dict("records")]
        reshaped = len({row["array"] for row in rows}) > 1
        _print(title, LAYER, (ARRAY, *LAYERS) if reshaped else LAYERS, rows)


def _dram_bytes(row: Row) -> int:
    return sum(row[name] for name in DRAM_COUNTERS)


def _energy(name: str) -> Callable[[Row], str]:
    return lambda row: _priced((row["energy_uj"] or {}).get(name))


def _stall(cause: str) -> Callable[[Row], str]:
    return lambda row: f"{100 * row['stalls'][cause] / sum(row['stalls'].values()):.1f}"


def _least(cells: Sequence[Row], key: str) -> str:
    """The cells with the smallest figure, named; ties are all named."""
    smallest = min(row[key] for row in cells)
    return " and ".join(
        f"{method_of(row)} on {row['scheme']}" for row in cells if row[key] == smallest
    )


def _print(
    title: str, names: Sequence[Column], figures: Sequence[Column], rows: Sequence[Row]
) -> None:
    columns = [*names, *figures]
    rows = name_masks(rows) if names is NAMES else rows
    cells = [[column.cell(row) for column in columns] for row in rows]
    print_table([column.heading for column in columns], cells, title=title, names=len(names))
