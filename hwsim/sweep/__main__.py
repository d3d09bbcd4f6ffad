"""``hwsim sweep``: design points replayed into a folder of results.

    hwsim sweep --vary index.lane_group=1,2,4,8 --vary activation.banks=8,16,32 --out DIR

Exit status 0; 2 for bad input, with one line that says what is wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from hwsim.arch.load import arch_of
from hwsim.cli import (
    GOES_ON,
    OneLineParser,
    add_axes,
    add_machine,
    add_masks,
    add_results,
    finite,
    positive,
    run_command,
)
from hwsim.errors import one_line
from hwsim.sweep.axes import BESIDE, Axes, Settings, drawn, grid, parse_axes, read_settings
from hwsim.sweep.sweep import ImpossibleError, SweepError, run_points
from hwsim.sweep.workers import workers_of
from hwsim.text_table import counted
from hwsim.trace.files import open_traces

SHOWN, MOST_LISTED = ("speedup", "energy_uj_per_image", "area_mm2"), 50
"""Columns shown unasked, and of how many points."""


def build_parser() -> OneLineParser:
    parser = OneLineParser(prog="hwsim sweep", description="Replay masks on many machines.")
    add = parser.add_argument
    add_machine(parser)
    add_axes(parser)
    add("--random", type=positive, metavar="N", help="draw N different points of --vary")
    add("--seed", type=int, default=0, metavar="N", help="of --random (default: 0)")
    add("--points", type=Path, metavar="FILE", help="points listed in a .csv or .yaml file")
    add_masks(parser)
    add("--scheme", nargs="+", metavar="NAME",
        help="default: all that fit; structured, lockstep: of each machine's V")  # fmt: skip
    add("--shift", nargs="+", type=finite, metavar="Z", help="move all thresholds (approximate)")
    add("--show", nargs="+", default=[], metavar="COLUMN",
        help=f"columns to print, beside what differs (default: {' '.join(SHOWN)}, of up to "
        f"{MOST_LISTED} points)")  # fmt: skip
    add("--scheduler", metavar="ADDRESS", help="run on a Dask cluster: tcp://host:8786")
    add("--skip-impossible", action="store_true",
        help="list machines that cannot hold a layer, with the reason; run the others")  # fmt: skip
    add_results(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _command, arguments, GOES_ON)


def _command(options: argparse.Namespace) -> None:
    """Validate everything, replay, say what was done."""
    base, axes = arch_of(options), parse_axes(options.vary)
    for text in options.set:
        if (key := text.partition("=")[0]) in axes:
            raise SweepError(f"--set {key}: is varied; leave --set out")
    settings = _settings(options, axes)
    traces = open_traces(*options.trace)
    order_from = open_traces(*options.order_from) if options.order_from else []
    from hwsim.sweep.folder import ResultsFolder
    from hwsim.sweep.points import Choice, points_of
    from hwsim.sweep.rows import listing, require_columns

    require_columns(options.show)
    choice = Choice(
        traces,
        options.scheme,
        options.batch,
        options.shift,
        options.images,
        options.channel_order,
        order_from,
    )
    folder = ResultsFolder(options.out)
    points = points_of(base, settings, choice)
    with workers_of(options.workers, options.scheduler) as workers:
        try:
            done = run_points(points, traces, folder, workers, options.skip_impossible)
        except ImpossibleError as error:
            raise SweepError(f"{error}; --skip-impossible lists such points") from None
    told = (
        f"{counted(done.points, 'point')}: {done.replayed:,} replayed now, {done.found:,} were "
        f"there, {done.impossible:,} impossible; rows in {folder.path}"
    )
    print(one_line(told))
    if options.show or done.points <= MOST_LISTED:
        varied = [*BESIDE, "batch", *(key for key in points[0].keys if "." in key)]
        rows = folder.read([point.key for point in points])
        print(listing(rows[rows["impossible"].isna()], options.show or SHOWN, varied), end="")
    else:
        print("--show COLUMN ... prints columns of them, such as speedup and energy_uj_per_image")


def _settings(options: argparse.Namespace, axes: Axes) -> Iterable[Settings]:
    if options.points:
        if axes or options.random:
            raise SweepError("--points: lists all points; leave --vary and --random out")
        return read_settings(options.points)
    return drawn(axes, options.random, options.seed) if options.random else grid(axes)


if __name__ == "__main__":
    raise SystemExit(main())
