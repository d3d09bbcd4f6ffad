"""Price rules of lean arbiters and of pointers with gated inputs: sums of a few counted things."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.text_table import markdown_table
from tools.rtl_energy.measure import Measured

LEAN = re.compile(r"lean arbiter, (\d+) pointers, (\d+) banks, Q = 0")
POINTER = re.compile(r"pointer, inputs gated, A = (\d+), B = (\d+), Q = 0")
POINTER_HERE = "pointer, inputs gated"
"""The one of A = 4 and B = 16."""

PLAYS = ("works", "base pass, all pointers ask", "base pass, R pointers ask")


@dataclass(frozen=True)
class Point:
    """What is counted, by the rule's terms, and what was measured. ``fits``: the rule is of it."""

    name: tuple[str, ...]
    counted: tuple[float, ...]
    value: float
    fits: bool = True


@dataclass(frozen=True)
class Rule:
    """A factor for each term; by point what the rule says, as a share of what was measured."""

    factors: tuple[float, ...]
    points: tuple[Point, ...]

    def says(self, point: Point) -> float:
        return sum(f * c for f, c in zip(self.factors, point.counted, strict=True))

    def off(self, point: Point) -> float:
        return self.says(point) / point.value - 1

    @property
    def most_off(self) -> float:
        """Of the points that it was made of."""
        return max(abs(self.off(point)) for point in self.points if point.fits)


def rule(points: Sequence[Point]) -> Rule:
    """With the least sum of squares of relative distances."""
    used = [point for point in points if point.fits]
    counted = np.array([point.counted for point in used])
    values = np.array([point.value for point in used])
    factors = np.linalg.lstsq(counted / values[:, None], np.ones(len(used)), rcond=None)[0]
    return Rule(tuple(float(factor) for factor in factors), tuple(points))


def lean_energy(measured: Sequence[Measured], mac: float) -> Rule:
    """MACs of a beat without clock, of words read, of N words read, and of pointers served.

    Made of the arbiters of 16 banks.
    """
    return rule(
        [
            _beat(found, int(size[1]), int(size[2]), condition, mac)
            for found, size in _sized(measured, LEAN)
            for condition in PLAYS
            if any(row.condition == condition for row in found.rows)
        ]
    )


def _beat(found: Measured, pointers: int, banks: int, condition: str, mac: float) -> Point:
    beat = found.row(condition, "beat")
    words, fills = (beat.pj / found.row(condition, per).pj for per in ("word read", "fill"))
    name = (str(pointers), str(banks), condition)
    value = beat.bare_pj / mac
    return Point(name, (words, pointers * words, fills), value, banks == 16)


def lean_area(measured: Sequence[Measured], mac: float) -> Rule:
    """MACs, of pointers and of pointers times banks."""
    return rule(
        [
            Point((size[1], size[2]), (int(size[1]), int(size[1]) * int(size[2])), found.area / mac)
            for found, size in _sized(measured, LEAN)
        ]
    )


def pointer_energy(measured: Sequence[Measured], mac: float) -> Rule:
    """MACs without clock, of bytes filled, of them times banks, and of bytes of words that banks
    read while the pointer is there.
    """
    points = []
    for found, channels, banks in _pointers(measured):
        for row in found.rows:
            words = re.fullmatch(r"(filled|waits), (\d+) of \d+ banks read", row.condition)
            if not words:
                continue
            number, filled = int(words[2]), channels * (words[1] == "filled")
            points.append(
                Point(
                    (str(channels), str(banks), str(number), words[1]),
                    (filled, filled * banks, channels * number),
                    row.bare_pj / mac,
                )
            )
    return rule(points)


def pointer_area(measured: Sequence[Measured], mac: float) -> Rule:
    """MACs, of bytes and of bytes times banks."""
    return rule(
        [
            Point((str(channels), str(banks)), (channels, channels * banks), found.area / mac)
            for found, channels, banks in _pointers(measured)
        ]
    )


def _pointers(measured: Sequence[Measured]) -> Iterable[tuple[Measured, int, int]]:
    for found in measured:
        size = POINTER.fullmatch(found.unit)
        if size:
            yield found, int(size[1]), int(size[2])
        elif found.unit == POINTER_HERE:
            yield found, 4, 16


def _sized(
    measured: Sequence[Measured], pattern: re.Pattern[str]
) -> Iterable[tuple[Measured, re.Match[str]]]:
    return ((found, size) for found in measured if (size := pattern.fullmatch(found.unit)))


def points(found: Rule, heads: Sequence[str]) -> str:
    """A table of a rule's points: names, what was measured, what the rule says, how far off."""
    rows = (
        [
            *point.name,
            f"{point.value:.3f}",
            f"{found.says(point):.3f}",
            f"{100 * found.off(point):+.0f} %",
        ]
        for point in found.points
    )
    return table((*heads, "measured", "rule", "off"), len(heads), rows)


def table(heads: Sequence[str], words: int, rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, whose columns behind the first ``words`` are figures (but remarks)."""
    return markdown_table(heads, rows, names=words, texts=("remark",)).rstrip("\n")
