"""The command line: what is channel gating worth on this machine?

    python -m hwsim.run --arch configs/pe16x16.yaml --trace

prints the comparison of schemes on the shipped traces. Exit status 0; 2 for bad input, with one
line that says what is wrong.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from hwsim.arch import ArchConfig, find_arch, load_arch, parse_override
from hwsim.command import console, status_of
from hwsim.errors import OneLineParser, UserError, positive
from hwsim.files import write_whole
from hwsim.timing import Engine
from hwsim.trace import MaskTrace, find_traces

if TYPE_CHECKING:
    from hwsim.comparison import Comparison


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="hwsim.run", description="replay recorded masks on a machine")
    parser.add_argument("--arch", default="pe16x16", help="machine: a path or a shipped name")
    parser.add_argument(
        "--trace", nargs="*", default=[], metavar="PATH", help="files or folders; none: the shipped"
    )
    parser.add_argument("--scheme", nargs="+", metavar="NAME", help="default: all that fit")
    parser.add_argument("--batch", nargs="+", type=positive, metavar="N", help="images in flight")
    parser.add_argument("--images", type=positive, metavar="N", help="only the first N")
    parser.add_argument(
        "--engine",
        choices=get_args(Engine),
        default="kernel",
        help="the model that replays the comparison; the reference is slow: take --images 1",
    )
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="of the kernel; default: one per core"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="index.lane_group=4"
    )
    parser.add_argument("--layers", action="store_true", help="print the per-layer table as well")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write tables and figures here")
    parser.add_argument("--json", metavar="FILE", help="write the summary; - prints it alone")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    # A run makes many objects and few cycles of them: looking for those takes a tenth of its start.
    gc.set_threshold(200_000)
    return status_of("hwsim.run", lambda: run(options), "interrupted; what was written is whole")


def run(options: argparse.Namespace) -> None:
    """Validate everything, replay, print, write."""
    arch = load_arch(options.arch, dict(parse_override(text) for text in options.set))
    _say_which_machine(options.arch)
    traces = [_open(path, options.images) for path in find_traces(options.trace)]
    # Numba and the simulator are loaded once the input is known to be good.
    from hwsim.comparison import compare, other_prices, require_models, two_by_two
    from hwsim.energy import EnergyTable

    EnergyTable.load(arch.pricing.table)
    require_models(arch, traces, options.scheme, options.engine)
    _check_json(options.json)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    if options.engine == "reference":
        _warn_of_time(arch, traces, options)
    comparison = compare(
        arch, traces, options.scheme, options.batch, options.engine, options.threads
    )
    cells = two_by_two(arch, traces, options.threads) if not options.scheme else []
    runs = comparison.distinct().results()
    largest = max(run.batch for run in runs)
    throughput = [run for run in runs if run.batch == largest]
    prices = other_prices(throughput)
    summaries = _report(arch, comparison, cells, prices)
    report = json.dumps(summaries, indent=2)
    if options.json == "-":
        print(report)
    else:
        _show(arch, comparison, cells, prices, options.layers)
    if options.json and options.json != "-":
        write_whole(Path(options.json), report)
    if options.out:
        provenance = json.dumps(summaries["provenance"], indent=2) + "\n"
        texts = {"summary.json": report, "provenance.json": provenance}
        _write_all(options, arch, traces, comparison, texts)


def _say_which_machine(name: str) -> None:
    """A path that does not exist is looked up by name: say so, unless it names the usual folder."""
    path = Path(name)
    if len(path.parts) > 1 and path.parent.name not in ("configs", "arch_configs"):
        found = find_arch(name)
        if found != path:
            line = f"hwsim.run: {name}: no such file; taking the shipped {found.name}"
            print(line, file=sys.stderr, flush=True)


def _check_json(target: str | None) -> None:
    """Raise UserError now rather than after the replay."""
    if target and target != "-":
        path = Path(target)
        if path.is_dir():
            raise UserError(f"--json {target}: is a folder; expected a file name, or - to print")
        if not path.parent.is_dir():
            raise UserError(f"--json {target}: no such folder: {path.parent}")


def _open(path: Path, images: int | None) -> MaskTrace:
    trace = MaskTrace.open(path)
    if images and images > trace.images:
        raise UserError(f"--images {images}: {path} holds {trace.images}")
    return trace.head(images) if images else trace


def _warn_of_time(
    arch: ArchConfig, traces: Sequence[MaskTrace], options: argparse.Namespace
) -> None:
    """One line on standard error: how long the reference will take."""
    from hwsim.comparison import reference_seconds_per_image

    per_image = reference_seconds_per_image(arch, traces, options.scheme, options.batch)
    images = [trace.images for trace in traces]
    seconds = sum(each * number for each, number in zip(per_image, images, strict=True))
    advice = f"; --images 1 takes {_duration(sum(per_image))}" if max(images) > 1 else ""
    line = f"hwsim.run: --engine reference takes {_duration(seconds)}{advice}"
    print(line, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {max(seconds, 1):.0f} s"


def _report(
    arch: ArchConfig,
    comparison: Comparison,
    cells: list[dict[str, Any]],
    prices: list[dict[str, Any]],
) -> dict[str, Any]:
    """What ``summary.json`` holds."""
    from hwsim.results import provenance

    results = comparison.results()
    runs = [
        {"trace": run.trace_name, "scheme": run.scheme.name, "batch": run.batch}
        | {"images": run.images, "engine": run.engine}
        for run in results
    ]
    traces = {run.trace_name: run.trace_sha256 for run in results}
    return {
        "arch": arch.name,
        "clock_mhz": arch.clock_mhz,
        "energy_table": arch.pricing.table,
        "schemes": comparison.rows(),
        "mask_by_hardware": cells,
        "other_prices": prices,
        "provenance": provenance(arch, traces) | {"runs": runs},
    }


def _show(
    arch: ArchConfig,
    comparison: Comparison,
    cells: list[dict[str, Any]],
    prices: list[dict[str, Any]],
    layers: bool,
) -> None:
    from hwsim.results import layers_frame
    from hwsim.tables import (
        comparison_table,
        layers_table,
        prices_table,
        spread_table,
        two_by_two_table,
    )

    printer = console()
    rows = comparison.distinct().rows()
    for batch in dict.fromkeys(row["batch"] for row in rows):
        at_batch = [row for row in rows if row["batch"] == batch]
        network = comparison.results()[0].network.name
        title = (
            f"{network} on {arch.name}, batch {batch}, {at_batch[0]['images']} images, "
            f"energy table {arch.pricing.table}"
        )
        comparison_table(printer, title, at_batch)
    spread_table(printer, rows)
    if prices:
        prices_table(printer, prices)
    if cells:
        two_by_two_table(printer, cells)
    if layers:
        layers_table(printer, layers_frame(comparison.results()))
    for line in _notes(arch, comparison):
        printer.print(line)


def _notes(arch: ArchConfig, comparison: Comparison) -> list[str]:
    """What a reader must know beside the table."""
    from hwsim.area import slow_memories
    from hwsim.energy import EnergyTable

    table = EnergyTable.load(arch.pricing.table)
    slow: dict[str, float] = {}
    for result in comparison.results():
        slow |= slow_memories(arch, result.scheme, table)
    notes = [
        f"{name.replace('_', ' ')}: an access takes {latency_ns:.2f} ns, longer than a clock "
        f"period of {1e3 / arch.clock_mhz:.2f} ns; it must be pipelined"
        for name, latency_ns in slow.items()
    ]
    if any(result.scheme.zero_gated for result in comparison.results()):
        notes.append(
            "dense-zero-gated: MACs with a zero operand in the gated layers are clock-gated, "
            "as counted in the trace's own network"
        )
    if any(result.scheme.kind == "channels" for result in comparison.results()):
        notes.append(
            "channels: predictors are in cycles and energy, not in the ideal speed-up "
            "(docs/timing.md, Channel-granular methods)"
        )
    return notes


def _write_all(
    options: argparse.Namespace,
    arch: ArchConfig,
    traces: Sequence[MaskTrace],
    comparison: Comparison,
    texts: dict[str, str],
) -> None:
    import io

    from hwsim import plots
    from hwsim.comparison import density_sweep
    from hwsim.results import layers_frame

    out: Path = options.out
    frame = layers_frame(comparison.results())
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)
    rows = comparison.to_frame()
    files: dict[str, str | bytes] = {
        **texts,
        "layers.csv": frame.to_csv(index=False),
        "layers.parquet": parquet.getvalue(),
        "energy_breakdown.png": plots.png(plots.energy_breakdown(rows)),
    }
    if not rows["scheme"].str.startswith("dense").all():
        throughput = rows[rows["batch"] == rows["batch"].max()]
        files["realised_speedup.png"] = plots.png(plots.realised_speedup(throughput))
    sweep = density_sweep(arch, traces, options.scheme, threads=options.threads)
    if len(sweep):
        files["energy_vs_sparsity.csv"] = sweep.to_csv(index=False)
        files["energy_vs_sparsity.png"] = plots.png(plots.energy_vs_sparsity(sweep))
    # Written together at the end: an interrupted run does not mix with an earlier one's files.
    for name, contents in files.items():
        write_whole(out / name, contents)
    if not len(sweep):
        print(
            "hwsim.run: no trace stores margins: energy_vs_sparsity.png was not made",
            file=sys.stderr,
        )


if __name__ == "__main__":
    raise SystemExit(main())
