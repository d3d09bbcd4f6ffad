"""SimCLR training of a gated ResNet-18: one loop, from images to encoder weights and a trace.

    python -m hwsim.train --method cdg --data DIR --out DIR --minutes 60

View 1 runs on the diagonal, view 2 on the inverse diagonal. Learning rate and resolution follow
the progress of the run, from 0 to 1, counted in steps or, with --minutes, in training time.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hwsim.errors import OneLineParser, UserError, one_line
from hwsim.train import data, evaluate, models, report
from hwsim.train.gating import gated_layers, penalty
from hwsim.train.losses import nt_xent

WARM_UP = 0.04
"""Share of the run over which the learning rates rise linearly."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = OneLineParser(prog="python -m hwsim.train", description=__doc__)
    add = parser.add_argument
    add("--method", choices=models.METHODS, required=True)
    add("--data", type=Path, required=True, help="folder with train*.parquet and test*.parquet")
    add("--out", type=Path, required=True, help="checkpoint, log, weights and trace go here")
    add("--cache", type=Path, help="decoded images (default: OUT)")
    add("--minutes", type=float, help="budget of training time; overrides --steps")
    add("--steps", type=int, default=2000)
    add("--batch", type=int, default=128, help="images per step, two views each")
    add("--width", type=int, default=64, help="channels of the first stage")
    add("--resolution", default="16:0.75,32", help="SIZE[:UNTIL],...: sizes and where each ends")
    add("--min-crop-area", type=float, default=0.2)
    add("--lr", type=float, default=1.5e-3, help="AdamW, peak")
    add("--weight-decay", type=float, default=0.02)
    add("--tau-lr", type=float, default=0.05, help="SGD with momentum 0.9 on the thresholds, peak")
    add("--penalty", type=float, default=1e-2, help="lambda of lambda*sum((tau-T)^2)")
    add("--target", type=float, default=0.573, help="T; sparsity ends near Phi(T)")
    add("--temperature", type=float, default=0.5)
    add("--seed", type=int, default=0)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--precision", choices=("fp32", "bf16"), help="default: bf16 on a GPU, fp32 on a CPU")
    add("--compile", action="store_true", help="torch.compile the network")
    add("--threads", type=int, help="torch threads (default: all cores)")
    add("--log-every", type=int, default=20, help="steps")
    add("--knn-every", type=int, default=300, help="steps; on a small subset")
    add("--checkpoint-seconds", type=float, default=180)
    add("--knn-bank", type=int, help="training images of the final kNN (default: all)")
    add("--knn-queries", type=int, help="test images of the final kNN (default: all)")
    add("--images", type=int, default=64, help="test images in the trace")
    args = parser.parse_args(argv)
    args.cache = args.cache or args.out
    args.precision = args.precision or ("bf16" if args.device.startswith("cuda") else "fp32")
    try:
        args.stages = resolution_stages(args.resolution)
    except ValueError:
        parser.error(f"--resolution {args.resolution}: expected e.g. 32 or 16:0.75,32")
    multiple = models.GATE_GROUPS * models.MASK_GROUP.get(args.method, 1)
    if args.width < 1 or args.width % multiple:
        parser.error(f"--width {args.width}: {args.method} takes multiples of {multiple}")
    return args


def resolution_stages(text: str) -> list[tuple[int, float]]:
    """Sizes with the progress at which each ends: "16:0.75,32" gives [(16, 0.75), (32, 1.0)]."""
    parts = [part.partition(":") for part in text.split(",")]
    stages = [(int(size), float(until or 1)) for size, _, until in parts]
    ends = [until for _, until in stages]
    if ends != sorted(ends) or ends[-1] != 1 or any(size < 8 for size, _ in stages):
        raise ValueError(text)
    return stages


def rate(progress: float) -> float:
    """Learning rate as a share of its peak: linear warm-up, then half a cosine."""
    if progress < WARM_UP:
        return (progress + 1e-3) / (WARM_UP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))


class Trainer:
    """All state of a run, so that saving and restoring it is one place."""

    def __init__(self, args: argparse.Namespace, train: data.Split) -> None:
        self.args, self.train = args, train
        self.device = torch.device(args.device)
        torch.manual_seed(args.seed)
        self.model = models.SimCLR(args.method, args.width).to(self.device)
        self.model = self.model.to(memory_format=torch.channels_last)
        # dynamic=False: one graph per resolution; shape-generic code is slower.
        self.network: Any = torch.compile(self.model, dynamic=False) if args.compile else self.model
        taus = [layer.tau for layer in gated_layers(self.model).values()]
        self.optimisers: list[torch.optim.Optimizer] = list(
            filter(None, (weight_optimiser(self.model, args), tau_optimiser(taus, args)))
        )
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["peak"] = group["lr"]
        self.generator = torch.Generator().manual_seed(args.seed + 1)
        self.shuffler = data.Shuffler(len(train), args.batch, self.generator)
        self.step, self.seconds = 0, 0.0

    @property
    def progress(self) -> float:
        if self.args.minutes:
            return self.seconds / (60 * self.args.minutes)
        return self.step / self.args.steps

    @property
    def resolution(self) -> int:
        return next((s for s, until in self.args.stages if self.progress < until),
                    self.args.stages[-1][0])  # fmt: skip

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.args.precision == "bf16"
        )

    def views(self) -> tuple[Tensor, Tensor]:
        """Two augmented views of the next batch."""
        images = self.train.images[self.shuffler.next().to(self.train.images.device)]
        first, second = (
            data.augment(images, self.resolution, self.generator, self.args.min_crop_area)
            for _ in range(2)
        )
        layout = torch.channels_last
        return first.contiguous(memory_format=layout), second.contiguous(memory_format=layout)

    def train_step(self) -> tuple[Tensor, Tensor]:
        """One optimiser step; the contrastive loss and the threshold penalty, detached scalars."""
        started = time.perf_counter()
        first, second = self.views()
        with self.autocast():
            embeddings = self.network(first, "diagonal"), self.network(second, "inverse")
        loss = nt_xent(embeddings[0].float(), embeddings[1].float(), self.args.temperature)
        threshold_penalty = self.args.penalty * penalty(self.model, self.args.target)
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        (loss + threshold_penalty.to(loss.device)).backward()
        share = rate(self.progress)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * share
            optimiser.step()
        self.step += 1
        self.seconds += time.perf_counter() - started
        return loss.detach(), threshold_penalty.detach()

    def state_dict(self) -> dict[str, Any]:
        return {
            "config": config(self.args),
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "generator": self.generator.get_state(),
            "shuffler": self.shuffler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.generator.set_state(state["generator"])
        self.shuffler.load_state_dict(state["shuffler"])
        self.step, self.seconds = state["step"], state["seconds"]


def weight_optimiser(model: nn.Module, args: argparse.Namespace) -> torch.optim.Optimizer:
    """AdamW; vectors (BatchNorm, biases) do not decay, thresholds are not in it."""
    named = [(n, p) for n, p in model.named_parameters() if not n.endswith(".tau")]
    groups = [
        {"params": [p for _, p in named if p.ndim > 1], "weight_decay": args.weight_decay},
        {"params": [p for _, p in named if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=args.lr)


def tau_optimiser(
    taus: list[nn.Parameter], args: argparse.Namespace
) -> torch.optim.Optimizer | None:
    """Plain SGD: under Adam the penalty's size would not matter. None without gates."""
    return torch.optim.SGD(taus, lr=args.tau_lr, momentum=0.9) if taus else None


def config(args: argparse.Namespace) -> dict[str, Any]:
    """What decides the result of a run, without paths: a checkpoint carries it."""
    names = (
        "method minutes steps batch width resolution min_crop_area lr weight_decay tau_lr penalty "
        "target temperature seed precision"
    )
    return {name: getattr(args, name) for name in names.split()}


def save(path: Path, state: dict[str, Any]) -> None:
    """Under a temporary name first: a kill while writing leaves the old checkpoint whole."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as handle:
        torch.save(state, handle)
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(path)


class Log:
    """log.csv: one row per --log-every steps. Rows after a resumed checkpoint are cut off."""

    def __init__(self, path: Path, layers: list[str], step: int) -> None:
        self.path = path
        self.fields = [
            "step", "epoch", "seconds", "progress", "resolution", "loss", "penalty", "views_per_s",
            "knn_percent", *(f"density.{name}" for name in layers),
        ]  # fmt: skip
        kept: list[dict[str, str]] = []
        if step and path.exists():
            with path.open(newline="") as handle:
                kept = [row for row in csv.DictReader(handle) if int(row["step"]) <= step]
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, self.fields)
            writer.writeheader()
            writer.writerows(kept)

    def write(self, row: dict[str, Any]) -> None:
        with self.path.open("a", newline="") as handle:
            csv.DictWriter(handle, self.fields).writerow(row)


def small_knn(trainer: Trainer, train: data.Split, test: data.Split) -> float:
    """A cheap look at progress: 1,500 bank and 500 test images at the training resolution."""
    parts: list[data.Split] = []
    for split, count in ((train, 1500), (test, 500)):
        images = split.images[:count].float()
        if trainer.resolution < images.shape[-1]:
            images = nn.functional.interpolate(images, size=[trainer.resolution] * 2, mode="area")
        parts.append(data.Split(images.round().byte(), split.labels[:count]))
    with trainer.autocast():
        evaluate.recalibrate(trainer.model.encoder, parts[0].images[:512])
        return evaluate.knn(trainer.model.encoder, parts[0], parts[1])


def progress_bar(trainer: Trainer) -> Iterator[None]:
    """Yields once per step until the run is done; a bar on a terminal, silence elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(f"training {trainer.args.method}", total=1.0)
        while trainer.progress < 1:
            yield
            bar.update(task, completed=trainer.progress)


def run_loop(trainer: Trainer, train: data.Split, test: data.Split) -> None:
    """Trains to the end of the budget, logging and saving on the way."""
    args = trainer.args
    checkpoint = args.out / "checkpoint.pt"
    log = Log(args.out / "log.csv", list(gated_layers(trainer.model.encoder)), trainer.step)
    saved, mark = time.monotonic(), (trainer.step, trainer.seconds)
    for _ in progress_bar(trainer):
        loss, threshold_penalty = trainer.train_step()
        if trainer.step % args.log_every == 0:
            steps, seconds = trainer.step - mark[0], trainer.seconds - mark[1]
            mark = (trainer.step, trainer.seconds)
            row = {
                "step": trainer.step,
                "epoch": trainer.shuffler.epoch,
                "seconds": f"{trainer.seconds:.1f}",
                "progress": f"{trainer.progress:.4f}",
                "resolution": trainer.resolution,
                "loss": f"{float(loss):.6f}",
                "penalty": f"{float(threshold_penalty):.6f}",
                "views_per_s": f"{2 * args.batch * steps / max(seconds, 1e-9):.1f}",
            }
            for name, layer in gated_layers(trainer.model.encoder).items():
                row[f"density.{name}"] = f"{float(layer.density):.4f}"
            if trainer.step % args.knn_every == 0:
                row["knn_percent"] = f"{small_knn(trainer, train, test):.2f}"
            if not math.isfinite(float(loss)):
                raise UserError(f"the loss is {float(loss)} at step {trainer.step}; lower --lr")
            log.write(row)
        if time.monotonic() - saved > args.checkpoint_seconds:
            save(checkpoint, trainer.state_dict())
            saved = time.monotonic()
    save(checkpoint, trainer.state_dict())


def restore(trainer: Trainer) -> None:
    """Continues from OUT/checkpoint.pt if there is one of the same configuration."""
    path = trainer.args.out / "checkpoint.pt"
    if not path.exists():
        return
    state = torch.load(path, map_location=trainer.device, weights_only=True)
    mine = config(trainer.args)
    # The budget may be cut or extended; everything else makes it another run.
    different = [
        k for k in mine if k not in ("minutes", "steps") and state["config"].get(k) != mine[k]
    ]
    if different:
        key = different[0]
        raise data.DataError(
            f"--out {path.parent}: its checkpoint was made with {key}={state['config'].get(key)}, "
            f"not {mine[key]}; give another --out"
        )
    trainer.load_state_dict(state)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        if args.threads:
            torch.set_num_threads(args.threads)
        splits = [data.load_split(args.data, name, args.cache) for name in ("train", "test")]
        train, test = (split.to(torch.device(args.device)) for split in splits)
        if len(train) < args.batch:
            raise data.DataError(f"--batch {args.batch}: the data hold only {len(train)} images")
        args.out.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(args, train)
        restore(trainer)
        (args.out / "config.json").write_text(json.dumps(config(args), indent=2) + "\n")
        if trainer.step:
            print(f"resumed at step {trainer.step}", flush=True)
        run_loop(trainer, train, test)
        print(f"trained {trainer.step} steps; evaluating", flush=True)
        report.finish(trainer, train, test)
        print(f"log, weights, evaluation.json and trace are in {args.out}")
    except (UserError, OSError) as error:
        print(f"python -m hwsim.train: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
