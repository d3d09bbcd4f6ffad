"""Sweeps: many design points, replayed on every core or on a cluster, into a folder of results.

    python -m hwsim.sweep --vary index.lane_group=1,2,4,8 --vary activation.banks=8,16,32 --out DIR

Everything wrong is refused before anything runs. What is in the folder is not run again: an
interrupted sweep goes on where it was, a repeated one is free. Exit status 0; 2 for bad input, with
one line that says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import as_arch
from hwsim.cli import progress
from hwsim.errors import UserError
from hwsim.sweep.axes import Axes, Settings, grid
from hwsim.sweep.workers import Workers, workers_of
from hwsim.trace.files import open_traces
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.sweep.folder import ResultsFolder
    from hwsim.sweep.points import Point

CHUNK_IMAGES = 8192
"""Images replayed for one part file, about a second: what a killed sweep loses on each core."""

SETUP_IMAGES = 128
"""A point takes as long as this many images more: its machine is laid out anew."""


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
    for each point (:func:`hwsim.sweep.axes.drawn`, ``read_settings``). ``traces``: files or
    folders, without any the shipped ones; ``schemes``: as in ``hwsim.run``, or ``structured`` and
    ``lockstep`` for each machine's own V; ``shifts``: of all thresholds, units of Z;
    ``channel_orders``: ``natural`` or ``density``, measured on ``order_from`` (traces), or on the
    images of the replayed traces that are not replayed.
    ``workers``: processes, one per core; with 1 all runs in this one. A script that asks for more
    needs ``if __name__ == "__main__"``. ``scheduler``: address of a Dask scheduler instead.
    Columns and units: docs/reference/formats.md. Raises UserError before anything runs.
    """
    from hwsim.sweep.folder import ResultsFolder
    from hwsim.sweep.points import Choice, points_of

    base = as_arch(arch)
    held = open_traces(*traces)
    listed = grid(settings) if isinstance(settings, Mapping) else settings
    measured = open_traces(*order_from) if order_from else ()
    choice = Choice(held, schemes, batches, shifts, images, channel_orders, measured)
    points = points_of(base, listed, choice)
    folder = ResultsFolder(out)
    with workers_of(workers, scheduler) as where:
        run_points(points, held, folder, where, skip_impossible)
    return folder.read([point.key for point in points])


def run_points(
    points: Sequence[Point],
    traces: Sequence[MaskTrace],
    folder: ResultsFolder,
    workers: Workers,
    skip_impossible: bool = False,
    priced: bool = False,
) -> Done:
    """Replay what the folder lacks; each finished chunk is a part file at once.

    ``traces``: the points' own; ``priced``: a point without a price is impossible. Raises
    ImpossibleError, before anything runs, for points that their machine cannot hold; where they are
    skipped they become rows that say why.
    """
    from hwsim.sweep.feasibility import why_impossible

    if not points:
        raise SweepError("no points: no scheme fits these masks")
    there = folder.keys()
    missing = [
        replace(point, impossible=why_impossible(point, traces, priced))
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

    Points whose arrays see the same stay together, and are parted only where they are too many.
    """
    machines: dict[str, list[Point]] = {}
    for point in points:
        machines.setdefault(point.array, []).append(point)
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
    from hwsim.sweep.row_key import model_sha256
    from hwsim.sweep.rows import evaluate

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
