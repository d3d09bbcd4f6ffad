"""Structured, unstructured and dense at equal area, each on its best machines, under all prices.

    python -m studies.best_machines --out DIR

For each set of prices every scheme gets the area of unstructured hardware on the default machine
and its peak bandwidth, and ``hwsim equal-area`` searches its best machines. One table, one figure,
and sentences computed from them; docs/evidence/findings.md shows all three. DIR is a sweep's
folder: a stopped study goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from hwsim.arch.load import load_arch
from hwsim.cli import OneLineParser, positive, run_command
from hwsim.energy.area import area_mm2
from hwsim.files import write_whole
from hwsim.plots import png
from hwsim.plots import style as look
from hwsim.sweep.best_machines import BEST, CYCLES, DELAY, ENERGY, FRONT
from hwsim.sweep.equal_area import Setup, run_equal_area
from hwsim.text_table import print_table
from hwsim.trace.files import open_traces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRICES: dict[str, dict[str, float | str]] = {
    "cacti22": {},
    "horowitz45": {"pricing.table": "horowitz45"},
    "gates45": {"pricing.table": "gates45"},
    "MAC x0.25": {"pricing.mac_scale": 0.25},
    "MAC x0.5": {"pricing.mac_scale": 0.5},
    "MAC x2": {"pricing.mac_scale": 2.0},
    "operand network x0": {"pricing.operand_network_scale": 0.0},
    "operand network x4": {"pricing.operand_network_scale": 4.0},
    "DRAM 4 pJ/bit": {"dram.pj_per_bit": 4.0},
    "DRAM 20 pJ/bit": {"dram.pj_per_bit": 20.0},
    "gated PE 0.28": {"pricing.gated_mac_share": 0.28},
    "SRAM area x1.5": {"pricing.sram_area_scale": 1.5},
    "SRAM area x2": {"pricing.sram_area_scale": 2.0},
}
"""Sets of prices by name; where no table is named, cacti22."""

CONTESTS = {"unstructured": "cdg", "lockstep": "cdg", "structured": "scdg"}
"""Schemes and their masks; each is compared with dense on the activations of the same network."""

FIGURE = "_best_machines.png"


def study(
    out: Path,
    prices: Mapping[str, Mapping[str, float | str]],
    setup: Setup,
    traces: Sequence[str | Path] = (),
) -> pd.DataFrame:
    """A row per set of prices and contest: least cycles, energy and product, each over dense's.

    Columns ``prices``, ``contest``, and of each of BEST the ratio to the best dense machine's on
    the same activations: below 1 the scheme takes less. The area is that of unstructured hardware
    on the default machine, under the prices in force.
    """
    rows = []
    for name, keys in prices.items():
        arch = load_arch("pe16x16", keys)
        budget = area_mm2(arch, "unstructured", 1)
        for trace in open_traces(*traces):
            method = trace.header.method
            schemes = [scheme for scheme, masks in CONTESTS.items() if masks == method]
            own = replace(setup, area_mm2=budget, schemes=["dense", *schemes])
            found = run_equal_area(
                arch, out, own, traces=[str(trace.path)], workers=1, tell=_said_of(name)
            )
            fronts = found[found["machine"] == FRONT]
            least = {column: fronts.groupby("family")[column].min().to_dict() for column in BEST}
            for scheme in schemes:
                ratios = {column: by[scheme] / by["dense"] for column, by in least.items()}
                rows.append({"prices": name, "contest": scheme, **ratios})
    return pd.DataFrame(rows)


def _said_of(prices: str) -> Callable[[str], None]:
    """Standard error, with the name of a set of prices."""
    return lambda line: print(f"{prices}: {line}", file=sys.stderr, flush=True)


class Claim(NamedTuple):
    """``says`` holds where ``test`` does; it gets the ratios of the contests under one set."""

    says: str
    test: Callable[[Mapping[str, float]], bool]
    column: str


CLAIMS = (
    Claim("structured is faster than dense", lambda at: at["structured"] < 1, CYCLES),
    Claim("unstructured is faster than dense", lambda at: at["unstructured"] < 1, CYCLES),
    Claim("structured takes less energy than dense", lambda at: at["structured"] < 1, ENERGY),
    Claim("unstructured takes less energy than dense", lambda at: at["unstructured"] < 1, ENERGY),
    Claim(
        "structured gains more over dense than unstructured in energy times cycles",
        lambda at: at["structured"] < at["unstructured"],
        DELAY,
    ),
)


def sentences(found: pd.DataFrame) -> list[str]:
    """Each claim, under how many sets of prices it holds, and the ones where it turns."""
    told = []
    for claim in CLAIMS:
        by_prices = found.pivot(index="prices", columns="contest", values=claim.column)
        by_prices = by_prices.loc[list(dict.fromkeys(found["prices"]))]
        holds = by_prices.apply(lambda row, test=claim.test: test(row.to_dict()), axis=1)
        count = f"{int(holds.sum())} of {len(holds)}"
        if holds.all():
            end = "under all sets of prices"
        elif not holds.any():
            end = "under none"
        elif holds.sum() * 2 >= len(holds):
            end = f"under {count}; not under {', '.join(holds.index[~holds])}"
        else:
            end = f"under {count}: {', '.join(holds.index[holds])}"
        told.append(f"{claim.says[0].upper()}{claim.says[1:]}: {end}.")
    return told


def show(found: pd.DataFrame) -> None:
    """The table, ratios to the best dense machine."""
    contests = list(CONTESTS)
    headings = ["prices", *(f"{name}\n{what}" for what in BEST.values() for name in contests)]
    rows = []
    for name in dict.fromkeys(found["prices"]):
        own = found[found["prices"] == name].set_index("contest")
        cells = (own.loc[contest, column] for column in BEST for contest in contests)
        rows.append([f"{name}", *(f"{ratio:.2f}" for ratio in cells)])
    print_table(headings, rows, title="Best machines: least of each over dense's least", names=1)


def figure_of(found: pd.DataFrame) -> Figure:
    """Three panels, a line per set of prices, a mark per contest; 1 is the best dense machine."""
    names = list(dict.fromkeys(found["prices"]))
    figure, axes = look.panels(3, 3.6, 0.3 * len(names) + 0.6, 3, sharey=True, beside=1.0)
    for panel, (column, what) in zip(axes, BEST.items(), strict=True):
        for contest, alike in found.groupby("contest", sort=False):
            style = look.scheme_style(str(contest))
            places = [names.index(name) for name in alike["prices"]]
            panel.plot(alike[column], places, style.marker, color=style.colour, label=contest)
        panel.axvline(1, color="black", linewidth=1)
        panel.set_xlabel(f"least {what}, over dense's")
        panel.grid(alpha=0.3)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    handles, labels = axes[0].get_legend_handles_labels()
    look.legend_below(figure, dict(zip(labels, handles, strict=True)))
    note = "each scheme on its best machine of equal area; line: the best dense one"
    look.head(figure, (), sentences(found)[0].removesuffix("."), note)
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    parser = OneLineParser(prog="python -m studies.best_machines", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a sweep's folder")
    parser.add_argument("--images", type=positive, default=16, metavar="N", help="default: 16")
    parser.add_argument(
        "--prices", nargs="+", choices=PRICES, default=list(PRICES), metavar="NAME",
        help=f"sets of prices (default: all of {', '.join(PRICES)})",
    )  # fmt: skip
    return run_command(parser, _command, arguments, "interrupted; run the same again to go on")


def _command(options: argparse.Namespace) -> None:
    prices = {name: PRICES[name] for name in options.prices}
    found = study(options.out, prices, Setup(images=options.images, starts=2))
    show(found)
    print("\n".join(sentences(found)))
    write_whole(options.out / FIGURE, png(figure_of(found)))


if __name__ == "__main__":
    raise SystemExit(main())
