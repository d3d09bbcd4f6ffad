"""``hwsim run``: what is channel gating worth on this machine?

    python -m hwsim.run --arch configs/pe16x16.yaml --trace

prints a comparison of schemes on the shipped traces and what it says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, get_args

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import arch_of, find_arch
from hwsim.cli import OneLineParser, add_images, add_machine, add_traces, positive, run_command
from hwsim.errors import UserError, one_line
from hwsim.files import made, require_place, write_together, write_whole
from hwsim.model import Engine
from hwsim.run.inputs import add_network, traces_of
from hwsim.run.provenance import MANIFEST, SUMMARY
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    from hwsim.run.record import Record

PROGRAM = "hwsim run"

TABLES = {
    "counts": "all figures of every scheme at every batch size",
    "causes": "where the cycles went",
    "energy": "energy by component",
    "spread": "how batches and images differ",
    "prices": "energy under other tables and prices",
    "turns": "the price at which the energies of two runs change their order",
    "masks": "unstructured and structured masks on V = 1 and V",
    "layers": "every layer of every scheme (also --layers)",
}
"""Tables beside the first, by name."""

EXAMPLES = """\
examples:
  hwsim run                                        the shipped masks on pe16x16
  hwsim run --arch mine.yaml --trace mine.h5 --layers
  hwsim run --set activation.banks=32 --scheme dense structured-8x
  hwsim run --tables causes energy
  hwsim run --out out/run                          tables and figures as files
  hwsim run --network net.yaml                     a network without masks, dense

schemes: dense, dense-zero-gated, clock-gated, unstructured, structured, lockstep, channels.
structured and lockstep are of the machine's lane group V (structured-8x, lockstep-8 where V = 8).
A scheme runs on the traces whose masks fit it.
"""


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Replay recorded masks on a machine and compare schemes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_machine(parser)
    add_traces(parser)
    add_network(parser)
    add_images(parser)
    add("--scheme", nargs="+", metavar="NAME", help="default: all that fit the masks")
    add("--batch", nargs="+", type=positive, metavar="N",
        help="images in flight (default: the machine's, and 1 for latency)")  # fmt: skip
    add("--engine", choices=get_args(Engine), default="kernel",
        help="the model that replays; the reference is slow: take --images 1")  # fmt: skip
    add("--threads", type=positive, metavar="N", help="of the kernel (default: one per core)")
    names = ", ".join(TABLES)
    add("--tables", nargs="+", choices=[*TABLES, "all"], default=[], metavar="NAME",
        help=f"print these tables as well: {names}, or all")  # fmt: skip
    add("--layers", action="store_true", help="print the table of layers of the schemes asked for")
    add("--out", type=Path, metavar="DIR", help="write tables and figures here")
    add("--json", metavar="FILE", help="write the summary; - prints it alone")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    """Validate everything; then :func:`_replay`."""
    arch = arch_of(options)
    _say_which_machine(options.arch)
    traces = traces_of(options, arch)
    # Numba and the simulator are loaded once the input is known to be good.
    from hwsim.run.comparison import require_models

    require_models(arch, traces, options.scheme, options.engine)
    _check_json(options)
    if options.engine == "reference":
        _warn_of_time(arch, traces, options)
    with made(options.out) if options.out else nullcontext():
        _replay(options, arch, traces)


def _replay(options: argparse.Namespace, arch: ArchConfig, traces: Sequence[MaskTrace]) -> None:
    """Replay, print, write."""
    from hwsim.run.record import record_run
    from hwsim.run.tables import turning_points_table

    shown = set(TABLES) if "all" in options.tables else set(options.tables)
    shown |= {"layers"} if options.layers else set()
    record = record_run(
        arch, traces, options.scheme, options.batch, options.engine, options.threads,
        changed=options.set, cells=bool("masks" in shown or options.out or options.json),
    )  # fmt: skip
    report = json.dumps(record.summary(), indent=2)
    if options.json == "-":
        print(report)
    else:
        _show(record, shown, all_batches=bool(options.batch))
        if "turns" in shown:
            turning_points_table(record.turns, record.largest_batch)
        for line in record.left_out:
            print(line)
        for line in record.notes():
            print(fill(line, 100, subsequent_indent="  ", break_on_hyphens=False))
    if options.json and options.json != "-":
        write_whole(Path(options.json), report)
    if options.out:
        files = _files(options, arch, traces, record) | {SUMMARY: report}
        write_together(options.out, files, MANIFEST, record.summary()["provenance"])
        if options.json != "-":
            print(one_line(f"wrote {', '.join(sorted([*files, MANIFEST]))} in {options.out}"))


def _say_which_machine(name: str) -> None:
    """A path that does not exist is looked up by name: say so, unless it names the usual folder."""
    path = Path(name)
    if len(path.parts) > 1 and path.parent.name not in ("configs", "arch_configs"):
        found = find_arch(name)
        if found != path:
            line = f"{PROGRAM}: {name}: no such file; taking the shipped {found.name}"
            print(one_line(line), file=sys.stderr, flush=True)


def _check_json(options: argparse.Namespace) -> None:
    """Raise UserError now rather than after the replay."""
    if options.json == "-" and (options.tables or options.layers):
        raise UserError("--json -: prints the summary alone; leave --tables and --layers out")
    if options.json not in (None, "-"):
        require_place("--json", options.json, vars(options))


def _warn_of_time(
    arch: ArchConfig, traces: Sequence[MaskTrace], options: argparse.Namespace
) -> None:
    """One line on standard error: how long the reference will take."""
    from hwsim.run.comparison import reference_seconds_per_image

    per_image = reference_seconds_per_image(arch, traces, options.scheme, options.batch)
    images = [trace.images for trace in traces]
    seconds = sum(each * number for each, number in zip(per_image, images, strict=True))
    advice = f"; --images 1 takes {_duration(sum(per_image))}" if max(images) > 1 else ""
    line = f"{PROGRAM}: --engine reference takes {_duration(seconds)}{advice}"
    print(line, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {max(seconds, 1):.0f} s"


def _show(record: Record, shown: set[str], all_batches: bool) -> None:
    """The table of schemes, the sentences below it, then the tables asked for."""
    from hwsim.run import tables

    title, skipping, cells, prices = record.title, record.skipping, record.cells, record.prices
    distinct = record.comparison.distinct()
    rows = distinct.rows()
    batches = dict.fromkeys(row["batch"] for row in rows)
    pairs = list(zip(rows, distinct.dense_rows(), strict=True))
    for batch in batches if all_batches else [max(batches)]:
        at_batch = [pair for pair in pairs if pair[0]["batch"] == batch]
        tables.summary_table(f"{title}, batch {batch}", at_batch)
    for sentence in record.sentences():
        print(fill(sentence, 100, subsequent_indent="  "))
    print()
    if skipping.runs:
        pairs = list(zip(skipping.rows(), skipping.dense_rows(), strict=True))
        tables.summary_table(record.skipping_title, pairs, dram=False)
        for sentence in record.zeros_skipped():
            print(fill(sentence, 100, subsequent_indent="  ", break_on_hyphens=False))
        print()
    if "counts" in shown:
        tables.counts_table(title, rows)
    if "causes" in shown:
        tables.causes_table(title, rows)
    if "energy" in shown:
        tables.energy_table(title, rows)
    if "spread" in shown:
        tables.spread_table(rows)
    if "prices" in shown:
        if prices:
            tables.prices_table(prices)
        else:
            print("Other prices: energy has none on this machine.\n")
    if "masks" in shown:
        if cells:
            tables.mask_by_hardware_table(cells)
        else:
            print("Masks by hardware: needs an unstructured and a structured trace of one network,")
            print("a lane group above 1, and all schemes.\n")
    if "layers" in shown:
        from hwsim.run.results import layers_frame

        shown_batches = batches if all_batches else [max(batches)]
        results = [result for result in distinct.results() if result.batch in shown_batches]
        tables.layers_table(layers_frame(results))


def _files(
    options: argparse.Namespace, arch: ArchConfig, traces: Sequence[MaskTrace], record: Record
) -> dict[str, str | bytes]:
    """Tables and figures by the names of their files."""
    import io

    import pandas as pd

    from hwsim import plots
    from hwsim.run.comparison import density_sweep
    from hwsim.run.results import layers_frame

    comparison, turns = record.comparison, record.turns
    frame = layers_frame(comparison.results())
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)
    rows = comparison.to_frame()
    files: dict[str, str | bytes] = {
        "layers.csv": frame.to_csv(index=False),
        "layers.parquet": parquet.getvalue(),
    }
    priced = rows["no_price"].isna().all()
    if priced:
        files["energy_breakdown.png"] = plots.png(plots.energy_breakdown(rows))
    if not rows["scheme"].str.startswith("dense").all():
        throughput = rows[rows["batch"] == rows["batch"].max()]
        files["realised_speedup.png"] = plots.png(plots.realised_speedup(throughput))
    if turns:
        crossings = pd.DataFrame(turns)
        files["turning_points.csv"] = crossings.to_csv(index=False)
        files["turning_points.png"] = plots.png(plots.turning_points(crossings))
    sweep = density_sweep(arch, traces, options.scheme, threads=options.threads)
    if len(sweep):
        files["energy_vs_sparsity.csv"] = sweep.to_csv(index=False)
        if priced:
            files["energy_vs_sparsity.png"] = plots.png(plots.energy_vs_sparsity(sweep))
    if not priced:
        print(f"{PROGRAM}: no price, no figure of energies", file=sys.stderr)
    elif not len(sweep):
        print(
            f"{PROGRAM}: no trace stores margins: energy_vs_sparsity.png was not made",
            file=sys.stderr,
        )
    return files


if __name__ == "__main__":
    raise SystemExit(main())
