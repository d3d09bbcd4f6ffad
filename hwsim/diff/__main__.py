"""``hwsim diff A B``: what changed between two machines, two runs or two sweeps.

    hwsim diff reference/ out/

Exit status 0 where they are equal, 1 where they differ; 2 for bad input, with one line that says
what is wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.arch.load import load_arch
from hwsim.cli import OneLineParser, integer, run_command, share
from hwsim.errors import UserError, escaped
from hwsim.files import require_place, write_whole
from hwsim.run.provenance import holds_run
from hwsim.sweep.folder import PARTS

if TYPE_CHECKING:
    from hwsim.diff.results import Results

DIFFER = 1
"""Exit status."""

MOST_ROWS = 10
"""Of a table, unless told."""

EXAMPLES = """\
examples:
  hwsim diff pe16x16 mine.yaml                     two machines: keys and areas
  hwsim diff reference/ out/                       two folders of hwsim run --out
  hwsim diff swept-before/ swept-after/            two folders of hwsim sweep --out
  hwsim diff --tolerance 1e-9 reference/ out/      energies may differ in the tenth digit
  hwsim diff --json - reference/ out/ | jq '.runs[0]'

Exit status: 0 equal, 1 different, 2 bad input.
"""


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim diff",
        description="Say what changed between two machines, two runs or two sweeps.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    what = "a machine (YAML file or shipped name), a folder of hwsim run --out, or one of a sweep"
    add("a", metavar="A", help=what)
    add("b", metavar="B", help="the same of the other side")
    add("--tolerance", type=share, default=0.0, metavar="SHARE",
        help="by which energies, areas and ratios may differ (default: 0); cycles and counters "
        "are compared exactly")  # fmt: skip
    add("--rows", type=integer(1, 1 << 31), default=MOST_ROWS, metavar="N",
        help=f"of a table at most (default: {MOST_ROWS}); --json has all")  # fmt: skip
    add("--json", metavar="FILE", help="write all differences; - prints them alone")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    differ: list[bool] = []
    failed = run_command(
        build_parser(), lambda options: differ.append(_command(options)), arguments
    )
    return failed or (DIFFER if differ[0] else 0)


def _command(options: argparse.Namespace) -> bool:
    """Whether they differ."""
    if options.json not in (None, "-"):
        require_place("--json", options.json, vars(options))
    a, b = _sides(options.a, options.b)
    from hwsim.diff.differences import differences
    from hwsim.diff.tables import as_json, print_differences

    found = differences(a, b, options.tolerance)
    told = as_json(found, options.a, options.b, options.tolerance) if options.json else ""
    if options.json == "-":
        print(told)
    else:
        print_differences(found, options.a, options.b, options.rows)
        if options.json:
            write_whole(Path(options.json), told)
    return bool(found)


def _sides(a: str, b: str) -> tuple[Results, Results]:
    kinds = _kind(a), _kind(b)
    if kinds[0] != kinds[1]:
        raise UserError(
            f"{escaped(a)} is {kinds[0]}, {escaped(b)} {kinds[1]}; expected two of a kind"
        )
    if kinds[0] == "a machine":
        from hwsim.diff.machines import of_machine

        return of_machine(load_arch(a)), of_machine(load_arch(b))
    if kinds[0] == "a run":
        from hwsim.diff.run_folders import of_runs

        return of_runs(Path(a), Path(b))
    from hwsim.diff.sweep_folders import of_sweeps

    return of_sweeps(Path(a), Path(b))


def _kind(name: str) -> str:
    path = Path(name)
    if not path.is_dir():
        return "a machine"
    runs, swept = holds_run(path), any(path.glob(PARTS))
    if runs and swept:
        raise UserError(
            f"{escaped(name)}: holds a run and the parts of a sweep; expected a folder of one"
        )
    if not runs and not swept:
        raise UserError(
            f"{escaped(name)}: no results; expected a folder of hwsim run --out or hwsim sweep "
            "--out, or a machine's file"
        )
    return "a run" if runs else "a sweep"


if __name__ == "__main__":
    raise SystemExit(main())
