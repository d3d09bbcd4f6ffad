"""Energy: against sparsity, with its break-even, and by component."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pandas as pd

from hwsim.analysis import break_even
from hwsim.energy.prices import COMPONENT_LABELS
from hwsim.plots import style as look
from hwsim.plots.findings import least_energy, least_recorded_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BREAK_EVENS = {"dense": "X", "dense-zero-gated": "P"}
"""Machines to break even with, and the marker of the crossing."""

COLUMNS = 3

NEAR_ZERO = 0.3
"""Share of the largest energy below which the axis begins at zero."""

SMALL = 0.01
"""Components below this share of every bar are drawn as one."""

OTHERS = "#B0B0B0"

ASSUMED = {"operand_network": " (assumed price)"}
"""What the legend says behind a component's name."""


def energy_vs_sparsity(frame: pd.DataFrame) -> Figure:
    """Energy per image against the MAC-weighted sparsity, one line per trace and scheme.

    ``frame`` as :func:`hwsim.density_sweep` gives it: ``trace``, ``method``, ``label``,
    ``scheme``, ``batch``, ``density_macs``, ``threshold_shift`` and ``energy_uj_per_image``. Filled
    markers are the recorded networks (shift 0). One panel per trace, with the sparsities at which
    its schemes break even with the dense machines (:func:`hwsim.analysis.break_even`).
    """
    columns = ("trace", "method", "label", "scheme", "batch", "density_macs", "threshold_shift")
    look.require_columns("energy_vs_sparsity", frame, (*columns, "energy_uj_per_image"))
    names = look.run_names(frame)
    crossings = [crossing for against in BREAK_EVENS for crossing in break_even(frame, against)]
    figure, axes = look.panels(len(names), 5.6, 5.4, COLUMNS, sharey=True)
    for panel, (trace, name) in zip(axes, names.items(), strict=True):
        _energy_lines(panel, frame[frame["trace"] == trace])
        for crossing in (crossing for crossing in crossings if crossing.trace == trace):
            panel.plot(
                100 * crossing.sparsity,
                crossing.value,
                color=look.scheme_style(crossing.scheme).colour,
                marker=BREAK_EVENS[crossing.against],
                markeredgecolor="black",
                markersize=9,
                linestyle="",
                zorder=4,
                label=f"{crossing.scheme} = {crossing.against} at {100 * crossing.sparsity:.0f} %",
            )
        panel.set_title(f"masks of {name}", fontsize=look.HEADING_POINTS)
        panel.set_xlabel("sparsity of the conditional path, MAC-weighted (%)")
        panel.set_ylabel("energy per image (µJ)")
        # Of lines that stay far above zero the gap below says nothing.
        low, high = (frame["energy_uj_per_image"].agg(end) for end in ("min", "max"))
        panel.set_ylim(bottom=0 if low < NEAR_ZERO * high else 0.85 * low)
        panel.grid(alpha=0.3)
        # Below the panel: inside, some line would run through it.
        _legend(panel)
    look.label_outer(axes, COLUMNS)
    note = "large markers: the recorded network"
    if crossings:
        note += "; crosses: break-even, on straight lines between the points"
    look.head(figure, frame["label"], least_recorded_energy(frame, names), note)
    return figure


def _legend(panel: Axes) -> None:
    """Schemes on the left, break-evens on the right; below the panel, where no line runs."""
    entries = list(zip(*panel.get_legend_handles_labels(), strict=True))
    schemes = [entry for entry in entries if " = " not in entry[1]]
    crossings = [entry for entry in entries if " = " in entry[1]]
    (blank,) = panel.plot([], [], linestyle="")
    for column in (schemes, crossings) if crossings else ():
        column += [(blank, "")] * (max(len(schemes), len(crossings)) - len(column))
    handles, labels = zip(*schemes, *crossings, strict=True)
    panel.legend(
        handles,
        labels,
        fontsize=look.TEXT_POINTS,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=2,
    )


def _energy_lines(panel: Axes, of_trace: pd.DataFrame) -> None:
    for scheme, line in of_trace.groupby("scheme", sort=False):
        line = line.sort_values("density_macs")
        sparsity = 100 * (1 - line["density_macs"])
        style = look.scheme_style(str(scheme))
        dense = str(scheme).startswith("dense")
        marker = "" if dense else style.marker
        panel.plot(
            sparsity,
            line["energy_uj_per_image"],
            color=style.colour,
            marker=marker,
            markerfacecolor="white",
            linestyle=style.line,
            label=scheme,
        )
        recorded = line["threshold_shift"] == 0
        if not dense:
            panel.plot(
                sparsity[recorded],
                line["energy_uj_per_image"][recorded],
                color=style.colour,
                marker=marker,
                linestyle="",
                markersize=8,
            )


def energy_breakdown(frame: pd.DataFrame) -> Figure:
    """Energy per image by component, one bar per trace, scheme and batch.

    ``frame``: rows of the summary, flat (``run.results.flat``): ``trace``, ``method``,
    ``label``, ``scheme``, ``batch`` and one ``<component>_uj`` each.
    """
    columns = ("trace", "method", "label", "scheme", "batch")
    energies = (f"{component}_uj" for component in look.COMPONENT_COLOURS)
    look.require_columns("energy_breakdown", frame, (*columns, *energies))
    names = look.run_names(frame)
    batches = list(frame["batch"].unique())
    longest = max(len(frame[frame["batch"] == batch]) for batch in batches)
    figure, axes = look.panels(len(batches), 6.8, 0.36 * longest + 2.2, 2)
    drawn, others = _components(frame)
    for panel, batch in zip(axes, batches, strict=True):
        bars = frame[frame["batch"] == batch].iloc[::-1]
        alone = int((bars["scheme"] == "dense").sum()) == 1
        left = pd.Series(0.0, index=bars.index)
        for component in drawn:
            colour, hatch = look.COMPONENT_COLOURS[component]
            width = bars[f"{component}_uj"]
            panel.barh(
                range(len(bars)),
                width,
                left=left,
                color=colour,
                hatch=hatch,
                label=COMPONENT_LABELS[component] + ASSUMED.get(component, ""),
                edgecolor="white",
                linewidth=0.5,
            )
            left = left + width
        if others:
            width = bars[[f"{component}_uj" for component in others]].sum(axis=1)
            told = textwrap.fill(", ".join(COMPONENT_LABELS[name] for name in others), 32)
            panel.barh(range(len(bars)), width, left=left, color=OTHERS, label=told)
            left = left + width
        for position, total in enumerate(left):
            panel.annotate(
                f"{total:,.3g}" if total < 100 else f"{total:,.0f}",
                (total, position),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=look.TEXT_POINTS,
            )
        # Room for the total beside the longest bar.
        panel.margins(x=0.12)
        panel.set_yticks(
            range(len(bars)),
            [
                scheme if scheme == "dense" and alone else f"{names[trace]}: {scheme}"
                for trace, scheme in zip(bars["trace"], bars["scheme"], strict=True)
            ],
        )
        panel.set_title(f"batch {batch}", fontsize=look.HEADING_POINTS)
        panel.set_xlabel("energy per image (µJ)")
        panel.grid(axis="x", alpha=0.3)
        panel.set_axisbelow(True)
    handles, labels = axes[0].get_legend_handles_labels()
    columns_of_legend = 3 if len(batches) == 1 else 4
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns_of_legend,
        fontsize=look.TEXT_POINTS,
    )
    look.head(figure, frame["label"], least_energy(frame, names))
    return figure


def _components(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Those that can be seen in some bar, and those that cannot, where they are several."""
    columns = {name: f"{name}_uj" for name in look.COMPONENT_COLOURS}
    totals = frame[list(columns.values())].sum(axis=1)
    small = [name for name, column in columns.items() if (frame[column] < SMALL * totals).all()]
    others = small if len(small) > 1 else []
    return [name for name in columns if name not in others], others
