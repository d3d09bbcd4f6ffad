"""How differences are told: as tables, the largest first, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from hwsim.counters import CAUSE_LABELS
from hwsim.diff.differences import Change, Changed, Differences, Labels, Setting
from hwsim.diff.results import KINDS, Figure
from hwsim.energy.prices import COMPONENT_LABELS
from hwsim.errors import one_line
from hwsim.text_table import counted, print_table, three_digits

ITEMS = {"cycles": CAUSE_LABELS, "energy": COMPONENT_LABELS}
"""By kind, how tables call its items."""


def print_differences(found: Differences, a: str, b: str, most: int) -> None:
    """Of each table the first ``most`` rows; what is left out is counted."""
    print(one_line(f"A: {a}"))
    print(one_line(f"B: {b}"))
    print()
    _settings("configuration", "key", found.configuration, most)
    for side, runs in (("A", found.only_a), ("B", found.only_b)):
        _only(side, runs, most)
    _settings("figures that one side lacks, and why", "of", found.reasons, most)
    _runs(found.runs, most)
    for kind, changes in found.figures.items():
        _changes(kind, changes, most)
    _layers(found.layers, most)
    for name, rows in found.tables.items():
        print(f"{name}: {counted(rows, 'row')} of summary.json differ\n")
    _last_lines(found)


def _last_lines(found: Differences) -> None:
    equal = ", ".join(counted(number, sort) for sort, number in found.equal.items() if number)
    print(f"equal, and left out: {equal or 'nothing'}")
    if found.environment:
        told = "; ".join(f"{key} {_value(a)} -> {_value(b)}" for key, a, b in found.environment)
        print(one_line(f"made elsewhere, which counts as no difference: {told}"))
    print("A and B differ" if found else "A and B are equal")


def _table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], names: int, most: int
) -> None:
    if not rows:
        return
    print_table(headings, rows[:most], title=title, names=names)
    if len(rows) > most:
        print(f"{counted(len(rows) - most, 'further row')} of smaller effect: --rows {len(rows)}\n")


def _settings(title: str, heading: str, settings: Sequence[Setting], most: int) -> None:
    rows = [[key, _value(a), _value(b)] for key, a, b in settings]
    _table(title, [heading, "A", "B"], rows, 3, most)


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)


def _only(side: str, runs: Sequence[Labels], most: int) -> None:
    if runs:
        headings = list(runs[0])
        rows = [[labels.get(heading, "-") for heading in headings] for labels in runs]
        _table(f"only {side} has", headings, rows, len(headings), most)


def _runs(runs: Sequence[Changed], most: int) -> None:
    if not runs:
        return
    labels = list(runs[0].labels)
    shown = [kind for kind in ("cycles", "energy", "area") if any(_has(run, kind) for run in runs)]
    headings = [*labels]
    for kind in shown:
        headings += _headings(kind)
    rows = [
        [
            *(run.labels.get(label, "-") for label in labels),
            *(cell for kind in shown for cell in _cells(kind, run.totals[kind])),
        ]
        for run in runs
    ]
    _table(_called(labels), headings, rows, len(labels), most)


def _called(labels: Sequence[str]) -> str:
    """What the table of what is compared is called: of two machines, sweeps or runs."""
    return "schemes" if list(labels) == ["scheme"] else "runs"


def _headings(kind: str) -> list[str]:
    return [KINDS[kind].unit.replace("/", "\n/") + "\nA", "B", "change"]


def _has(run: Changed, kind: str) -> bool:
    return run.totals[kind].a is not None or run.totals[kind].b is not None


def _cells(kind: str, change: Change) -> list[str]:
    """A, B, and the change in per cent."""
    return [_figure(kind, change.a), _figure(kind, change.b), _percent(change)]


def _changes(kind: str, changes: Sequence[Change], most: int) -> None:
    if not changes:
        return
    told = KINDS[kind]
    labels = list(changes[0].labels)
    rows = [
        [
            *(change.labels.get(label, "-") for label in labels),
            _item(kind, change.item),
            _figure(kind, change.a),
            _figure(kind, change.b),
            _signed(change.amount),
            _percent(change),
        ]
        for change in changes
    ]
    title = f"{told.title}, {told.unit}" if told.unit else told.title
    _table(title, [*labels, "of", "A", "B", "B - A", "change"], rows, len(labels) + 1, most)


def _layers(layers: Sequence[Changed], most: int) -> None:
    if not layers:
        return
    labels = list(layers[0].labels)
    rows = [
        [
            *(layer.labels.get(label, "-") for label in labels),
            *_cells("cycles", layer.totals["cycles"]),
            _most("cycles", layer),
            *_cells("energy", layer.totals["energy"]),
        ]
        for layer in layers
    ]
    headings = [*_headings("cycles"), "of it most in", *_headings("energy")]
    _table("layers", [*labels, *headings], rows, len(labels), most)


def _most(kind: str, changed: Changed) -> str:
    """The item that changed most, and by how much."""
    if kind not in changed.most:
        return "-"
    change = changed.most[kind]
    return f"{_item(kind, change.item)} {_signed(change.amount)}"


def _item(kind: str, item: str) -> str:
    return ITEMS.get(kind, {}).get(item, item.replace("_", " "))


def _figure(kind: str, figure: Figure) -> str:
    if figure is None:
        return "-"
    value = float(figure)
    if kind in ("cycles", "traffic", "spread"):
        return f"{value:,.0f}"
    return three_digits(value) if kind != "area" else f"{value:.4f}"


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{three_digits(abs(value))}"


def _percent(change: Change) -> str:
    if change.amount == 0:
        return "0 %"
    if math.isinf(change.share):
        return "new"
    percent = 100 * change.share
    return f"{percent:+.1f} %" if abs(percent) >= 0.05 else f"{percent:+.1g} %"


def as_json(found: Differences, a: str, b: str, tolerance: float) -> str:
    """All of it, nothing left out but what is equal."""
    data = {
        "a": a,
        "b": b,
        "tolerance": tolerance,
        "differ": bool(found),
        "configuration": [setting._asdict() for setting in found.configuration],
        "environment": [setting._asdict() for setting in found.environment],
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
        "reasons": [setting._asdict() for setting in found.reasons],
        "runs": [_plain(run) for run in found.runs],
        "figures": {
            kind: [{**change.labels, "item": change.item, **_both(change)} for change in changes]
            for kind, changes in found.figures.items()
        },
        "layers": [_plain(layer) for layer in found.layers],
        "tables": found.tables,
        "equal": dict(found.equal),
    }
    return json.dumps(data, indent=2)


def _plain(changed: Changed) -> dict[str, Any]:
    totals = {kind: _both(change) for kind, change in changed.totals.items()}
    most = {kind: {"item": change.item, **_both(change)} for kind, change in changed.most.items()}
    return {**changed.labels, **totals, "most": most, "figures_that_differ": changed.more}


def _both(change: Change) -> dict[str, float | None]:
    a, b = (None if figure is None else float(figure) for figure in (change.a, change.b))
    return {"a": a, "b": b}
