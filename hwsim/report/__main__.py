"""``hwsim report``: one page of HTML to send, of traces, networks, or what was computed before."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hwsim.arch.load import arch_of
from hwsim.cli import OneLineParser, add_images, add_machine, run_command
from hwsim.errors import UserError, escaped, one_line
from hwsim.files import require_place, write_whole

PROGRAM = "hwsim report"

LARGE = 6_000_000
"""Bytes from which on the command says so: mail servers and readers may not like the page."""

EXAMPLES = """\
examples:
  hwsim report --out report.html                   the shipped masks on pe16x16
  hwsim report mine.h5 --arch mine.yaml --out report.html
  hwsim report net.yaml --out report.html          a network without masks, dense
  hwsim report out/run --out report.html           what hwsim run --out out/run wrote
  hwsim report out/sweep --out report.html         the points of a sweep
"""


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Write one self-contained HTML page: answer, machine, charts, tables.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT",
        help="traces (.h5), networks (.yaml, .json, .onnx), folders of traces, of hwsim run --out, "
        "of a sweep (default: the shipped traces)")  # fmt: skip
    add("--out", type=Path, required=True, metavar="FILE", help="the page, such as report.html")
    add_machine(parser)
    add("--scheme", nargs="+", metavar="NAME", help="default: all that fit the masks")
    add_images(parser)
    add("--data", type=Path, metavar="DIR",
        help="the images that traces are of, laid under masks (default: masks alone)")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _command, arguments)


def _command(options: argparse.Namespace) -> None:
    """Validate everything, replay, write."""
    from hwsim.report.inputs import Replay, given, parts_of
    from hwsim.report.page import page_of, require_libraries

    require_libraries()
    require_place("--out", options.out, vars(options))
    arch = arch_of(options)
    found = given(options.inputs)
    _require_replay(options, found.replayed, bool(found.traces))
    replay = Replay(arch, options.set, options.scheme, options.images, options.data)
    parts = parts_of(found, replay)
    title = parts[0].title if len(parts) == 1 else f"{len(parts)} results of hwsim"
    page = page_of(parts, title).encode()
    write_whole(options.out, page)
    print(one_line(f"wrote {options.out}, {len(page) / 1e6:.1f} MB"))
    if len(page) > LARGE:
        print(
            f"{PROGRAM}: {escaped(options.out)} is larger than {LARGE / 1e6:.0f} MB: give fewer "
            "inputs, or --scheme", file=sys.stderr,
        )  # fmt: skip


def _require_replay(options: argparse.Namespace, replayed: bool, traces: bool) -> None:
    """Raise UserError for options that would be without effect."""
    asked = {
        "--arch": options.arch != "pe16x16", "--set": options.set, "--scheme": options.scheme,
        "--images": options.images,
    }  # fmt: skip
    for option, value in asked.items():
        if value and not replayed:
            raise UserError(f"{option}: nothing is replayed, all figures are there; leave it out")
    if options.data and not traces:
        raise UserError("--data: the inputs hold no trace whose masks could lie over images")


if __name__ == "__main__":
    sys.exit(main())
