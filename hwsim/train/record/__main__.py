"""``hwsim record``: from a trained encoder to a mask trace.

    hwsim record --weights FILE --data DIR --images 64 --out FILE
        [--input-images N] [--sample LAYER]

Masks come from fp32 evaluation of the diagonal branch with exactly the weights in FILE, in batches
of 16, so that the command reproduces the shipped traces on the same machine. Masks of any other
network: :class:`hwsim.train.record.recorder.Recorder`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hwsim.cli import OneLineParser, images, status_of
from hwsim.errors import UserError
from hwsim.train.images import views
from hwsim.train.images.dataset import add_options, chosen, tell_cache
from hwsim.train.networks import models
from hwsim.train.networks.methods import GATED
from hwsim.train.record.channel_masks import GRANULARITY
from hwsim.train.record.resnet import write

PROGRAM = "hwsim record"


def build_parser() -> OneLineParser:
    parser = OneLineParser(prog=PROGRAM, description="Record masks from a trained network.")
    add = parser.add_argument
    add("--weights", type=Path, required=True, metavar="FILE", help="weights of hwsim train (.npz)")
    add_options(parser)
    add("--images", type=images, default=64, metavar="N",
        help="the first N test images (default: %(default)s)")  # fmt: skip
    add("--out", type=Path, required=True, metavar="FILE", help="the trace")
    add("--input-images", type=images, default=0, metavar="N",
        help="add where inputs of layers are not zero, for N images (default: 0)")  # fmt: skip
    add("--sample", metavar="LAYER", help="add its int8 data for the first image")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    return status_of(PROGRAM, lambda: _command(options))


def _command(args: argparse.Namespace) -> None:
    encoder, training = models.load_weights(args.weights)
    if encoder.method == "dense":
        raise models.WeightsError(f"{args.weights}: a dense network has no masks")
    of_channels = encoder.method in GRANULARITY
    for option, given, what in (
        ("--sample", args.sample, "samples"),
        ("--input-images", args.input_images, "input bits"),
    ):
        if given and of_channels:
            raise UserError(
                f"{option} {given}: {args.weights} is a network of {encoder.method}, whose "
                f"masks are of whole channels; {what} go with {', '.join(GATED)}"
            )
    if args.input_images > args.images:
        raise UserError(f"--input-images {args.input_images}: more than --images {args.images}")
    source = chosen(args)
    test = views.load_split(source, "test", args.cache)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write(
        args.out, encoder, test, args.images, training, args.sample, source.name, args.input_images
    )
    tell_cache(args)


if __name__ == "__main__":
    sys.exit(main())
