"""What ``hwsim run`` replays: traces, or a network without masks."""

from __future__ import annotations

import argparse
from pathlib import Path

from hwsim.arch.config import ArchConfig
from hwsim.errors import UserError
from hwsim.trace.files import find_distinct, open_network
from hwsim.trace.mask_trace import MaskTrace


def add_network(parser: argparse.ArgumentParser) -> None:
    """--network, in the place of --trace."""
    parser.add_argument(
        "--network", type=Path, metavar="FILE",
        help="a network without masks, run dense: a network file, .onnx, or a trace's layers",
    )  # fmt: skip
    # A --trace without a path means the shipped ones: None tells that from none at all.
    parser.set_defaults(trace=None)


def traces_of(options: argparse.Namespace, arch: ArchConfig) -> list[MaskTrace]:
    """The traces meant, or one without masks, of --images or a batch. Raises UserError."""
    if options.network is None:
        return [open_trace(path, options.images) for path in find_distinct(options.trace or ())]
    if options.trace is not None:
        raise UserError("--network runs without masks: leave --trace out, or --network")
    network = open_network(options.network)
    return [MaskTrace.of_network(network, options.images or arch.batch)]


def open_trace(path: Path, images: int | None) -> MaskTrace:
    """The first ``images`` of a trace, or all. Raises UserError where it holds fewer."""
    trace = MaskTrace.open(path)
    if images and images > trace.images:
        raise UserError(f"--images {images}: {path} holds {trace.images}")
    return trace.head(images) if images else trace
