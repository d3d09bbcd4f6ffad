"""How networks learn and what their accuracy costs, method beside method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from hwsim.plots import style as look
from hwsim.plots.findings import row_at
from hwsim.plots.tradeoffs import metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEED_LINES = ("-", "--", ":", "-.")
"""By seed, in the order of their appearance."""

YARDSTICK = "dense"
"""The method that every panel shows again, grey."""

GREY = "#888888"

SMOOTHED = 5
"""Rows of a log over which the loss is averaged: one batch's scatters."""


def learning_curves(frame: pd.DataFrame, chance_percent: float | None = None) -> Figure:
    """Contrastive loss and kNN accuracy over epochs: a column per method, a line per seed.

    ``frame``: rows of log.csv of several runs, with ``method``, ``seed`` and ``epochs`` (passes
    over the images); ``loss`` in nats, ``knn_percent`` where it was measured (NaN elsewhere);
    ``resolution`` in pixels, of which each change is marked. The dense network's lines are grey in
    every column. ``chance_percent``: what a guess names right.
    """
    columns = ("method", "seed", "epochs", "loss", "knn_percent", "resolution")
    look.require_columns("learning_curves", frame, columns)
    methods = list(dict.fromkeys(frame["method"]))
    shown = [method for method in methods if method != YARDSTICK] or methods
    width = max(1.9, 6 / len(shown))
    figure, axes = look.panels(
        2 * len(shown), width, 2.2, len(shown), beside=0.7, sharex=True, sharey="row"
    )
    losses, accuracies = axes[: len(shown)], axes[len(shown) :]
    for method, loss, knn in zip(shown, losses, accuracies, strict=True):
        for drawn in dict.fromkeys(each for each in (YARDSTICK, method) if each in methods):
            _draw(frame[frame["method"] == drawn], loss, knn, drawn != method)
        _mark_resolutions((loss, knn), frame[frame["method"] == method], frame)
        loss.set_title(look.literal(method), fontsize=look.HEADING_POINTS, pad=12)
        knn.set_xlabel("epochs")
        if chance_percent is not None:
            knn.axhline(chance_percent, color="black", linestyle=":", linewidth=1)
        for panel in (loss, knn):
            panel.grid(alpha=0.3)
    accuracies[0].set_ylim(bottom=0)
    losses[0].set_ylabel(f"NT-Xent loss\n(nats, mean of {SMOOTHED} rows)")
    accuracies[0].set_ylabel("kNN accuracy\n(%, small sample)")
    look.head(figure, [], _best(frame), _note(frame, methods, shown, chance_percent))
    return figure


def _draw(runs: pd.DataFrame, loss: Axes, knn: Axes, grey: bool) -> None:
    style = look.method_style(str(runs["method"].iloc[0]))
    for line, (_, run) in zip(SEED_LINES, runs.groupby("seed", sort=False), strict=False):
        drawn: dict[str, Any] = {"linestyle": line, "linewidth": 1 if grey else 1.4}
        drawn |= {"color": GREY if grey else style.colour, "zorder": 1 if grey else 2}
        smooth = run["loss"].rolling(SMOOTHED, min_periods=1).mean()
        loss.plot(run["epochs"], smooth, **drawn)
        measured = run[run["knn_percent"].notna()]
        knn.plot(
            measured["epochs"], measured["knn_percent"], **drawn, marker=style.marker, markersize=4
        )


def _mark_resolutions(axes: tuple[Axes, Axes], own: pd.DataFrame, frame: pd.DataFrame) -> None:
    """A line where the images of the method's first longer run change their size."""
    for resolution in dict.fromkeys(own["resolution"]):
        if resolution == frame["resolution"].iloc[0]:
            continue
        at = own[own["resolution"] == resolution]["epochs"].min()
        for panel in axes:
            panel.axvline(at, color="#BBBBBB", linewidth=0.8, zorder=0)
        axes[0].annotate(
            f"{resolution} px",
            (at, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            ha="center",
            textcoords="offset points",
            fontsize=look.TEXT_POINTS - 1,
            color="#555555",
        )


def _best(frame: pd.DataFrame) -> str:
    """The title: the method of highest accuracy at its end, mean of its seeds."""
    measured = frame[frame["knn_percent"].notna()]
    if measured.empty:
        return "Learning curves"
    last = measured.groupby(["method", "seed"], sort=False)["knn_percent"].last()
    means = last.groupby("method", sort=False).mean().sort_values(ascending=False, kind="stable")
    told = [f"{method} {percent:.1f} %" for method, percent in means.items()]
    gated = [each for each in told if not each.startswith(f"{YARDSTICK} ")]
    dense = [each for each in told if each.startswith(f"{YARDSTICK} ")]
    span = " to ".join(dict.fromkeys([*gated[:1], *gated[-1:]]))
    return f"kNN at the last measurement: {', '.join([*dense, span])}"


def _note(frame: pd.DataFrame, methods: list[str], shown: list[str], chance: float | None) -> str:
    """What lines and colours mean."""
    told = ["grey: dense"] if YARDSTICK in methods and YARDSTICK not in shown else []
    lines = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "dash-dotted"}
    seeds = list(dict.fromkeys(frame["seed"]))
    if len(seeds) > 1:
        named = zip(seeds, SEED_LINES, strict=False)
        told.append(", ".join(f"seed {seed}: {lines[line]}" for seed, line in named))
    if chance is not None:
        told.append(f"dotted: a guess ({chance:g} %)")
    return "; ".join(told)


def accuracy_against_cost(
    frame: pd.DataFrame,
    cost: str = "cycles_per_image",
    accuracy: str = "knn_percent",
    chance_percent: float | None = None,
) -> Figure:
    """Accuracy over what an image costs on the machine; a point per network, a line joins seeds.

    ``frame``: rows of the summary with ``method``, ``scheme``, the ``cost`` (a metric of which less
    or more is better) and ``accuracy`` in per cent. Colours are of methods, markers of schemes.
    ``chance_percent``: what a guess names right.
    """
    name = metric_name("accuracy_against_cost", cost)
    look.require_columns("accuracy_against_cost", frame, ("method", "scheme", cost, accuracy))
    figure, (panel,) = look.panels(1, 7.2, 4.2, 1, beside=1.2)
    entries: dict[str, Any] = {}
    for (method, scheme), points in frame.groupby(["method", "scheme"], sort=False):
        (entries[f"{method}: {scheme}"],) = panel.plot(
            points[cost],
            points[accuracy],
            color=look.method_style(str(method)).colour,
            marker=look.scheme_style(str(scheme)).marker,
            markerfacecolor="none" if str(scheme).startswith("lockstep") else None,
            linewidth=0.8,
            markersize=8,
            label=f"{method}: {scheme}",
        )
    kind = accuracy.replace("_percent", "").replace("knn", "kNN")
    if chance_percent is not None:
        entries["a guess"] = panel.axhline(
            chance_percent, color="black", linestyle=":", linewidth=1
        )
    panel.set_ylim(0, 1.1 * frame[accuracy].max())
    panel.set_xlabel(name)
    panel.set_ylabel(f"{kind} accuracy (%)")
    if frame[cost].max() >= 1000:
        panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.locator_params(axis="x", nbins=6)
    panel.grid(alpha=0.3)
    look.legend_below(figure, entries)
    several = frame.duplicated(["method", "scheme"]).any()
    note = "colour: method; marker: scheme" + ("; a line joins seeds" if several else "")
    look.head(figure, [], _cheapest(frame, cost, accuracy, kind), note)
    return figure


def _cheapest(frame: pd.DataFrame, cost: str, accuracy: str, kind: str) -> str:
    """The title: the method of least cost, means of its seeds, beside the dense network."""
    means = frame.groupby(["method", "scheme"], sort=False)[[cost, accuracy]].mean().reset_index()
    least = row_at(means, means[cost].to_numpy().argmin())
    told = f"Fewest {metric_name('accuracy_against_cost', cost).partition(' (')[0]}"
    told += f": {least['method']}, {least[accuracy]:.1f} % {kind}"
    dense = means[means["method"] == YARDSTICK]
    if dense.empty or least["method"] == YARDSTICK:
        return told
    share = 100 * least[cost] / dense[cost].iloc[0]
    return f"{told}, for {share:.0f} % of dense's ({dense[accuracy].iloc[0]:.1f} % {kind})"
