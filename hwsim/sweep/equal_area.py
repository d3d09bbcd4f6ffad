"""``hwsim equal-area``: each scheme on the machines that suit it best, within one budget.

    hwsim equal-area --area 0.95 --peak-bytes 64 --out DIR

A scheme may spend the budget, area of its hardware and bytes that its banks read in a cycle, as it
likes: on PEs, wider words, banks, partial sums, run-ahead, a window, decoders, skipped zeros. The
front of cycles and energy is searched for each (:mod:`hwsim.sweep.local_search`), and fronts are
compared. Rows are a sweep's, in the same kind of folder: nothing is run twice, a stopped search
goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import arch_of, as_arch
from hwsim.arch.schemes import FAMILIES, of_machine
from hwsim.cli import (
    GOES_ON,
    OneLineParser,
    add_axes,
    add_machine,
    add_results,
    images,
    integer,
    number,
    positive,
    run_command,
    seed,
)
from hwsim.energy.area import area_mm2
from hwsim.errors import UserError, nearest, one_line
from hwsim.files import whole, write_whole
from hwsim.sweep.axes import Axes, Range, check_axes, parse_axes
from hwsim.sweep.best_machines import BASELINE, BEST, CYCLES, DELAY, ENERGY, FRONT, concerns, show
from hwsim.sweep.local_search import Budget, Costs, Space, State, local_search, starts
from hwsim.sweep.sweep import run_points
from hwsim.sweep.workers import Workers, workers_of
from hwsim.trace.files import open_traces
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.sweep.folder import ResultsFolder
    from hwsim.sweep.points import Point

AXES: dict[str, tuple[Any, ...]] = {
    "array.rows": (4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 56, 64, 80, 96, 128),
    "array.columns": (8, 16, 32),
    "activation.word_channels": (2, 4, 8, 16),
    "activation.banks": (4, 8, 16, 32, 64),
    "partial_sums.entries": (1024, 2048, 4096, 8192, 16384, 32768),
    "activation.run_ahead": (0, 1, 2),
    "array.feed": ("broadcast", "systolic"),
    "array.zero_skipping": ("none", "word"),
    "index.window": (0, 256, 192, 128, 112, 96, 80, 64, 56, 48, 40, 32, 24, 16),
    "index.decoders": ("private", "shared"),
    "index.indices_per_cycle": (1, 2, 4),
    "index.lane_group": (2, 4, 8, 16),
}
"""What is searched unless told otherwise, each in the order in which steps are taken."""

TABLE, FIGURE = "_equal_area.parquet", "_equal_area.png"
"""Readers of Parquet folders pass over names with an underscore."""


def silent(line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Setup:
    """What schemes are compared under.

    ``area_mm2``: None for the area of the largest of the schemes on the machine given;
    ``peak_bytes``: None for the machine's own banks times bytes of a word. ``schemes``: dense,
    clock-gated, unstructured, structured, lockstep, channels; None for all that fit.
    ``axes`` replace those of AXES or add to them. ``starts`` machines are drawn with ``seed``
    beside the given one, from which each search begins.
    """

    area_mm2: float | None = None
    peak_bytes: int | None = None
    schemes: Sequence[str] | None = None
    axes: Axes | None = None
    batch: int | None = None
    images: int = 16
    starts: int = 4
    seed: int = 0


@dataclass(frozen=True)
class Contest:
    """One scheme with one trace's masks, the machines that it may have, and those to begin from."""

    trace: MaskTrace
    space: Space
    images: int
    begin: Sequence[State]

    def point(self, settings: Mapping[str, Any]) -> Point | None:
        """The point of a machine; None where the scheme does not fit it."""
        from hwsim.sweep.points import Choice, UnfitError, points_of

        choice = Choice([self.trace], [self.space.scheme], images=self.images)
        try:
            (found,) = points_of(self.space.base, [dict(settings)], choice)
        except UnfitError:
            return None
        return found

    def search(
        self, folder: ResultsFolder, workers: Workers, tell: Callable[[str], object] = silent
    ) -> pd.DataFrame:
        """The front and the machine given, as rows; ``tell`` gets how much was looked at.

        UserError where none of the machines to begin from can run the scheme.
        """
        import pandas as pd

        space = self.space
        looked = 0

        def replay(states: Sequence[State]) -> list[Costs | None]:
            nonlocal looked
            looked += len(states)
            points = [self.point(space.settings(state)) for state in states]
            wanted = list(dict.fromkeys(point for point in points if point))
            if not wanted:
                return [None] * len(states)
            run_points(wanted, [self.trace], folder, workers, True, priced=True)
            rows = folder.read([point.key for point in wanted])
            # A sweep may have left rows without a price in the folder.
            rows = rows[rows["impossible"].isna() & rows[ENERGY].notna()]
            found = dict(
                zip(rows["key"], zip(rows[CYCLES], rows[ENERGY], strict=True), strict=True)
            )
            return [found.get(point.key) if point else None for point in points]

        best = local_search(self.begin, space.around, replay)
        name = f"{space.scheme} with {self.trace.name}"
        if not best:
            raise UserError(f"{name}: none of the {looked:,} machines to begin from can run it")
        tell(f"{name}: {looked:,} machines, {len(best)} on the front")
        points = [self.point(space.settings(state)) for state in best]
        own = self.point({})
        assert own is not None  # The scheme fits the machine given: it was listed for it.
        run_points([own], [self.trace], folder, workers, True, priced=True)
        keys = [point.key for point in points if point]
        parts = [(BASELINE, folder.read([own.key])), (FRONT, folder.read(keys))]
        rows = pd.concat([part.assign(machine=name) for name, part in parts], ignore_index=True)
        return _judged(rows, space)


def run_equal_area(
    arch: str | Path | ArchConfig,
    out: str | Path,
    setup: Setup | None = None,
    *,
    traces: Sequence[str | Path] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    tell: Callable[[str], object] = silent,
) -> pd.DataFrame:
    """The front of each scheme and trace, and the machine given.

    Rows are a sweep's, fewest cycles first, with ``machine`` ("baseline" or "front"),
    ``energy_delay`` (uJ x cycles), ``best`` (what of BEST the row has least of in its front,
    comma-separated), ``peak_bytes_per_cycle``, ``limit_mm2``, ``limit_bytes``. ``tell`` gets a line
    for each scheme that is done. Replays what folder ``out`` lacks. The same setup and seed give
    the same rows. Raises UserError before anything runs, or where no machine runs a scheme.
    """
    from hwsim.sweep.folder import ResultsFolder

    setup = setup or Setup()
    base = as_arch(arch)
    if setup.batch:
        base = base.model_copy(update={"batch": setup.batch})
    held = open_traces(*traces)
    contests = list(contests_of(base, held, setup))
    folder = ResultsFolder(out)
    frames = []
    with workers_of(workers, scheduler) as where:
        for contest in contests:
            frames.append(contest.search(folder, where, tell))
    import pandas as pd

    found = pd.concat(frames, ignore_index=True)
    with whole(folder.path / TABLE) as table:
        table.write_bytes(found.to_parquet())
        # A figure beside a table is of that table.
        (folder.path / FIGURE).unlink(missing_ok=True)
    return found


def contests_of(base: ArchConfig, traces: Sequence[MaskTrace], setup: Setup) -> Iterator[Contest]:
    """Every scheme that fits with every trace.

    UserError for a scheme that fits none, or of which the budget holds no machine.
    """
    fitting = {trace.name: _families(base, trace) for trace in traces}
    known = list(dict.fromkeys(name for names in fitting.values() for name in names))
    for name in setup.schemes or ():
        if name not in known:
            raise UserError(f"scheme {name!r}: fits none of the masks{nearest(name, known)}")
    wanted = setup.schemes or known
    axes = _axes(setup)
    budget = _budget(base, traces, [name for name in known if name in wanted], fitting, setup)
    for trace in traces:
        own = _with_inputs(axes, trace, setup.images)
        for name in fitting[trace.name]:
            if name in wanted:
                usable = {key: values for key, values in own.items() if concerns(key, name)}
                space = Space(base, usable, name, trace.mask_group, budget)
                begin = starts(space, setup.starts, setup.seed)
                if not begin:
                    raise UserError(
                        f"{name} with {trace.name}: no machine of these axes takes at most "
                        f"{budget.area_mm2:.3f} mm2 and {budget.peak_bytes} bytes a cycle"
                    )
                yield Contest(trace, space, setup.images, begin)


def _families(base: ArchConfig, trace: MaskTrace) -> list[str]:
    """Schemes that fit, by the family of those that share lists.

    Gating zeros is the machine's: ``dense-zero-gated`` is no scheme of its own here.
    """
    from hwsim.run.simulate import usable_schemes

    families = {of_machine(family, base): family for family in FAMILIES}
    names = [families.get(name, name) for name in usable_schemes(base, trace)]
    return [name for name in names if name != "dense-zero-gated"]


def _axes(setup: Setup) -> dict[str, tuple[Any, ...]]:
    """The axes of the search; UserError for a range, or a machine's key that does not exist."""
    check_axes(setup.axes or {})
    for key, values in (setup.axes or {}).items():
        if isinstance(values, Range):
            raise UserError(f"--vary {key}: a search takes steps; list its values")
    given = {key: tuple(values) for key, values in (setup.axes or {}).items()}  # type: ignore[arg-type]
    return AXES | given


def _with_inputs(
    axes: Mapping[str, tuple[Any, ...]], trace: MaskTrace, images: int
) -> dict[str, tuple[Any, ...]]:
    """Without skipping of zeros where the trace does not say which inputs of its images are."""
    own = dict(axes)
    if trace.input_images < images:
        own["array.zero_skipping"] = ("none",)
    return own


def _budget(
    base: ArchConfig,
    traces: Sequence[MaskTrace],
    names: Sequence[str],
    fitting: Mapping[str, Sequence[str]],
    setup: Setup,
) -> Budget:
    areas = [
        area_mm2(base, name, trace.mask_group)
        for trace in traces
        for name in names
        if name in fitting[trace.name]
    ]
    own = base.activation.banks * base.activation.word_channels
    return Budget(setup.area_mm2 or max(areas), setup.peak_bytes or own)


def _judged(rows: pd.DataFrame, space: Space) -> pd.DataFrame:
    """With the columns that :func:`run_equal_area` adds."""
    rows[DELAY] = rows[CYCLES] * rows[ENERGY]
    rows["family"] = space.scheme
    rows["peak_bytes_per_cycle"] = rows["activation.banks"] * rows["activation.word_channels"]
    rows["limit_mm2"], rows["limit_bytes"] = space.budget.area_mm2, space.budget.peak_bytes
    front = rows[rows["machine"] == FRONT]
    winners = {name: front[column].idxmin() for column, name in BEST.items()}
    rows["best"] = [
        ", ".join(name for name, winner in winners.items() if winner == row) for row in rows.index
    ]
    return rows


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim equal-area",
        description="Compare each scheme's best machines within one budget of area and bandwidth.",
    )
    add = parser.add_argument
    add_machine(parser)
    add("--area", type=number(0, 1e9, above=True), metavar="MM2",
        help="the budget (default: of the largest of the schemes on the machine)")  # fmt: skip
    add("--peak-bytes", type=positive, metavar="N",
        help="bytes that banks read in a cycle at most (default: the machine's)")  # fmt: skip
    add("--trace", nargs="*", default=[], metavar="PATH", help="default: the shipped traces")
    add("--images", type=images, default=16, metavar="N", help="of each trace (default: 16)")
    add("--batch", type=positive, metavar="N", help="default: the machine's")
    add("--scheme", nargs="+", metavar="NAME", help="default: all that fit")
    add_axes(parser)
    add("--starts", type=integer(1, 10_000), default=4, metavar="N",
        help="machines drawn to begin from, beside the given one (default: 4)")  # fmt: skip
    add("--seed", type=seed, default=0, metavar="N", help="default: 0")
    add("--scheduler", metavar="ADDRESS", help="run on a Dask cluster: tcp://host:8786")
    add_results(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _command, arguments, GOES_ON)


def _command(options: argparse.Namespace) -> None:
    from hwsim import plots

    found = run_equal_area(
        arch_of(options),
        options.out,
        Setup(
            options.area, options.peak_bytes, options.scheme, parse_axes(options.vary),
            options.batch, options.images, options.starts, options.seed,
        ),
        traces=options.trace,
        workers=options.workers,
        scheduler=options.scheduler,
        tell=lambda line: print(f"hwsim equal-area: {line}", file=sys.stderr, flush=True),
    )  # fmt: skip
    show(found)
    write_whole(options.out / FIGURE, plots.png(plots.fronts(found)))
    told = f"fronts are drawn in {options.out / FIGURE}; {TABLE} there holds their machines"
    print(one_line(told))


if __name__ == "__main__":
    raise SystemExit(main())
