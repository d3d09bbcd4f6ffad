"""Trains, evaluates, records and replays every run of the campaign.

    python -m studies.results.campaign --data DIR --out RUNS [--group w32 ...] [--workers 2]

DIR holds a folder per data set (cifar10, imagenet100-64). What is finished is not done again, and
an interrupted training goes on at its last checkpoint. docs/evidence/results.md is made from what
is kept in docs/results; weights and traces stay in RUNS. `python -m studies.results.page` writes
the page.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from hwsim.cli import OneLineParser, positive, status_of
from hwsim.errors import UserError, one_line
from hwsim.files import write_whole
from hwsim.train.evaluate.evaluation import read_saved
from hwsim.train.images.dataset import chosen
from hwsim.train.options import parse as parse_training
from studies.poster_table import run_figures

from .replay import replay_runs
from .runs import GROUPS, KEPT, PATHS, Run, only_file, runs_of, start_file
from .zeros import record_dense

PROGRAM = "python -m studies.results.campaign"

KEPT_WHOLE = ("config.json", "log.csv", f"{PATHS}/paths.csv", f"{PATHS}/paths.npz")
"""Files of a run's folder that the repository has a copy of, where a run has them."""

TRAIN, EVALUATE, PATH_FIGURES = "hwsim.train", "hwsim.train.evaluate", "studies.paths"
"""The modules that work on a run, each in a process of its own."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    runs = [run for group in options.group for run in runs_of() if run.group == group]
    failed: list[Run] = []

    def work() -> None:
        failed.extend(make(runs, options))
        if not options.no_replay:
            replay_runs([run for run in runs if run not in failed], options.out)

    return status_of(PROGRAM, work) or int(bool(failed))


def parse(arguments: Sequence[str] | None) -> Namespace:
    parser = OneLineParser(prog=PROGRAM, description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with a folder per data set")
    add("--out", type=Path, required=True, help="runs: checkpoints, weights, traces")
    add("--start", type=Path, help="folder of the weights that w64 is trained on from")
    add("--group", nargs="+", choices=GROUPS, default=list(GROUPS))
    add("--workers", type=positive, default=2, help="runs at a time, a thread each")
    add("--no-replay", action="store_true", help="leave the hardware's figures as they are")
    return parser.parse_args(arguments)


def make(runs: Sequence[Run], options: Namespace) -> list[Run]:
    """Makes all runs, ``--workers`` at a time; the ones that failed, each with a line on stderr."""
    failed = []
    with ThreadPoolExecutor(options.workers) as pool:
        pending = {run: pool.submit(make_one, run, options) for run in runs}
        for run, future in pending.items():
            try:
                future.result()
            except (UserError, OSError) as error:
                print(f"{run.name}: {one_line(error)}", file=sys.stderr, flush=True)
                failed.append(run)
    return failed


def make_one(run: Run, options: Namespace) -> None:
    """Train, evaluate and keep one run, as far as that has not been done."""
    group, folder = GROUPS[run.group], options.out / run.name
    data = ["--data", str(options.data / group.data), "--cache", str(options.out / group.data)]
    if not (folder / "evaluation.json").exists():
        if run.method in group.starts:
            check_start(run, options.start)
        run_module(
            run, TRAIN, options, [*group.options(run, options.start), *data, "--out", str(folder)]
        )
    weights = only_file(folder, "*.npz")
    if "linear_percent" not in read_saved(weights):
        measured = ["--weights", str(weights), "--save", *data, *group.measures(run)]
        run_module(run, EVALUATE, options, measured)
    if run.method == "dense" and not weights.with_suffix(".h5").exists():
        asked = parse_training([*group.options(run, options.start), *data, "--out", str(folder)])
        record_dense(weights, chosen(asked), asked.cache, asked.images)
    if run.method in group.paths and not (folder / PATHS).exists():
        places = ["--weights", str(weights), "--out", str(folder / PATHS), *data]
        run_module(run, PATH_FIGURES, options, places)
    keep(run, folder)


def check_start(run: Run, start: Path | None) -> None:
    """Checks that ``start`` holds the group's weights to train on. Raises UserError, OSError."""
    name, expected = start_file(run.method), GROUPS[run.group].starts[run.method]
    if start is None or sha256((start / name).read_bytes()).hexdigest() != expected:
        raise UserError(
            f"--start {start or 'is missing'}: expected a folder with the {name} that it is "
            f"trained on from; `git show 208c178:traces/weights/{name}` has it"
        )


def run_module(run: Run, module: str, options: Namespace, arguments: Sequence[str]) -> None:
    """A command in its own process; its output goes to a file beside the runs. Raises UserError."""
    options.out.mkdir(parents=True, exist_ok=True)
    words = options.out / f"{run.name}.txt"
    with words.open("a") as handle:
        print(f"python -m {module} {' '.join(arguments)}", file=handle, flush=True)
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdout=handle,
            stderr=handle,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    if done.returncode:
        last = (words.read_text().splitlines() or ["nothing said"])[-1]
        raise UserError(f"{module} ended with {done.returncode}: {last}; see {words}")


def keep(run: Run, folder: Path) -> None:
    """Options, learning curve and figures of a run, into the repository."""
    kept = KEPT / run.name
    for name in KEPT_WHOLE:
        if (folder / name).exists():
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept / name, (folder / name).read_bytes())
    figures = json.dumps(run_figures(only_file(folder, "*.npz")), indent=2)
    write_whole(kept / "figures.json", f"{figures}\n")


if __name__ == "__main__":
    sys.exit(main())
