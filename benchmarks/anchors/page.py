"""The tables of docs/evidence/anchors.md, one per anchor, each between two marks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hwsim.text_table import markdown_table, print_table

from .row import Row

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "anchors.md"
HEADINGS = ("what", "theirs", "ours", "source", "verdict")


def show(rows: Sequence[Row]) -> None:
    """On standard output, a table per anchor."""
    for name in dict.fromkeys(row.anchor for row in rows):
        cells = [row[1:] for row in rows if row.anchor == name]
        print_table(HEADINGS, cells, title=name, names=len(HEADINGS))


def table_of(rows: Sequence[Row]) -> str:
    """One anchor's rows in Markdown."""
    return markdown_table(HEADINGS, [row[1:] for row in rows], names=len(HEADINGS))


def tables(page: Path = PAGE) -> dict[str, str]:
    """The page's tables by anchor."""
    return {found["name"]: found["table"] for found in _MARKED.finditer(page.read_text())}


def write(rows: Sequence[Row], page: Path = PAGE) -> list[str]:
    """Into the page; names of anchors that keep their table, because not all of them was run."""
    kept = []
    text = page.read_text(encoding="utf-8")
    for name in dict.fromkeys(row.anchor for row in rows):
        own = [row for row in rows if row.anchor == name]
        if not all(row.was_run for row in own):
            kept.append(name)
            continue
        start, end = _marks(name)
        before, rest = text.split(start)
        _, after = rest.split(end, 1)
        text = f"{before}{start}\n\n{table_of(own)}\n{end}{after}"
    page.write_text(text, encoding="utf-8")
    return kept


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: written by make anchors WRITE=--write -->", "<!-- end -->"


_MARKED = re.compile(
    r"<!-- (?P<name>[\w-]+): written by make anchors WRITE=--write -->\n\n"
    r"(?P<table>.*?)\n<!-- end -->",
    re.DOTALL,
)
