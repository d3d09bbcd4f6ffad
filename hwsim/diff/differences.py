"""What differs between two sides, largest first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hwsim.diff.results import KINDS, Figure, Figures, Results, Run, pairs

Labels = Mapping[str, str]


class Setting(NamedTuple):
    """A key of the configuration, or of the environment; None where a side has none."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Change:
    """One figure that differs; ``item`` is a cause, a component, a counter, or ``total``."""

    labels: Labels
    item: str
    a: Figure
    b: Figure

    @property
    def amount(self) -> float:
        """How much more ``b`` is; a figure that is missing counts as 0."""
        return float((self.b or 0) - (self.a or 0))

    @property
    def share(self) -> float:
        """Of ``a``; infinite where ``a`` is 0 or missing."""
        return self.amount / float(self.a) if self.a else math.copysign(math.inf, self.amount)


@dataclass(frozen=True)
class Changed:
    """A run, or a layer of one: its totals by kind, and the item that changed most of each.

    ``more``: figures that differ, of all kinds.
    """

    labels: Labels
    totals: Mapping[str, Change]
    most: Mapping[str, Change]
    more: int

    @property
    def effect(self) -> tuple[float, ...]:
        return tuple(abs(self.totals[kind].amount) for kind in ("cycles", "energy", "area"))


@dataclass
class Differences:
    """All that differs. ``equal``: how much of each sort does not, by its name."""

    configuration: list[Setting]
    environment: list[Setting]
    only_a: list[Labels]
    only_b: list[Labels]
    reasons: list[Setting] = field(default_factory=list)
    runs: list[Changed] = field(default_factory=list)
    figures: dict[str, list[Change]] = field(default_factory=dict)
    layers: list[Changed] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)
    equal: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        """Whether there is any; another environment is none."""
        found = (self.configuration, self.only_a, self.only_b, self.reasons, self.layers)
        return any(map(bool, (*found, *self.figures.values(), *self.tables.values())))


def differences(a: Results, b: Results, tolerance: float = 0.0) -> Differences:
    """``tolerance``: the share by which floats may differ; what is counted is compared exactly."""
    keys = max((len(run.keys) for side in (a, b) for run in side.runs), default=0)
    by = [lambda run, at=at: run.keys[min(at, len(run.keys) - 1)] for at in range(keys)]
    both, only_a, only_b = pairs(a.runs, b.runs, by)
    found = Differences(
        list(_settings(a.configuration, b.configuration)),
        list(_settings(a.environment, b.environment)),
        [run.labels for run in only_a],
        [run.labels for run in only_b],
        figures={kind: [] for kind in KINDS},
    )
    found.equal["key"] = len(set(a.configuration) | set(b.configuration)) - len(found.configuration)
    for ours, theirs in both:
        _compare(found, ours, theirs, tolerance)
    for kind, changes in found.figures.items():
        changes.sort(key=lambda change, kind=kind: _size(change, kind))  # type: ignore[misc]
    for changed in (found.runs, found.layers):
        changed.sort(key=lambda one: [-each for each in one.effect])
    for name in dict.fromkeys((*a.tables, *b.tables)):
        ours_rows, their_rows = a.tables.get(name, ()), b.tables.get(name, ())
        if number := _rows_apart(ours_rows, their_rows, tolerance):
            found.tables[name] = number
        found.equal["further row"] += max(len(ours_rows), len(their_rows)) - number
    return found


def _settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Setting]:
    for key in dict.fromkeys((*a, *b)):
        ours, theirs = a.get(key), b.get(key)
        if ours != theirs or type(ours) is not type(theirs):
            yield Setting(key, ours, theirs)


def _compare(found: Differences, a: Run, b: Run, tolerance: float) -> None:
    labels = {
        heading: _arrow(a.labels.get(heading, "-"), b.labels.get(heading, "-"))
        for heading in dict.fromkeys((*a.labels, *b.labels))
    }
    if a.no_figures != b.no_figures:
        told = ", ".join(labels.values())
        found.reasons.append(Setting(told, a.no_figures, b.no_figures))
    changes = _changes(labels, a.figures, b.figures, tolerance, found.equal)
    for kind, of_kind in changes.items():
        found.figures[kind] += of_kind
    if changed := _changed(labels, a.figures, b.figures, changes):
        found.runs.append(changed)
    else:
        found.equal["run"] += 1
    for layer in dict.fromkeys((*a.layers, *b.layers)):
        sides = a.layers.get(layer, {}), b.layers.get(layer, {})
        of_layer = {**labels, "layer": layer}
        changes = _changes(of_layer, *sides, tolerance, Counter())
        if changed := _changed(of_layer, *sides, changes):
            found.layers.append(changed)
        else:
            found.equal["layer"] += 1


def _arrow(a: str, b: str) -> str:
    return a if a == b else f"{a} -> {b}"


def _changes(
    labels: Labels, a: Figures, b: Figures, tolerance: float, equal: Counter[str]
) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for kind in KINDS:
        ours, theirs = a.get(kind, {}), b.get(kind, {})
        for item in dict.fromkeys((*ours, *theirs)):
            change = Change(labels, item, ours.get(item), theirs.get(item))
            if _equal(change.a, change.b, 0 if KINDS[kind].exact else tolerance):
                equal["figure"] += 1
            else:
                found.setdefault(kind, []).append(change)
    return found


def _changed(
    labels: Labels, a: Figures, b: Figures, changes: Mapping[str, Sequence[Change]]
) -> Changed | None:
    if not changes:
        return None
    totals = {
        kind: Change(labels, "total", _total(a.get(kind, {})), _total(b.get(kind, {})))
        for kind in ("cycles", "energy", "area")
    }
    most = {kind: min(found, key=lambda one: _size(one, kind)) for kind, found in changes.items()}
    return Changed(labels, totals, most, sum(map(len, changes.values())))


def _total(figures: Mapping[str, Figure]) -> Figure:
    there = [figure for figure in figures.values() if figure is not None]
    if not there:
        return None
    return sum(there)


def _size(change: Change, kind: str) -> tuple[Any, ...]:
    """What sorts changes, the largest first, then by name: one order, whatever came first."""
    share = -abs(change.share)
    first = share if KINDS[kind].by_share else -abs(change.amount)
    return (first, share, *change.labels.values(), change.item)


def _equal(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, float) and isinstance(b, float) and tolerance:
        return math.isclose(a, b, rel_tol=tolerance)
    return bool(a == b)


def _rows_apart(a: Sequence[Any], b: Sequence[Any], tolerance: float) -> int:
    """Rows of a table that differ, those that one side has more of among them."""
    alike = sum(_alike(ours, theirs, tolerance) for ours, theirs in zip(a, b, strict=False))
    return max(len(a), len(b)) - alike


def _alike(a: Any, b: Any, tolerance: float) -> bool:
    """Values of JSON."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key], tolerance) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_alike, a, b, [tolerance] * len(a)))
    return type(a) is type(b) and _equal(a, b, tolerance)
