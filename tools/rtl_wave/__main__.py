"""``python -m tools.rtl_wave --layer NAME``: the waves of a tile on the RTL (make rtl-wave).

Beside them it leaves the tile's timeline of the reference; both must have the same cycles by cause,
or it exits with 1. It exits with 2 where the RTL does not have what the tile needs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hwsim.arch.load import arch_of
from hwsim.cli import MOST_IMAGES, OneLineParser, add_machine, add_trace, integer, run_command
from hwsim.counters import CAUSES
from hwsim.errors import UserError, one_line
from hwsim.files import made, write_whole
from hwsim.timeline.observed import observe, own_scheme
from hwsim.timeline.trace_events import write_json
from hwsim.trace.files import find_one
from hwsim.trace.mask_trace import MaskTrace
from tools.rtl_wave.bench import run
from tools.rtl_wave.tile import tile_of
from tools.rtl_wave.tracks import groups, save_file

WITHIN = [cause for cause in CAUSES if cause not in ("output_stall", "dram_stall")]
"""Causes of a tile's own passes: output stage and DMA are no part of the RTL."""


class DiffersError(UserError):
    """RTL and reference do not agree."""


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="tools.rtl_wave", description="Play one tile on the RTL and keep its waves."
    )
    add = parser.add_argument
    add_machine(parser)
    add_trace(parser)
    add("--scheme", metavar="NAME", help="default: the hardware that the masks are made for")
    add("--layer", required=True, metavar="NAME")
    add("--tile", type=integer(0, 1 << 22), default=0, metavar="K",
        help="of a batch of one image, from 0 (default: 0)")  # fmt: skip
    add("--image", type=integer(0, MOST_IMAGES), default=0, metavar="N", help="default: 0")
    add("--out", type=Path, default=Path("out/rtl-wave"), metavar="DIR",
        help="default: out/rtl-wave")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), _run, arguments)


def _run(options: argparse.Namespace) -> None:
    if not (shutil.which("iverilog") and shutil.which("vvp")):
        raise UserError("Icarus Verilog is missing; make iverilog installs it")
    arch, trace = arch_of(options), MaskTrace.open(find_one(options.trace))
    scheme = options.scheme or own_scheme(arch, trace)
    # It says first what of layer, image and tile is not there.
    timeline = observe(
        arch, trace, scheme, options.layer, batch=1, image=options.image, tile=options.tile
    )
    played = tile_of(arch, trace, scheme, options.layer, options.image, options.tile)
    shown = groups(played.parameters, played.causes, played.lane_groups)
    with made(options.out):
        waves = options.out / "tile.vcd"
        found = run(played, shown, waves)
        write_whole(options.out / "tile.gtkw", save_file(shown, waves))
        write_whole(options.out / "tile.json", write_json(timeline))
    spent = timeline.by_cause()
    expected = {cause: spent[cause] for cause in WITHIN if cause in spent}
    mine = {cause: cycles for cause, cycles in found.items() if cycles}
    cycles = ", ".join(f"{cause} {mine[cause]:,}" for cause in CAUSES if cause in mine)
    what = f"tile {options.tile} of {options.layer}, {scheme} on {arch.name}"
    print(one_line(f"wrote tile.vcd, tile.gtkw, tile.json in {options.out}: {what}: {cycles}"))
    print(f"gtkwave {options.out / 'tile.gtkw'}")
    if mine != expected:
        raise DiffersError(f"{what}: the reference has {expected}")


if __name__ == "__main__":
    sys.exit(main())
