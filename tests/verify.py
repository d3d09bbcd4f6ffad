"""The verification campaign, `make verify`: kernel against reference, and against the oracle.

Every case is a function of its seed. The first difference is printed with its place and the command
that replays it, and ends the campaign with status 1; so do missed coverage and, with status 2, bad
arguments. ``--write`` keeps the report as docs/verification.md.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from campaign.compare import Outcome, run_seeds
from campaign.report import Coverage, report
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

CASES = 22_000
"""More than 20,000 and those that are refused."""

CHUNK = 20
PAGE = Path(__file__).parent.parent / "docs" / "verification.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 if the models agree and the whole of a default campaign is covered."""
    options = _parse(arguments)
    started = time.monotonic()
    coverage = Coverage()
    seeds = range(options.seed, options.seed + options.cases)
    try:
        with _progress(len(seeds)) as advance:
            for outcome in _outcomes(seeds, options.jobs):
                if outcome.difference:
                    print(_difference(outcome, coverage.cases))
                    return 1
                coverage.add(outcome)
                advance(coverage.cases)
    except KeyboardInterrupt:
        done = coverage.cases
        rest = f"--seed {seeds.start + done} --cases {len(seeds) - done}"
        print(f"stopped after {done} cases without a difference; the rest: {_command(rest)}")
        return 130
    page = report(coverage, options.seed, options.jobs, time.monotonic() - started)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    # A part of a campaign is not asked to cover what the whole one does.
    shortfalls = coverage.shortfalls() if options.cases >= CASES else []
    print("\n".join(shortfalls or [f"{coverage.cases:,} cases, no difference"]))
    return 1 if shortfalls else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of the first case (default: 0)")
    parser.add_argument("--cases", type=int, default=CASES, help=f"default: {CASES:,}")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--write", action="store_true", help="the report as docs/verification.md")
    options = parser.parse_args(arguments)
    if options.seed < 0 or min(options.cases, options.jobs) < 1:
        parser.error("--seed starts at 0, --cases and --jobs at 1")
    return options


def _outcomes(seeds: range, jobs: int) -> Iterator[Outcome]:
    """In the order of the seeds, so that the first difference is the same with any ``jobs``."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    if jobs == 1:
        for chunk in chunks:
            yield from run_seeds(chunk)
        return
    with get_context("spawn").Pool(jobs, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        for outcomes in pool.imap(run_seeds, chunks):
            yield from outcomes


def _difference(outcome: Outcome, equal: int) -> str:
    values = ", ".join(f"{name} {value}" for name, value in outcome.values.items())
    return (
        f"seed {outcome.seed} differs, {equal:,} cases before it are equal\n"
        f"  {outcome.scheme}: {outcome.difference}\n"
        f"  {values}\n"
        f"  replay: {_command(f'--seed {outcome.seed} --cases 1 --jobs 1')}"
    )


def _command(rest: str) -> str:
    return f".venv/bin/python tests/verify.py {rest}"


@contextmanager
def _progress(cases: int) -> Iterator:
    """A bar on a terminal, else a line a minute; both on standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("cases equal"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task("cases", total=cases)
            yield lambda done: bar.update(task, completed=done)
        return
    started = last = time.monotonic()

    def tell(done: int) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= 60:
            last = now
            print(f"{(now - started) / 60:.0f} min: {done:,} of {cases:,} equal", file=sys.stderr)

    yield tell


if __name__ == "__main__":
    sys.exit(main())
