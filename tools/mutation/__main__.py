"""The mutation campaign, `make mutate`: every small change of a model has to be seen.

A mutant that survives without an explanation (tools/mutation/explained.yaml) ends the campaign with
status 1; so does an explanation of what does not survive. Verdicts are kept in .mutation until a
source changes, so that an interrupted campaign goes on. ``--write`` keeps the report as
docs/evidence/mutations.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from rtl.simulator import missing_tools

from hwsim.cli import progress
from tools.mutation.explained import explanations, stale
from tools.mutation.mutant import Mutant
from tools.mutation.parts import Part, parts
from tools.mutation.report import Results, report, summary
from tools.mutation.trials import Journal, run_trials

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evidence" / "mutations.md"
FOLDER = ROOT / ".mutation"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 if every mutant is seen or explained, and every explanation holds."""
    options = _parse(arguments)
    results = Results(explanations())
    seconds = 0.0
    try:
        missing = missing_tools()
        if missing:
            print(f"RTL NOT MUTATED: {missing}")
        for part in parts(with_rtl=not missing):
            chosen = part.mutants(options.only)
            if options.limit is not None:
                chosen = Random(part.name).sample(chosen, min(options.limit, len(chosen)))
            seconds += _try_part(part, chosen, options.jobs, results)
    except KeyboardInterrupt:
        print("stopped; the next campaign goes on from here")
        return 130
    if not results.mutants:
        print(f"--only {options.only}: no source of the campaign begins or ends so")
        return 2
    print("\n".join(summary(results)))
    survivors = {mutant.key for mutant in results.survivors}
    whole = set(results.by_file()) if options.limit is None else set()
    outdated = stale(results.reasons, survivors, whole)
    for mutant in results.unexplained:
        print(f"survives, not explained: {mutant}")
    for key in outdated:
        print(
            f"explained, but does not survive: {key.file}, {key.scope}: {key.change} | {key.line}"
        )
    if options.write and not missing:
        PAGE.write_text(report(results, options.jobs, seconds), encoding="utf-8")
    return 1 if results.unexplained or outdated or missing else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="FILE", help="this source alone, or this folder's")
    parser.add_argument("--limit", type=int, help="so many mutants of each model, drawn at random")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--write", action="store_true", help="the report as docs/evidence/mutations.md"
    )
    options = parser.parse_args(arguments)
    if options.jobs < 1 or (options.limit is not None and options.limit < 1):
        parser.error("--jobs and --limit start at 1")
    if options.write and (options.only or options.limit):
        parser.error("--write wants a whole campaign: no --only, no --limit")
    return options


def _try_part(part: Part, chosen: list[Mutant], jobs: int, results: Results) -> float:
    """Try what the journal does not know yet; the seconds this took now and before."""
    journal = Journal(FOLDER, part.name, part.sources)
    unknown = [mutant for mutant in chosen if mutant.key not in journal.verdicts]
    if unknown:
        print(f"{part.name}: {len(unknown):,} of {len(chosen):,} mutants to try", file=sys.stderr)
        trial = part.prepare()
        started = time.monotonic()
        with progress(f"mutants of the {part.name}", len(unknown)) as advance:
            for mutant, verdict in run_trials(unknown, trial, jobs):
                journal.add(mutant.key, verdict, time.monotonic() - started)
                started = time.monotonic()
                advance(1)
    for mutant in chosen:
        results.add(mutant, journal.verdicts[mutant.key])
    return journal.seconds


if __name__ == "__main__":
    sys.exit(main())
