"""Cell libraries in the liberty format: what area, capacitance, energy and leakage need of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(r'"[^"]*"|[A-Za-z0-9_.+\-*/!\[\]]+|[(){}:;,]')
SIZE = re.compile(r"^MACRO (\S+)$.*?^ +SIZE +(\S+) +BY +(\S+) *;", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class LibertyError(Exception):
    """The text is no liberty file that this reader knows."""


@dataclass
class Group:
    """``name (arguments) { attributes, groups }`` as it stands in the file."""

    name: str
    arguments: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def number(self, name: str, default: float | None = None) -> float:
        if name not in self.attributes:
            if default is None:
                raise LibertyError(f"{self.name} {self.arguments} has no {name}")
            return default
        return float(self.attributes[name][0])

    def text(self, name: str) -> str:
        return self.attributes.get(name, ("",))[0]

    def named(self, name: str) -> Iterator[Group]:
        return (group for group in self.groups if group.name == name)


@dataclass(frozen=True)
class Table:
    """Energy of one transition, pJ, over the load, pF, and the input's slew, ns.

    A passive table knows one load alone.
    """

    loads: tuple[float, ...]
    slews: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def at(self, load: float, slew: float) -> float:
        """Between the four nearest points linearly; outside the table its edge."""
        row, across = _place(self.loads, load)
        column, along = _place(self.slews, slew)
        first = _between(self.values[row], column, along)
        return (
            first
            if not across
            else first + across * (_between(self.values[row + 1], column, along) - first)
        )


@dataclass(frozen=True)
class Power:
    """What a pin's rise and fall take inside the cell, where ``related`` caused it ("" if none)."""

    related: str
    rise: Table | None
    fall: Table | None


@dataclass(frozen=True)
class Pin:
    """``capacitance`` in pF; ``clock`` says that the pin is a flip-flop's or latch's clock."""

    name: str
    output: bool
    clock: bool
    capacitance: float
    powers: tuple[Power, ...]


@dataclass(frozen=True)
class Cell:
    """``area`` in um2, ``leakage`` in nW."""

    name: str
    area: float
    leakage: float
    pins: dict[str, Pin]


@dataclass(frozen=True)
class Library:
    """Cells by name; ``volts`` is the nominal supply."""

    volts: float
    cells: dict[str, Cell]


def read_library(path: Path, lef: Path | None = None) -> Library:
    """The library of a liberty file; cells that have no area there take their size in ``lef``.

    LibertyError where units are not pF, V and nW, from which pJ come without a factor.
    """
    top = parse(path.read_text(encoding="utf-8"))
    sizes = read_sizes(lef.read_text(encoding="utf-8")) if lef else {}
    units = top.attributes.get("capacitive_load_unit", ()), top.text("voltage_unit")
    if units != (("1", "pf"), "1V") or top.text("leakage_power_unit") != "1nW":
        raise LibertyError(f"units are not pF, V and nW: {units}")
    cells = {group.arguments[0]: _cell(group, sizes) for group in top.named("cell")}
    return Library(top.number("nom_voltage"), cells)


def parse(text: str) -> Group:
    """The file's outermost group."""
    tokens = TOKEN.findall(COMMENT.sub("", text).replace("\\\n", " "))
    group, at = _group(tokens, 0)
    if at != len(tokens):
        raise LibertyError("text behind the library's last brace")
    return group


def _group(tokens: list[str], at: int) -> tuple[Group, int]:
    """The group that begins at token ``at`` with its name, and where the next thing begins."""
    arguments, at = _arguments(tokens, at + 1, tokens[at])
    group = Group(*arguments)
    if at == len(tokens) or tokens[at] != "{":
        raise LibertyError(f"{group.name} has no body")
    at += 1
    while at < len(tokens) and tokens[at] != "}":
        if tokens[at] == ";":
            at += 1
            continue
        name, kind = tokens[at], tokens[at + 1]
        if kind == ":":
            group.attributes[name] = (tokens[at + 2].strip('"'),)
            at += 3
            continue
        (_, found), behind = _arguments(tokens, at + 1, name)
        if behind < len(tokens) and tokens[behind] == "{":
            inner, at = _group(tokens, at)
            group.groups.append(inner)
        else:
            group.attributes[name] = found
            at = behind
    if at == len(tokens):
        raise LibertyError(f"{group.name} {group.arguments} does not end")
    return group, at + 1


def _arguments(tokens: list[str], at: int, name: str) -> tuple[tuple[str, tuple[str, ...]], int]:
    if at >= len(tokens) or tokens[at] != "(":
        raise LibertyError(f"neither ':' nor '(' behind {name}")
    end = tokens.index(")", at)
    found = tuple(token.strip('"') for token in tokens[at + 1 : end] if token != ",")
    return (name, found), end + 1


def read_sizes(lef: str) -> dict[str, float]:
    """Area of each cell of a LEF file, um2."""
    return {name: float(width) * float(height) for name, width, height in SIZE.findall(lef)}


def _cell(group: Group, sizes: dict[str, float]) -> Cell:
    name = group.arguments[0]
    pins = {pin.arguments[0]: _pin(pin) for pin in group.named("pin")}
    leakage = group.number("cell_leakage_power", 0.0)
    return Cell(name, group.number("area") or sizes.get(name, 0.0), leakage, pins)


def _pin(group: Group) -> Pin:
    powers = tuple(_power(power) for power in group.named("internal_power"))
    return Pin(
        name=group.arguments[0],
        output=group.text("direction") == "output",
        clock=group.text("clock") == "true",
        capacitance=group.number("capacitance", 0.0),
        powers=powers,
    )


def _power(group: Group) -> Power:
    tables = {table.name: _table(table) for table in group.groups}
    return Power(group.text("related_pin"), tables.get("rise_power"), tables.get("fall_power"))


def _table(group: Group) -> Table:
    rows = tuple(_numbers(row) for row in group.attributes["values"])
    first = _numbers(group.attributes["index_1"][0])
    if "index_2" not in group.attributes:
        return Table((0.0,), first, rows)
    return Table(first, _numbers(group.attributes["index_2"][0]), rows)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.replace(",", " ").split())


def _place(points: tuple[float, ...], at: float) -> tuple[int, float]:
    """The point at or below ``at``, and how far it is to the next, as a share."""
    low = min(max(bisect_right(points, at) - 1, 0), len(points) - 1)
    if at <= points[0] or low == len(points) - 1:
        return low, 0.0
    return low, (at - points[low]) / (points[low + 1] - points[low])


def _between(row: tuple[float, ...], column: int, along: float) -> float:
    return row[column] + along * (row[column + 1] - row[column]) if along else row[column]
