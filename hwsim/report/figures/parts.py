"""What a page is made of, before it is HTML: parts, sections, choices, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hwsim.report.figures.chart import Chart


class Choice(NamedTuple):
    """A list to choose from: ``options`` are texts by value; ``begin``: the first unless given."""

    label: str
    options: Mapping[str, str]
    begin: str = ""

    @property
    def start(self) -> str:
        """The value that is chosen to begin with."""
        return self.begin or next(iter(self.options))


class Head(NamedTuple):
    """Of a column: its name, and the unit of its cells (empty of names)."""

    name: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """Cells of text; the first ``names`` columns are names. Shown where choices are ``when``."""

    title: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[str]]
    names: int = 1
    when: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawing:
    """A machine as boxes and lines, for the template of the drawing; ``label`` says it in words."""

    label: str
    shapes: Mapping[str, Any]
    when: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """``said``: sentences below the heading; ``choices``: names of the part's that are offered."""

    heading: str
    said: Sequence[str] = ()
    choices: Sequence[str] = ()
    drawings: Sequence[Drawing] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Part:
    """All that is told of one run, sweep or network; ``provenance`` is plain data."""

    title: str
    answer: Sequence[str]
    notes: Sequence[str]
    choices: Mapping[str, Choice]
    sections: Sequence[Section]
    provenance: Mapping[str, Any]
