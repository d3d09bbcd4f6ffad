"""Charts layer by layer: cycles by cause, one layer in all schemes, the roofline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hwsim.analysis import dram_bytes_per_cycle, operating_points
from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSE_LABELS, CAUSES
from hwsim.plots import style as look
from hwsim.report.figures.chart import (
    INK,
    Chart,
    Data,
    axis,
    filled,
    named_axis,
    rounded,
    scheme_marker,
    text,
)
from hwsim.report.figures.energy import BAR, BESIDE, STACKED
from hwsim.report.figures.priced import Run
from hwsim.run.answer import WORKING

SCALES = {"cycles": "cycles per image", "share": "% of the layer's cycles"}


def stalls_by_layer(runs: Sequence[Run], keys: Sequence[str]) -> Chart:
    """Cycles of each layer by cause; ``keys`` are the runs' values of the choice ``run``."""
    variants: dict[tuple[str, ...], Data] = {
        (key, scale): _causes_of(run, scale)
        for key, run in zip(keys, runs, strict=True)
        for scale in SCALES
    }
    return Chart(
        heading="Cycles by cause, layer by layer",
        label="Cycles of each layer of the chosen run, stacked by cause",
        height=500,
        by=("run", "scale"),
        common=_bars("v"),
        variants=variants,
        layout=STACKED,
    )


def _causes_of(run: Run, scale: str) -> Data:
    layers = run.layers
    names = [str(name) for name in layers["layer"]]
    whole = layers["images"] if scale == "cycles" else layers["cycles"] / 100
    waiting = [f"{cause}_cycles" for cause in CAUSES if cause not in WORKING]
    stalled = layers[waiting].sum(axis=1)
    worst = int(np.argmax(stalled))
    share = 100 * stalled.sum() / layers["cycles"].sum()
    said = f"{run.name}, batch {run.batch}: {share:.1f} % of all cycles are stalls"
    if stalled.sum():
        said += f", {100 * stalled.iloc[worst] / stalled.sum():.0f} % of them in {names[worst]}"
    layout = {
        "xaxis": named_axis(names, look.LONGEST_LAYER, tickangle=-90, thin=True),
        "yaxis": axis(SCALES[scale], rangemode="tozero"),
    }
    return {**_stacked(layers, whole, names, "v"), "layout": layout, "said": f"{said}."}


def _bars(way: str) -> list[Data]:
    """What bars of causes have in common, upright ("v") or lying ("h")."""
    return [
        {
            "type": "bar", "orientation": way, "name": CAUSE_LABELS[cause],
            "marker": filled(*look.CAUSE_COLOURS[cause]),
            "hovertemplate": f"%{{hovertext}}: %{{{'y' if way == 'v' else 'x'}:,.4~r}}",
        }
        for cause in CAUSES
    ]  # fmt: skip


def _stacked(layers: pd.DataFrame, whole: pd.Series, names: Sequence[str], way: str) -> Data:
    """A bar per row of ``layers``, in parts by cause."""
    along, across = ("x", "y") if way == "v" else ("y", "x")
    told = [text(name, look.LONGEST_LAYER) for name in names]
    return {
        "data": [{across: rounded(layers[f"{cause}_cycles"] / whole)} for cause in CAUSES],
        "each": {along: list(range(len(names))), "hovertext": told},
    }


def one_layer(runs: Sequence[Run], layers: Sequence[str]) -> Chart:
    """The chosen layer in every scheme; ``layers`` are the values of the choice ``layer``."""
    variants: dict[tuple[str, ...], Data] = {}
    for batch in dict.fromkeys(run.batch for run in runs):
        for key, layer in enumerate(layers):
            own = [run for run in runs if run.batch == batch and layer in set(run.layers["layer"])]
            variants[str(key), str(batch)] = _layer_in(own, layer)
    most = max(len(variant["layout"]["yaxis"]["tickvals"]) for variant in variants.values())
    return Chart(
        heading="Cycles of one layer by cause, a bar per scheme",
        label="Cycles of the chosen layer by cause, a bar per scheme",
        height=BESIDE + BAR * most,
        by=("layer", "batch"),
        common=_bars("h"),
        variants=variants,
        layout=STACKED,
    )


def _layer_in(runs: Sequence[Run], layer: str) -> Data:
    rows = pd.concat([run.layers[run.layers["layer"] == layer] for run in runs])
    names = [run.name for run in runs]
    cycles = rows["cycles"] / rows["images"]
    least = int(np.argmin(cycles))
    said = f"Fewest cycles in {layer}: {names[least]}, {cycles.iloc[least]:,.0f} an image."
    layout = {
        "xaxis": axis("cycles per image", rangemode="tozero"),
        "yaxis": named_axis(names, autorange="reversed"),
    }
    return {**_stacked(rows, rows["images"], names, "h"), "layout": layout, "said": said}


def rooflines(runs: Sequence[Run], arch: ArchConfig) -> list[Chart]:
    """A chart per trace: executed MACs per cycle over MACs per DRAM byte, a point per layer."""
    points = operating_points(pd.concat([run.layers for run in runs]))
    points = points[points["macs_per_cycle"] > 0]
    finite = points["macs_per_dram_byte"].replace(np.inf, np.nan)
    if finite.isna().all():
        return []
    compute, bandwidth = arch.pes, dram_bytes_per_cycle(arch)
    ridge = compute / bandwidth
    left, right = min(finite.min(), ridge) / 2, 2 * max(finite.max(), ridge)
    low = min(points["macs_per_cycle"].min(), left * bandwidth) / 1.5
    roof: Data = {
        "type": "scatter", "mode": "lines", "name": "roofs", "line": {"color": INK, "width": 1.5},
        "x": rounded([left, ridge, right]), "y": rounded([left * bandwidth, compute, compute]),
        "hovertemplate": "roof: %{y:.4~r} MACs per cycle",
    }  # fmt: skip
    logarithmic: dict[str, Any] = {"type": "log", "dtick": math.log10(4), "exponentformat": "none"}
    layout = {
        "xaxis": axis(
            "executed MACs per DRAM byte", range=list(np.log10([left, right])), **logarithmic
        ),
        "yaxis": axis(
            "executed MACs per cycle", range=list(np.log10([low, 2 * compute])), **logarithmic
        ),
        "hovermode": "closest",
    }  # fmt: skip
    points = points.assign(macs_per_dram_byte=finite.fillna(right))
    charts = []
    for trace in dict.fromkeys(run.trace for run in runs):
        own = [run for run in runs if run.trace == trace]
        method = str(own[0].row["masks"] or own[0].row["method"])
        charts.append(
            Chart(
                heading=f"Roofline, masks of {method}",
                label=f"MACs per cycle over MACs per DRAM byte, a point per layer, {text(method)}",
                height=460,
                by=("batch",),
                variants={
                    (str(batch),): _points(points, own, batch, roof, ridge)
                    for batch in dict.fromkeys(run.batch for run in runs)
                },
                layout=layout,
            )
        )
    return charts


def _points(
    points: pd.DataFrame, runs: Sequence[Run], batch: int, roof: Data, ridge: float
) -> Data:
    data = [roof]
    told = []
    for run in (run for run in runs if run.batch == batch):
        own = points[
            (points["trace"] == run.trace)
            & (points["scheme"] == run.scheme)
            & (points["batch"] == batch)
        ]
        bound = int((own["macs_per_dram_byte"] < ridge).sum())
        if bound:
            told.append(f"{bound} of {len(own)} in {run.scheme}")
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": text(run.scheme),
                "x": rounded(own["macs_per_dram_byte"]), "y": rounded(own["macs_per_cycle"]),
                "text": [text(name, look.LONGEST_LAYER) for name in own["layer"]],
                "marker": scheme_marker(run.scheme, opacity=0.9),
                "hovertemplate": "%{text}: %{y:.4~r} MACs per cycle, %{x:.4~r} per DRAM byte",
            }
        )  # fmt: skip
    said = (
        f"Layers whose roof DRAM sets: {', '.join(told)}" if told else "DRAM sets no layer's roof"
    )
    return {"data": data, "said": f"{said}."}
