"""The verification campaign, `make verify`: kernel against reference, oracle and RTL.

Every case is a function of its seed. The first difference is printed with its place and the command
that replays it, and ends the campaign with status 1; so do missed coverage and, with status 2, bad
arguments. Where the RTL cannot be run a line says so, and coverage is missed. ``--write`` keeps
the report as docs/evidence/verification.md.
"""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path

from rtl.simulator import missing_tools

from hwsim.cli import progress
from tools.verification.any_networks import ANY_CASES, AnyCoverage, run_any_seeds
from tools.verification.compare import Outcome, run_seeds
from tools.verification.report import Coverage, report
from tools.verification.rtl import LAYERS, RTL_CASES, RTL_PARAMETERS, run_rtl_seeds

CASES = 22_000
"""More than 20,000 and those that are refused."""

LEAST_CASES, LEAST_RTL_CASES = 20_000, 1_000

CHUNK = 20
PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "verification.md"


Work = tuple[Callable[[Sequence[int]], list[Outcome]], range]
"""A few seeds, and what runs them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 if the models agree and the whole of a default campaign is covered."""
    options = _parse(arguments)
    started = time.monotonic()
    reference, rtl = Coverage(LEAST_CASES), Coverage(LEAST_RTL_CASES, RTL_PARAMETERS)
    networks = AnyCoverage()
    missing = missing_tools() if options.rtl_cases else None
    if missing:
        print(f"RTL NOT COMPARED: {missing}")
    work = ([] if missing else _rtl_work(options)) + _work(options)
    try:
        with progress("cases equal", sum(len(seeds) for _, seeds in work)) as advance:
            for outcome in _outcomes(work, options.jobs):
                if outcome.difference:
                    equal = reference.cases + networks.cases + rtl.cases
                    print(_difference(outcome, equal))
                    return 1
                of = rtl if outcome.rtl else networks if outcome.any_layers else reference
                of.add(outcome)
                advance(1)
    except KeyboardInterrupt:
        print(_stopped(options, reference.cases, rtl.cases, networks.cases))
        return 130
    seconds = time.monotonic() - started
    page = report(reference, rtl, networks, options.seed, options.jobs, seconds)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    # A part of a campaign is not asked to cover what the whole one does.
    shortfalls = reference.shortfalls() if options.cases >= CASES else []
    shortfalls += networks.shortfalls() if options.any_cases >= ANY_CASES else []
    if options.rtl_cases >= RTL_CASES or missing:
        shortfalls += [f"RTL: {missing}"] if missing else [f"RTL: {s}" for s in rtl.shortfalls()]
    counted = (
        f"{reference.cases:,} cases, {rtl.cases:,} on the RTL, {networks.cases:,} of any layers"
    )
    print("\n".join(shortfalls or [f"{counted}, no difference"]))
    return 1 if shortfalls else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kinds = (
        ("", "", CASES),
        ("rtl-", " on the RTL", RTL_CASES),
        ("any-", " of any layers", ANY_CASES),
    )
    for prefix, what, cases in kinds:
        add = parser.add_argument
        add(f"--{prefix}seed", type=int, default=0, help=f"of the first case{what} (default: 0)")
        add(f"--{prefix}cases", type=int, default=cases, help=f"{what} default: {cases:,}".strip())
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--write", action="store_true", help="the report as docs/evidence/verification.md"
    )
    options = parser.parse_args(arguments)
    if min(value for name, value in vars(options).items() if name not in ("jobs", "write")) < 0:
        parser.error("seeds and cases start at 0")
    if options.jobs < 1:
        parser.error("--jobs starts at 1")
    return options


def _work(options: argparse.Namespace) -> list[Work]:
    seeds = range(options.seed, options.seed + options.cases)
    networks = range(options.any_seed, options.any_seed + options.any_cases)
    return [
        (run, every[at : at + CHUNK])
        for run, every in ((run_seeds, seeds), (run_any_seeds, networks))
        for at in range(0, len(every), CHUNK)
    ]


def _rtl_work(options: argparse.Namespace) -> list[Work]:
    """Machine by machine; before the other cases, as a machine's take the longest."""
    first, last = options.rtl_seed, options.rtl_seed + options.rtl_cases
    starts = range(first - first % LAYERS, last, LAYERS)
    return [(run_rtl_seeds, range(max(at, first), min(at + LAYERS, last))) for at in starts]


def _outcomes(work: Sequence[Work], jobs: int) -> Iterator[Outcome]:
    """In the order of the work, so that the first difference is the same with any ``jobs``."""
    if jobs == 1:
        for few in work:
            yield from _run(few)
        return
    with get_context("spawn").Pool(jobs, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        for outcomes in pool.imap(_run, work):
            yield from outcomes


def _run(work: Work) -> list[Outcome]:
    run, seeds = work
    return run(seeds)


def _difference(outcome: Outcome, equal: int) -> str:
    values = ", ".join(f"{name} {value}" for name, value in outcome.values.items())
    here = "rtl-" if outcome.rtl else "any-" if outcome.any_layers else ""
    others = " ".join(f"--{other}cases 0" for other in ("", "rtl-", "any-") if other != here)
    only = f"--{here}seed {outcome.seed} --{here}cases 1 {others} --jobs 1"
    return (
        f"{'RTL ' * outcome.rtl}seed {outcome.seed} differs, {equal:,} cases before it are equal\n"
        f"  {outcome.scheme}: {outcome.difference}\n"
        f"  {values}\n"
        f"  replay: {_command(only)}"
    )


def _stopped(options: argparse.Namespace, cases: int, rtl_cases: int, any_cases: int) -> str:
    rest = (
        f"--seed {options.seed + cases} --cases {options.cases - cases} "
        f"--rtl-seed {options.rtl_seed + rtl_cases} --rtl-cases {options.rtl_cases - rtl_cases} "
        f"--any-seed {options.any_seed + any_cases} --any-cases {options.any_cases - any_cases}"
    )
    done = cases + rtl_cases + any_cases
    return f"stopped after {done} cases without a difference; the rest: {_command(rest)}"


def _command(rest: str) -> str:
    return f".venv/bin/python -m tools.verification {rest}"
