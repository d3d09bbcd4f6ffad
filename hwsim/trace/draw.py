"""``hwsim trace synthetic``: masks drawn at random for a network, labelled so wherever shown."""

from __future__ import annotations

import argparse
from pathlib import Path

from hwsim.cli import finite, positive
from hwsim.errors import UserError
from hwsim.network import Network
from hwsim.network.gates import ALL, gateable, with_gates
from hwsim.trace.files import open_network
from hwsim.trace.synthetic import synthetic_trace


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--network", required=True, metavar="FILE",
        help="a network file, an ONNX model, or a trace for its layers")  # fmt: skip
    add("--density", type=finite, required=True, metavar="SHARE", help="share of ones, 0 to 1")
    add("--mask-group", type=positive, default=1, metavar="N", help="channels a mask bit (1)")
    add("--images", type=positive, default=16, metavar="N", help="images to draw for (16)")
    add("--correlation", type=finite, default=0.0, metavar="SHARE",
        help="of neighbouring pixels: how much of the field is smoothed, 0 to 1 (0)")  # fmt: skip
    add("--gate", nargs="+", metavar="NAME",
        help="convolutions to gate, or all: those that can be, but for the first and linear ones "
        "(default: the network's own gates, or all)")  # fmt: skip
    add("--groups", type=positive, default=4, metavar="G", help="gating groups with --gate (4)")
    add("--seed", type=int, default=0, metavar="N", help="of the random numbers (0)")
    add("--out", type=Path, required=True, metavar="FILE", help="the trace, .h5")


def draw(options: argparse.Namespace) -> None:
    """Everything is checked before anything is drawn."""
    if not 0 <= options.correlation <= 1:
        raise UserError(f"--correlation {options.correlation}: expected a share between 0 and 1")
    if options.seed < 0:
        raise UserError(f"--seed {options.seed}: expected a number from 0 on")
    if not options.out.parent.is_dir():
        raise UserError(f"--out {options.out}: no such folder: {options.out.parent}")
    network = _gated(open_network(options.network), options)
    trace = synthetic_trace(
        network,
        options.density,
        mask_group=options.mask_group,
        images=options.images,
        correlation=options.correlation,
        seed=options.seed,
    )
    trace.contents.write(options.out)
    print(
        f"wrote {options.out}: {len(network.gated_layers)} of {len(network.convolutions)} "
        f"convolutions gated, {trace.images} images, synthetic"
    )


def _gated(network: Network, options: argparse.Namespace) -> Network:
    """With the gates asked for, or its own where it has some."""
    if options.gate is None and network.gated_layers:
        return network
    names = options.gate or [ALL]
    if names == [ALL]:
        names = gateable(network, options.groups, options.mask_group)
        if not names:
            raise UserError(
                f"{options.network}: no convolution but the first and linear ones has channels for "
                f"{options.groups} gating groups of masks of {options.mask_group} channels; "
                "--groups takes fewer"
            )
    return with_gates(network, names, options.groups)
