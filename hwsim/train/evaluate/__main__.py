"""``hwsim evaluate``: what a trained encoder is worth and how much of it runs.

    hwsim evaluate --weights FILE --data DIR [--what knn linear finetune int8 ...]

knn and linear leave the encoder as it is, finetune trains a copy; density counts what runs; int8
quantises a copy as the machine would and says how many gates then decide otherwise. --save keeps
the figures beside FILE, where the tables of methods find them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hwsim.cli import OneLineParser, positive, status_of
from hwsim.errors import one_line
from hwsim.text_table import print_table
from hwsim.train.evaluate import probe
from hwsim.train.evaluate.evaluation import (
    AUTOCAST,
    DEFAULT,
    PRECISIONS,
    RECALIBRATION_IMAGES,
    WHAT,
    Evaluation,
    save,
)
from hwsim.train.images.dataset import add_options, both_splits, chosen, tell_cache
from hwsim.train.networks import models
from hwsim.train.networks.gating import BRANCHES
from hwsim.train.networks.inference import device, recalibrate

PROGRAM = "hwsim evaluate"


def build_parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM, description="Measure what a trained encoder is worth and how much of it runs."
    )
    add = parser.add_argument
    add("--weights", type=Path, required=True, metavar="FILE",
        help="weights of hwsim train (.npz)")  # fmt: skip
    add_options(parser)
    add("--what", nargs="+", choices=list(WHAT), default=list(DEFAULT), metavar="WHAT",
        help=f"{', '.join(WHAT)} (default: {' '.join(DEFAULT)})")  # fmt: skip
    add("--branch", choices=BRANCHES, default="diagonal",
        help="of gated layers; inverse is recalibrated first (default: %(default)s)")  # fmt: skip
    add("--precision", choices=PRECISIONS, default="fp32",
        help=f"of {', '.join(AUTOCAST)} (default: %(default)s)")  # fmt: skip
    add("--train-images", type=positive, metavar="N",
        help="the first N: kNN's bank, training of linear and finetune (default: all)")  # fmt: skip
    add("--test-images", type=positive, metavar="N", help="the first N (default: all)")
    add("--epochs", type=positive, default=10, help="of fine-tuning (default: %(default)s)")
    add("--batch", type=positive, default=128,
        help="images per step of fine-tuning (default: %(default)s)")  # fmt: skip
    add("--lr", type=float, default=0.02,
        help="learning rate at the start of fine-tuning (default: %(default)s)")  # fmt: skip
    add("--seed", type=int, default=0, help="of fine-tuning (default: %(default)s)")
    add("--device", type=device, default="cuda" if torch.cuda.is_available() else "cpu",
        help="of torch (default: %(default)s)")  # fmt: skip
    add("--json", action="store_true", help="print the figures as JSON")
    add("--save", action="store_true", help="add the figures to FILE's .evaluation.json")
    return parser


def print_figures(figures: dict[str, Any]) -> None:
    """One figure a line, layers in a table below."""
    layers = {name: value for name, value in figures.items() if isinstance(value, dict)}
    for name, value in figures.items():
        if name not in layers:
            told = f"{value:.4g}" if isinstance(value, float) else one_line(value)
            print(f"{name:26} {told}")
    if layers:
        names = next(iter(layers.values()))
        rows = [[each, *(f"{values[each]:.4f}" for values in layers.values())] for each in names]
        print_table(["layer", *layers], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    return status_of(PROGRAM, lambda: _command(options))


def _command(args: argparse.Namespace) -> None:
    encoder, training = models.load_weights(args.weights)
    source, where = chosen(args), torch.device(args.device)
    train, test = both_splits(args, source)
    train, test = train.head(args.train_images).to(where), test.head(args.test_images).to(where)
    encoder = encoder.to(where)
    if args.branch != "diagonal":
        # What is shipped is calibrated for the diagonal.
        recalibrate(encoder, train.images[:RECALIBRATION_IMAGES], args.branch)
    recipe = probe.FineTuning(args.epochs, args.batch, args.lr, seed=args.seed)
    evaluation = Evaluation(encoder, train, test, args.branch, recipe, args.precision)
    origin = {
        "weights": args.weights.name, "method": encoder.method, "width": encoder.width,
        "dataset": source.name, "data": source.describe(),
        "image_size": test.images.shape[-1], "seed": training.get("seed"),
    }  # fmt: skip
    figures = origin | evaluation.figures(args.what)
    if args.save:
        save(args.weights, figures)
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        print_figures(figures)
        tell_cache(args)


if __name__ == "__main__":
    sys.exit(main())
