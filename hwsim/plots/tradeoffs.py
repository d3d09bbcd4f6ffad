"""Design points and schemes against one another: Pareto fronts, promised and realised speed-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hwsim.analysis import pareto_front
from hwsim.errors import UserError, escaped, nearest
from hwsim.plots import style as look
from hwsim.plots.findings import best_within_budget, fastest, on_the_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = {
    "cycles_per_image": "cycles per image",
    "energy_uj_per_image": "energy per image (µJ)",
    "area_mm2": "area (mm²)",
    "dram_bytes_per_image": "DRAM traffic per image (bytes)",
    "sram_bytes_per_image": "SRAM traffic per image (bytes)",
    "index_bits_per_image": "index bits per image",
}
"""Metrics of which less is better, and how an axis names them."""

MOST = {
    "images_per_s": "images per second",
    "speedup": "speed-up over dense (x)",
    "share_realised": "share realised of the promised time",
    "utilisation": "utilisation (executed MACs / PE cycles)",
    "tops_per_w_dense_equivalent": "TOPS/W (dense-equivalent)",
}
"""Metrics of which more is better."""


MOST_NAMED = 8
"""Points of a front that are named; of more, names would lie on each other."""


def metric_name(figure: str, metric: str) -> str:
    """How an axis names a column of LEAST or MOST. Raises UserError for any other column."""
    names = LEAST | MOST
    if metric not in names:
        raise UserError(f"{figure}: {metric!r} is no metric to compare{nearest(metric, names)}")
    return names[metric]


def pareto(
    frame: pd.DataFrame,
    x: str = "cycles_per_image",
    y: str = "energy_uj_per_image",
    baseline: pd.Series[bool] | None = None,
) -> Figure:
    """Two metrics of a sweep's design points; those that no other beats are filled and joined.

    ``frame``: rows of the summary, one per design point and scheme: ``scheme``, ``label``, ``x``
    and ``y``, each one of LEAST or MOST. ``baseline``: which rows are the machine to start from.
    """
    names = [metric_name("pareto", metric) for metric in (x, y)]
    look.require_columns("pareto", frame, ("scheme", "label", x, y))
    least = [metric for metric in (x, y) if metric in LEAST]
    front = pareto_front(frame, least, [metric for metric in (x, y) if metric in MOST])
    figure, (panel,) = look.panels(1, 7.2, 5.0, 1)
    for scheme in look.in_order(frame["scheme"]):
        points = frame[frame["scheme"] == scheme]
        style = look.scheme_style(scheme)
        beaten = points[~front[points.index]]
        best = points[front[points.index]]
        shared: dict[str, Any] = {"color": style.colour, "marker": style.marker, "linestyle": ""}
        panel.plot(beaten[x], beaten[y], **shared, markerfacecolor="none", markersize=5, alpha=0.5)
        panel.plot(best[x], best[y], **shared, markersize=8, markeredgecolor="black")
        panel.plot([], [], **shared, label=scheme)
    # Between two points of the front nothing better than the worse of them is known: a staircase.
    steps = "steps-post" if x in LEAST else "steps-pre"
    stairs = frame[front].sort_values([x, y])
    panel.plot(
        stairs[x], stairs[y], color="#555555", linewidth=1, drawstyle=steps, label="front", zorder=1
    )
    if baseline is not None:
        start = frame[baseline]
        panel.plot(
            start[x],
            start[y],
            color="black",
            marker="o",
            markersize=15,
            markerfacecolor="none",
            linestyle="",
            label="baseline machine",
        )
    _name_front(panel, stairs, frame, x, y)
    panel.margins(x=0.12)
    panel.locator_params(axis="x", nbins=6)
    panel.set_xlabel(names[0])
    panel.set_ylabel(names[1])
    for axis, metric in ((panel.xaxis, x), (panel.yaxis, y)):
        if frame[metric].max() >= 1000:
            axis.set_major_formatter("{x:,.0f}")
    panel.grid(alpha=0.3)
    handles, labels = panel.get_legend_handles_labels()
    look.legend_below(figure, dict(zip(labels, handles, strict=True)))
    title = on_the_front(frame, front, names)
    look.head(figure, frame["label"], title, "large markers: the front, no other beats them")
    return figure


def _name_front(panel: Axes, stairs: pd.DataFrame, frame: pd.DataFrame, x: str, y: str) -> None:
    """Beside the points of a short front: the keys in which they differ, else their scheme."""
    distinct = stairs.drop_duplicates([x, y])
    if len(distinct) > MOST_NAMED:
        return
    keys = [name for name in frame.columns if "." in str(name) and distinct[name].nunique() > 1]
    for row in distinct.to_dict("records"):
        told = [f"{str(key).rpartition('.')[2].replace('_', ' ')} {row[key]}" for key in keys]
        panel.annotate(
            look.literal("\n".join(map(escaped, told)) if told else row["scheme"]),
            (row[x], row[y]),
            xytext=(7, 5),
            textcoords="offset points",
            fontsize=look.TEXT_POINTS - 1,
        )


def fronts(frame: pd.DataFrame) -> Figure:
    """Each scheme's front of cycles and energy: a panel per trace, a staircase per scheme.

    ``frame``: rows of :func:`hwsim.sweep.equal_area.run_equal_area`: ``trace``, ``method``,
    ``label``, ``family``, ``machine``, ``cycles_per_image``, ``energy_uj_per_image``. Machines
    beside the fronts, the baselines, are hollow.
    """
    x, y = "cycles_per_image", "energy_uj_per_image"
    columns = ("trace", "method", "label", "family", "machine", x, y)
    look.require_columns("fronts", frame, columns)
    names = look.run_names(frame)
    traces = list(names)
    figure, axes = look.panels(len(traces), 5.6, 4.6, 2, sharex=True, sharey=True)
    drawn: dict[str, Any] = {}
    for panel, trace in zip(axes, traces, strict=True):
        for family, rows in frame[frame["trace"] == trace].groupby("family", sort=False):
            style = look.scheme_style(str(family))
            on_front = rows["machine"] == "front"
            best = rows[on_front].sort_values(x)
            (line,) = panel.plot(
                best[x], best[y], style.marker, color=style.colour, linestyle=style.line,
                drawstyle="steps-post", markersize=5,
            )  # fmt: skip
            drawn.setdefault(str(family), line)
            panel.plot(
                rows[~on_front][x], rows[~on_front][y], style.marker, color=style.colour,
                markerfacecolor="none", markersize=10,
            )  # fmt: skip
        panel.set_title(f"{names[trace]} masks", fontsize=look.HEADING_POINTS)
        panel.locator_params(axis="x", nbins=6)
        panel.xaxis.set_major_formatter("{x:,.0f}")
        panel.set_xlabel(LEAST[x])
        panel.set_ylabel(LEAST[y])
        panel.grid(alpha=0.3, which="both")
    look.label_outer(axes, 2)
    look.legend_below(figure, {family: drawn[family] for family in look.in_order(drawn)})
    note = "hollow: the machine to start from"
    look.head(figure, frame["label"], best_within_budget(frame, names), note)
    return figure


def realised_speedup(frame: pd.DataFrame) -> Figure:
    """Speed-up over dense as a bar, and as a line the ideal of the whole network; a run a row.

    ``frame``: rows of the summary: ``trace``, ``method``, ``label``, ``scheme``, ``batch``,
    ``ideal_speedup_network``, ``share_realised`` and ``speedup``. Machines without gating promise
    nothing and are left out. One panel per batch.
    """
    columns = (
        "trace", "method", "label", "scheme", "batch", "ideal_speedup_network", "share_realised",
        "speedup",
    )  # fmt: skip
    look.require_columns("realised_speedup", frame, columns)
    frame = frame[~frame["scheme"].str.startswith("dense")]
    if frame.empty:
        raise UserError("realised_speedup: the frame has no scheme with gates")
    names = look.run_names(frame)
    batches = list(frame["batch"].unique())
    most = max(frame.groupby("batch").size())
    figure, axes = look.panels(len(batches), 6.4, 0.42 * most + 0.7, 1, sharex=True)
    inside: dict[str, Any] = {"va": "center", "fontsize": look.TEXT_POINTS}
    for panel, batch in zip(axes, batches, strict=True):
        runs = frame[frame["batch"] == batch].iloc[::-1]
        rows = np.arange(len(runs))
        colours = [look.scheme_style(scheme).colour for scheme in runs["scheme"]]
        panel.barh(rows, runs["speedup"], color=colours, height=0.62)
        panel.vlines(runs["ideal_speedup_network"], rows - 0.4, rows + 0.4, color="black")
        for row, (ideal, share) in enumerate(
            zip(runs["ideal_speedup_network"], runs["share_realised"], strict=True)
        ):
            told = f"{runs['speedup'].iloc[row]:.2f}x"
            panel.text(0.03, row, told, color=look.text_on(colours[row]), **inside)
            told = "" if pd.isna(share) else f" {round(100 * share)} %"
            panel.text(ideal, row, told, va="center", fontsize=look.TEXT_POINTS)
        panel.axvline(1, color="#555555", linestyle=":", linewidth=1)
        labels = [f"{names[run.trace]}: {run.scheme}" for run in runs.itertuples()]
        panel.set_yticks(rows, labels)
        panel.set_xlim(0, 1.15 * frame[["ideal_speedup_network", "speedup"]].max().max())
        panel.set_title(f"batch {batch}", fontsize=look.HEADING_POINTS)
        panel.grid(alpha=0.3, axis="x")
        panel.set_axisbelow(True)
    axes[-1].set_xlabel("speed-up over dense (x)")
    note = "black lines: what the masks allow; %: share of that saving realised"
    look.head(figure, frame["label"], fastest(frame, names), note)
    return figure
