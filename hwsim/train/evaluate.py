"""What a trained encoder is worth and how much of it runs.

    python -m hwsim.train.evaluate --weights FILE --data DIR [--what knn linear finetune int8 ...]

knn and linear leave the encoder as it is, finetune trains a copy; density counts what runs; int8
quantises a copy as the machine would and says how many gates then decide otherwise. --save keeps
the figures beside FILE, where `python -m hwsim.train.table` finds them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.command import console, status_of
from hwsim.errors import OneLineParser, UserError, one_line
from hwsim.files import write_whole
from hwsim.train import data, int8, models, probe
from hwsim.train.costs import costs_of, network_of
from hwsim.train.data import Split, plain
from hwsim.train.dataset import add_options, chosen
from hwsim.train.features import (
    autocast,
    batches,
    embed,
    evaluating,
    features,
    knn,
    knn_accuracy,
    recalibrate,
)  # fmt: skip
from hwsim.train.gating import BRANCHES, Branch

__all__ = [
    "Evaluation", "batches", "embed", "evaluating", "features", "knn", "knn_accuracy", "plain",
    "recalibrate",
]  # fmt: skip

DEFAULT = ("knn", "density", "int8")
AUTOCAST = ("knn", "linear", "finetune")
"""What --precision is of; costs and int8 are those of fp32."""

PRECISIONS = ("fp32", "bf16")
DENSITY_IMAGES, FLIP_IMAGES, CALIBRATION_IMAGES = 1000, 1000, 256
RECALIBRATION_IMAGES = 1024


@dataclass(frozen=True)
class Evaluation:
    """An encoder and the images that it is measured on; each method gives named figures.

    ``train`` and ``test`` are what kNN, linear evaluation and fine-tuning see, the networks of
    the three in ``precision``.
    """

    encoder: models.ResNet18
    train: Split
    test: Split
    branch: Branch = "diagonal"
    recipe: probe.FineTuning = field(default_factory=probe.FineTuning)
    precision: str = "fp32"

    @cached_property
    def features(self) -> tuple[Tensor, Tensor]:
        """Of the training and the test images, (N, D), stored in fp32."""
        with autocast(self.train.images.device, self.precision):
            known, asked = (
                features(self.encoder, split.images, self.branch)
                for split in (self.train, self.test)
            )
        return known, asked

    def knn(self) -> dict[str, Any]:
        known, asked = (F.normalize(part, dim=1) for part in self.features)
        labels = self.train.labels, self.test.labels
        return {"knn_percent": knn_accuracy(known, labels[0], asked, labels[1])}

    def linear(self) -> dict[str, Any]:
        known, asked = self.features
        accuracy = probe.linear_accuracy(known, self.train.labels, asked, self.test.labels)
        return {"linear_percent": accuracy}

    def finetune(self) -> dict[str, Any]:
        recipe = replace(self.recipe, precision=self.precision)
        accuracy, tuned = probe.fine_tune(self.encoder, self.train, self.test, recipe, self.branch)
        found = {"finetune_percent": accuracy}
        found |= {
            f"finetune_{name}": getattr(self.recipe, name) for name in ("epochs", "batch", "lr")
        }
        tuned_costs = replace(self, encoder=tuned).density()
        return found | {
            f"finetune_{name}": tuned_costs[name]
            for name in ("density_macs", "flops_reduction_gated")
            if name in tuned_costs
        }

    def density(self) -> dict[str, Any]:
        """Nothing where the encoder is dense."""
        images = self.test.images[:DENSITY_IMAGES]
        network = network_of(self.encoder, images.shape[-1], int(self.train.labels.max()) + 1)
        return costs_of(self.encoder, images, network, self.branch)

    def int8(self) -> dict[str, Any]:
        """kNN accuracy in int8, and, where layers are gated, the share of mask bits that flip."""
        calibration = self.train.images[:CALIBRATION_IMAGES]
        quantised = int8.quantise(self.encoder, calibration, self.branch)
        found: dict[str, Any] = {
            "int8_knn_percent": knn(quantised, self.train, self.test, self.branch),
            "int8_calibration_images": len(calibration),
        }
        images = self.test.images[:FLIP_IMAGES]
        flips = int8.mask_flips(self.encoder, quantised, images, self.branch)
        if not flips:
            return found
        flipped, ones, bits = (sum(parts) for parts in zip(*flips.values(), strict=True))
        return found | {
            "int8_flip_percent": 100 * flipped / bits,
            "int8_density_elements": ones / bits,
            "int8_flip_images": len(images),
            "int8_flip_layers": {name: 100 * f / b for name, (f, _, b) in flips.items()},
        }

    def figures(self, what: list[str]) -> dict[str, Any]:
        """All that is asked for, with the numbers of images behind it."""
        found: dict[str, Any] = {
            "branch": self.branch,
            "train_images": len(self.train),
            "test_images": len(self.test),
        }
        if any(name in AUTOCAST for name in what):
            found["precision"] = self.precision
        for name in what:
            if sys.stderr.isatty():
                print(f"measuring {name}", file=sys.stderr)
            found |= getattr(self, name)()
        return found


WHAT: dict[str, Callable[[Evaluation], dict[str, Any]]] = {
    name: getattr(Evaluation, name) for name in ("knn", "linear", "finetune", "int8", "density")
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m hwsim.train.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", type=Path, required=True)
    add_options(parser)
    add("--what", nargs="+", choices=list(WHAT), default=list(DEFAULT), metavar="WHAT",
        help=f"{', '.join(WHAT)} (default: {' '.join(DEFAULT)})")  # fmt: skip
    add("--branch", choices=BRANCHES, default="diagonal")
    add("--precision", choices=PRECISIONS, default="fp32",
        help=f"of {', '.join(AUTOCAST)} (default: fp32)")  # fmt: skip
    add("--train-images", type=int, help="the first N: kNN bank, linear, finetune (default: all)")
    add("--test-images", type=int, help="the first N (default: all)")
    add("--epochs", type=int, default=10, help="of fine-tuning")
    add("--batch", type=int, default=128, help="of fine-tuning")
    add("--lr", type=float, default=0.02, help="of fine-tuning, at its start")
    add("--seed", type=int, default=0, help="of fine-tuning")
    add("--cache", type=Path, help="decoded images (default: beside FILE)")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--json", action="store_true", help="print the figures as JSON")
    add("--save", action="store_true", help="add the figures to FILE's .evaluation.json")
    args = parser.parse_args(argv)
    for name in ("train_images", "test_images", "epochs", "batch"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} {value}: at least 1 was expected")
    return args


def saved_path(weights: Path) -> Path:
    """Where --save keeps the figures of a weights file."""
    return weights.with_name(f"{weights.stem}.evaluation.json")


def read_saved(weights: Path) -> dict[str, Any]:
    """The figures kept beside a weights file; none where there are none. Raises UserError."""
    path = saved_path(weights)
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({one_line(error)})") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: a JSON object was expected")
    return found


def save(weights: Path, figures: dict[str, Any]) -> None:
    """Add figures to those kept; the file is whole at every moment."""
    found = json.dumps(read_saved(weights) | figures, indent=2)
    write_whole(saved_path(weights), f"{found}\n")


def print_figures(figures: dict[str, Any]) -> None:
    """One figure a line, layers in a table below."""
    from rich.table import Table

    layers = {name: value for name, value in figures.items() if isinstance(value, dict)}
    for name, value in figures.items():
        if name not in layers:
            print(f"{name:26} {value:.4g}" if isinstance(value, float) else f"{name:26} {value}")
    if layers:
        table = Table("layer", *layers, box=None)
        for layer in next(iter(layers.values())):
            table.add_row(layer, *(f"{values[layer]:.4f}" for values in layers.values()))
        console(80).print(table)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    return status_of("python -m hwsim.train.evaluate", lambda: command(args))


def command(args: argparse.Namespace) -> None:
    encoder, training = models.load_weights(args.weights)
    cache = args.cache or args.weights.parent
    device = torch.device(args.device)
    source = chosen(args)
    train, test = (
        data.load_split(source, name, cache).head(count).to(device)
        for name, count in (("train", args.train_images), ("test", args.test_images))
    )
    encoder = encoder.to(device)
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


if __name__ == "__main__":
    sys.exit(main())
