"""The one printer of tables: headings and cells of text, for a terminal, a pipe or a page."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hwsim.errors import escaped, one_line

if TYPE_CHECKING:
    from rich.table import Table

Cells = Sequence[str]


def print_table(headings: Cells, rows: Iterable[Cells], *, title: str = "", names: int = 1) -> None:
    """On standard output; the first ``names`` columns are text, to the left, the others figures.

    A heading may have several lines. On a terminal a table that is too wide is printed in parts,
    each with the names again. Elsewhere nothing is cut or parted, no line ends in blanks, and no
    character draws a box.
    """
    title, rows = one_line(title), _told(rows)
    if not sys.stdout.isatty():
        print(text_of(headings, rows, title=title, names=names))
        return
    from rich.console import Console

    console = Console(highlight=False)
    if title:
        console.print(title, style="bold", markup=False, emoji=False)
    for part in _parts(headings, rows, names, console.width):
        chosen = [headings[at] for at in part], [[row[at] for at in part] for row in rows]
        console.print(_rich(*chosen, names, drawn=True))


def text_of(headings: Cells, rows: Iterable[Cells], *, title: str = "", names: int = 1) -> str:
    """The table as plain lines, of any width, with an empty line behind them."""
    from rich.console import Console

    title, target = one_line(title), io.StringIO()
    Console(file=target, width=10_000, highlight=False, no_color=True).print(
        _rich(headings, _told(rows), names, drawn=False)
    )
    lines = [line.rstrip() for line in target.getvalue().splitlines()]
    return "\n".join([*([title, ""] if title else []), *lines]) + "\n"


def _told(rows: Iterable[Cells]) -> list[list[str]]:
    """A cell is one line of what can be printed, whoever wrote the name that it shows."""
    return [[escaped(cell) for cell in row] for row in rows]


def markdown_table(
    headings: Cells, rows: Iterable[Cells], *, names: int = 1, texts: Cells = ()
) -> str:
    """The table in Markdown, figures to the right; headings of several lines become one.

    ``texts``: headings of columns behind the first ``names`` that are text as well.
    """
    heads = [" ".join(heading.replace("-\n", "").split("\n")) for heading in headings]
    rule = ["---" if at < names or head in texts else "---:" for at, head in enumerate(heads)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (heads, rule, *rows))


def three_digits(value: float) -> str:
    """A figure with three digits, or as a whole number with separators."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def counted(number: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _parts(headings: Cells, rows: Sequence[Cells], names: int, width: int) -> list[list[int]]:
    """Columns by position, in as few groups as fit; every group begins with the names."""
    lengths = [
        2 + max(map(len, (*headings[at].split("\n"), *(row[at] for row in rows))))
        for at in range(len(headings))
    ]
    own = list(range(names))
    parts = [own[:]]
    for at in range(names, len(headings)):
        if len(parts[-1]) > names and sum(lengths[each] for each in [*parts[-1], at]) > width:
            parts.append(own[:])
        parts[-1].append(at)
    return parts


def _rich(headings: Cells, rows: Sequence[Cells], names: int, drawn: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD if drawn else None,
        pad_edge=False,
        padding=(0, 1, 0, 0) if drawn else (0, 2, 0, 0),
    )
    for at, heading in enumerate(headings):
        justify = "left" if at < names else "right"
        table.add_column(Text(heading, justify=justify), justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
