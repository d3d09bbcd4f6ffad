"""``hwsim timeline``: one layer on the reference, cycle by cycle, for Perfetto or as a picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.arch.load import arch_of
from hwsim.cli import (
    MOST_IMAGES,
    OneLineParser,
    add_machine,
    add_trace,
    integer,
    positive,
    run_command,
)
from hwsim.errors import UserError, nearest, one_line
from hwsim.files import require_place, write_whole
from hwsim.text_table import counted
from hwsim.trace.files import find_one
from hwsim.trace.mask_trace import MaskTrace

if TYPE_CHECKING:
    from hwsim.timeline.slices import Timeline

MOST_TILES = 1 << 22

SUFFIXES = (".json", ".svg", ".png")

EXAMPLES = """\
examples:
  hwsim timeline --layer layer1.0.conv1 --tile 3 --out tile.json
  hwsim timeline --trace resnet18-cifar10-cdg.h5 --scheme unstructured --layer layer3.0.conv1 \\
      --image 20 --out layer.json
  hwsim timeline --trace mine.h5 --arch mine.yaml --layer conv --tile 0 --out tile.svg

Open the JSON file in https://ui.perfetto.dev: 1 us there is 1 cycle.
"""


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="hwsim timeline",
        description="Replay one layer on the reference model and write what every part did when.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_machine(parser)
    add_trace(parser)
    add("--scheme", metavar="NAME", help="default: the hardware that the masks are made for")
    add("--layer", required=True, metavar="NAME", help="hwsim trace inspect names them")
    add("--tile", type=integer(0, MOST_TILES), metavar="K",
        help="one tile in every detail, counted from 0 (default: all of them, round by round); of "
        "instance gates a tile counts at each visit")  # fmt: skip
    add("--image", type=integer(0, MOST_IMAGES), default=0, metavar="N",
        help="the batch that holds this image, counted from 0 (default: 0)")  # fmt: skip
    add("--batch", type=positive, metavar="N", help="images in flight (default: the machine's)")
    add("--out", type=Path, required=True, metavar="FILE",
        help=".json: for Perfetto; .svg or .png: a picture of a small tile")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    suffix = options.out.suffix
    if suffix not in SUFFIXES:
        raise UserError(
            f"--out {options.out}: unknown suffix {suffix!r}{nearest(suffix, SUFFIXES)}"
        )
    require_place("--out", options.out, vars(options))
    arch, trace = arch_of(options), MaskTrace.open(find_one(options.trace))
    # Numba and SimPy are loaded once the input is known to be good.
    from hwsim.timeline.observed import observe, own_scheme
    from hwsim.timeline.trace_events import write_json

    timeline = observe(
        arch,
        trace,
        options.scheme or own_scheme(arch, trace),
        options.layer,
        batch=options.batch,
        image=options.image,
        tile=options.tile,
    )
    if options.set:
        machine = f"{arch.name} with {', '.join(options.set)}"
        timeline = replace(timeline, subject={**timeline.subject, "machine": machine})
    if suffix == ".json":
        write_whole(options.out, write_json(timeline))
    else:
        write_whole(options.out, _picture(timeline, suffix))
    spent = ", ".join(f"{name} {cycles:,}" for name, cycles in timeline.by_cause().items())
    what = f"tile {options.tile} of " if options.tile is not None else ""
    print(
        one_line(
            f"wrote {options.out}: {what}{options.layer}, {timeline.subject['scheme']} on "
            f"{arch.name}, {timeline.cycles.sum():,} cycles ({spent}), "
            f"{counted(len(timeline.slices), 'slice')}"
        )
    )


def _picture(timeline: Timeline, suffix: str) -> str | bytes:
    from hwsim import plots

    subject = timeline.subject
    what = "" if timeline.visit is None else f"tile {timeline.visit} of "
    title = f"{what}{subject['layer']}, {subject['scheme']} on {subject['machine']}"
    figure = plots.tile_timeline(timeline.to_frame(), title)
    return plots.svg(figure) if suffix == ".svg" else plots.png(figure)


if __name__ == "__main__":
    sys.exit(main())
