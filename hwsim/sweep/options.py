"""Options that sweeps, searches and comparisons at equal area share."""

from __future__ import annotations

import argparse

from hwsim.cli import add_images, add_traces, positive


def add_axes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--vary", action="append", default=[], metavar="KEY=1,2,4",
        help="all combinations are run; KEY=LOW..HIGH to draw from",
    )  # fmt: skip


def add_masks(parser: argparse.ArgumentParser) -> None:
    """--trace, --images, --batch and channel orders."""
    add = parser.add_argument
    add_traces(parser)
    add_images(parser)
    add("--batch", nargs="+", type=positive, metavar="N", help="default: the machine's")
    add("--channel-order", nargs="+", metavar="NAME",
        help="natural (default), density: channels sorted inside each gating group")  # fmt: skip
    add("--order-from", nargs="+", default=[], metavar="PATH",
        help="traces to measure densities on (default: images that are not replayed)")  # fmt: skip


GOES_ON = "interrupted; run the same again to go on"
"""Said where a folder keeps what is done."""
