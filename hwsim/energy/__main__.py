"""``hwsim energy``: what one count of each counter costs on a machine, and its areas."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import arch_of
from hwsim.arch.schemes import scheme_names
from hwsim.cli import OneLineParser, add_machine, run_command
from hwsim.energy.area import AREA_COMPONENTS, area, leakage_uw, slow_memories
from hwsim.energy.prices import prices
from hwsim.energy.table import EnergyTable, table_names
from hwsim.text_table import markdown_table, print_table


def price_rows(arch: ArchConfig, tables: Sequence[EnergyTable]) -> list[tuple[str, ...]]:
    """Rows (component, counter, action, schemes, pJ per table); equal schemes share a row."""
    names = _hardware_names(arch)
    lists = [[prices(arch, name, table) for table in tables] for name in names]
    rows: list[tuple[str, ...]] = []
    for position, item in enumerate(lists[0][0]):
        sharing: dict[tuple[str, ...], list[str]] = {}
        for name, by_table in zip(names, lists, strict=True):
            cells = tuple(f"{items[position].pj:.4g}" for items in by_table)
            sharing.setdefault(cells, []).append(name)
        rows += [
            (item.component, item.counter, item.action, _together(schemes, names), *cells)
            for cells, schemes in sharing.items()
        ]
    return rows


def area_rows(arch: ArchConfig, table: EnergyTable) -> list[tuple[str, ...]]:
    """Rows (component, mm2 per scheme) with the total and the leakage in mW below."""
    names = _hardware_names(arch)
    areas = [area(arch, name, table) for name in names]
    rows = [(part, *(f"{mm2[part]:.4f}" for mm2 in areas)) for part in AREA_COMPONENTS]
    rows.append(("total mm2", *(f"{sum(mm2.values()):.4f}" for mm2 in areas)))
    rows.append(("leakage mW", *(f"{leakage_uw(arch, name, table) / 1e3:.3f}" for name in names)))
    return rows


def _hardware_names(arch: ArchConfig) -> list[str]:
    """Schemes whose hardware differs; gating zeros adds none that is priced."""
    return [name for name in scheme_names(arch) if name != "dense-zero-gated"]


def _together(schemes: list[str], names: list[str]) -> str:
    return "all" if schemes == names else ", ".join(schemes)


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim energy", description="print what every counter costs on a machine, and areas"
    )
    add_machine(parser)
    parser.add_argument(
        "--table",
        nargs="+",
        metavar="NAME",
        help=f"energy tables (default: {' '.join(table_names())})",
    )
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _command, arguments)


def _command(options: argparse.Namespace) -> None:
    arch = arch_of(options)
    tables = [EnergyTable.load(name) for name in options.table or table_names()]
    headings = ("component", "counter", "one count is", "scheme", *(t.name for t in tables))
    sheets = [(f"Price of one count, pJ, on {arch.name}", headings, price_rows(arch, tables), 4)]
    for table in tables:
        title = f"Area, mm2, on {arch.name} at {table.node_nm} nm ({table.name})"
        headings = ("component", *_hardware_names(arch))
        sheets.append((title, headings, area_rows(arch, table), 1))
    slow = [_slow_line(arch, table) for table in tables]
    for title, headings, rows, names in sheets:
        if options.markdown:
            print(f"**{title}**\n\n{markdown_table(headings, rows, names=names)}")
        else:
            print_table(headings, rows, title=title, names=names)
    print("\n".join(line for line in slow if line))


def _slow_line(arch: ArchConfig, table: EnergyTable) -> str:
    slow: dict[str, float] = {}
    for name in _hardware_names(arch):
        slow |= slow_memories(arch, name, table)
    period = f"{1e3 / arch.clock_mhz:.2f} ns"
    found = ", ".join(f"{name} ({latency:.2f} ns)" for name, latency in slow.items())
    return f"{table.name}: slower than a clock period of {period}, pipelined: {found or 'none'}"


if __name__ == "__main__":
    sys.exit(main())
