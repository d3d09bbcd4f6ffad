"""What a comparison says, in sentences computed from its figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import BOUND, SKIP
from hwsim.counters import CAUSE_LABELS, CAUSES
from hwsim.energy.area import slow_memories
from hwsim.energy.prices import COMPONENT_LABELS
from hwsim.energy.table import EnergyTable
from hwsim.run.comparison import Comparison
from hwsim.run.price_sets import PRICE_KEYS
from hwsim.run.results import SimResult
from hwsim.run.tables import method_of, name_masks, uses_masks
from hwsim.text_table import three_digits

Row = dict[str, Any]

WORKING = ("base", "conditional")
"""Causes of cycles in which the array multiplies."""

WORTH_NAMING = 0.1
"""What takes less of the cycles beyond the ideal is not named."""


class Run(NamedTuple):
    """A run with its summary, and the summary of the dense run of the same trace and batch."""

    result: SimResult
    row: Row
    dense: Row


def sentences(comparison: Comparison, prices: Sequence[Row]) -> list[str]:
    """Who is fastest and why not faster, who needs least energy, whether other prices agree.

    Of dense runs alone: how long one takes, what stalls, what takes energy.

    ``prices``: :func:`hwsim.run.price_sets.other_prices` of the runs at the largest batch.
    """
    named = name_masks(comparison.rows())
    rows = zip(comparison.results(), named, comparison.dense_rows(), strict=True)
    runs = [Run(*each) for each in rows]
    largest = max(run.row["batch"] for run in runs)
    of_largest = [run for run in runs if run.row["batch"] == largest]
    if all(run.row["scheme"] == "dense" for run in runs):
        several = len(of_largest) > 1
        return [_alone(run, run.row["trace"] if several else "") for run in of_largest]
    return [
        *_speed([run for run in of_largest if _promises(run.row)]),
        *(_latency([run for run in runs if run.row["batch"] == 1]) if largest > 1 else ()),
        *_energy(of_largest),
        *_other_prices(name_masks(prices)),
    ]


def _promises(row: Row) -> bool:
    """Whether masks or skipped zeros promise anything beside the dense run, the yardstick."""
    return row["share_realised"] is not None and row["scheme"] != "dense"


def _alone(run: Run, trace: str) -> str:
    """Of a dense run beside which there is no other: its time, its stalls, its energy."""
    row = run.row
    busy = [f"{100 * row['utilisation']:.0f} % of the PEs' cycles do a MAC"]
    stalls = {cause: row["stalls"][cause] for cause in CAUSES if cause not in WORKING}
    total = sum(row["stalls"].values())
    worst = max(stalls, key=lambda cause: stalls[cause])
    if stalls[worst] >= WORTH_NAMING * total:
        busy.append(f"{100 * stalls[worst] / total:.0f} % of all cycles are {CAUSE_LABELS[worst]}")
    told = (
        f"Dense{trace and f' on {trace}'}: {row['cycles_per_image']:,.0f} cycles an image, "
        f"{three_digits(1e3 / row['images_per_s'])} ms; {', '.join(busy)}."
    )
    if row["energy_uj"]:
        most = max(row["energy_uj"], key=lambda name: row["energy_uj"][name])
        share = 100 * row["energy_uj"][most] / row["energy_uj_per_image"]
        told += (
            f" It takes {three_digits(row['energy_uj_per_image'])} uJ an image, most of it for "
            f"{COMPONENT_LABELS[most]} ({share:.0f} %)."
        )
    return told


def zeros_skipped(skipping: Comparison) -> Iterator[str]:
    """What skipping zeros brings the dense machine and the fastest of the others."""
    rows = [row for row in name_masks(skipping.rows()) if row["scheme"].endswith(SKIP)]
    if not rows:
        return
    best = min(rows, key=lambda row: (row["cycles_per_image"], area_of(row)))
    alone = next(
        row for row in rows if (row["trace"], row["scheme"]) == (best["trace"], "dense" + SKIP)
    )
    yield (
        f"Fastest of those that skip zeros: {_named(best)}, {best['speedup']:.2f}x dense; the "
        f"dense machine itself gains {alone['speedup']:.2f}x by it. {BOUND[1:]} is a bound, no "
        "machine: rows that do not wait for each other."
    )


def _named(row: Row) -> str:
    if not uses_masks(row):
        return "dense"
    kept = "activations" if row["scheme"].startswith("dense") else "masks"
    return f"{row['scheme']} with {method_of(row)} {kept}"


def area_of(row: Row) -> float:
    """To compare areas: without a price more than any."""
    return math.inf if row["area_mm2"] is None else float(row["area_mm2"])


def _fastest(runs: Sequence[Run]) -> Run:
    """On a tie the smaller machine."""
    return min(runs, key=lambda run: (run.row["cycles_per_image"], area_of(run.row)))


def _speed(promising: Sequence[Run]) -> Iterator[str]:
    """The fastest of the runs whose masks promise anything, and the one that keeps least of it."""
    if not promising:
        return
    best = _fastest(promising)
    row = best.row
    ideal = f"The masks allow {row['ideal_speedup_network']:.2f}x"
    if row["speedup"] > 1:
        yield (
            f"Fastest: {_named(row)}, {row['speedup']:.2f}x dense. {ideal}: "
            f"{100 * row['share_realised']:.0f} % of that saving is realised.{_lost(best)}"
        )
    else:
        yield (
            f"No scheme is faster than dense; the nearest is {_named(row)}, "
            f"{row['speedup']:.2f}x dense. {ideal}.{_lost(best)}"
        )
    # A clock-gated machine visits every pixel: it saves energy, never cycles.
    skipping = [run for run in promising if run.row["scheme"] != "clock-gated"]
    last = max(skipping, key=lambda run: run.row["cycles_per_image"], default=best)
    if last.row["speedup"] < row["speedup"]:
        yield (
            f"Slowest of the schemes that skip: {_named(last.row)}, "
            f"{last.row['speedup']:.2f}x dense.{_lost(last)}"
        )


def _lost(run: Run) -> str:
    """A sentence on the cycles beyond the ideal, by cause; nothing where there are none.

    Each cause counts beyond its share of a dense run that is as fast as the ideal.
    """
    ideal = run.row["ideal_speedup_network"]
    beyond = {
        cause: run.row["stalls"][cause] - run.dense["stalls"][cause] / ideal for cause in CAUSES
    }
    total = sum(beyond.values())
    if total <= 0:
        return ""
    lost = {CAUSE_LABELS[cause]: beyond[cause] for cause in CAUSES if cause not in WORKING}
    passes = sum(beyond[name] for name in WORKING)
    idle = min(passes, idle_column_cycles(run.result))
    lost["columns without a channel"] = idle
    lost["rows and lanes that wait for others"] = passes - idle
    named = sorted(((cycles / total, name) for name, cycles in lost.items()), reverse=True)
    told = [f"{100 * share:.0f} % to {name}" for share, name in named if share >= WORTH_NAMING]
    return f" Lost cycles go {', '.join(told)}." if told else ""


def idle_column_cycles(result: SimResult) -> float:
    """Cycles that would fall away if every gating group's channels filled the array's columns.

    Of a gated layer whose channel tiles fill a share f of the columns, 1 - f of its passes.
    """
    lost = 0.0
    shapes = result.shapes or (result.arch.array.shapes[0],) * len(result.network.layers)
    working = [CAUSES.index(name) for name in WORKING]
    for layer, (_, columns), causes in zip(
        result.network.layers, shapes, result.causes, strict=True
    ):
        if layer.gated and result.scheme.kind in ("sparse", "clock-gated"):
            widths = [width for _, width in layer.channel_tiles(columns, gated=True)]
            filled = sum(widths) / (len(widths) * columns)
            lost += float(causes[working].sum()) * (1 - filled)
    return lost


def _latency(single: Sequence[Run]) -> Iterator[str]:
    """One image at a time, where that was replayed as well."""
    if not single:
        return
    row = _fastest(single).row
    if row["scheme"] == "dense":
        return
    yield (
        f"One image at a time: {_named(row)} takes {three_digits(1e3 / row['images_per_s'])} ms, "
        f"{row['speedup']:.2f}x dense."
    )


def _energy(runs: Sequence[Run]) -> Iterator[str]:
    if any(run.row["no_price"] for run in runs):
        return
    least = min(runs, key=lambda run: run.row["energy_uj_per_image"])
    ours, theirs = least.row["energy_uj_per_image"], least.dense["energy_uj_per_image"]
    if ours < theirs:
        yield (
            f"Least energy: {_named(least.row)}, {three_digits(ours)} uJ an image, "
            f"{100 * (1 - ours / theirs):.0f} % less than dense ({three_digits(theirs)} uJ)."
        )
    elif any(run.row["scheme"] != "dense" for run in runs):
        yield f"No scheme needs less energy than dense ({three_digits(theirs)} uJ an image)."


def _other_prices(prices: Sequence[Row]) -> Iterator[str]:
    """Whether the scheme of least energy is the same under every set of prices."""
    if len({(row["trace"], row["scheme"]) for row in prices}) < 2:
        return
    by_prices: dict[tuple[Any, ...], list[Row]] = {}
    for row in prices:
        by_prices.setdefault(tuple(row[key] for key in PRICE_KEYS), []).append(row)
    winners: dict[str, int] = {}
    for rows in by_prices.values():
        least = _named(min(rows, key=lambda row: row["energy_uj_per_image"]))
        winners[least] = winners.get(least, 0) + 1
    if len(winners) == 1:
        yield f"That holds under all {len(by_prices)} sets of prices (--tables prices)."
    else:
        told = ", ".join(
            f"{name} under {number}"
            for name, number in sorted(winners.items(), key=lambda item: -item[1])
        )
        yield f"Of {len(by_prices)} sets of prices, least energy is {told} (--tables prices)."


def notes(arch: ArchConfig, results: Sequence[SimResult]) -> list[str]:
    """What a reader must know beside the table."""
    told = [f"masks of {name}: {label}" for name, label in _labels(results).items()]
    told += dict.fromkeys(_no_masks(result) for result in results if not result.header.has_masks)
    table = EnergyTable.load(arch.pricing.table)
    slow: dict[str, float] = {}
    priced = [result for result in results if not result.no_price]
    for result in priced:
        slow |= slow_memories(arch, result.scheme, table)
    for why in dict.fromkeys(result.no_price for result in results if result.no_price):
        told.append(f"energy and area have no price: {why}")
    for name, latency_ns in slow.items():
        told.append(
            f"{name.replace('_', ' ')}: an access takes {latency_ns:.2f} ns, longer than a clock "
            f"period of {1e3 / arch.clock_mhz:.2f} ns; it must be pipelined"
        )
    if any(result.scheme.zero_gated for result in results):
        told.append("dense-zero-gated: no MAC with a zero operand in gated layers switches.")
    if any(result.scheme.kind == "channels" for result in results):
        told.append("channels: predictors are in cycles and energy, not in the ideal speed-up.")
    if arch.array.zero_gating:
        told += dict.fromkeys(_not_gated(result) for result in results if not result.gates_zeros)
    return told


def _labels(results: Sequence[SimResult]) -> dict[str, str]:
    """Of the traces whose label says more than the method."""
    headers = {result.trace_name: result.header for result in results}
    return {name: header.label for name, header in headers.items() if header.label != header.method}


def _no_masks(result: SimResult) -> str:
    gated = len(result.network.gated_layers)
    said = (
        f"no masks: {gated} gated layers run dense" if gated else "no masks: all layers run dense"
    )
    return f"{said}; hwsim trace synthetic --network FILE draws some"


def _not_gated(result: SimResult) -> str:
    """Why zero gating is without effect on a run."""
    if result.scheme.kind == "channels":
        return "channels: zeros beside skipped channels are not counted, and not gated."
    if not result.header.has_masks:
        return "a layer list knows no zeros: array.zero_gating is without effect"
    return (
        f"{result.trace_name} counts no zero operands: array.zero_gating is without effect on it "
        "(recorders count them; behind GELU or normalisation there are none)"
    )
