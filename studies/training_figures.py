"""How networks learn and what their accuracy costs, method beside method."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hwsim.plots.style import TEXT_POINTS, head, panels, require_columns
from hwsim.plots.tradeoffs import metric_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class MethodStyle(NamedTuple):
    """How a method is drawn, wherever it is."""

    colour: str
    marker: str


METHOD_STYLES = {
    "dense": MethodStyle("#000000", "x"),
    "cdg": MethodStyle("#0072B2", "o"),
    "scdg": MethodStyle("#009E73", "D"),
    "cgnet": MethodStyle("#56B4E9", "s"),
    "broadcast": MethodStyle("#D55E00", "^"),
    "fbs": MethodStyle("#CC79A7", "v"),
    "dgc": MethodStyle("#E69F00", "P"),
}
OTHER = MethodStyle("#999999", "*")
"""Of a method with another name."""

SEED_LINES = ("-", "--", ":", "-.")
"""By seed, in the order of their appearance."""

SMOOTHED = 5
"""Rows of a log over which the loss is averaged: one batch's scatters."""


def learning_curves(frame: pd.DataFrame) -> Figure:
    """Contrastive loss and kNN accuracy over epochs, a line per method and seed.

    ``frame``: rows of log.csv of several runs, with ``method``, ``seed`` and ``epochs`` (passes
    over the images); ``loss`` in nats, ``knn_percent`` where it was measured (NaN elsewhere).
    ``resolution`` in pixels: a line marks each change, grey where all runs change at once.
    """
    columns = ("method", "seed", "epochs", "loss", "knn_percent", "resolution")
    require_columns("learning_curves", frame, columns)
    figure, (loss, knn) = panels(2, 5.5, 4.0, 2)
    seeds = list(frame["seed"].unique())
    for (method, seed), run in frame.groupby(["method", "seed"], sort=False):
        style = METHOD_STYLES.get(str(method), OTHER)
        line = SEED_LINES[seeds.index(seed) % len(SEED_LINES)]
        label = str(method) if seed == seeds[0] else None
        smooth = run["loss"].rolling(SMOOTHED, min_periods=1).mean()
        loss.plot(run["epochs"], smooth, color=style.colour, linestyle=line, linewidth=1.2)
        measured = run[run["knn_percent"].notna()]
        knn.plot(
            measured["epochs"],
            measured["knn_percent"],
            color=style.colour,
            linestyle=line,
            marker=style.marker,
            markersize=4,
            linewidth=1.2,
            label=label,
        )
    _mark_resolutions((loss, knn), frame)
    loss.set_ylabel(f"NT-Xent loss (nats, mean of {SMOOTHED} rows of the log)")
    knn.set_ylabel("kNN accuracy (%), small sample")
    for panel in (loss, knn):
        panel.set_xlabel("epochs (passes over the images)")
        panel.grid(alpha=0.3)
    figure.legend(
        *knn.get_legend_handles_labels(), loc="outside right center", fontsize=TEXT_POINTS
    )
    if len(seeds) > 1:
        lines = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "dash-dotted"}
        named = zip(seeds, SEED_LINES, strict=False)
        figure.supxlabel(
            ", ".join(f"seed {seed}: {lines[line]}" for seed, line in named), fontsize=TEXT_POINTS
        )
    return figure


def _mark_resolutions(axes: tuple[Axes, ...], frame: pd.DataFrame) -> None:
    """A line where the images of longer runs change their size: grey, or each method's own."""
    runs = frame.groupby(["method", "resolution", "seed"], sort=False)["epochs"].min().reset_index()
    later = runs[runs["resolution"] != frame["resolution"].iloc[0]]
    for resolution, starts in later.groupby("resolution"):
        once = starts.drop_duplicates("epochs")
        for method, at in zip(once["method"], once["epochs"], strict=True):
            own = METHOD_STYLES.get(str(method), OTHER).colour
            for panel in axes:
                panel.axvline(at, color=own if len(once) > 1 else "#999999", linewidth=0.8)
        for panel in axes:
            panel.annotate(
                f"{resolution} px",
                (once["epochs"].mean(), 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                ha="center",
                textcoords="offset points",
                fontsize=TEXT_POINTS - 1,
                color="#555555",
            )


def accuracy_against_cost(
    frame: pd.DataFrame, cost: str = "cycles_per_image", accuracy: str = "knn_percent"
) -> Figure:
    """Accuracy over what an image costs on the machine; a point per network, a line joins seeds.

    ``frame``: rows of the summary with ``method``, ``scheme``, the ``cost`` (a metric of which less
    or more is better) and ``accuracy`` in per cent.
    """
    name = metric_name("accuracy_against_cost", cost)
    require_columns("accuracy_against_cost", frame, ("method", "scheme", cost, accuracy))
    figure, (panel,) = panels(1, 7.2, 4.8, 1)
    for (method, scheme), points in frame.groupby(["method", "scheme"], sort=False):
        style = METHOD_STYLES.get(str(method), OTHER)
        hollow = str(scheme).startswith("lockstep")
        panel.plot(
            points[cost],
            points[accuracy],
            color=style.colour,
            marker=style.marker,
            markerfacecolor="none" if hollow else style.colour,
            linewidth=0.8,
            markersize=8,
            label=f"{method}: {scheme}",
        )
    panel.set_xlabel(name)
    panel.set_ylabel(accuracy.replace("_percent", "").replace("knn", "kNN") + " accuracy (%)")
    if frame[cost].max() >= 1000:
        panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.locator_params(axis="x", nbins=6)
    panel.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=TEXT_POINTS)
    head(
        figure,
        [],
        f"What accuracy costs in {name.partition(' (')[0]}",
        "lines join the seeds of a method",
    )
    return figure
