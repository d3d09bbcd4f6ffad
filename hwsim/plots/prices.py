"""Prices at which two runs change their order of energy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from hwsim.plots import style as look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FACTORS = {
    "mac_scale": ("MAC", "#0072B2", "o"),
    "operand_network_scale": ("operand network", "#E69F00", "^"),
    "sram_scale": ("SRAM words", "#009E73", "s"),
    "dram_pj_per_bit": ("DRAM", "#555555", "D"),
}
"""Prices drawn as factors on the machine's own: name, colour, marker."""

SHARE = ("gated_mac_share", "#D55E00", "v")


def turning_points(frame: pd.DataFrame, widest: float = 16) -> Figure:
    """A line per pair of runs, a mark where a price turns the order of their energies.

    ``frame``: rows of :func:`hwsim.run.turning_points.turning_points`. ``widest``: factors from
    1/widest to widest are drawn; pairs that no price turns within are left out.
    """
    sides = [f"{side}_{of}" for side in ("less", "more") for of in ("scheme", "label", "trace")]
    needed = [*FACTORS, SHARE[0], *sides]
    look.require_columns("turning_points", frame, needed)
    factors = pd.DataFrame(
        {name: frame[name].astype(float) / frame[f"own_{name}"] for name in FACTORS}
    )
    factors = factors.where((factors >= 1 / widest) & (factors <= widest))
    shares = frame[SHARE[0]].astype(float)
    shown = factors.notna().any(axis=1) | shares.notna()
    masks = _masks(frame)
    names = [
        f"{row.less_scheme} ({masks[str(row.less_trace)]})  <  "
        f"{row.more_scheme} ({masks[str(row.more_trace)]})"
        for row in frame[shown].itertuples()
    ]
    figure, (left, right) = look.panels(
        2, 5.6, 0.27 * max(3, len(names)) + 0.6, 2, sharey=True, beside=1.0, width_ratios=(3, 1)
    )
    places = range(len(names))
    for name, (label, colour, marker) in FACTORS.items():
        if factors.loc[shown, name].notna().any():
            left.plot(
                factors.loc[shown, name], places, marker, color=colour, label=label, markersize=6
            )
    _, colour, marker = SHARE
    right.plot(shares[shown], places, marker, color=colour, markersize=6)
    left.set_xscale("log", base=2)
    left.set_xlim(0.9 / widest, widest / 0.9)
    left.xaxis.set_major_formatter("x{x:g}")
    left.axvline(1, color="black", linewidth=1)
    left.set_xlabel("price, as a factor on the machine's")
    right.set_xlim(-0.05, 1.05)
    right.set_xlabel("share of a MAC that\na gated PE takes")
    for panel in (left, right):
        _rows(panel, names)
    handles, labels = left.get_legend_handles_labels()
    if labels:
        look.legend_below(figure, dict(zip(labels, handles, strict=True)), 4)
    labels = pd.concat([frame["less_label"], frame["more_label"]])
    title = f"Prices turn the order of {len(names)} of {len(frame)} pairs of energies"
    look.head(figure, labels, title, "<: takes less energy now")
    return figure


def _masks(frame: pd.DataFrame) -> dict[str, str]:
    """What a pair shows of each trace: its label, or its name where several share the label."""
    labels: dict[str, str] = {}
    for side in ("less", "more"):
        labels |= dict(zip(frame[f"{side}_trace"], frame[f"{side}_label"], strict=True))
    shared = list(labels.values())
    return {
        trace: look.literal(label if shared.count(label) == 1 else trace)
        for trace, label in labels.items()
    }


def _rows(panel: Axes, names: list[str]) -> None:
    """A faint line for each pair, the first on top."""
    panel.set_yticks(range(len(names)), names, fontsize=look.TEXT_POINTS)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.grid(alpha=0.3)
