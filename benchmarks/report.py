"""Tables of figures: on the terminal and in docs/evidence/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from hwsim.text_table import print_table

from .results import PACKAGES, Row

PAGE = Path(__file__).parent.parent / "docs" / "evidence" / "benchmarks.md"
START, END = "<!-- written by make bench ARGS=--write -->", "<!-- end of what it writes -->"

TARGETS = (
    ("schemes", "structured-8x", "scdg*", "speed (images/CPU s)", 15_000),
    ("schemes", "unstructured", "cdg*", "speed (images/CPU s)", 4_000),
    ("scalesim", "dense", "* layer*", "SCALE-Sim / hwsim (x)", 1_000),
)
"""Section, scheme, pattern of the input, figure, the least it should be; nothing asserts them."""

_WHERE = ("scheme", "input", "images", "threads")


class Pivot(NamedTuple):
    """A section as a table: a line per run, a column per figure."""

    section: str
    columns: list[str]
    lines: list[list[str]]


def pivots(rows: Sequence[Row]) -> list[Pivot]:
    return [_pivot(rows, name) for name in dict.fromkeys(row["section"] for row in rows)]


def _pivot(rows: Sequence[Row], section: str) -> Pivot:
    lines: dict[tuple[str, ...], Row] = {}
    figures: dict[str, None] = {}
    for row in rows:
        if row["section"] == section:
            name = _figure(row)
            figures[name] = None
            lines.setdefault(tuple(row[at] for at in _WHERE), {})[name] = _rounded(row["value"])
    body = [
        [*map(_cell, where), *(found.get(name, "") for name in figures)]
        for where, found in lines.items()
    ]
    return Pivot(section, [*_WHERE, *figures], body)


def _figure(row: Row) -> str:
    return f"{row['figure']} ({row['unit']})"


def _cell(where: str) -> str:
    """Numbers of images or threads by thousands, none as nothing; other text as it is."""
    return where if not where.isdecimal() else f"{int(where):,}" if int(where) else ""


def _rounded(value: str) -> str:
    number = float(value)
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def targets(rows: Iterable[Row]) -> list[str]:
    """A line per target and row that it is for."""
    found = []
    for row in rows:
        for section, scheme, pattern, figure, least in TARGETS:
            same = (row["section"], row["scheme"], _figure(row)) == (section, scheme, figure)
            if same and fnmatch(row["input"], pattern):
                met = "met" if float(row["value"]) >= least else "missed"
                value = f"{_rounded(row['value'])}, target {least:,}: {met}"
                found.append(f"{scheme}, {row['input']}: {figure} {value}")
    return found


def show(rows: Sequence[Row]) -> None:
    """On standard output."""
    for section, columns, lines in pivots(rows):
        print_table(columns, lines, title=section, names=2)
    for line in targets(rows):
        print(line)


def write(rows: Sequence[Row], page: Path = PAGE) -> None:
    """Into the page, between its two marks: each section's latest run."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    body = "\n".join(_markdown(latest(rows)))
    page.write_text(f"{before}{START}\n\n{body}\n{END}{after}", encoding="utf-8")


def latest(rows: Sequence[Row]) -> list[Row]:
    """Of each section the rows of its last run, sections in the order of their first."""
    dates: dict[str, str] = {}
    for row in rows:
        dates[row["section"]] = max(row["date"], dates.get(row["section"], ""))
    return [
        row
        for name, date in dates.items()
        for row in rows
        if (row["section"], row["date"]) == (name, date)
    ]


def _markdown(rows: Sequence[Row]) -> Iterable[str]:
    for section, columns, lines in pivots(rows):
        yield f"### {section}"
        yield ""
        yield _taken(next(row for row in rows if row["section"] == section))
        yield ""
        yield _line(columns)
        yield _line(["---", "---", *["--:"] * (len(columns) - 2)])
        yield from map(_line, lines)
        yield ""
    yield "### targets"
    yield ""
    yield from (f"- {line}" for line in targets(rows))
    yield ""


def _taken(row: Row) -> str:
    """When and on what."""
    versions = ", ".join(f"{name} {row[name]}" for name in ("python", *PACKAGES))
    commit = f" at {row['commit']}" if row["commit"] else ""
    machine = f"{row['cpu']}, {row['cores']} cores, load average {row['load']} before"
    return f"{row['date']}{commit}: {machine}; {versions}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
