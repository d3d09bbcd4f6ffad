"""Layer by layer: cycles by cause, utilisation, and the roofline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hwsim.analysis import MacsCounted, dram_bytes_per_cycle, operating_points
from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSE_LABELS, CAUSES, DRAM_COUNTERS
from hwsim.errors import UserError
from hwsim.plots import style as look
from hwsim.plots.findings import best_utilisation, largest_loss, row_at, share_of_roof

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RUN = ("trace", "method", "label", "scheme", "batch", "layer")
"""Columns that say of which run and layer a row is."""

IN_LEGENDS = {CAUSE_LABELS["base"]: "base, or all of a dense pass"}
"""What a legend calls a cause by more than its name."""

MOST_LAYERS_NAMED = 60
"""Of a longer network every second, third, ... layer is named on the axis."""


def cycles_by_cause(frame: pd.DataFrame) -> Figure:
    """Cycles per image of each layer, stacked by cause; one panel per trace, scheme and batch.

    ``frame`` as :func:`hwsim.layers_frame` gives it, with one ``<cause>_cycles`` each.
    """
    causes = [f"{cause}_cycles" for cause in CAUSES]
    look.require_columns("cycles_by_cause", frame, (*RUN, "images", "cycles", *causes))
    names = look.run_names(frame)
    runs = list(_told_apart(frame.groupby(["trace", "scheme", "batch"], sort=False)))
    shared = _one_network(run["layer"] for _, run in runs)
    figure, axes, columns = _panels_of_layers(frame, len(runs), 1.8, shared)
    most = max((run["cycles"] / run["images"]).max() for _, run in runs)
    for panel, ((trace, scheme, batch), run) in zip(axes, runs, strict=True):
        edges = np.arange(len(run) + 1) - 0.5
        below = np.zeros(len(run))
        for cause, (colour, hatch) in look.CAUSE_COLOURS.items():
            if not frame[f"{cause}_cycles"].any():
                continue
            above = below + (run[f"{cause}_cycles"] / run["images"]).to_numpy(float)
            panel.stairs(
                above,
                edges,
                baseline=below,
                fill=True,
                facecolor=colour,
                edgecolor="white",
                linewidth=0,
                hatch=hatch,
                label=CAUSE_LABELS[cause],
            )
            below = above
        panel.vlines(edges, 0, most, color="white", linewidth=1)
        panel.set_ylim(0, 1.08 * most)
        masks = "" if trace is None else f"{names[trace]}: "
        panel.set_title(f"{masks}{scheme}, batch {batch}", fontsize=look.HEADING_POINTS)
        panel.set_ylabel("cycles per image")
        panel.yaxis.set_major_formatter("{x:,.0f}")
        _name_layers(panel, list(run["layer"]))
    look.label_outer(axes, columns)
    _legend(figure, axes, 4)
    look.head(figure, frame["label"], largest_loss(frame, names))
    return figure


def _told_apart(runs: Iterable[tuple[Any, pd.DataFrame]]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Each run with its trace, scheme and batch; one dense run for all traces that give it equal
    cycles, without a trace where they are several."""
    listed = list(runs)
    dense = [(key[2], _cycles(run)) for key, run in listed if key[1] == "dense"]
    seen = set()
    for (trace, scheme, batch), run in listed:
        alike = (batch, _cycles(run))
        if scheme != "dense":
            yield (trace, scheme, batch), run
        elif alike not in seen:
            seen.add(alike)
            yield (None if dense.count(alike) > 1 else trace, scheme, batch), run


def _cycles(run: pd.DataFrame) -> tuple[Any, ...]:
    return tuple(run["layer"]), tuple(run["cycles"] / run["images"])


def utilisation_by_layer(frame: pd.DataFrame) -> Figure:
    """Utilisation of each layer, executed MACs / (PEs x cycles), one line per scheme.

    ``frame`` as :func:`hwsim.layers_frame` gives it, with ``utilisation`` as a share. One
    panel per trace and batch. Layers without MACs have no utilisation and are left out.
    """
    columns_needed = (*RUN, "dense_macs", "cycles", "utilisation")
    look.require_columns("utilisation_by_layer", frame, columns_needed)
    frame = _with_macs("utilisation_by_layer", frame, frame["dense_macs"])
    names = look.run_names(frame)
    groups = list(frame.groupby(["trace", "batch"], sort=False))
    shared = _one_network(run["layer"] for _, run in frame.groupby(["trace", "scheme", "batch"]))
    figure, axes, columns = _panels_of_layers(frame, len(groups), 2.6, shared)
    for panel, ((trace, batch), group) in zip(axes, groups, strict=True):
        for scheme, run in group.groupby("scheme", sort=False):
            style = look.scheme_style(str(scheme))
            panel.plot(
                range(len(run)),
                100 * run["utilisation"],
                color=style.colour,
                marker=style.marker,
                markersize=5,
                markerfacecolor="none",
                linestyle=style.line,
                linewidth=0.9,
                label=scheme,
            )
        _name_layers(panel, list(run["layer"]))
        panel.set_title(f"{names[trace]}, batch {batch}", fontsize=look.HEADING_POINTS)
        panel.set_ylabel("utilisation (% of PE cycles)")
        panel.set_ylim(0, 105)
        panel.grid(alpha=0.3)
    look.label_outer(axes, columns)
    _legend(figure, axes, 3)
    look.head(figure, frame["label"], best_utilisation(frame, names))
    return figure


def roofline(frame: pd.DataFrame, arch: ArchConfig, macs: MacsCounted = "executed") -> Figure:
    """MACs per cycle against MACs per DRAM byte, a point per layer, under the machine's roofs.

    ``frame`` as :func:`hwsim.layers_frame` gives it, of runs on ``arch``. ``macs``: those
    executed, or the dense network's (points may then lie above the
    compute roof: what gating gains). A layer that moves no byte is drawn at the right edge, one
    without a MAC is left out. A layer may lie above the DRAM roof where its weights were loaded
    during the one before.
    """
    counted = ("dense_macs",) if macs == "dense-equivalent" else ("macs_base", "macs_conditional")
    look.require_columns("roofline", frame, (*RUN, "cycles", *counted, *DRAM_COUNTERS))
    names = look.run_names(frame)
    points = operating_points(frame, macs)
    # Logarithms have no place for the others.
    points = _with_macs("roofline", points, points["macs_per_cycle"])
    finite = points["macs_per_dram_byte"].replace(np.inf, np.nan)
    compute, bandwidth = arch.pes, dram_bytes_per_cycle(arch)
    ridge = compute / bandwidth
    left = min(finite.min(), ridge) / 2
    right = 2 * max(finite.max(), ridge)
    points["macs_per_dram_byte"] = finite.fillna(right)
    bottom = min(points["macs_per_cycle"].min(), left * bandwidth) / 1.5
    top = 2 * max(points["macs_per_cycle"].max(), compute)
    groups = list(points.groupby(["trace", "batch"], sort=False))
    figure, axes = look.panels(len(groups), 5.6, 4.2, 2, sharex=True, sharey=True)
    for panel, ((trace, batch), group) in zip(axes, groups, strict=True):
        panel.plot(
            [left, ridge, right], [left * bandwidth, compute, compute], color="black", linewidth=1.2
        )
        for scheme, run in group.groupby("scheme", sort=False):
            style = look.scheme_style(str(scheme))
            panel.plot(
                run["macs_per_dram_byte"],
                run["macs_per_cycle"],
                color=style.colour,
                marker=style.marker,
                markersize=5,
                markerfacecolor="none",
                linestyle="",
                clip_on=False,
                label=scheme,
            )
        _name_slowest(panel, group)
        panel.set_xscale("log", base=2)
        panel.set_yscale("log", base=2)
        panel.set_xlim(left, right)
        panel.set_ylim(bottom, top)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        panel.set_title(f"{names[trace]}, batch {batch}", fontsize=look.HEADING_POINTS)
        panel.set_xlabel(f"{macs} MACs per DRAM byte")
        panel.set_ylabel(f"{macs} MACs per cycle")
        panel.grid(alpha=0.3)
    look.label_outer(axes, 2)
    _legend(figure, axes, 3)
    note = f"roofs: {compute} PEs, {bandwidth:.3g} DRAM bytes per cycle; a point per layer, the "
    note += "slowest named"
    if macs == "dense-equivalent":
        note += "; above the roof: MACs skipped"
    found = share_of_roof(points, bandwidth, compute)
    title = f"Roofline of {arch.name}, {macs} MACs: {found} or less"
    look.head(figure, frame["label"], title, note)
    return figure


def _name_slowest(panel: Axes, points: pd.DataFrame) -> None:
    """The layer of fewest MACs per cycle, of all schemes, and the one of fewest per byte."""
    lowest, left = (
        row_at(points, points[column].to_numpy().argmin())
        for column in ("macs_per_cycle", "macs_per_dram_byte")
    )
    for row in (lowest,) if lowest["layer"] == left["layer"] else (lowest, left):
        panel.annotate(
            look.literal(row["layer"], look.LONGEST_LAYER),
            (row["macs_per_dram_byte"], row["macs_per_cycle"]),
            xytext=(7, -3),
            textcoords="offset points",
            fontsize=look.TEXT_POINTS - 1,
        )


def _with_macs(figure: str, frame: pd.DataFrame, macs: pd.Series) -> pd.DataFrame:
    """The rows of layers that have MACs. Raises UserError where none has."""
    if not (macs > 0).any():
        raise UserError(f"{figure}: no layer of the frame has MACs")
    return frame[macs > 0].copy()


def _one_network(layers: Iterable[Iterable[str]]) -> bool:
    """Whether all runs have the same layers."""
    return len({tuple(names) for names in layers}) == 1


def _panels_of_layers(
    frame: pd.DataFrame, number: int, height: float, shared: bool
) -> tuple[Figure, list[Axes], int]:
    """Panels as wide as their layers need, and their number of columns.

    Names of layers are written upright, below each panel, or below the lowest where all look.panels
    share one network (``shared``).
    """
    width = min(max(5.0, 0.24 * frame["layer"].nunique() + 1.2), 18.0)
    columns = 2 if width < 12 else 1
    names = 0.08 * max(map(len, _shown(frame["layer"].unique())))
    below, beside = (0.0, names) if shared else (names, 0.0)
    figure, axes = look.panels(
        number, width, height + below, columns, beside + 1.1, sharey=True, sharex=shared
    )
    return figure, axes, columns


def _shown(layers: Iterable[str]) -> list[str]:
    return [look.literal(name, look.LONGEST_LAYER) for name in layers]


def _name_layers(panel: Axes, layers: list[str]) -> None:
    step = -(-len(layers) // MOST_LAYERS_NAMED)
    panel.set_xticks(
        range(0, len(layers), step), _shown(layers[::step]), rotation=90, fontsize=look.TEXT_POINTS
    )
    panel.set_xlim(-0.6, len(layers) - 0.4)


def _legend(figure: Figure, axes: list[Axes], columns: int) -> None:
    """One legend for all look.panels: each scheme, or cause, once."""
    entries: dict[Any, Any] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(IN_LEGENDS.get(label, label), handle)
    spare = next((panel for panel in figure.axes if not panel.get_visible()), None)
    if spare is None:
        look.legend_below(figure, entries, columns)
        return
    # Where a last row is not full, its empty place.
    spare.set_visible(True)
    spare.set_axis_off()
    spare.legend(
        list(entries.values()), list(entries), loc="center", fontsize=look.TEXT_POINTS,
        ncols=2 if len(entries) > 4 else 1,
    )  # fmt: skip
