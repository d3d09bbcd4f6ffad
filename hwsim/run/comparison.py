"""Comparisons: schemes x traces x batches, mask by hardware, zeros skipped, the density axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import as_arch
from hwsim.arch.schemes import lane_group_scheme, parse_scheme, with_suffixes
from hwsim.cli import Advance, progress
from hwsim.errors import UserError
from hwsim.model import Engine
from hwsim.run.price_sets import PRICE_KEYS, other_prices, under_tables
from hwsim.run.results import SimResult
from hwsim.run.simulate import masks_of, require_model, runs_needed, simulate, usable_schemes
from hwsim.run.summary import flat, summary
from hwsim.trace.files import as_traces
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    import pandas as pd

MAC_DENSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Points of the density axis."""

REFERENCE_SECONDS_PER_BEAT = 20e-6
"""What the reference takes on one core for a beat of the default machine: 15 to 30 microseconds."""

Traces = MaskTrace | str | Path | Sequence[MaskTrace | str | Path]
"""Traces, or files and folders of them."""


@dataclass(frozen=True)
class Comparison:
    """Runs of several schemes, each with the dense run of the same trace and batch."""

    runs: list[tuple[SimResult, SimResult]]

    def rows(self) -> list[dict[str, Any]]:
        """One :func:`hwsim.summary` per run."""
        return [summary(result, dense) for result, dense in self.runs]

    def dense_rows(self) -> list[dict[str, Any]]:
        """The summary of each run's dense run."""
        return [summary(dense, dense) for _, dense in self.runs]

    def distinct(self) -> Comparison:
        """The same with one dense run for all traces that give it equal figures."""
        seen = set()
        runs = []
        for result, dense in self.runs:
            key = (
                result.network,
                result.images,
                result.batch,
                result.cycles,
                result.no_price or sum(result.energy_pj.values()),
            )
            if result is not dense or key not in seen:
                runs.append((result, dense))
            if result is dense:
                seen.add(key)
        return Comparison(runs)

    def results(self) -> list[SimResult]:
        return [result for result, _ in self.runs]

    def to_frame(self) -> pd.DataFrame:
        """One row per distinct run: the summary's figures, one ``<component>_uj`` each."""
        import pandas as pd

        return pd.DataFrame([flat(row) for row in self.distinct().rows()])

    def other_prices(self) -> pd.DataFrame:
        """Energy per image (uJ): a row per distinct run, a column per set of PRICES."""
        import pandas as pd

        runs = ["trace", "label", "scheme", "batch"]
        prices = list(PRICE_KEYS)
        rows = pd.DataFrame(other_prices(self.distinct().results())).set_index(runs + prices)
        return rows["energy_uj_per_image"].unstack(prices, sort=False)


def choose_schemes(
    arch: ArchConfig, traces: Sequence[MaskTrace], wanted: Sequence[str] | None
) -> list[list[str]]:
    """Per trace the schemes to run: all that fit, or the ones of ``wanted`` that do.

    Raises UserError where a wanted scheme fits none of the traces.
    """
    fitting = [usable_schemes(arch, trace) for trace in traces]
    if not wanted:
        return fitting
    fitting = [[*usable, *with_suffixes(usable, arch)] for usable in fitting]
    names = [parse_scheme(name, arch).name for name in wanted]
    for asked, name in zip(wanted, names, strict=True):
        if not any(name in usable for usable in fitting):
            groups = ", ".join(
                f"{trace.path or trace.name} ({masks_of(trace)}): {', '.join(usable)}"
                for trace, usable in zip(traces, fitting, strict=True)
            )
            raise UserError(f"scheme {asked!r} cannot use these masks; valid for {groups}")
    return [[name for name in usable if name in names] for usable in fitting]


def left_out(
    arch: ArchConfig, traces: Sequence[MaskTrace], wanted: Sequence[str] | None
) -> list[str]:
    """A line for each wanted scheme and each trace whose masks do not fit it."""
    names = [parse_scheme(name, arch).name for name in wanted or ()]
    return [
        f"{name} does not run on {trace.name}: {masks_of(trace)}"
        for trace, chosen in zip(traces, choose_schemes(arch, traces, wanted), strict=True)
        for name in names
        if name not in chosen
    ]


def require_models(
    arch: ArchConfig, traces: Sequence[MaskTrace], wanted: Sequence[str] | None, engine: Engine
) -> None:
    """Raise UserError, before anything runs, where the engine lacks a scheme of a trace."""
    for trace, names in zip(traces, choose_schemes(arch, traces, wanted), strict=True):
        for name in names:
            require_model(parse_scheme(name, arch), trace, engine)


def compare(
    arch: str | Path | ArchConfig,
    traces: Traces,
    schemes: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    engine: Engine = "kernel",
    threads: int | None = None,
) -> Comparison:
    """Replay every trace under every scheme that fits, at every batch (the machine's, and 1)."""
    arch = as_arch(arch)
    traces = as_traces(traces)
    batches = _batches(arch, traces, batches)
    chosen = choose_schemes(arch, traces, schemes)
    require_models(arch, traces, schemes, engine)
    runs: list[tuple[SimResult, SimResult]] = []
    replays = zip(traces, _replays(chosen, batches), strict=True)
    total = runs_needed(arch) * sum(trace.images * number for trace, number in replays)
    with progress("replaying", total) as advance:
        for batch in batches:
            for trace, names in zip(traces, chosen, strict=True):
                dense = simulated(arch, trace, "dense", batch, advance, engine, threads)
                for name in names:
                    result = dense
                    if name != "dense":
                        result = simulated(arch, trace, name, batch, advance, engine, threads)
                    runs.append((result, dense))
    return Comparison(runs)


def reference_seconds_per_image(
    arch: ArchConfig,
    traces: Sequence[MaskTrace],
    schemes: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
) -> list[float]:
    """About how long :func:`compare` takes with the reference, for an image of each trace."""
    chosen = choose_schemes(arch, traces, schemes)
    replays = _replays(chosen, _batches(arch, traces, batches))
    beat_macs = arch.pes * arch.activation.word_channels
    return [
        runs_needed(arch) * number * trace.network.macs / beat_macs * REFERENCE_SECONDS_PER_BEAT
        for trace, number in zip(traces, replays, strict=True)
    ]


def two_by_two(
    arch: str | Path | ArchConfig, traces: Traces, threads: int | None = None
) -> list[dict[str, Any]]:
    """Mask (unstructured, structured) by hardware (V = 1, V): summaries of the cells.

    Recorded masks first; then, where margins are stored, both at equal MAC density on the images
    that have margins: the thresholds of the unstructured network are shifted (approximate). Each
    row says which in ``density`` ("recorded" or "equal"). Empty without a pair of traces of one
    network, or on a machine of lane group 1.
    """
    arch = as_arch(arch)
    traces = as_traces(traces)
    lane_group = arch.index.lane_group
    of_pixels = [trace for trace in traces if trace.header.granularity == "element"]
    pairs = [
        (fine, coarse)
        for fine in of_pixels
        for coarse in of_pixels
        if fine.mask_group == 1 and coarse.mask_group > 1 and fine.network == coarse.network
    ]
    if lane_group == 1 or not pairs:
        return []
    fine, coarse = pairs[0]
    cells = [("recorded", fine), ("recorded", coarse)]
    if fine.salience_images and coarse.salience_images:
        level = coarse.shifted(0.0)
        target = level.header.density_macs(level.ones())
        cells += [("equal", fine.shifted(fine.shift_for_density(target))), ("equal", level)]
    rows = []
    total = 3 * runs_needed(arch) * sum(trace.images for _, trace in cells)
    with progress("mask by hardware", total) as advance:
        for density, trace in cells:
            dense = simulated(arch, trace, "dense", arch.batch, advance, threads=threads)
            of_lane_group = lane_group_scheme(arch, trace.mask_group, trace.network.layers)
            for name in ("unstructured", of_lane_group):
                result = simulated(arch, trace, name, arch.batch, advance, threads=threads)
                rows.append({"density": density, **summary(result, dense)})
    return rows


def compare_skipping(
    arch: str | Path | ArchConfig, traces: Traces, threads: int | None = None
) -> Comparison:
    """Schemes beside the same with zeros skipped, and their bound, on the images with input bits.

    Of each trace that has any: dense, and hardware of the masks' own lane group, at the machine's
    batch.
    Empty on a machine that skips zeros itself.
    """
    arch = as_arch(arch)
    runs: list[tuple[SimResult, SimResult]] = []
    some = [trace.head(trace.input_images) for trace in as_traces(traces) if trace.input_images]
    work = [(trace, _skipping(arch, trace)) for trace in some]
    total = runs_needed(arch) * sum(trace.images * len(names) for trace, names in work)
    with progress("skipping zeros", total) as advance:
        for trace, names in work:
            dense: SimResult | None = None
            for name in names:
                result = simulated(arch, trace, name, arch.batch, advance, threads=threads)
                dense = dense or result
                runs.append((result, dense))
    return Comparison(runs)


def _skipping(arch: ArchConfig, trace: MaskTrace) -> list[str]:
    """Dense, and the hardware that the masks are made for, each with its forms that skip zeros."""
    own = "unstructured" if trace.header.has_masks else "dense"
    if trace.mask_group > 1 and arch.index.lane_group > 1:
        own = lane_group_scheme(arch, trace.mask_group, trace.network.layers)
    if not with_suffixes([own], arch):
        return []
    return [
        each
        for name in dict.fromkeys(("dense", own))
        for each in (name, *with_suffixes([name], arch))
    ]


def density_sweep(
    arch: str | Path | ArchConfig,
    traces: Traces,
    schemes: Sequence[str] | None = None,
    densities: Sequence[float] = MAC_DENSITIES,
    threads: int | None = None,
) -> pd.DataFrame:
    """Energy and cycles against density, one real network replayed at shifted thresholds.

    One row per trace, scheme and point: the summary's figures, ``threshold_shift`` (units of Z; 0
    is the recorded network), one ``<component>_uj`` each, and ``energy_uj_per_image_<table>`` under
    each energy table. Traces without margins have none.
    """
    arch = as_arch(arch)
    traces = as_traces(traces)
    import pandas as pd

    rows = []
    points = [
        (trace, names, shift)
        for trace, names in zip(traces, choose_schemes(arch, traces, schemes), strict=True)
        if trace.salience_images
        for shift in sorted({0.0, *(trace.shift_for_density(density) for density in densities)})
    ]
    replayed = sum(trace.salience_images * len({"dense", *names}) for trace, names, _ in points)
    with progress("shifting thresholds", runs_needed(arch) * replayed) as advance:
        for trace, names, shift in points:
            shifted = trace.shifted(shift)
            dense = simulated(arch, shifted, "dense", arch.batch, advance, threads=threads)
            for name in names:
                result = dense
                if name != "dense":
                    result = simulated(arch, shifted, name, arch.batch, advance, threads=threads)
                told = {"threshold_shift": shift} | under_tables(result)
                rows.append(flat(summary(result, dense)) | told)
    return pd.DataFrame(rows)


def _batches(
    arch: ArchConfig, traces: Sequence[MaskTrace], wanted: Sequence[int] | None
) -> list[int]:
    """Batch sizes to run, largest first: the wanted ones, or for throughput and for latency.

    None is larger than the traces: a batch is named after the images that it holds.
    """
    if any(batch < 1 for batch in wanted or ()):
        raise UserError(f"batches {list(wanted or ())}: expected positive integers")
    most = max(trace.images for trace in traces)
    return sorted({min(batch, most) for batch in wanted or (arch.batch, 1)}, reverse=True)


def _replays(chosen: Sequence[Sequence[str]], batches: Sequence[int]) -> list[int]:
    """How often each trace is replayed: under its schemes and, to compare with, dense."""
    return [len(batches) * len({"dense", *names}) for names in chosen]


def simulated(
    arch: ArchConfig,
    trace: MaskTrace,
    scheme: str,
    batch: int,
    advance: Advance,
    engine: Engine = "kernel",
    threads: int | None = None,
) -> SimResult:
    return simulate(
        arch, trace, scheme, batch=batch, engine=engine, threads=threads, on_images=advance
    )
