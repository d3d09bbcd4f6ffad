"""Search: machines that trade energy, latency and area best, proposed by Optuna.

    hwsim search --vary activation.banks=8,16,32 --vary array.rows=4..64 \\
        --trace traces/resnet18-cifar10-scdg.h5 --scheme structured --trials 100 --out DIR

Points are replayed as in a sweep, in the same folder, which also holds the study: a killed
search goes on as if it had not been, and proposes what it would have proposed. Extra ``dse``.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.analysis import pareto_front
from hwsim.arch.config import ArchConfig
from hwsim.arch.load import arch_of, as_arch
from hwsim.cli import (
    GOES_ON,
    OneLineParser,
    add_axes,
    add_images,
    add_machine,
    add_results,
    add_trace,
    integer,
    run_command,
)
from hwsim.errors import nearest
from hwsim.sweep.axes import MOST_POINTS, Axes, Axis, Range, Settings, check_axes, parse_axes
from hwsim.sweep.folder import NEARLY, ResultsFolder
from hwsim.sweep.study.journal import JOURNAL, SearchError, damaged, good, held_study, under_way
from hwsim.sweep.sweep import run_points
from hwsim.sweep.workers import Workers, workers_of
from hwsim.text_table import print_table, three_digits
from hwsim.trace.files import find_one
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from hwsim.sweep.points import Choice, Point

OBJECTIVES = {"energy": "energy_uj_per_image", "latency": "latency_us", "area": "area_mm2"}
"""What can be made small, and its column; latency is a batch's, from its first load to its end."""

MOST_SEED, SEEDS_APART = 4293, 1_000_003
"""Optuna's seeds end at 2**32; between two of ours there is one for each trial."""

GENERATION = 8
"""Points proposed together, so that they can be replayed together."""


def run_search(
    arch: str | Path | ArchConfig,
    axes: Axes,
    out: str | Path,
    *,
    trace: str | Path,
    scheme: str,
    trials: int,
    objectives: Sequence[str] = ("energy", "latency", "area"),
    seed: int = 0,
    images: int | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """The Pareto front of ``trials`` points of the axes and of the given machine.

    Rows are as :func:`hwsim.run_sweep` gives them, with ``latency_us``, and bool ``on_front`` and
    ``baseline``: the given machine, listed even where others are better in everything. Numbers in
    a list are taken as ordered. Points that no machine can hold count as trials, without a row.
    The same seed gives the same points, whatever the number of workers, interrupted or not; more
    ``trials`` go on from those in ``out``. Raises UserError before anything runs.
    """
    from hwsim.sweep.feasibility import why_impossible
    from hwsim.sweep.points import Choice

    check_axes(axes)
    if not axes:
        raise SearchError("--vary: nothing to search; give KEY=1,2,4 or KEY=LOW..HIGH")
    if unknown := [name for name in objectives if name not in OBJECTIVES]:
        raise SearchError(f"--objective {unknown[0]!r}: unknown" + nearest(unknown[0], OBJECTIVES))
    if not 0 <= seed <= MOST_SEED:
        raise SearchError(f"--seed {seed}: expected 0 to {MOST_SEED}")
    base = as_arch(arch)
    choice = Choice([MaskTrace.open(trace)], [scheme], images=images)
    problem = Problem(base, axes, choice, tuple(objectives), seed)
    (baseline,) = problem.points_of({})
    if reason := why_impossible(baseline, choice.traces, priced=problem.priced):
        raise SearchError(f"{base.name}: {reason}")
    # A value that its key cannot take is refused now, not when it is proposed.
    for key, axis in axes.items():
        for value in (axis.low, axis.high) if isinstance(axis, Range) else axis:
            problem.points_of({key: value}, fits=False)
    folder = ResultsFolder(out)
    asked = {"baseline": baseline.key, "axes": repr(axes), "objectives": list(objectives)}
    with (
        held_study(folder.path, asked | {"seed": seed}, len(objectives), len(axes)) as study,
        workers_of(workers) as where,
    ):
        run_points([baseline], choice.traces, folder, where)
        _require_told(study, problem, folder, where)
        while _advance(study, problem, trials, folder, where):
            pass
        points = [point for trial in good(study) for point in problem.points(trial.params)]
    return front(folder, baseline, points, objectives)


@dataclass(frozen=True)
class Problem:
    """What is searched: settings of ``axes`` over ``base``, for the least of ``objectives``."""

    base: ArchConfig
    axes: Axes
    choice: Choice
    objectives: tuple[str, ...]
    seed: int

    @property
    def priced(self) -> bool:
        return set(self.objectives) != {"latency"}

    @property
    def columns(self) -> list[str]:
        return [OBJECTIVES[name] for name in self.objectives]

    @property
    def distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        return {key: _distribution(axis) for key, axis in self.axes.items()}

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Whether a trial's parameters are of the axes."""
        return all(
            axis.low <= parameters[key] <= axis.high
            if isinstance(axis, Range)
            else parameters[key] in range(len(axis))
            for key, axis in self.axes.items()
        )

    def outcome(
        self, found: Sequence[Point], costs_of: Mapping[str, list[float]]
    ) -> list[float] | None:
        """What a trial is told of its point, if any; None: it has no costs, or not all."""
        costs = costs_of[found[0].key] if found else [math.nan]
        return None if any(map(math.isnan, costs)) else costs

    def points(self, parameters: Mapping[str, Any]) -> list[Point]:
        """The point that a trial proposes; none where the scheme does not fit its machine."""
        setting = {
            key: parameters[key] if isinstance(axis, Range) else axis[parameters[key]]
            for key, axis in self.axes.items()
        }
        return self.points_of(setting, fits=False)

    def points_of(self, setting: Settings, fits: bool = True) -> list[Point]:
        """UserError for a value that its key cannot take and, if it is to fit, for the scheme."""
        from hwsim.sweep.points import UnfitError, points_of

        try:
            return points_of(self.base, [setting], self.choice)
        except UnfitError:
            if fits:
                raise
            return []


def front(
    folder: ResultsFolder, baseline: Point, points: Sequence[Point], objectives: Sequence[str]
) -> pd.DataFrame:
    """Points that none beats in all objectives, least of the first first, and the baseline."""
    rows = with_latency(folder.read([baseline.key, *(point.key for point in points)]))
    columns = [OBJECTIVES[name] for name in objectives]
    rows = rows[rows["impossible"].isna() & rows[columns].notna().all(axis=1)].copy()
    rows["on_front"] = pareto_front(rows, columns)
    rows["baseline"] = rows["key"] == baseline.key
    shown = rows[rows["on_front"] | rows["baseline"]]
    return shown.sort_values(OBJECTIVES[objectives[0]], ignore_index=True)


def with_latency(rows: pd.DataFrame) -> pd.DataFrame:
    """With ``latency_us``: cycles of a batch at the machine's clock."""
    return rows.assign(latency_us=rows["cycles_per_image"] * rows["batch"] / rows["clock_mhz"])


def _advance(
    study: optuna.Study, problem: Problem, trials: int, folder: ResultsFolder, workers: Workers
) -> bool:
    """One generation: propose what it lacks, replay, tell. False once all trials are done."""
    from optuna.trial import TrialState

    begun = len(good(study))
    missing = -begun % GENERATION or (0 if under_way(study) else GENERATION)
    for number in range(begun, min(begun + missing, trials)):
        study.sampler = _sampler(problem.seed, number)
        study.ask(problem.distributions)
    proposed = [(trial.number, problem.points(trial.params)) for trial in under_way(study)]
    costs_of = _costs_of([found for _, found in proposed], problem, folder, workers)
    for number, found in proposed:
        costs = problem.outcome(found, costs_of)
        if costs is None:
            study.tell(number, state=TrialState.PRUNED)
        else:
            study.tell(number, costs)
    return bool(proposed)


def _sampler(seed: int, number: int) -> optuna.samplers.BaseSampler:
    """Of one trial: seeded by its number, so that a resumed search draws what it would have."""
    from optuna.samplers import TPESampler

    # Without the liar all of a generation would be proposed equal.
    with warnings.catch_warnings(action="ignore"):
        return TPESampler(seed=seed * SEEDS_APART + number, constant_liar=True)


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    """Lists by position: as ordered where all values are numbers."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis, Range):
        if axis.integers:
            return IntDistribution(int(axis.low), int(axis.high))
        return FloatDistribution(axis.low, axis.high)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis):
        return IntDistribution(0, len(axis) - 1)
    return CategoricalDistribution(tuple(range(len(axis))))


def _require_told(
    study: optuna.Study, problem: Problem, folder: ResultsFolder, workers: Workers
) -> None:
    """Raise SearchError where the journal says another thing of a trial than the rows.

    Rows that are missing, perhaps deleted with a damaged part, are replayed first.
    """
    journal = folder.path / JOURNAL
    proposed = []
    for trial in good(study):
        if trial.distributions != problem.distributions or not problem.holds(trial.params):
            raise damaged(journal, f"trial {trial.number} is of other axes")
        proposed.append((trial, problem.points(trial.params)))
    finished = [(trial, found) for trial, found in proposed if trial.state.is_finished()]
    costs_of = _costs_of([found for _, found in finished], problem, folder, workers)
    for trial, found in finished:
        values = problem.outcome(found, costs_of) or []
        told = (trial.values if trial.state.name == "COMPLETE" else None) or []
        if len(values) != len(told) or not all(
            isinstance(other, float | int) and math.isclose(one, other, rel_tol=NEARLY)
            for one, other in zip(values, told, strict=True)
        ):
            raise damaged(journal, f"trial {trial.number} has other costs than its row")


def _costs_of(
    proposed: Sequence[Sequence[Point]], problem: Problem, folder: ResultsFolder, workers: Workers
) -> dict[str, list[float]]:
    """Of all points, by key; those that are not in the folder are replayed."""
    points = list(dict.fromkeys(point for found in proposed for point in found))
    if not points:
        return {}
    run_points(points, problem.choice.traces, folder, workers, True, problem.priced)
    rows = with_latency(folder.read([point.key for point in points]))
    return dict(zip(rows["key"], rows[problem.columns].to_numpy().tolist(), strict=True))


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim search",
        description="Search the machines that trade energy, time and area best.",
    )
    add = parser.add_argument
    add_machine(parser)
    add_axes(parser)
    add_trace(parser)
    add("--scheme", default="structured", metavar="NAME", help="default: structured")
    add("--objective", nargs="+", default=list(OBJECTIVES), metavar="NAME",
        help=f"what to make small (default: {' '.join(OBJECTIVES)})")  # fmt: skip
    add("--trials", type=integer(1, MOST_POINTS), default=64, metavar="N", help="points (64)")
    add("--seed", type=integer(0, MOST_SEED), default=0, metavar="N", help="default: 0")
    add_images(parser)
    add_results(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _command, arguments, GOES_ON)


def _command(options: argparse.Namespace) -> None:
    """Search, print the front."""
    axes = parse_axes(options.vary)
    rows = run_search(
        arch_of(options), axes, options.out, trace=find_one(options.trace), scheme=options.scheme,
        trials=options.trials, objectives=options.objective, seed=options.seed,
        images=options.images, workers=options.workers,
    )  # fmt: skip
    _show(rows, [*axes, *(OBJECTIVES[name] for name in options.objective)])


def _show(rows: pd.DataFrame, columns: Sequence[str]) -> None:
    """The front, a line per point; the machine as it is, is marked."""
    lines = []
    for row in rows.to_dict("records"):
        mark = "baseline" if row["baseline"] else ""
        if row["baseline"] and not row["on_front"]:
            mark += ", beaten"
        values = (row[name] for name in columns)
        cells = [three_digits(each) if isinstance(each, float) else str(each) for each in values]
        lines.append([mark, *cells])
    print_table(["", *columns], lines, title="Pareto front")


if __name__ == "__main__":
    raise SystemExit(main())
