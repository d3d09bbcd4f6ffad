"""``hwsim sweep``: design points replayed into a folder of results.

    hwsim sweep --vary index.lane_group=1,2,4,8 --vary activation.banks=8,16,32 --out DIR

Exit status 0; 2 for bad input, with one line that says what is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.arch.load import arch_of
from hwsim.cli import (
    GOES_ON,
    OneLineParser,
    add_axes,
    add_machine,
    add_masks,
    add_results,
    integer,
    number,
    run_command,
    seed,
)
from hwsim.errors import escaped, nearest, one_line, shown
from hwsim.files import require_place, write_whole
from hwsim.sweep.axes import (
    BESIDE,
    MOST_POINTS,
    MOST_SHIFT,
    Axes,
    Settings,
    drawn,
    grid,
    parse_axes,
    read_settings,
)
from hwsim.sweep.sweep import ImpossibleError, SweepError, run_points
from hwsim.sweep.workers import workers_of
from hwsim.text_table import counted
from hwsim.trace.files import open_traces

if TYPE_CHECKING:
    import pandas as pd

SHOWN, MOST_LISTED = ("speedup", "energy_uj_per_image", "area_mm2"), 50
"""Columns shown unasked, and of how many points."""


def build_parser() -> OneLineParser:
    parser = OneLineParser(prog="hwsim sweep", description="Replay masks on many machines.")
    add = parser.add_argument
    add_machine(parser)
    add_axes(parser)
    add("--random", type=integer(1, MOST_POINTS), metavar="N",
        help="draw N different points of --vary")  # fmt: skip
    add("--seed", type=seed, default=0, metavar="N", help="of --random (default: 0)")
    add("--points", type=Path, metavar="FILE", help="points listed in a .csv or .yaml file")
    add_masks(parser)
    add("--scheme", nargs="+", metavar="NAME",
        help="default: all that fit; structured, lockstep: of each machine's V")  # fmt: skip
    add("--shift", nargs="+", type=number(-MOST_SHIFT, MOST_SHIFT), metavar="Z",
        help="move all thresholds (approximate)")  # fmt: skip
    add("--show", nargs="+", default=[], metavar="COLUMN",
        help=f"columns to print, beside what differs (default: {' '.join(SHOWN)}, of up to "
        f"{MOST_LISTED} points)")  # fmt: skip
    add("--plot", action="append", default=[], metavar="X,Y",
        help="draw column Y of the rows over column X, such as activation.banks,speedup, into a "
        "PNG file in --out; may be repeated")  # fmt: skip
    add("--csv", type=Path, metavar="FILE", help="write the rows shown, with all their digits")
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
    pairs = [_pair(text) for text in options.plot]
    if options.csv:
        require_place("--csv", options.csv, vars(options))
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
    listed = bool(options.show) or done.points <= MOST_LISTED
    if not listed:
        print("--show COLUMN ... prints columns of them, such as speedup and energy_uj_per_image")
    if listed or pairs or options.csv:
        rows = folder.read([point.key for point in points])
        rows = rows[rows["impossible"].isna()]
        columns = options.show or SHOWN
        varied = [*BESIDE, "batch", *(key for key in points[0].keys if "." in key)]
        if listed:
            print(listing(rows, columns, varied), end="")
        if options.csv:
            keys = [key for key in varied if key in axes or rows[key].nunique(dropna=False) > 1]
            columns = list(dict.fromkeys(["method", *BESIDE, "batch", *keys, *columns]))
            write_whole(options.csv, rows[columns].to_csv(index=False))
            print(one_line(f"wrote {options.csv}"))
        for x, y in pairs:
            _draw(rows, x, y, options.out)


def _pair(text: str) -> tuple[str, str]:
    """The two columns of a --plot. Raises SweepError for what no row has, and text as Y."""
    import pyarrow as pa

    from hwsim.sweep.rows import SCHEMA

    names = [name.strip() for name in text.split(",")]
    if len(names) != 2:
        raise SweepError(
            f"--plot {escaped(text)}: expected two columns, such as activation.banks,speedup"
        )
    for name in names:
        if name not in SCHEMA.names:
            raise SweepError(
                f"--plot {escaped(text)}: no column {shown(name)}{nearest(name, SCHEMA.names)}"
            )
    kind = SCHEMA.field(names[1]).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise SweepError(f"--plot {text}: {names[1]} is no number; expected X,Y with numbers as Y")
    return names[0], names[1]


def _draw(rows: pd.DataFrame, x: str, y: str, folder: Path) -> None:
    """A figure; one without a row to draw is told and left out."""
    from hwsim import plots

    if rows[[x, y]].dropna().empty:
        print(f"hwsim sweep: --plot {x},{y}: no row has both, no figure", file=sys.stderr)
        return
    path = folder / f"_{x}_{y}.png"
    write_whole(path, plots.png(plots.two_columns(rows, x, y)))
    print(one_line(f"wrote {path}"))


def _settings(options: argparse.Namespace, axes: Axes) -> Iterable[Settings]:
    if options.points:
        if axes or options.random:
            raise SweepError("--points: lists all points; leave --vary and --random out")
        return read_settings(options.points)
    return drawn(axes, options.random, options.seed) if options.random else grid(axes)


if __name__ == "__main__":
    raise SystemExit(main())
