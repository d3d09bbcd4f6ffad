"""Sweeps: many design points, replayed on every core or on a cluster, into a folder of results.

    python -m hwsim.sweep --vary index.lane_group=1,2,4,8 --vary activation.banks=8,16,32 --out DIR

Everything wrong is refused before anything runs. What is in the folder is not run again: an
interrupted sweep goes on where it was, a repeated one is free. Exit status 0; 2 for bad input, with
one line that says what is wrong.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.arch import ArchConfig, load_arch, parse_override
from hwsim.command import status_of
from hwsim.design_space import BESIDE, Axes, Settings, drawn, grid, parse_axes, read_settings
from hwsim.errors import OneLineParser, UserError, positive
from hwsim.executors import Workers, workers_of
from hwsim.progress import progress
from hwsim.trace import MaskTrace, open_traces

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.points import Point
    from hwsim.results_folder import ResultsFolder

CHUNK_IMAGES = 8192
"""Images replayed for one part file, about a second: what a killed sweep loses on each core."""

SETUP_IMAGES = 128
"""A point takes as long as so many images more: its machine is laid out anew."""


class SweepError(UserError):
    """A sweep that cannot begin, or cannot go on; one line for the user."""


class ImpossibleError(SweepError):
    """Points that cannot be replayed: machines that cannot be built, hold a layer or be priced."""


@dataclass(frozen=True)
class Done:
    """Points of a sweep: all, replayed now, found in the folder, impossible (of all)."""

    points: int
    replayed: int
    found: int
    impossible: int


def run_sweep(
    arch: str | Path | ArchConfig,
    settings: Axes | Iterable[Settings],
    out: str | Path,
    *,
    traces: Sequence[str | Path] = (),
    schemes: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    shifts: Sequence[float] | None = None,
    images: int | None = None,
    channel_orders: Sequence[str] | None = None,
    order_from: Sequence[str | Path] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    skip_impossible: bool = False,
) -> pd.DataFrame:
    """Replay every design point that is not in folder ``out``; one row per point, in their order.

    ``settings``: values by key, of which all combinations are run, or one mapping of keys to values
    for each point (:func:`hwsim.design_space.drawn`, ``read_settings``). ``traces``: files or
    folders, without any the shipped ones; ``schemes``: as in ``hwsim.run``, or ``structured`` and
    ``lockstep`` for those of each machine's lane group; ``shifts``: of all thresholds, units of Z;
    ``channel_orders``: ``natural`` or ``density``, measured on ``order_from`` (traces), or on the
    images of the replayed traces that are not replayed.
    ``workers``: processes, one per core; with 1 all runs in this one. A script that asks for more
    needs ``if __name__ == "__main__"``. ``scheduler``: address of a Dask scheduler instead.
    Columns and units: docs/sweeps.md. Raises UserError before anything runs.
    """
    from hwsim.points import Choice, points_of
    from hwsim.results_folder import ResultsFolder

    base = arch if isinstance(arch, ArchConfig) else load_arch(arch)
    held = open_traces(*traces)
    listed = grid(settings) if isinstance(settings, Mapping) else settings
    measured = open_traces(*order_from) if order_from else ()
    choice = Choice(held, schemes, batches, shifts, images, channel_orders, measured)
    points = points_of(base, listed, choice)
    folder = ResultsFolder(out)
    with workers_of(workers, scheduler) as where:
        replay(points, held, folder, where, skip_impossible)
    return folder.read([point.key for point in points])


def replay(
    points: Sequence[Point],
    traces: Sequence[MaskTrace],
    folder: ResultsFolder,
    workers: Workers,
    skip_impossible: bool = False,
) -> Done:
    """Replay what the folder lacks; each finished chunk is a part file at once.

    ``traces``: those of the points. Raises ImpossibleError, before anything runs, for points that
    their machine cannot hold; where they are skipped they become rows that say why.
    """
    from hwsim.points import why_impossible

    if not points:
        raise SweepError("no points: no scheme fits these masks")
    there = folder.keys()
    missing = [
        replace(point, impossible=why_impossible(point, traces))
        for point in points
        if point.key not in there
    ]
    reasons = there | {point.key: point.impossible for point in missing}
    impossible = [point for point in points if reasons[point.key]]
    if impossible and not skip_impossible:
        first = impossible[0]
        raise ImpossibleError(
            f"{len(impossible)} of {len(points)} points are impossible; "
            f"the first: {_named(first)}: {reasons[first.key]}"
        )
    if missing:
        with progress("points", len(missing)) as advance:
            _run(_chunks(missing, workers.window), workers, folder, advance)
    return Done(len(points), len(missing), len(points) - len(missing), len(impossible))


def _named(point: Point) -> str:
    """The machine's name, and scheme and trace where the point has any."""
    parts = [str(point.keys["name"]), point.scheme, point.masks and point.masks.name]
    return ", ".join(part for part in parts if part)


def _chunks(points: Sequence[Point], window: int) -> Iterator[list[Point]]:
    """Points that take about as long together, two chunks for each of ``window`` at least.

    Those of one machine stand side by side, and are parted only where they are too many.
    """
    machines: dict[str, list[Point]] = {}
    for point in points:
        machines.setdefault(point.counts, []).append(point)
    most = min(CHUNK_IMAGES, sum(map(_work, points)) // (2 * window))
    chunk: list[Point] = []
    size = 0
    for alike in machines.values():
        whole = sum(map(_work, alike))
        for point in alike:
            ends = size + (whole if point is alike[0] else _work(point))
            if chunk and ends > (most if point is alike[0] else CHUNK_IMAGES):
                yield chunk
                chunk, size = [], 0
            chunk.append(point)
            size += _work(point)
    yield chunk


def _work(point: Point) -> int:
    """Time that a point takes, in images."""
    return SETUP_IMAGES + (point.masks.images if point.masks else 0)


def _run(
    chunks: Iterable[list[Point]],
    workers: Workers,
    folder: ResultsFolder,
    advance: Callable[[int], None],
) -> None:
    """Replay and write chunk by chunk; what has begun is finished and kept, come what may.

    No more are under way than the workers' window: memory does not grow with the sweep, and an
    interrupted one ends soon.
    """
    from hwsim.points import model_sha256
    from hwsim.rows import evaluate

    running: dict[Future[bytes], int] = {}

    def keep(done: Iterable[Future[bytes]]) -> None:
        for future in done:
            folder.write(future.result())
            advance(running.pop(future))

    try:
        for chunk in chunks:
            running[workers.executor.submit(evaluate, chunk, model_sha256())] = len(chunk)
            if len(running) >= workers.window:
                keep(wait(running, return_when=FIRST_COMPLETED).done)
        keep(wait(running).done)
    except BaseException:
        for future in list(running):
            future.cancel()
        for future in wait(running).done:
            if not future.cancelled() and not future.exception():
                folder.write(future.result())
        raise


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="hwsim.sweep", description="replay masks on many machines")
    add = parser.add_argument
    add_machine(parser)
    add("--random", type=positive, metavar="N", help="draw N different points of --vary")
    add("--seed", type=int, default=0, metavar="N", help="of --random (default: 0)")
    add("--points", type=Path, metavar="FILE", help="points listed in a .csv or .yaml file")
    add_masks(parser)
    add("--scheme", nargs="+", metavar="NAME",
        help="default: all that fit; structured, lockstep: of each machine's V")  # fmt: skip
    add("--shift", nargs="+", type=float, metavar="Z", help="move all thresholds (approximate)")
    add("--show", nargs="+", default=[], metavar="COLUMN",
        help="print these columns of the sweep's rows, beside what differs")  # fmt: skip
    add("--scheduler", metavar="ADDRESS", help="run on a Dask cluster: tcp://host:8786")
    add("--skip-impossible", action="store_true",
        help="list machines that cannot hold a layer, with the reason; run the others")  # fmt: skip
    return parser


def add_machine(parser: argparse.ArgumentParser, vary: bool = True) -> None:
    """Options that sweeps, searches and comparisons of equal area share."""
    add = parser.add_argument
    add("--arch", default="pe16x16", help="machine that gives all other keys")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of every point")
    if vary:
        add("--vary", action="append", default=[], metavar="KEY=1,2,4",
            help="all combinations are run; KEY=LOW..HIGH to draw from")  # fmt: skip
    add("--workers", type=positive, metavar="N", help="processes; default: one per core")
    add("--out", type=Path, required=True, metavar="DIR",
        help="folder of results; what is there is not run again")  # fmt: skip


def add_masks(parser: argparse.ArgumentParser) -> None:
    """Options that sweeps and comparisons of equal area share."""
    add = parser.add_argument
    add("--trace", nargs="*", default=[], metavar="PATH",
        help="files or folders; none: the shipped")  # fmt: skip
    add("--batch", nargs="+", type=positive, metavar="N", help="default: the machine's")
    add("--channel-order", nargs="+", metavar="NAME",
        help="natural (default), density: channels sorted inside each gating group")  # fmt: skip
    add("--order-from", nargs="+", default=[], metavar="PATH",
        help="traces to measure densities on; default: images that are not replayed")  # fmt: skip
    add("--images", type=positive, metavar="N", help="only the first N")


def base_of(options: argparse.Namespace) -> ArchConfig:
    return load_arch(options.arch, dict(parse_override(text) for text in options.set))


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    return guarded("hwsim.sweep", lambda: _command(options))


def guarded(program: str, work: Callable[[], None]) -> int:
    """Exit status of a command whose folder keeps what is done."""
    gc.set_threshold(200_000)
    return status_of(program, work, "interrupted; run the same again to go on")


def _command(options: argparse.Namespace) -> None:
    """Validate everything, replay, say what was done."""
    base, axes = base_of(options), parse_axes(options.vary)
    settings = _settings(options, axes)
    traces = open_traces(*options.trace)
    order_from = open_traces(*options.order_from) if options.order_from else []
    from hwsim.listing import listing, require_columns
    from hwsim.points import Choice, points_of
    from hwsim.results_folder import ResultsFolder

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
            done = replay(points, traces, folder, workers, options.skip_impossible)
        except ImpossibleError as error:
            raise SweepError(f"{error}; --skip-impossible lists such points") from None
    print(
        f"{done.points:,} points: {done.replayed:,} replayed or listed, {done.found:,} were there, "
        f"{done.impossible:,} impossible; {folder.path}"
    )
    if options.show:
        varied = [*BESIDE, "batch", *(key for key in points[0].keys if "." in key)]
        rows = folder.read([point.key for point in points])
        print(listing(rows[rows["impossible"].isna()], options.show, varied))


def _settings(options: argparse.Namespace, axes: Axes) -> Iterable[Settings]:
    if options.points:
        if axes or options.random:
            raise SweepError("--points: lists all points; leave --vary and --random out")
        return read_settings(options.points)
    return drawn(axes, options.random, options.seed) if options.random else grid(axes)


if __name__ == "__main__":
    raise SystemExit(main())
