"""The part of a page that is one run: what it computed, and the sections that show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from hwsim.arch.config import ArchConfig
from hwsim.errors import escaped
from hwsim.plots import style as look
from hwsim.report import tables as sheets
from hwsim.report.figures.energy import by_component, energy_vs_sparsity, realised
from hwsim.report.figures.layers import SCALES, one_layer, rooflines, stalls_by_layer
from hwsim.report.figures.machine import drawing
from hwsim.report.figures.masks import Pictures, has_maps, layers_shown, mask_charts
from hwsim.report.figures.parts import Choice, Drawing, Part, Section
from hwsim.report.figures.priced import Priced, Run, runs_of
from hwsim.run.answer import WORKING

if TYPE_CHECKING:
    from hwsim.trace.mask_trace import MaskTrace


@dataclass(frozen=True)
class RunData:
    """What a part is made of, whether just replayed or read from a folder.

    ``summary``: what ``summary.json`` holds; ``layers``: of :func:`hwsim.layers_frame`;
    ``sparsity``: of :func:`hwsim.density_sweep`; ``traces``: those whose masks are shown.
    """

    arch: ArchConfig
    summary: Mapping[str, Any]
    layers: pd.DataFrame
    sparsity: pd.DataFrame
    traces: Sequence[MaskTrace] = ()
    pictures: Pictures = field(default_factory=dict)


def part_of_run(data: RunData) -> Part:
    runs = runs_of(data.summary["schemes"], data.layers)
    priced = Priced(data.arch, runs)
    answer = data.summary["answer"]
    sections = [section for section in _sections(data, runs, priced) if section]
    return Part(
        title=data.summary["title"],
        # On a terminal the last of them names the table that this page has at the end.
        answer=[
            told.replace("(--tables prices)", "(table Other prices)")
            for told in (*answer["sentences"], *answer["zeros_skipped"])
        ],
        notes=answer["notes"],
        choices=_choices(data, runs, priced),
        sections=sections,
        provenance=data.summary["provenance"],
    )


def _keys(runs: Sequence[Run]) -> list[str]:
    return [str(at) for at in range(len(runs))]


def _layers(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(str(name) for run in runs for name in run.layers["layer"]))


def _stalled(run: Run) -> tuple[int, float]:
    """To find the run of most stalls among those of the largest batch."""
    stalls = run.row["stalls"]
    waiting = sum(cycles for cause, cycles in stalls.items() if cause not in WORKING)
    return run.batch, waiting / sum(stalls.values())


def _longest(runs: Sequence[Run]) -> int:
    """The position of the layer that differs most between schemes, in cycles."""
    largest = [run.layers for run in runs if run.batch == runs[0].batch]
    cycles = pd.concat(largest)[["layer", "cycles"]]
    spread = cycles.groupby("layer", sort=False)["cycles"].agg(lambda own: own.max() - own.min())
    return _layers(runs).index(str(spread.idxmax()))


def _hardware(runs: Sequence[Run]) -> dict[str, tuple[str, int]]:
    """Scheme and mask group of the machines to draw, by the value of the choice ``hardware``."""
    found = dict.fromkeys((run.scheme, int(run.row["mask_group"])) for run in runs)
    # Gating zeros adds no hardware that is drawn.
    kept = [each for each in found if each[0] != "dense-zero-gated"] or list(found)
    return {str(at): each for at, each in enumerate(reversed(kept))}


def _choices(data: RunData, runs: Sequence[Run], priced: Priced) -> dict[str, Choice]:
    batches = dict.fromkeys(str(run.batch) for run in runs)
    hardware = _hardware(runs)
    schemes = [scheme for scheme, _ in hardware.values()]
    found = {
        "price": Choice("Prices", priced.labels),
        "batch": Choice("Batch", {batch: f"{batch} images" for batch in batches}),
        "hardware": Choice("Hardware of", {
            key: scheme + (f", decisions of {group}" if schemes.count(scheme) > 1 else "")
            for key, (scheme, group) in hardware.items()
        }),
        "run": Choice("Run", {
            key: escaped(f"{run.name}, batch {run.batch}")
            for key, run in zip(_keys(runs), runs, strict=True)
        }, str(max(range(len(runs)), key=lambda at: _stalled(runs[at])))),
        "scale": Choice("Show", SCALES),
        "layer": Choice("Layer", {
            str(at): escaped(name, look.LONGEST_LAYER) for at, name in enumerate(_layers(runs))
        }, str(_longest(runs))),
    }  # fmt: skip
    for at, trace in enumerate(filter(has_maps, data.traces)):
        shown = layers_shown(trace)
        options = {str(at): escaped(name, look.LONGEST_LAYER) for at, name in enumerate(shown)}
        found[f"masks{at}"] = Choice(f"Layer of {escaped(trace.name)}", options)
    return found


def _sections(data: RunData, runs: list[Run], priced: Priced) -> Iterator[Section | None]:
    """In the order of the page."""
    keys = _keys(runs)
    yield Section(
        "The machine",
        [f"{escaped(data.arch.name)}, as each scheme builds it: sizes, areas, energies."],
        ["hardware", "price"],
        drawings=list(_drawings(data, runs, priced)),
        tables=sheets.area_tables(runs, priced),
    )
    if len(data.sparsity):
        yield Section(
            "Energy against sparsity",
            ["One network, thresholds shifted: approximate, later layers do not react."],
            ["price"],
            charts=energy_vs_sparsity(data.sparsity, priced.tables),
        )
    stacks = by_component(runs, priced)
    yield Section(
        "Where the energy goes",
        [] if stacks else [escaped(f"No price: {runs[0].row['no_price']}")],
        ["price", "batch"] if stacks else [],
        charts=[stacks] if stacks else [],
        tables=sheets.energy_tables(runs, priced),
    )
    yield Section(
        "Where the cycles go",
        [],
        ["run", "scale"],
        charts=[stalls_by_layer(runs, keys)],
        tables=[sheets.causes_table(runs)],
    )
    yield Section("One layer", [], ["layer", "batch"], charts=[one_layer(runs, _layers(runs))])
    promised = realised(runs)
    if promised:
        yield Section("Realised against ideal", [], ["batch"], charts=[promised])
    roofs = rooflines(runs, data.arch)
    if roofs:
        yield Section(
            "Roofline",
            ["A layer that moves no byte is at the right edge; weights loaded ahead take their "
             "time in the layer before, which may lift a layer above the DRAM roof."],
            ["batch"],
            charts=roofs,
        )  # fmt: skip
    yield from _masks(data)
    yield from _tables(data, runs, keys, priced)


def _drawings(data: RunData, runs: Sequence[Run], priced: Priced) -> Iterator[Drawing]:
    for key, (scheme, group) in _hardware(runs).items():
        for table in priced.tables:
            yield drawing(data.arch, scheme, group, table, {"hardware": key, "price": table})


def _masks(data: RunData) -> Iterator[Section]:
    for at, trace in enumerate(filter(has_maps, data.traces)):
        shown, gated = layers_shown(trace), len(trace.network.gated_layers)
        said = [f"Trace {escaped(trace.name)}, {escaped(trace.header.label)}: share of the gates "
                "that are open at each output pixel."]  # fmt: skip
        if not data.pictures:
            said.append("A trace holds no pictures; --data DIR lays these maps over them.")
        if len(shown) < gated:
            said.append(f"Shown are the first {len(shown)} of {gated} gated layers.")
        name = f"masks{at}"
        yield Section(
            f"Masks of {escaped(trace.header.method)}", said, [name],
            charts=mask_charts(trace, name, data.pictures),
        )  # fmt: skip


def _tables(
    data: RunData, runs: Sequence[Run], keys: Sequence[str], priced: Priced
) -> Iterator[Section]:
    skipping = sheets.skipping_table(
        data.summary["answer"]["skipping_title"], data.summary["zero_skipping"]
    )
    prices = sheets.prices_table(data.summary["other_prices"])
    yield Section(
        "All figures",
        ["A click on a heading sorts."],
        ["price"],
        tables=[*sheets.run_tables(runs, priced), *(each for each in (skipping, prices) if each)],
    )
    yield Section("All layers", [], ["run"], tables=sheets.layer_tables(runs, keys, priced))
