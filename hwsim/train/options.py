"""The trainer's options: defaults, presets, and which of them decide the result of a run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hwsim.cli import OneLineParser
from hwsim.errors import one_line
from hwsim.train.images.dataset import add_options
from hwsim.train.networks.gating import GATE_NORMS
from hwsim.train.networks.inference import device
from hwsim.train.networks.methods import CHANNELS_KEPT, GATE_GROUPS, GATED, MASK_GROUP, METHODS
from hwsim.train.networks.models import WeightsError
from hwsim.train.start import Start

PEAK_RATE = {"adamw": 1.5e-3, "sgd": 0.25, "lars": 1.0}
WEIGHT_DECAY = {"adamw": 0.02, "sgd": 1e-4, "lars": 1e-6}
"""By optimiser, where --lr and --weight-decay are not given."""

STAGES: dict[str, dict[str, Any]] = {
    "contrastive": {},
    "finetune": {
        "epochs": 15.0, "resolution": "24:0.5,32", "optimiser": "sgd", "lr": 0.05,
        "weight_decay": 5e-4, "warm_up": 0.05, "penalty": 1e-4,
    },
}  # fmt: skip
"""What --stage trains for, and the defaults that it changes; a preset overrides them."""

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "stages": "1,1,1", "width": 32, "resolution": "16", "batch": 16, "steps": 30,
        "lr": 3e-3, "tau_lr": 0.5, "log_every": 1, "knn_every": 30, "images": 4,
    },
    "smoke": {
        "stages": "1,1,1", "width": 32, "resolution": "16", "batch": 64, "steps": 120,
        "lr": 3e-3, "tau_lr": 0.5, "log_every": 5, "knn_every": 60,
        "knn_bank": 2000, "knn_queries": 1000, "images": 16,
    },
    "cpu": {"minutes": 60.0, "precision": "bf16", "compile": True},
    "gpu": {
        "minutes": 10.0, "batch": 512, "resolution": "32", "lr": 3e-3, "compile": True,
        "knn_every": 1000,
    },
    "paper": {
        "epochs": 1000.0, "batch": 512, "resolution": "32", "min_crop_area": 0.08,
        "optimiser": "sgd", "warm_up": 0.01, "penalty": 1e-4, "compile": True,
        "log_every": 97, "knn_every": 970,
    },
}  # fmt: skip
"""Defaults that --preset changes; an option given beside it wins."""

RESULT = (
    "method", "preset", "minutes", "epochs", "steps", "batch", "width", "stages", "gate_norm",
    "mask_group", "density", "train_images", "resolution", "min_crop_area", "optimiser", "lr",
    "weight_decay", "warm_up", "tau_lr", "penalty", "target", "temperature", "seed", "precision",
    "image_size", "weights_sha256", "stage", "free_thresholds", "validation",
)  # fmt: skip
"""Options that decide the result of a run."""

LATER = {"stage": "contrastive", "free_thresholds": False, "validation": 0}
"""Values of options that a checkpoint is older than; None for an option that is not here."""

BUDGET = ("preset", "minutes", "epochs", "steps")
"""The options of RESULT that a resumed run may change."""


def parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="hwsim train",
        description="SimCLR training or fine-tuning of a gated ResNet-18: weights and a trace",
    )
    add = parser.add_argument
    add("--method", choices=METHODS, help="may be left out where --weights names it")
    add_options(parser)
    add("--out", type=Path, required=True, metavar="DIR",
        help="folder of checkpoint, log, weights and trace")  # fmt: skip
    add("--preset", choices=PRESETS, help="; ".join(f"{k}: {v}" for k, v in PRESET_HELP.items()))
    add("--stage", choices=STAGES, default="contrastive", help="finetune: with labels, gates on, "
        "from --weights (default: %(default)s)")  # fmt: skip
    add("--weights", type=Path, metavar="FILE", help="weights of hwsim train (.npz) to train on "
        "from; they decide --width, --stages, --gate-norm and --mask-group")  # fmt: skip
    add("--seed", type=int, default=0, help="of weights, order and views (default: %(default)s)")
    _add_network(parser)
    _add_steps(parser)
    _add_optimiser(parser)
    _add_machine(parser)
    _add_reports(parser)
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("network").add_argument
    add("--width", type=int, default=64, help="channels of the first stage (default: %(default)s)")
    add("--stages", default="2,2,2,2",
        help="residual blocks per stage (default: %(default)s, ResNet-18's)")  # fmt: skip
    add("--gate-norm", choices=GATE_NORMS, default="batch",
        help="what normalises the base sums (default: %(default)s)")  # fmt: skip
    add("--mask-group", type=int, metavar="N",
        help="output channels per decision (default: 8 for scdg, 1 for others)")  # fmt: skip
    kept = in_words(CHANNELS_KEPT, "for")
    add("--density", type=float, help="a controller steers each gated layer to this density; "
        f"fbs, dgc: share of channels kept (default: no controller; {kept})")  # fmt: skip


def _add_steps(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("budget and images").add_argument
    add("--minutes", type=float, help="budget of training time; overrides --epochs and --steps")
    add("--epochs", type=float, help="budget in passes over the images; overrides --steps")
    add("--steps", type=int, default=2000, help="budget in steps (default: %(default)s)")
    add("--batch", type=int, default=128,
        help="images per step, two views each (default: %(default)s)")  # fmt: skip
    add("--train-images", type=int, metavar="N", help="the first N (default: all)")
    add("--validation", type=int, default=0, metavar="N", help="fine-tuning leaves out the last N "
        "training images and measures its accuracy on them (default: none)")  # fmt: skip
    add("--resolution", default="16:0.75,32", metavar="SIZE[:UNTIL],...",
        help="sizes, each up to a share of the run (default: %(default)s)")  # fmt: skip
    add("--min-crop-area", type=float, default=0.2,
        help="smallest share of an image that a view shows (default: %(default)s)")  # fmt: skip


def _add_optimiser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("optimiser and loss").add_argument
    add("--optimiser", choices=PEAK_RATE, default="adamw",
        help="sgd has Nesterov's momentum (default: %(default)s)")  # fmt: skip
    add("--lr", type=float, help=f"peak rate (default: {in_words(PEAK_RATE, 'with')})")
    add("--weight-decay", type=float, help=f"(default: {in_words(WEIGHT_DECAY, 'with')})")
    add("--warm-up", type=float, default=0.04,
        help="share of the run with rising rates (default: %(default)s)")  # fmt: skip
    add("--tau-lr", type=float, default=0.05,
        help="peak rate of the thresholds' SGD, momentum 0.9 (default: %(default)s)")  # fmt: skip
    add("--free-thresholds", action="store_true", help="fine-tuning trains the thresholds, too")
    add("--penalty", type=float, default=1e-2,
        help="lambda of lambda * sum((tau - T)^2) (default: %(default)s)")  # fmt: skip
    add("--target", type=float, default=0.573,
        help="T; the sparsity ends near Phi(T) (default: %(default)s)")  # fmt: skip
    add("--temperature", type=float, default=0.5, help="of NT-Xent (default: %(default)s)")


def _add_machine(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("where it runs").add_argument
    add("--device", type=device, default="cuda" if torch.cuda.is_available() else "cpu",
        help="of torch (default: %(default)s)")  # fmt: skip
    add("--precision", choices=("fp32", "bf16"), help="(default: bf16 on a GPU, fp32 on a CPU)")
    add("--compile", action="store_true",
        help="torch.compile the network, unless the fast path runs")  # fmt: skip
    add("--plain", action="store_true", help="leave out the fast path (bf16 on CPUs)")
    add("--threads", type=int, metavar="N", help="torch threads (default: all cores)")


def _add_reports(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("log and results").add_argument
    add("--log-every", type=int, default=20, metavar="STEPS", help="(default: %(default)s)")
    add("--knn-every", type=int, default=300, metavar="STEPS",
        help="kNN accuracy of a small sample (default: %(default)s)")  # fmt: skip
    add("--checkpoint-seconds", type=float, default=180, metavar="SECONDS",
        help="between checkpoints; one ends every epoch, too (default: %(default)s)")  # fmt: skip
    add("--knn-bank", type=int, metavar="N", help="training images of the final kNN (default: all)")
    add("--knn-queries", type=int, metavar="N", help="test images of the final kNN (default: all)")
    add("--images", type=int, default=64, metavar="N",
        help="test images in the trace (default: %(default)s)")  # fmt: skip


def in_words(values: Mapping[str, float], word: str) -> str:
    """ "0.25 with sgd, 1 with lars": a default that depends on another option."""
    return ", ".join(f"{value:g} {word} {name}" for name, value in values.items())


PRESET_HELP = {
    "tiny": "seconds on drawn images",
    "smoke": "a minute",
    "cpu": "an hour on a CPU",
    "gpu": "ten minutes on a GPU, or --minutes",
    "paper": "1000 epochs",
}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options with every default filled in; --stages and --resolution also as numbers."""
    options = parser()
    # Unknown or missing options are the second parse's to report.
    first = OneLineParser(prog=options.prog, add_help=False)
    first.add_argument("--preset", choices=PRESETS)
    first.add_argument("--weights", type=Path)
    first.add_argument("--stage", choices=STAGES)
    known = first.parse_known_args(argv)[0]
    options.set_defaults(**STAGES.get(known.stage, {}))
    options.set_defaults(**PRESETS.get(known.preset, {}))
    try:
        start = Start.read(known.weights) if known.weights else None
    except WeightsError as error:
        options.error(f"--weights {one_line(error)}")
    decided = start.options() if start else {}
    options.set_defaults(**decided)
    args = options.parse_args(argv)
    for name, value in decided.items():
        if (given := getattr(args, name)) != value:
            option = f"--{name.replace('_', '-')}"
            options.error(f"{option} {given}: {args.weights} was trained with {option} {value}")
    args.start, args.weights_sha256 = start, start.sha256 if start else None
    args.precision = args.precision or ("bf16" if args.device.startswith("cuda") else "fp32")
    if args.lr is None:
        args.lr = PEAK_RATE[args.optimiser]
    if args.weight_decay is None:
        args.weight_decay = WEIGHT_DECAY[args.optimiser]
    try:
        args.sizes = resolution_stages(args.resolution)
    except ValueError:
        options.error(f"--resolution {args.resolution}: expected e.g. 32 or 16:0.75,32")
    try:
        args.blocks = blocks_per_stage(args.stages)
    except ValueError:
        options.error(f"--stages {args.stages}: expected e.g. 2,2,2,2 or 1,1,1")
    if args.method is None:
        options.error(f"--method: expected one of {', '.join(METHODS)}")
    check_stage(options, args)
    check_gates(options, args)
    return args


def need_gates(options: argparse.ArgumentParser, args: argparse.Namespace, asked: str) -> None:
    """Ends the program where the method has no gates, which ``asked`` is about."""
    if args.method not in GATED:
        options.error(f"{asked}: {args.method} has no gates; {', '.join(GATED)} have")


def check_stage(options: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends the program where what is asked for belongs to another stage."""
    if args.stage == "finetune":
        if args.start is None:
            options.error("--stage finetune: give the encoder, --weights FILE")
        if args.free_thresholds:
            need_gates(options, args, "--free-thresholds")
        if args.density is not None:
            options.error("--density: fine-tuning leaves it as it is, or --free-thresholds")
        if args.validation < 0:
            options.error(f"--validation {args.validation}: 0 or more images were expected")
        return
    for name in ("free_thresholds", "validation"):
        if getattr(args, name):
            options.error(f"--{name.replace('_', '-')}: only with --stage finetune")


def check_gates(options: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends the program where the gates cannot be built as asked."""
    if args.mask_group is not None:
        need_gates(options, args, "--mask-group")
    if args.gate_norm != "batch":
        need_gates(options, args, f"--gate-norm {args.gate_norm}")
    if args.method in CHANNELS_KEPT and args.density is None:
        args.density = CHANNELS_KEPT[args.method]
    if args.mask_group is None:
        args.mask_group = MASK_GROUP.get(args.method, 1)
    # Four groups of gates or four heads.
    multiple = GATE_GROUPS * args.mask_group
    if args.mask_group < 1 or args.width < 1 or args.width % multiple:
        options.error(f"--width {args.width}: {args.method} takes multiples of {multiple}")
    if args.density is not None and not 0 < args.density <= 1:
        options.error(f"--density {args.density}: a share above 0 and up to 1 was expected")


def blocks_per_stage(text: str) -> tuple[int, ...]:
    """ "2,2,2,2" as numbers, all positive."""
    blocks = tuple(int(part) for part in text.split(","))
    if min(blocks) < 1:
        raise ValueError(text)
    return blocks


def resolution_stages(text: str) -> list[tuple[int, float]]:
    """Sizes with the progress at which each ends: "16:0.75,32" gives [(16, 0.75), (32, 1.0)]."""
    parts = [part.partition(":") for part in text.split(",")]
    stages = [(int(size), float(until or 1)) for size, _, until in parts]
    ends = [until for _, until in stages]
    if ends != sorted(ends) or ends[-1] != 1 or any(size < 8 for size, _ in stages):
        raise ValueError(text)
    return stages


def deciding(args: argparse.Namespace) -> dict[str, Any]:
    """What decides the result of a run, without paths: a checkpoint carries it."""
    return {name: getattr(args, name) for name in RESULT}


def different(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names in which what :func:`deciding` gave differs, of two runs."""
    return [
        name for name in RESULT
        if one.get(name, LATER.get(name)) != other.get(name, LATER.get(name))
    ]  # fmt: skip
