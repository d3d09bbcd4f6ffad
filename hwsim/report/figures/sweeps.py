"""Charts of a sweep's points: two figures of each, one figure over a key, what the best spend."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number

import pandas as pd

from hwsim.analysis import pareto_front
from hwsim.counters import CAUSE_LABELS
from hwsim.energy.prices import COMPONENT_LABELS
from hwsim.errors import escaped
from hwsim.plots import style as look
from hwsim.plots.tradeoffs import LEAST, MOST
from hwsim.report.figures.chart import (
    Chart,
    Data,
    axis,
    filled,
    named_axis,
    notes_of,
    rounded,
    scheme_line,
    scheme_marker,
    text,
)
from hwsim.report.figures.energy import BAR, BESIDE, STACKED
from hwsim.report.figures.points import AREA, CYCLES, ENERGY, Points, cell

PAIRS = {
    "0": (CYCLES, ENERGY, "energy over cycles"),
    "1": (CYCLES, AREA, "area over cycles"),
    "2": (ENERGY, AREA, "area over energy"),
    "3": (CYCLES, "dram_bytes_per_image", "DRAM traffic over cycles"),
}
"""Figures of the scatter: x, y, and how the choice calls them; less is better of all."""

MOST_BARS = 24
"""Of the front; of more, those of fewest cycles are shown."""

MOST_VALUES = 16
"""Of a key, that are set side by side; more numbers have an axis of numbers."""

ALONE = {"0": CYCLES, "1": ENERGY, "2": AREA, "3": "speedup"}
"""Figures that are shown over a key of the machine."""


def _name(own: pd.DataFrame, trace: str) -> str:
    """Of the masks of a trace's points, for a heading."""
    note = notes_of(own["label"])
    return f"masks of {own['method'].iloc[0]} ({trace}{f'; {note}' if note else ''})"


def _by_scheme(own: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """In the order of every legend."""
    return [(scheme, own[own["scheme"] == scheme]) for scheme in look.in_order(own["scheme"])]


def scatter(points: Points, own: pd.DataFrame, trace: str, pairs: Sequence[str]) -> Chart:
    """A trace's points, two figures of each; the front of each scheme is a staircase."""
    schemes = _by_scheme(own)
    common: list[Data] = []
    for scheme, rows in schemes:
        told = [text(points.told(row), look.LONGEST_TITLE) for _, row in rows.iterrows()]
        common.append(
            {
                "type": "scatter", "mode": "markers", "name": text(scheme), "text": told,
                "legendgroup": scheme, "marker": scheme_marker(scheme, opacity=0.9),
                "hovertemplate": "%{text}<br>%{x:,.4~r}, %{y:,.4~r}",
            }
        )  # fmt: skip
    for scheme, _ in schemes:
        line = scheme_line(scheme, shape="hv", width=1.5)
        common.append(
            {
                "type": "scatter", "mode": "lines", "showlegend": False, "legendgroup": scheme,
                "line": line, "hoverinfo": "skip",
            }
        )  # fmt: skip
    variants = {(pair,): _pair(schemes, *PAIRS[pair][:2]) for pair in pairs}
    return Chart(
        heading=f"Design points, {_name(own, escaped(trace))}",
        label=f"Design points of {text(trace)}, two figures of each, a colour per scheme",
        height=480, by=("pair",), variants=variants, common=common,
        layout={"hovermode": "closest"},
    )  # fmt: skip


def _pair(schemes: Sequence[tuple[str, pd.DataFrame]], x: str, y: str) -> Data:
    data: list[Data] = [{"x": rounded(rows[x]), "y": rounded(rows[y])} for _, rows in schemes]
    for _, rows in schemes:
        best = rows[pareto_front(rows, [x, y])].sort_values([x, y])
        data.append({"x": rounded(best[x]), "y": rounded(best[y])})
    layout = {"xaxis": axis(LEAST[x], nticks=6), "yaxis": axis(LEAST[y])}
    return {"data": data, "layout": layout}


def over_key(points: Points, own: pd.DataFrame, trace: str, figures: Sequence[str]) -> Chart:
    """A trace's points over the values of one key."""
    schemes = _by_scheme(own)
    common: list[Data] = [
        {
            "type": "scatter", "mode": "markers", "name": text(scheme), "legendgroup": scheme,
            "marker": scheme_marker(scheme, opacity=0.8), "hovertemplate": "%{y:,.4~r}",
        }
        for scheme, _ in schemes
    ]  # fmt: skip
    common += [
        {
            "type": "scatter", "mode": "lines", "showlegend": False, "legendgroup": scheme,
            "line": scheme_line(scheme), "hoverinfo": "skip",
        }
        for scheme, _ in schemes
    ]  # fmt: skip
    variants = {
        (str(at), figure): _over(own, schemes, key, ALONE[figure])
        for at, key in enumerate(points.varied)
        for figure in figures
    }
    return Chart(
        heading=f"One key, {_name(own, escaped(trace))}",
        label=f"Points of {text(trace)} over the values of the chosen key, a colour per scheme",
        height=440, by=("key", "figure"), variants=variants, common=common,
        layout={"hovermode": "closest"},
    )  # fmt: skip


def _over(
    own: pd.DataFrame, schemes: Sequence[tuple[str, pd.DataFrame]], key: str, figure: str
) -> Data:
    """Values of the key stand side by side, in their order; of many numbers none is joined."""
    values = sorted(own[key].dropna().unique())
    many = len(values) > MOST_VALUES and all(isinstance(value, Number) for value in values)
    places = {value: value.item() if many else at for at, value in enumerate(values)}
    data: list[Data] = []
    lines: list[Data] = []
    for _, rows in schemes:
        known = rows[rows[key].notna()]
        of_value = known.groupby(key)[figure]
        best = of_value.min() if figure in LEAST else of_value.max()
        best = best.head(0) if many else best
        data.append({"x": [places[value] for value in known[key]], "y": rounded(known[figure])})
        lines.append({"x": [places[value] for value in best.index], "y": rounded(best)})
    named = [cell(value) for value in values]
    layout = {
        "xaxis": axis(text(key)) if many else named_axis(named, title={"text": text(key)}),
        "yaxis": axis((LEAST | MOST)[figure], rangemode="tozero"),
    }
    return {"data": [*data, *lines], "layout": layout}


def stacks(points: Points) -> dict[str, Chart]:
    """Energy by component and cycles by cause of the best points, which are numbered from 1."""
    best = points.best.head(MOST_BARS)
    rows = [row for _, row in best.iterrows()]
    names = [f"{at}. {row['method']}: {row['scheme']}" for at, row in enumerate(rows, start=1)]
    told_of = [text(points.told(row), look.LONGEST_TITLE) for row in rows]
    charts: dict[str, Chart] = {}
    told = {
        ("Energy", "component"): (
            {f"{name}_uj": label for name, label in COMPONENT_LABELS.items()},
            list(look.COMPONENT_COLOURS.values()), "energy per image (µJ)",
        ),
        ("Cycles", "cause"): (
            {f"{cause}_cycles_per_image": label for cause, label in CAUSE_LABELS.items()},
            list(look.CAUSE_COLOURS.values()), "cycles per image",
        ),
    }  # fmt: skip
    for (heading, part), (columns, colours, unit) in told.items():
        if best[list(columns)].isna().any(axis=None):
            continue
        data: list[Data] = [
            {
                "type": "bar", "orientation": "h", "name": label, "x": rounded(best[column]),
                "y": list(range(len(best))), "marker": filled(*colour), "hovertext": told_of,
                "hovertemplate": "%{hovertext}: %{x:,.4~r}",
            }
            for (column, label), colour in zip(columns.items(), colours, strict=True)
        ]  # fmt: skip
        layout = {
            **STACKED,
            "xaxis": axis(unit, rangemode="tozero", nticks=6),
            "yaxis": named_axis(names, autorange="reversed"),
        }  # fmt: skip
        charts[heading] = Chart(
            heading=f"{heading} by {part}, a bar per point",
            label=f"{heading} by {part}, a bar per point of the fronts",
            height=BESIDE + BAR * len(best), variants={(): {"data": data}}, layout=layout,
        )  # fmt: skip
    return charts
