"""Figures from data frames; nothing is computed here but positions.

Colours are Okabe and Ito's palette, which colour-blind readers can tell apart; schemes also differ
by marker.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {
    "dense": "#000000",
    "dense-zero-gated": "#999999",
    "gated": "#E69F00",
    "unstructured": "#0072B2",
    "structured": "#009E73",
    "lockstep": "#D55E00",
    "channels": "#CC79A7",
}
_MARKERS = {
    "dense": "",
    "dense-zero-gated": "",
    "gated": "s",
    "unstructured": "o",
    "structured": "D",
    "lockstep": "^",
    "channels": "v",
}
_COMPONENTS = {
    "mac": ("MAC", "#0072B2"),
    "activation_buffer": ("activation buffer", "#56B4E9"),
    "weight_buffer": ("weight buffer", "#009E73"),
    "partial_sums": ("partial sums", "#F0E442"),
    "operand_network": ("operand network (assumed price)", "#E69F00"),
    "index": ("index memory, decoder", "#D55E00"),
    "gate": ("comparators", "#CC79A7"),
    "output_stage": ("output stage", "#999999"),
    "dram": ("DRAM", "#555555"),
    "leakage": ("leakage", "#DDDDDD"),
}


def energy_vs_sparsity(frame: pd.DataFrame) -> Figure:
    """Energy per image against the MAC-weighted sparsity, one line per trace and scheme.

    ``frame`` as :func:`hwsim.comparison.density_sweep` gives it. Filled markers are the recorded
    networks (shift 0). One panel per trace.
    """
    from matplotlib.figure import Figure

    traces = list(frame["trace"].unique())
    figure = Figure(figsize=(5.2 * len(traces) + 0.6, 4.4), layout="constrained")
    panels = figure.subplots(1, len(traces), sharey=True, squeeze=False)[0]
    for panel, trace in zip(panels, traces, strict=True):
        of_trace = frame[frame["trace"] == trace]
        for scheme, line in of_trace.groupby("scheme", sort=False):
            line = line.sort_values("density_macs")
            sparsity = 100 * (1 - line["density_macs"])
            family = _family(str(scheme))
            flat = family.startswith("dense")
            panel.plot(
                sparsity,
                line["energy_uj_per_image"],
                color=_COLOURS[family],
                marker=_MARKERS[family],
                markerfacecolor="white",
                linestyle={"dense": "--", "dense-zero-gated": ":"}.get(family, "-"),
                label=scheme,
            )
            recorded = line["threshold_shift"] == 0
            if not flat:
                panel.plot(
                    sparsity[recorded],
                    line["energy_uj_per_image"][recorded],
                    color=_COLOURS[family],
                    marker=_MARKERS[family],
                    linestyle="",
                    markersize=8,
                )
        panel.set_title(f"masks of {of_trace['method'].iloc[0]}", fontsize=11)
        panel.set_xlabel("sparsity of the conditional path, MAC-weighted (%)")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=9, loc="lower left")
    panels[0].set_ylabel("energy per image (µJ)")
    panels[0].set_ylim(bottom=0)
    _head(
        figure,
        frame,
        f"Energy against sparsity, batch {frame['batch'].iloc[0]}",
        "thresholds shifted on stored margins (approximate); large markers: the recorded network",
    )
    return figure


def energy_breakdown(frame: pd.DataFrame) -> Figure:
    """Energy per image by component, one bar per trace, scheme and batch.

    ``frame``: rows of the summary, with one ``<component>_uj`` column each.
    """
    from matplotlib.figure import Figure

    batches = list(frame["batch"].unique())
    longest = max(len(frame[frame["batch"] == batch]) for batch in batches)
    figure = Figure(figsize=(6.4 * len(batches), 0.42 * longest + 2.6), layout="constrained")
    panels = figure.subplots(1, len(batches), squeeze=False, sharex=True)[0]
    for panel, batch in zip(panels, batches, strict=True):
        bars = frame[frame["batch"] == batch].iloc[::-1]
        names = [
            scheme if scheme == "dense" else f"{method}: {scheme}"
            for method, scheme in zip(bars["method"], bars["scheme"], strict=True)
        ]
        positions = range(len(bars))
        left = pd.Series(0.0, index=bars.index)
        for component, (label, colour) in _COMPONENTS.items():
            width = bars[f"{component}_uj"]
            panel.barh(positions, width, left=left, color=colour, label=label, edgecolor="white")
            left = left + width
        panel.set_yticks(positions, names)
        panel.set_title(f"batch {batch}", fontsize=11)
        panel.set_xlabel("energy per image (µJ)")
        panel.grid(axis="x", alpha=0.3)
        panel.set_axisbelow(True)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9)
    _head(figure, frame, "Energy by component", "")
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    return buffer.getvalue()


def _head(figure: Figure, frame: pd.DataFrame, title: str, note: str) -> None:
    warnings = [w for w in ("synthetic", "barely trained") if frame["label"].str.contains(w).any()]
    notes = [note, *warnings] if note else warnings
    figure.suptitle(title + (f"\n{'; '.join(notes)}" if notes else ""), fontsize=11)


def _family(scheme: str) -> str:
    return scheme if scheme in _COLOURS else scheme.partition("-")[0]
