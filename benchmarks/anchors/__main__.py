"""Published results of others beside ours, `make anchors` (docs/evidence/anchors.md)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hwsim.cli import OneLineParser, run_command
from hwsim.errors import UserError

from . import channel_gating, eyeriss_dram, eyeriss_v2, page, scalesim
from .row import Row, Settings

ANCHORS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    module.NAME: module.rows for module in (eyeriss_v2, scalesim, eyeriss_dram, channel_gating)
}
"""In the page's order; an anchor to add is a module with NAME and rows, and a name here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 also where a figure is missed: that is a finding. 2 for bad input."""
    return run_command(build_parser(), _run, arguments)


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="benchmarks.anchors", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR",
        help=f"others' files: DIR/{eyeriss_v2.FOLDER}; without, not run")  # fmt: skip
    add("--only", nargs="+", choices=ANCHORS, default=list(ANCHORS), metavar="NAME",
        help=f"default: all of {', '.join(ANCHORS)}")  # fmt: skip
    add("--measure", action="store_true",
        help="run SCALE-Sim on the drawn layers and keep what it gives")  # fmt: skip
    add("--write", action="store_true",
        help="tables of what was run into docs/evidence/anchors.md")  # fmt: skip
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.data is not None and not options.data.is_dir():
        raise UserError(f"--data {options.data}: no such folder")
    settings = Settings(options.data, options.measure)
    rows = []
    for name in ANCHORS:
        if name in options.only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += list(ANCHORS[name](settings))
    page.show(rows)
    if options.write:
        for name in page.write(rows):
            print(f"{name}: not all of it was run; its table on the page stays", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
