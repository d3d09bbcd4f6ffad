"""The campaign of kills and faults, `make faults`.

Real commands on tiny inputs are killed, interrupted, starved of disk and of streams at moments
drawn with a seed, then run again and compared with the same command run in peace. Each complaint is
printed with the command that repeats its trial; with any, the status is 1. What a machine cannot do
(mount a small disk, Dask, torch) is left out and named. ``--write`` keeps the report as
docs/evidence/faults.md.
"""

from __future__ import annotations

import argparse
import random
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from hwsim.cli import OneLineParser, positive, progress
from hwsim.errors import nearest
from tools.faults import inputs, places
from tools.faults.disturb import NUMBERS, Trial
from tools.faults.judge import Undisturbed, Verdict, tried
from tools.faults.report import Report
from tools.faults.running import Process
from tools.faults.subjects import Subject, subjects

FAULTS = 240
"""About twice what one of each kind takes."""

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "faults.md"

MOUNTED = ("read-only disk", "stdout on a full disk")
"""Faults that need a disk of their own; a full one may also be a limit on files."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 if there is no complaint, 1 otherwise, 130 if it was stopped."""
    options = _parse(arguments)
    started = time.monotonic()
    with _stoppable(), tempfile.TemporaryDirectory(prefix="hwsim-faults-") as folder:
        try:
            report = _campaign(options, Path(folder))
        except KeyboardInterrupt:
            print("stopped")
            return 130
    page = report.page(options.seed, options.jobs, time.monotonic() - started)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    return 1 if report.complaints else 0


@contextmanager
def _stoppable() -> Iterator[None]:
    """Both signals are raised: disks are unmounted.

    A campaign in the background has inherited that interrupts are ignored; so would its commands.
    """
    both = signal.SIGINT, signal.SIGTERM
    before = {number: signal.signal(number, signal.default_int_handler) for number in both}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(prog="python -m tools.faults", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--faults", type=positive, default=FAULTS, metavar="N", help=f"default: {FAULTS}")
    add("--seed", type=int, default=0, metavar="S", help="of moments and sizes (default: 0)")
    add("--only", nargs="+", default=[], metavar="KIND",
        help="only these faults or commands, such as SIGINT or 'run --out'")  # fmt: skip
    add("--trial", type=int, metavar="N", help="only this trial of the campaign")
    add("--jobs", type=positive, default=2, help="trials at a time (default: 2)")
    add("--write", action="store_true", help="the report as docs/evidence/faults.md")
    options = parser.parse_args(arguments)
    all_ = subjects(Path())
    known = [*(each.name for each in all_), *(fault for each in all_ for fault in each.faults)]
    for kind in options.only:
        if kind not in known:
            parser.error(f"--only {kind!r}: unknown" + nearest(kind, dict.fromkeys(known)))
    return options


def _campaign(options: argparse.Namespace, folder: Path) -> Report:
    inputs.make_traces(folder)
    mounts, left_out = places.may_mount(), []
    chosen = [each for each in subjects(folder) if _wanted(each, options.only)]
    trained = [each for each in chosen if each.name in ("record", "train")]
    if trained and (why := inputs.make_weights(folder)):
        left_out.append(f"record and train: {why}")
        chosen = [each for each in chosen if each not in trained]
    if not mounts:
        left_out.append(f"{' and '.join(MOUNTED)}: no disk can be mounted here")
    if not find_spec("distributed"):
        left_out.append("Dask worker killed: no dask")
    for line in left_out:
        print(f"NOT DONE: {line}", flush=True)
    peace = {each.name: _in_peace(each, folder / f"peace-{number}")
             for number, each in enumerate(chosen)}  # fmt: skip
    trials = list(_trials(options, chosen, peace, mounts))
    report = Report(left_out, mounts, {name: each.seconds for name, each in peace.items()})

    def one(trial: Trial) -> Verdict:
        own = folder / f"trial-{trial.number}"
        own.mkdir()
        verdict = tried(trial, peace[trial.subject.name], own, mounts)
        shutil.rmtree(own, ignore_errors=True)
        return verdict

    pool = ThreadPoolExecutor(options.jobs)
    try:
        with progress("faults", len(trials)) as advance:
            for verdict in pool.map(one, trials):
                report.add(verdict)
                _tell(verdict, options)
                advance(1)
    finally:
        pool.shutdown(cancel_futures=True)  # those under way end, and clean up after themselves
    return report


def _tell(verdict: Verdict, options: argparse.Namespace) -> None:
    """Every complaint, and what repeats its trial."""
    only = f" --only {shlex.join(options.only)}" if options.only else ""
    repeat = f"--seed {options.seed} --trial {verdict.trial.number}{only}"
    for kind, what in verdict.complaints:
        print(f"{verdict.trial}: {kind}: {what}\n  repeat: {repeat}", flush=True)


def _wanted(subject: Subject, only: Sequence[str]) -> bool:
    named = [kind for kind in only if kind not in subject.faults]
    faults = [kind for kind in only if kind in subject.faults]
    return not only or subject.name in named or (bool(faults) and not _names(only))


def _names(only: Sequence[str]) -> list[str]:
    """The commands among what is asked for."""
    known = {each.name for each in subjects(Path())}
    return [kind for kind in only if kind in known]


def _in_peace(subject: Subject, folder: Path) -> Undisturbed:
    """The first run compiles and fills caches; the second is the yardstick."""
    earlier, earlier_items = None, {}
    if subject.earlier:
        earlier = folder / "earlier"
        _run(subject, earlier, earlier=True)
        earlier_items = subject.look(earlier, True)
    _run(subject, folder / "first")
    seconds, printed, said = _run(subject, folder / "second")
    return Undisturbed(
        subject.look(folder / "second", True), printed, frozenset(said.splitlines()), seconds,
        _size(folder / "second"), earlier, earlier_items, _size(earlier) if earlier else 0,
    )  # fmt: skip


def _run(subject: Subject, out: Path, earlier: bool = False) -> tuple[float, str, str]:
    out.parent.mkdir(exist_ok=True)
    if not subject.makes:
        out.mkdir()
    process = Process(subject.command(out, earlier))
    end = process.ended()
    if end.status:
        raise SystemExit(f"{subject.name} fails in peace: {end.said}")
    return time.monotonic() - process.started, end.printed, end.said


def _size(folder: Path) -> int:
    """Bytes of its files on a disk of 4 KiB blocks."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(-(-size // 4096) * 4096 for size in sizes)


def _trials(
    options: argparse.Namespace,
    chosen: Sequence[Subject],
    peace: dict[str, Undisturbed],
    mounts: bool,
) -> Iterator[Trial]:
    """Rounds of every command with each of its faults, in an order of the seed's; the first N.

    Half of the moments are in the first second, when modules are loaded. Of the other signals,
    half come while the command writes.
    """
    generator = random.Random(options.seed)
    number = 0
    kinds = [kind for kind in options.only if kind not in _names(options.only)]
    while True:
        of_round = [(subject, fault) for subject in chosen for fault in subject.round]
        generator.shuffle(of_round)
        for subject, fault in of_round:
            length = peace[subject.name].seconds
            kind = generator.random()
            until = min(1.0, length) if kind < 0.5 else length
            writing = kind >= 0.75 and fault in NUMBERS
            moment, share = until * generator.random(), generator.random()
            earlier = generator.random() < 0.5 and bool(subject.earlier)
            absent = not mounts and fault in MOUNTED
            absent |= fault.startswith("Dask") and not find_spec("distributed")
            if absent or (kinds and fault not in kinds):
                continue
            if number == (options.faults if options.trial is None else options.trial + 1):
                return
            if options.trial in (None, number):
                yield Trial(number, subject, fault, moment, share, earlier, writing)
            number += 1
