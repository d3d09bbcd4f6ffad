"""Charts of energy, and of time against the ideal: over sparsity, by component, by scheme."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from hwsim.analysis import break_even
from hwsim.energy.prices import COMPONENT_LABELS
from hwsim.plots import style as look
from hwsim.plots.energy import BREAK_EVENS
from hwsim.report.figures.chart import (
    INK,
    SYMBOLS,
    Chart,
    Data,
    axis,
    filled,
    named_axis,
    notes_of,
    rounded,
    scheme_line,
    scheme_marker,
    text,
)
from hwsim.report.figures.priced import Priced, Run
from hwsim.text_table import three_digits

STACKED: Data = {
    "barmode": "stack", "bargap": 0.25, "hovermode": "closest", "legend": {"traceorder": "normal"},
}  # fmt: skip

BAR, BESIDE = 34, 190
"""Pixels of a row of bars, and of legend and axes."""


def energy_vs_sparsity(frame: pd.DataFrame, tables: Sequence[str]) -> list[Chart]:
    """A chart per trace: energy an image over the MAC-weighted sparsity, a line per scheme."""
    names = look.run_names(frame)
    charts = []
    for trace, of_trace in frame.groupby("trace", sort=False):
        name = text(names[trace].replace(r"\$", "$").strip())
        variants = {
            (table,): found for table in tables if (found := _over_sparsity(of_trace, table))
        }
        note = notes_of(of_trace["label"])
        charts.append(
            Chart(
                heading=f"Masks of {of_trace['method'].iloc[0]}"
                + (f" ({note})" if note else "")
                + ": sparsity of the conditional path; large: as recorded; crosses: break-even",
                label=f"Energy per image over sparsity, a line per scheme, masks of {name}",
                height=460,
                by=("price",),
                variants=variants,
                layout={
                    "xaxis": axis("MAC-weighted sparsity (%)"),
                    "yaxis": axis("energy per image (µJ)", rangemode="tozero"),
                    "hovermode": "closest",
                },
            )
        )
    return charts


def _over_sparsity(of_trace: pd.DataFrame, table: str) -> Data:
    """Lines under one energy table; empty where it has no price."""
    value = f"energy_uj_per_image_{table}"
    if of_trace[value].isna().any():
        return {}
    data: list[Data] = []
    for scheme, line in of_trace.groupby("scheme", sort=False):
        line = line.sort_values("density_macs")
        recorded = line["threshold_shift"] == 0
        dense = str(scheme).startswith("dense")
        sizes = [12 if own else 7 for own in recorded]
        data.append(
            {
                "type": "scatter", "mode": "lines" if dense else "lines+markers",
                "name": text(scheme), "x": rounded(100 * (1 - line["density_macs"])),
                "y": rounded(line[value]), "line": scheme_line(str(scheme)),
                "marker": scheme_marker(str(scheme), size=sizes),
                "text": ["as recorded" if own else "thresholds shifted" for own in recorded],
                "hovertemplate": "%{y:,.4~r} µJ at %{x:.1f} %, %{text}",
            }
        )  # fmt: skip
    told = []
    for against in BREAK_EVENS:
        for crossing in break_even(of_trace, against, value):
            told.append(
                f"{crossing.scheme} breaks even with {against} at "
                f"{100 * crossing.sparsity:.0f} % sparsity"
            )
            data.append(
                {
                    "type": "scatter", "mode": "markers", "showlegend": False,
                    "name": text(f"{crossing.scheme} = {against}"),
                    "legendgroup": text(crossing.scheme),
                    "x": rounded([100 * crossing.sparsity]), "y": rounded([crossing.value]),
                    "marker": {
                        "color": look.scheme_style(crossing.scheme).colour, "size": 12,
                        "symbol": SYMBOLS["x" if against == "dense" else "+"],
                        "line": {"color": INK, "width": 1},
                    },
                    "hovertemplate": "break-even at %{x:.0f} %: %{y:,.4~r} µJ",
                }
            )  # fmt: skip
    for drawn in data:
        drawn.setdefault("legendgroup", drawn["name"])
    said = "; ".join(told) if told else "No scheme breaks even with a dense machine in this range"
    return {"data": data, "said": f"{said}."}


def by_component(runs: Sequence[Run], priced: Priced) -> Chart | None:
    """Energy an image by component, a bar per run; by energy table and batch."""
    variants = {}
    for table in priced.tables:
        for batch in _batches(runs):
            bars = [run for run in runs if run.batch == batch]
            found = [priced.energy_uj(run, table) for run in bars]
            if all(found):
                variants[table, str(batch)] = _stack(bars, [each for each in found if each])
    if not variants:
        return None
    most = max(len(variant["layout"]["yaxis"]["tickvals"]) for variant in variants.values())
    return Chart(
        heading="Energy per image by component; the operand network has an assumed price",
        label="Energy per image by component, a bar per scheme",
        height=BESIDE + BAR * most,
        by=("price", "batch"),
        variants=variants,
        layout=STACKED,
    )


def _stack(bars: Sequence[Run], found: Sequence[dict[str, float]]) -> Data:
    rows = list(range(len(bars)))
    totals = [sum(energies.values()) for energies in found]
    data: list[Data] = [
        {
            "type": "bar", "orientation": "h", "y": rows, "marker": filled(colour, hatch),
            "name": COMPONENT_LABELS[component],
            "x": rounded(energies[component] for energies in found),
            "customdata": rounded(
                100 * energies[component] / total
                for energies, total in zip(found, totals, strict=True)
            ),
            "hovertemplate": "%{x:,.4~r} µJ, %{customdata:.1f} %",
        }
        for component, (colour, hatch) in look.COMPONENT_COLOURS.items()
    ]  # fmt: skip
    data.append(_beside(totals, [three_digits(total) for total in totals]))
    least = min(range(len(bars)), key=lambda at: totals[at])
    most = max(found[least], key=lambda component: found[least][component])
    share = 100 * found[least][most] / totals[least]
    first = "Least: " if len(bars) > 1 else ""
    said = (
        f"{first}{bars[least].name}, {three_digits(totals[least])} µJ, of which "
        f"{COMPONENT_LABELS[most]} takes {share:.0f} %."
    )
    layout = {
        "xaxis": axis("energy per image (µJ)", range=[0, 1.14 * max(totals)]),
        "yaxis": named_axis([run.name for run in bars], autorange="reversed"),
    }
    return {"data": data, "layout": layout, "said": said}


def _beside(ends: Sequence[float], told: Sequence[str]) -> Data:
    """Texts to the right of bars."""
    return {
        "type": "scatter", "mode": "text", "x": rounded(ends), "y": list(range(len(ends))),
        "text": [f" {each}" for each in told], "textposition": "middle right", "hoverinfo": "skip",
        "showlegend": False, "cliponaxis": False,
    }  # fmt: skip


def realised(runs: Sequence[Run]) -> Chart | None:
    """Speed-up over dense as bars, and what the masks allow as lines; by batch."""
    gated = [run for run in runs if not run.scheme.startswith("dense")]
    if not gated:
        return None
    variants = {
        (str(batch),): _speedups([run for run in gated if run.batch == batch])
        for batch in _batches(gated)
    }
    most = max(sum(run.batch == batch for run in gated) for batch in _batches(gated))
    return Chart(
        heading="Bars: speed-up over dense. Lines: ideal, what the masks allow; %: share realised",
        label="Speed-up over dense, a bar per scheme, beside the ideal that the masks allow",
        height=BESIDE + BAR * most,
        by=("batch",),
        variants=variants,
        layout={"barmode": "overlay", "hovermode": "closest"},
    )


def _speedups(runs: Sequence[Run]) -> Data:
    rows = dict(enumerate(runs))
    data: list[Data] = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        own = {at: run for at, run in rows.items() if run.scheme == scheme}
        data.append(
            {
                "type": "bar", "orientation": "h", "name": text(scheme), "y": list(own),
                "x": rounded(run.row["speedup"] for run in own.values()),
                "marker": {"color": look.scheme_style(scheme).colour}, "width": 0.66,
                "hovertemplate": "%{x:.2f}x dense",
            }
        )  # fmt: skip
    ideals = [run.row["ideal_speedup_network"] for run in runs]
    data.append(
        {
            "type": "scatter", "mode": "markers", "name": "ideal: what the masks allow",
            "x": rounded(ideals), "y": list(rows), "hovertemplate": "ideal %{x:.2f}x",
            "marker": {
                "symbol": "line-ns", "size": 20, "color": INK, "line": {"color": INK, "width": 3},
            },
        }
    )  # fmt: skip
    shares = [run.row["share_realised"] for run in runs]
    told = ["" if share is None else f"{round(100 * share)} %" for share in shares]
    ends = [
        max(run.row["speedup"], ideal if math.isfinite(ideal) else 0)
        for run, ideal in zip(runs, ideals, strict=True)
    ]
    data.append(_beside([end * 1.01 for end in ends], told))
    layout = {
        "xaxis": axis("speed-up over dense (x)", range=[0, 1.16 * max(ends)]),
        "yaxis": named_axis([run.name for run in runs], autorange="reversed"),
        "shapes": [
            {
                "type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "paper",
                "line": {"dash": "dot", "width": 1, "color": INK},
            }
        ],
    }  # fmt: skip
    return {"data": data, "layout": layout, "said": "".join(_best(runs))}


def _best(runs: Sequence[Run]) -> Iterator[str]:
    known = [run for run in runs if run.row["share_realised"] is not None]
    if known:
        best = max(known, key=lambda run: run.row["share_realised"])
        yield (
            f"Largest share of the promised saving in time: {best.name}, "
            f"{100 * best.row['share_realised']:.0f} %."
        )


def _batches(runs: Sequence[Run]) -> list[int]:
    return list(dict.fromkeys(run.batch for run in runs))
