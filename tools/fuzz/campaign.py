"""The fuzzing campaign, `make fuzz`: hostile inputs, each in a process of its own.

Every input is a function of the seed, its kind and its number. What is neither the right result nor
one line that refuses is a failure: it is kept in .fuzz/, grouped by the function that it ends in,
and ends the campaign with status 1. ``--write`` keeps the report as docs/evidence/fuzzing.md.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from tools.fuzz import saved
from tools.fuzz.case import Kind
from tools.fuzz.kinds import KINDS
from tools.fuzz.report import Found, report
from tools.fuzz.sound import warm
from tools.fuzz.trial import Bench, Trial
from tools.fuzz.verdict import NOT_DRAWN

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evidence" / "fuzzing.md"
KEPT = ROOT / ".fuzz"

MISSING = 3
"""Status of a preparation that lacks a package."""

EXAMPLES = 3
"""Inputs that a process keeps of each failure."""

FORK = get_context("fork")


class Stint(NamedTuple):
    """What one process does: a kind's inputs ``first``, ``first + step`` and so on."""

    kind: Kind
    first: int
    step: int
    seconds: float
    inputs: int | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 if every input ends in the right result or in one line."""
    options = _parse(arguments)
    scratch = Path(tempfile.mkdtemp(prefix="hwsim-fuzz-"))
    started = time.monotonic()
    try:
        kinds = [KINDS[name] for name in options.only or KINDS]
        # What compiles takes memory for good, and each fork copies its pages: compiled code is
        # made by a process that ends, and read here.
        _alone(warm, scratch)
        warm(scratch)
        if options.again:
            return _again(options.again, scratch)
        kinds = [kind for kind in kinds if _prepared(kind, scratch)]
        found = Found(options.seed, options.workers)
        _draw(kinds, options, scratch, found)
    except KeyboardInterrupt:
        print("stopped")
        return 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    page = report(found, kinds, time.monotonic() - started)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    return 1 if found.failures else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.fuzz", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--seconds", type=float, default=60.0, help="of drawing, all kinds (default: 60)")
    add("--inputs", type=int, help="so many in all, in place of --seconds")
    add("--seed", type=int, default=0, help="of the inputs (default: 0)")
    add("--workers", type=int, default=2, help="processes (default: 2)")
    add("--only", nargs="+", choices=list(KINDS), metavar="KIND", help=f"{', '.join(KINDS)}")
    add("--again", type=Path, metavar="FOLDER", help="run a kept input once more, alone")
    add("--write", action="store_true", help="the report as docs/evidence/fuzzing.md")
    options = parser.parse_args(arguments)
    if options.workers < 1 or options.seconds <= 0 or (options.inputs or 1) < 1:
        parser.error("--workers, --inputs and --seconds are positive")
    return options


def _prepared(kind: Kind, scratch: Path) -> bool:
    """Whether the kind's sound inputs are made; False, said, where a package is missing.

    RuntimeError where they cannot be made.
    """
    base = scratch / kind.name
    (base / "in").mkdir(parents=True)
    status = _alone(_prepare, kind, base)
    if status not in (0, MISSING):
        raise RuntimeError(f"{kind.name}: the sound inputs cannot be made")
    return status == 0


def _alone(work: Callable[..., None], *arguments: Any) -> int | None:
    """Do it in a process of its own; its status."""
    process = FORK.Process(target=work, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def _prepare(kind: Kind, base: Path) -> None:
    os.chdir(base)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            kind.prepare(base)
    except ModuleNotFoundError as error:
        print(f"NOT DRAWN: {kind.name} ({error})", file=sys.stderr, flush=True)
        os._exit(MISSING)


def _stints(kinds: Sequence[Kind], options: argparse.Namespace) -> Iterator[Stint]:
    whole = sum(kind.share for kind in kinds)
    for kind in kinds:
        share = kind.share / whole
        inputs = options.inputs and max(1, round(options.inputs * share / options.workers))
        for first in range(options.workers):
            yield Stint(kind, first, options.workers, options.seconds * share, inputs)


def _draw(kinds: Sequence[Kind], options: argparse.Namespace, scratch: Path, found: Found) -> None:
    """Every stint, as many at a time as there are workers; their trials are added to ``found``."""
    left = list(_stints(kinds, options))
    running: dict[Connection, Any] = {}
    said = time.monotonic()
    try:
        while left or running:
            while left and len(running) < options.workers:
                ours, theirs = FORK.Pipe(duplex=False)
                process = FORK.Process(
                    target=_work, args=(left.pop(0), options.seed, scratch, theirs)
                )
                process.start()
                theirs.close()
                running[ours] = process
            waiting: list[Any] = wait(list(running), timeout=5)
            for ready in waiting:
                try:
                    found.add(*ready.recv())
                except EOFError:
                    process = running.pop(ready)
                    process.join()
                    if process.exitcode:
                        raise RuntimeError("a process that draws has ended") from None
            if time.monotonic() - said > 60:
                said = time.monotonic()
                print(found.line(), file=sys.stderr, flush=True)
    finally:
        for process in running.values():
            process.kill()
            process.join()


def _work(stint: Stint, seed: int, scratch: Path, told: Connection) -> None:
    """Try inputs until the time is over or there are enough."""
    gc.freeze()
    bench = Bench(stint.kind, scratch / stint.kind.name, scratch)
    until = time.monotonic() + stint.seconds
    kept: dict[tuple[str, str], int] = {}
    number, done = stint.first, 0
    while done < stint.inputs if stint.inputs else time.monotonic() < until:
        trial = bench.try_seed(f"{stint.kind.name}/{seed}/{number}")
        told.send((trial, _keep(bench, trial, kept)))
        number, done = number + stint.step, done + 1


def _keep(bench: Bench, trial: Trial, kept: dict[tuple[str, str], int]) -> str | None:
    """The folder in which a failure is kept; None of none, and where there are examples enough."""
    if not trial.verdict.failed or trial.verdict.what == NOT_DRAWN:
        return None
    group = trial.verdict.what, trial.verdict.where
    kept[group] = kept.get(group, 0) + 1
    if kept[group] > EXAMPLES:
        return None
    return str(saved.save(bench, trial, KEPT).relative_to(ROOT))


def _again(folder: Path, scratch: Path) -> int:
    kind = KINDS[saved.kind_of(folder)]
    base = scratch / kind.name
    (base / "in").mkdir(parents=True)
    for name in kind.imports:
        import_module(name)
    verdict = saved.again(Bench(kind, base, scratch), folder)
    print(f"{verdict.what}: {verdict.where}\n{verdict.detail}")
    return 1 if verdict.failed else 0
