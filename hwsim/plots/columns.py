"""Two columns of a sweep's rows against each other, a line for each scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from hwsim.arch.schemes import FAMILIES
from hwsim.errors import UserError, escaped
from hwsim.plots import style as look
from hwsim.plots.tradeoffs import LEAST, MOST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

UNITS = {
    "_uj_per_image": "µJ per image",
    "_cycles_per_image": "cycles per image",
    "_bytes_per_cycle": "bytes per cycle",
    "_gb_per_s": "GB/s",
    "_pj_per_bit": "pJ/bit",
    "_percent": "%",
    "_kib": "KiB",
    "_mhz": "MHz",
    "_mm2": "mm²",
    "_uj": "µJ per image",
}
"""By how a column's name ends."""

WORDS = {
    "batch": "batch (images in flight)",
    "density_macs": "density of the mask, MAC-weighted (share)",
    "density_elements": "density of the mask (share of its bits)",
    "ideal_speedup": "ideal speed-up of gated layers (x)",
    "ideal_speedup_network": "ideal speed-up of the network (x)",
    "threshold_shift": "shift of the thresholds (units of Z)",
}

DECADE = 10
"""An axis whose largest value is as many times its smallest is a logarithm."""

MOST_TICKS = 8
"""Values of a key, each of which has its own tick."""

JOINED = ("batch", "clock_mhz", "threshold_shift")
"""Columns without a dot that are keys all the same."""

DOUBLED = 4
"""The same of values that are powers of two."""

LONGEST_TICKS = 60
"""Characters of text below an axis, from which on they are turned."""

CROWD = 200
"""From as many points in a series on they are drawn small and faint."""


def axis_name(column: str) -> str:
    """What an axis calls a column of a sweep, with its unit."""
    if found := (LEAST | MOST | WORDS).get(column):
        return found
    for ending, unit in UNITS.items():
        if column.endswith(ending):
            return f"{_words(column.removesuffix(ending))} ({unit})"
    return _words(column)


def _words(column: str) -> str:
    return column.replace("_", " ").replace(".", " ").replace("dram ", "DRAM ")


def two_columns(frame: pd.DataFrame, x: str, y: str) -> Figure:
    """Column ``y`` over column ``x``: a panel per trace, a series per scheme.

    ``frame``: rows of a sweep: ``trace``, ``method``, ``label``, ``scheme``, ``x`` and ``y``. Over
    a key of the machine a series is joined where each of its ``x`` has one ``y``. Text is drawn in
    order of its appearance. Rows without one of both are left out; UserError where none has both,
    or ``y`` is text.
    """
    look.require_columns("two_columns", frame, ("trace", "method", "label", "scheme", x, y))
    frame = frame[frame[x].notna() & frame[y].notna()].reset_index(drop=True)
    if frame.empty:
        raise UserError(f"two_columns: no row has {x} and {y}")
    if _is_text(frame[y]):
        raise UserError(f"two_columns: {y} is text; expected numbers")
    names = look.run_names(frame)
    places = {value: at for at, value in enumerate(dict.fromkeys(frame[x]))}
    text = _is_text(frame[x])
    at = frame[x].map(places) if text else frame[x]
    series = _families(frame) if x == "index.lane_group" else frame["scheme"]
    points = frame.assign(at=at, series=series)
    figure, axes = look.panels(len(names), 5.6, 4.4, 2, sharex=True, sharey=True)
    drawn: dict[str, Any] = {}
    for panel, (trace, name) in zip(axes, names.items(), strict=True):
        of_trace = points[points["trace"] == trace]
        for scheme, rows in of_trace.groupby("series", sort=False):
            line = _draw(panel, str(scheme), rows, y, joined=x in JOINED or "." in x)
            drawn.setdefault(str(scheme), line)
        panel.set_title(f"masks of {name}", fontsize=look.HEADING_POINTS)
        panel.set_xlabel(axis_name(x))
        panel.set_ylabel(axis_name(y))
        panel.grid(alpha=0.3)
        if text:
            _name_places(panel, list(places))
        else:
            _scale(panel.xaxis, frame[x], panel.set_xscale, ticks=True)
        _scale(panel.yaxis, frame[y], panel.set_yscale)
    look.label_outer(axes, 2)
    look.legend_below(figure, drawn)
    look.head(figure, frame["label"], _finding(frame, x, y, names))
    return figure


def _is_text(column: Any) -> bool:
    return not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _families(frame: pd.DataFrame) -> Any:
    """Of each row its scheme; of one of a lane group, which then is the axis, its family."""
    families = frame["scheme"].str.replace(r"-\d+x?", "", regex=True)
    return frame["scheme"].where(~families.isin(FAMILIES), families)


def _draw(panel: Axes, scheme: str, rows: pd.DataFrame, y: str, joined: bool) -> Any:
    """Points that lie on each other are one; a line where that leaves one a place."""
    style = look.scheme_style(scheme)
    rows = rows.drop_duplicates(["at", y]).sort_values("at", kind="stable")
    crowded = len(rows) >= CROWD
    (line,) = panel.plot(
        rows["at"],
        rows[y],
        color=style.colour,
        marker=style.marker,
        markerfacecolor="none",
        markersize=3 if crowded else 6,
        alpha=0.5 if crowded else 1,
        linestyle=style.line if joined and rows["at"].is_unique else "",
    )
    return line


def _name_places(panel: Axes, values: list[Any]) -> None:
    shown = [look.literal(value) for value in values]
    turned = sum(map(len, shown)) > LONGEST_TICKS
    panel.set_xticks(
        range(len(shown)),
        shown,
        rotation=30 if turned else 0,
        ha="right" if turned else "center",
        fontsize=look.TEXT_POINTS,
    )


def _scale(axis: Axis, values: Any, set_scale: Callable[..., None], ticks: bool = False) -> None:
    """A logarithm where values span decades or double; with ``ticks`` one at each of a few."""
    known = sorted(set(values))
    least, most = known[0], known[-1]
    twos = all(float(value).is_integer() and int(value).bit_count() == 1 for value in known)
    logarithm = least > 0 and most >= (DOUBLED if twos else DECADE) * least
    if logarithm:
        set_scale("log", base=2 if twos else 10)
    if ticks and len(known) <= MOST_TICKS:
        axis.set_ticks(known, minor=False)
        axis.set_ticks([], minor=True)
        axis.set_major_formatter("{x:,g}")
    elif not logarithm and most >= 1000:
        axis.set_major_formatter("{x:,.0f}")


def _finding(frame: pd.DataFrame, x: str, y: str, names: Mapping[Any, str]) -> str:
    """The title: where y is best, or largest where neither is better."""
    row = frame.iloc[int((frame[y].argmin if y in LEAST else frame[y].argmax)())]
    name, _, unit = axis_name(y).partition(" (")
    unit = "" if unit[:-1] in name else unit[:-1].removesuffix(" per image")
    value = f"{row[y]:,.0f}" if abs(row[y]) >= 1000 else f"{row[y]:.3g}"
    value = f"{value}x" if unit == "x" else f"{value} {unit}".rstrip()
    where = "" if x == "scheme" else f", {x} = {_value(row[x])}"
    return (
        f"{'Least' if y in LEAST else 'Most'} {name}: {value} ({row['scheme']}, "
        f"{names[row['trace']]} masks{where})"
    )


def _value(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else escaped(value, look.LONGEST_RUN)
