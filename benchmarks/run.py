"""The benchmarks, `make bench`: each section's figures are appended to benchmarks/results.csv.

A figure that a peer gives as well (cycles, counters) has to be equal, or the run ends there; no
time has to be anything. docs/evidence/benchmarks.md explains the figures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from hwsim.cli import OneLineParser
from hwsim.errors import UserError

from . import report, results
from .axes import axes
from .limits import loops, popcounts, references
from .masks import Settings, traces_of
from .measure import Figure
from .scalesim import DEFAULT_LAYERS, layer_names, scalesim
from .schemes import rules, scaling, schemes
from .startup import startup
from .sweep import sweep

SECTIONS: dict[str, Callable[[Settings], Iterator[Figure]]] = {
    "schemes": schemes,
    "rules": rules,
    "popcount": popcounts,
    "loop": loops,
    "reference": references,
    "scalesim": scalesim,
    "scaling": scaling,
    "startup": startup,
    "sweep": sweep,
    "axes": axes,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections asked for; 1 where SCALE-Sim could not be run."""
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
    except UserError as error:
        print(f"benchmarks.run: {error}", file=sys.stderr)
        return 2
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows, status = [], 0
    for name in options.sections:
        print(f"{name} ...", file=sys.stderr, flush=True)
        run = results.provenance(date)
        try:
            found = results.rows_of(name, run, SECTIONS[name](settings))
        except subprocess.CalledProcessError as error:
            print(f"{name} NOT RUN: {error}", file=sys.stderr)
            status = 1
            continue
        results.append(found, options.results)
        rows += found
    report.show(rows)
    if options.write:
        report.write(results.read(options.results))
    return status


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="benchmarks.run", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION",
        help=f"default: all of {', '.join(SECTIONS)}")  # fmt: skip
    add("--trace-dir", type=Path, metavar="DIR",
        help="traces of both methods (default: the shipped ones, repeated)")  # fmt: skip
    add("--images", type=int, default=2_560, help="images by scheme (default: 2560)")
    add("--most-images", type=int, default=10_000, help="largest scaling run (default: 10000)")
    add("--repeats", type=int, default=5, help="runs of which the median is taken (default: 5)")
    add("--scalesim", nargs="+", default=list(DEFAULT_LAYERS), metavar="LAYER",
        help=f"layers, or all: minutes (default: {' '.join(DEFAULT_LAYERS)})")  # fmt: skip
    add("--results", type=Path, default=results.FILE, metavar="FILE",
        help="where rows are appended (default: benchmarks/results.csv)")  # fmt: skip
    add("--write", action="store_true", help="latest tables into docs/evidence/benchmarks.md")
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    layers = layer_names() if options.scalesim == ["all"] else tuple(options.scalesim)
    if unknown := sorted(set(layers) - set(layer_names())):
        raise UserError(f"--scalesim {unknown[0]}: no such layer; {', '.join(layer_names())}")
    if min(options.images, options.most_images, options.repeats) < 1:
        raise UserError("images and repeats start at 1")
    return Settings(
        traces=traces_of(options.trace_dir),
        images=options.images,
        most_images=options.most_images,
        repeats=options.repeats,
        scalesim_layers=layers,
    )


if __name__ == "__main__":
    sys.exit(main())
