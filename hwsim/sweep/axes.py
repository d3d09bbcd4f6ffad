"""Design spaces: architecture keys and the values that each may take, and settings drawn from them.

A setting is one design point's dotted keys and their values, over a machine that gives the rest. In
a file of settings, ``trace``, ``scheme``, ``threshold_shift`` and ``channel_order`` may be
set as well.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hwsim.arch.load import known_keys
from hwsim.cli import finite
from hwsim.errors import UserError, escaped, nearest, shown
from hwsim.files import read_text
from hwsim.network.written import parse_yaml

BESIDE = ("trace", "scheme", "threshold_shift", "channel_order")
"""What a file of settings may say of a point beside its architecture keys."""

MOST_POINTS = 1_000_000
"""Of a grid, or drawn: they are listed before the first one runs."""

MOST_SHIFT = 1_000_000
"""Of thresholds, in units of Z, up or down."""

Settings = dict[str, Any]


class SpaceError(UserError):
    """A design space or a file of settings that cannot be used; one line for the user."""


@dataclass(frozen=True)
class Range:
    """Every value from ``low`` to ``high``, both included; integers where both ends are."""

    low: float
    high: float

    @property
    def integers(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def size(self) -> float:
        """How many values it holds; infinite where they are not integers, or one."""
        if self.low == self.high:
            return 1
        return self.high - self.low + 1 if self.integers else math.inf

    def draw(self, generator: random.Random) -> float:
        if self.integers:
            return generator.randint(int(self.low), int(self.high))
        return generator.uniform(self.low, self.high)


Axis = Sequence[Any] | Range
Axes = Mapping[str, Axis]
"""Values by dotted key."""


def parse_axes(texts: Sequence[str]) -> dict[str, Axis]:
    """Axes of the command line: ``key=1,2,4`` (read as YAML reads a list) or ``key=LOW..HIGH``."""
    axes: dict[str, Axis] = {}
    for text in texts:
        key, equals, values = (part.strip() for part in text.partition("="))
        told = f"--vary {escaped(text)}"
        if not equals or not key:
            raise SpaceError(f"{told}: expected key=1,2,4 or key=LOW..HIGH")
        if key in axes:
            raise SpaceError(f"--vary {escaped(key)}: given twice")
        axes[key] = _range(told, values) if ".." in values else _values(told, values)
    check_axes(axes)
    return axes


def _range(told: str, values: str) -> Range:
    try:
        low, high = (_number(end.strip()) for end in values.split("..", 1))
    except argparse.ArgumentTypeError:
        raise SpaceError(f"{told}: expected two finite numbers, such as 8..64") from None
    return Range(low, high)


def _number(text: str) -> float:
    return int(text) if re.fullmatch("[-+]?[0-9]{1,40}", text) else finite(text)


def _values(told: str, values: str) -> list[Any]:
    try:
        found = parse_yaml(f"[{values}]")
    except UserError as error:
        raise SpaceError(f"{told}: {error}") from None
    if not isinstance(found, list):
        raise SpaceError(f"{told}: expected values such as 1,2,4")
    return found


def check_axes(axes: Axes) -> None:
    """Raise SpaceError for a key that no machine has, an empty axis, a duplicate value."""
    for key, axis in axes.items():
        _check_key(f"--vary {key}", key, known_keys())
        if key == "name":
            raise SpaceError("--vary name: a machine's name changes no figure")
        if isinstance(axis, Range):
            # Their distance, too, must be a number to draw from.
            if not 0 <= axis.high - axis.low < math.inf:
                raise SpaceError(f"--vary {key}: the range {axis.low}..{axis.high} holds no value")
        elif not axis:
            raise SpaceError(f"--vary {key}: no values")
        elif len({repr(value) for value in axis}) < len(axis):
            raise SpaceError(f"--vary {key}: duplicate value in {shown(list(axis))}")


def grid(axes: Axes) -> Iterator[Settings]:
    """The product of all axes, the last one running fastest; ``[{}]`` without any."""
    check_axes(axes)
    for key, axis in axes.items():
        if isinstance(axis, Range):
            raise SpaceError(
                f"--vary {key}={axis.low}..{axis.high}: a range is for points drawn at random "
                "(--random N); list the values of a grid"
            )
    held = _held(axes)
    if held > MOST_POINTS:
        raise SpaceError(f"--vary: a grid of {held:,} points; at most {MOST_POINTS:,} are run")
    for values in product(*axes.values()):  # type: ignore[arg-type]
        yield dict(zip(axes, values, strict=True))


def drawn(axes: Axes, number: int, seed: int = 0) -> list[Settings]:
    """``number`` different settings drawn evenly, each key by itself.

    The same seed gives the same settings, and a larger number begins with them.
    """
    check_axes(axes)
    if not axes:
        raise SpaceError("--random: nothing to vary; give --vary KEY=LOW..HIGH or KEY=1,2,4")
    held = _held(axes)
    if number > min(held, MOST_POINTS):
        most = f"the axes hold only {held} different points"
        if held > MOST_POINTS:
            most = f"at most {MOST_POINTS:,} points are run"
        raise SpaceError(f"--random {number}: {most}")
    generator = random.Random(seed)
    found: dict[str, Settings] = {}
    misses = 0
    while len(found) < number:
        # Between two numbers there may be few that a float can be. Where one is left among as many
        # as were found, so many draws miss it once in 10^43 times.
        if misses > 1000 + 100 * len(found):
            raise SpaceError(
                f"--random {number}: the axes hold only about {len(found)} different points"
            )
        before = len(found)
        settings = {
            key: axis.draw(generator) if isinstance(axis, Range) else generator.choice(axis)
            for key, axis in axes.items()
        }
        found.setdefault(repr(settings), settings)
        misses = misses + 1 if len(found) == before else 0
    return list(found.values())


def _held(axes: Axes) -> float:
    """Different points of the axes."""
    sizes = [axis.size if isinstance(axis, Range) else len(axis) for axis in axes.values()]
    return math.inf if math.inf in sizes else math.prod(sizes)


def read_settings(path: Path) -> list[Settings]:
    """Settings of a file: CSV with keys in its first line (an empty cell: the machine's own value),
    or a YAML list of mappings. SpaceError names file, line and key."""
    try:
        text = read_text(path)
    except UserError as error:
        raise SpaceError(str(error)) from None
    if path.suffix.lower() == ".csv":
        try:
            rows = list(_csv_rows(path, text))
        except csv.Error as error:
            raise SpaceError(f"{path}: not valid CSV ({error})") from None
    elif path.suffix.lower() in (".yaml", ".yml"):
        rows = _yaml_rows(path, text)
    else:
        raise SpaceError(f"{path}: expected a .csv or .yaml file of points")
    if not rows:
        raise SpaceError(f"{path}: holds no points")
    for number, row in enumerate(rows, start=1):
        for key in row:
            _check_key(f"{path}: point {number}", key, [*known_keys(), *BESIDE])
    return rows


def _csv_rows(path: Path, text: str) -> Iterator[Settings]:
    reader = csv.reader(text.splitlines())
    keys = [key.strip() for key in next(reader, [])]
    if len(set(keys)) < len(keys):
        raise SpaceError(f"{path}: duplicate key in the first line")
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(keys):
            raise SpaceError(
                f"{path}: line {reader.line_num} has {len(cells)} cells, the first {len(keys)}"
            )
        try:
            pairs = zip(keys, cells, strict=True)
            yield {key: parse_yaml(cell) for key, cell in pairs if cell.strip()}
        except UserError as error:
            raise SpaceError(f"{path}: line {reader.line_num}: {error}") from None


def _yaml_rows(path: Path, text: str) -> list[Settings]:
    try:
        data = parse_yaml(text)
    except UserError as error:
        raise SpaceError(f"{path}: {error}") from None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise SpaceError(f"{path}: expected a list of mappings such as - index.lane_group: 4")
    return data


def _check_key(where: str, key: Any, valid: Sequence[str]) -> None:
    if key not in valid:
        raise SpaceError(f"{where}: unknown key {shown(key)}" + nearest(str(key), valid))
