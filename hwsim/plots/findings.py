"""What the title of a figure says, from the frame that the figure draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hwsim.counters import CAUSE_LABELS, CAUSES

WORKING = ("base", "conditional")
"""Causes of cycles in which the array multiplies."""

SEEN = 0.005
"""Share of a run from which on a cause is worth a title."""

Names = Mapping[Any, str]
"""What figures call a trace."""


def run_of(row: Mapping[str, Any], names: Names) -> str:
    """A row's scheme, with its masks where several traces are drawn."""
    masks = f" with {names[row['trace']]} masks" if len(names) > 1 else ""
    return f"{row['scheme']}{masks}"


def row_at(frame: pd.DataFrame, position: Any) -> dict[str, Any]:
    """The row of a position, such as ``argmin`` gives it."""
    return {str(name): value for name, value in frame.iloc[int(position)].items()}


def least_energy(frame: pd.DataFrame, names: Names) -> str:
    """Of rows of the summary, at their largest batch; beside dense's of the same masks."""
    rows = frame[frame["batch"] == frame["batch"].max()]
    energy = rows[[name for name in rows.columns if name.endswith("_uj")]].sum(axis=1)
    row, least = row_at(rows, energy.to_numpy().argmin()), energy.min()
    told = f"Least energy at batch {row['batch']}: {run_of(row, names)}, {least:,.0f} µJ an image"
    dense = energy[(rows["trace"] == row["trace"]) & (rows["scheme"] == "dense")]
    if row["scheme"] == "dense" or dense.empty:
        return told
    return f"{told}, {100 * (1 - least / dense.iloc[0]):.0f} % less than dense"


def fastest(frame: pd.DataFrame, names: Names) -> str:
    """Of rows of the summary with gates, at their largest batch."""
    rows = frame[frame["batch"] == frame["batch"].max()]
    row = row_at(rows, rows["speedup"].to_numpy().argmax())
    ties = rows[(rows["trace"] == row["trace"]) & (rows["speedup"] > row["speedup"] - 0.005)]
    both = " and ".join(dict.fromkeys(ties["scheme"]))
    told = f"Fastest: {run_of(row | {'scheme': both}, names)}, {row['speedup']:.2f}x dense"
    share = row["share_realised"]
    return told if pd.isna(share) else f"{told}, {round(100 * share)} % of the saving"


def least_recorded_energy(frame: pd.DataFrame, names: Names) -> str:
    """Of a density sweep, among the recorded networks."""
    rows = frame[frame["threshold_shift"] == 0]
    batch = frame["batch"].iloc[0]
    if rows.empty:
        return f"Energy against sparsity, batch {batch}"
    row = row_at(rows, rows["energy_uj_per_image"].to_numpy().argmin())
    return (
        f"At the recorded sparsity {run_of(row, names)} takes least energy, "
        f"{row['energy_uj_per_image']:,.0f} µJ an image, batch {batch}"
    )


def largest_loss(frame: pd.DataFrame, names: Names) -> str:
    """Of layers: the cause that takes most of a run beside multiplying."""
    most, told = 0.0, ""
    for (trace, scheme, batch), run in frame.groupby(["trace", "scheme", "batch"], sort=False):
        for cause in (cause for cause in CAUSES if cause not in WORKING):
            share = float(run[f"{cause}_cycles"].sum() / run["cycles"].sum())
            if share > most:
                of = run_of({"trace": trace, "scheme": scheme}, names)
                most, told = share, f"{CAUSE_LABELS[cause]}: {100 * share:.0f} % of {of}"
                told += f", batch {batch}"
    if most < SEEN:
        return "Cycles by cause, layer by layer: hardly any is lost to a stall"
    return f"Most cycles are lost to {told}"


def best_utilisation(frame: pd.DataFrame, names: Names) -> str:
    """Of layers: the runs whose executed MACs fill fewest and most of the PE cycles."""
    shares = {}
    for (trace, scheme, _), run in frame.groupby(["trace", "scheme", "batch"], sort=False):
        of = run_of({"trace": trace, "scheme": scheme}, names)
        shares[of] = 100 * float((run["utilisation"] * run["cycles"]).sum() / run["cycles"].sum())
    ordered = sorted(shares, key=lambda of: shares[of])
    ends = dict.fromkeys((ordered[0], ordered[-1]))
    told = " to ".join(f"{shares[of]:.0f} % ({of})" for of in ends)
    return f"Executed MACs fill {told} of the PE cycles"


def share_of_roof(points: pd.DataFrame, bytes_per_cycle: float, pes: int) -> str:
    """Of operating points: how much of what array and DRAM allow the middle one reaches."""
    roof = (bytes_per_cycle * points["macs_per_dram_byte"]).clip(upper=pes)
    shares = 100 * points["macs_per_cycle"] / roof
    told = [
        f"{shares[points['batch'] == batch].median():.0f} % at batch {batch}"
        for batch in points["batch"].unique()
    ]
    return f"half of the points reach {', '.join(told)}"


def on_the_front(frame: pd.DataFrame, front: pd.Series[bool], names: list[str]) -> str:
    """Of design points."""
    kinds = list(dict.fromkeys(frame[front]["scheme"]))
    schemes = ", ".join(map(str, kinds[:3])) + (", ..." if len(kinds) > 3 else "")
    metrics = " and ".join(name.partition(" (")[0] for name in names)
    return f"{int(front.sum())} of {len(frame)} points are best in {metrics}: {schemes}"


def best_within_budget(frame: pd.DataFrame, names: Names) -> str:
    """Of fronts: the fastest machine and the one of least energy."""
    fast, lean = (
        row_at(frame, frame[column].to_numpy().argmin())
        for column in ("cycles_per_image", "energy_uj_per_image")
    )
    cycles = f"{fast['cycles_per_image']:,.0f} cycles"
    energy = f"{lean['energy_uj_per_image']:,.0f} µJ"
    runs = [run_of(row | {"scheme": row["family"]}, names) for row in (fast, lean)]
    if runs[0] == runs[1]:
        return f"Within one budget {runs[0]} is fastest, {cycles}, and takes least energy, {energy}"
    return f"Within one budget: fastest {runs[0]}, {cycles}; least energy {runs[1]}, {energy}"
