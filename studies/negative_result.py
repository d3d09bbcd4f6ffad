"""The poster's negative result: one mask for both views lowers the loss and teaches nothing.

    python -m studies.negative_result --data DIR --out DIR

A small network (stages of one block, width 16, 16x16 views) is trained by each gated method on
20,000 images. Where the second view is given the first one's mask (broadcast), the mask itself
tells the network which two views belong together. Runs that are complete are not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from hwsim.cli import OneLineParser, status_of
from hwsim.files import write_whole
from hwsim.train import options
from hwsim.train.evaluate.evaluation import RECALIBRATION_IMAGES
from hwsim.train.evaluate.features import knn
from hwsim.train.images import views
from hwsim.train.images.dataset import chosen as chosen_source
from hwsim.train.images.dataset import shrink
from hwsim.train.loop import load_splits, train_network
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.models import ResNet18
from hwsim.train.trainer import fresh_encoder

COMPARED = ("broadcast", "cgnet", "cdg", "scdg")
VIEW_SIZE = 16
LAST_STEPS = 40
"""Steps at the end over which the loss is averaged: one batch's loss scatters by some 0.05."""

LOSS_GAP, NEAR_UNTRAINED, LEARNED = 0.5, 3.0, 7.0
"""What is claimed: nats between broadcast and the others, points of kNN over the untrained one."""

SETTINGS = (
    "--stages 1,1,1 --width 16 --batch 256 --train-images 20000 --target 0.524 --lr 3e-3 "
    f"--resolution {VIEW_SIZE} --log-every 1 --knn-every 1000000"
).split()


def small(split: views.Split) -> views.Split:
    """The images shrunk to VIEW_SIZE x VIEW_SIZE."""
    return views.Split(shrink(split.images, VIEW_SIZE), split.labels)


def recalibrated_knn(encoder: ResNet18, train: views.Split, test: views.Split) -> float:
    """Per cent, all training images as the bank; the diagonal branch, recalibrated."""
    recalibrate(encoder, train.images[:RECALIBRATION_IMAGES])
    return knn(encoder, train, test)


def train_one(method: str, seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Trains and evaluates; the row of the table."""
    out = chosen.out / f"{method}-{seed}"
    done = out / "result.json"
    arguments = ["--method", method, "--seed", str(seed), "--steps", str(chosen.steps), *SETTINGS]
    # Eight channels do not divide the four of a gating group at this width.
    arguments += ["--mask-group", "4"] if method == "scdg" else []
    places = ["--data", str(chosen.data), "--out", str(out)]
    args = options.parse([*arguments, *places, *chosen.more])
    config = options.deciding(args)
    if done.exists():
        row = json.loads(done.read_text())
        if not options.different(row["config"], config):
            return row
    if args.threads:
        torch.set_num_threads(args.threads)
    train, test = load_splits(args, chosen_source(args))
    trainer = train_network(args, train, test)
    train, test = small(train), small(test)
    with (out / "log.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))[-LAST_STEPS:]
    densities = [float(rows[-1][name]) for name in rows[-1] if name.startswith("density.")]
    torch.manual_seed(seed)
    row = {
        "method": method,
        "seed": seed,
        "steps": trainer.step,
        "loss": fmean(float(row["loss"]) for row in rows),
        "knn": recalibrated_knn(trainer.model.encoder, train, test),
        "untrained": recalibrated_knn(fresh_encoder(args).to(trainer.device), train, test),
        "density": fmean(densities),
        "seconds": trainer.seconds,
        "config": config,
    }
    write_whole(done, json.dumps(row, indent=2) + "\n")
    return row


def train_all(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row per seed and method, each told on standard error before it is trained."""
    runs = [(method, seed) for seed in chosen.seeds for method in COMPARED]
    for number, (method, seed) in enumerate(runs, 1):
        print(f"{number} of {len(runs)}: {method}, seed {seed}", file=sys.stderr, flush=True)
        yield train_one(method, seed, chosen)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown, one row per seed and method."""
    lines = [
        "| seed | method | loss | kNN % | untrained kNN % | gain | density | steps | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gain = row["knn"] - row["untrained"]
        lines.append(
            f"| {row['seed']} | {row['method']} | {row['loss']:.2f} | {row['knn']:.1f} | "
            f"{row['untrained']:.1f} | {gain:+.1f} | {row['density']:.2f} | {row['steps']} | "
            f"{row['seconds']:.0f} |"
        )
    return "\n".join(lines)


def verdicts(rows: Sequence[dict[str, Any]]) -> list[tuple[str, bool]]:
    """What is claimed of each seed, and whether these rows show it."""
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        gains = {r["method"]: r["knn"] - r["untrained"] for r in rows if r["seed"] == seed}
        losses = {r["method"]: r["loss"] for r in rows if r["seed"] == seed}
        ours, near = losses.pop("broadcast"), gains.pop("broadcast")
        gap, least = min(losses.values()) - ours, min(gains.values())
        found += [
            (f"seed {seed}: broadcast's loss is {gap:.2f} lower (at least {LOSS_GAP})",
             gap >= LOSS_GAP),
            (f"seed {seed}: broadcast's kNN gains {near:+.1f} points (within {NEAR_UNTRAINED:g})",
             abs(near) <= NEAR_UNTRAINED),
            (f"seed {seed}: the others gain {least:+.1f} or more (at least {LEARNED:g})",
             least >= LEARNED),
        ]  # fmt: skip
    return found


def main(argv: list[str] | None = None) -> int:
    """0 where every claim holds, 1 where one does not, 2 for bad input."""
    parser = OneLineParser(prog="python -m studies.negative_result", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[],
                        help="the rest are options of hwsim train")  # fmt: skip
    chosen = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    failed = status_of(parser.prog, lambda: rows.extend(train_all(chosen)))
    if failed:
        return failed
    print(table(rows))
    claims = verdicts(rows)
    for claim, holds in claims:
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(holds for _, holds in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
