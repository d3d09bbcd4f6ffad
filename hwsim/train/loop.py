"""The training loop: a run from its options to a trained network, logged and saved on the way."""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

import torch

from hwsim.errors import UserError, one_line
from hwsim.files import write_whole
from hwsim.process import stop
from hwsim.train import options, report
from hwsim.train.evaluate.features import knn
from hwsim.train.finetune import FineTuner
from hwsim.train.images import dataset, views
from hwsim.train.images.sources import DataError, Source
from hwsim.train.log import Log
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.methods import dynamic_layers
from hwsim.train.status import Status, stoppable
from hwsim.train.trainer import Trainer


def small_knn(trainer: Trainer, train: views.Split, test: views.Split) -> float:
    """A cheap look at progress: 1,500 bank and 500 test images at the training resolution."""
    encoder, size = trainer.model.encoder, trainer.resolution
    bank, queries = (
        views.Split(dataset.at_most(part.images, size), part.labels)
        for part in (train.head(1500), test.head(500))
    )
    with trainer.autocast():
        recalibrate(encoder, bank.images[:512])
        return knn(encoder, bank, queries)


def look(trainer: Trainer, train: views.Split, test: views.Split) -> str:
    """The accuracy in per cent, as the log has it every --knn-every steps."""
    if not isinstance(trainer, FineTuner):
        return f"{small_knn(trainer, train, test):.2f}"
    return f"{trainer.accuracy(trainer.validation):.2f}" if len(trainer.validation) else ""


def run_loop(trainer: Trainer, log: Log, train: views.Split, test: views.Split) -> None:
    """Trains to the end of the budget, logging and saving on the way.

    A run that is asked to stop is saved, and KeyboardInterrupt or Terminated raised.
    """
    args = trainer.args
    checkpoint = args.out / "checkpoint.pt"
    saved, mark = time.monotonic(), (trainer.step, trainer.seconds)
    with stoppable() as asked:
        for _ in Status(trainer).watch():
            loss, added = trainer.train_step()
            if trainer.step % args.log_every == 0:
                row = log_row(trainer, float(loss), float(added), mark)
                mark = (trainer.step, trainer.seconds)
                if trainer.step % args.knn_every == 0:
                    row[trainer.measured] = look(trainer, train, test)
                if not math.isfinite(float(loss)):
                    raise UserError(f"the loss is {float(loss)} at step {trainer.step}; lower --lr")
                log.write(row)
            if (
                asked
                or trainer.shuffler.at_end
                or time.monotonic() - saved > args.checkpoint_seconds
            ):
                trainer.save(checkpoint)
                saved = time.monotonic()
            if asked:
                raise stop(asked[0])
    trainer.advance()
    trainer.save(checkpoint)


def log_row(trainer: Trainer, loss: float, added: float, mark: tuple[int, float]) -> dict[str, Any]:
    """A row of log.csv; `mark` is step and seconds at the row before."""
    steps, seconds = trainer.step - mark[0], trainer.seconds - mark[1]
    row: dict[str, Any] = {
        "step": trainer.step,
        "epoch": trainer.shuffler.epoch,
        "seconds": f"{trainer.seconds:.1f}",
        "progress": f"{trainer.progress:.4f}",
        "resolution": trainer.resolution,
        "loss": f"{loss:.6f}",
        "penalty": f"{added:.6f}",
        "views_per_s": f"{trainer.views_per_step * steps / max(seconds, 1e-9):.1f}",
        "density_target": trainer.args.density,
    }
    for name, layer in dynamic_layers(trainer.model.encoder).items():
        row[f"density.{name}"] = f"{float(layer.density):.4f}"
    return row


def load_splits(args: argparse.Namespace, source: Source) -> tuple[views.Split, views.Split]:
    """The training and the test split on the device, as many images as asked for."""
    train, test = dataset.both_splits(args, source)
    train = train.head(args.train_images)
    if len(train) < args.batch:
        raise DataError(f"--batch {args.batch}: the data hold only {len(train)} images")
    device = torch.device(args.device)
    return train.to(device), test.to(device)


def train_network(args: argparse.Namespace, train: views.Split, test: views.Split) -> Trainer:
    """A trained network; continues the run in OUT if there is one."""
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = FineTuner(args, train) if args.stage == "finetune" else Trainer(args, train)
    trainer.restore(args.out / "checkpoint.pt")
    # A log that is refused is refused before anything is written or said.
    layers = list(dynamic_layers(trainer.model.encoder))
    log = Log(args.out / "log.csv", layers, trainer.step, trainer.measured)
    write_whole(args.out / "config.json", json.dumps(options.deciding(args), indent=2) + "\n")
    if trainer.why_plain and args.precision == "bf16":
        print(f"the plain path trains: {trainer.why_plain}", flush=True)
    if trainer.step:
        print(f"resumed at step {trainer.step}", flush=True)
    run_loop(trainer, log, train, test)
    return trainer


def train(args: argparse.Namespace) -> None:
    """The whole command: images, network, evaluation, trace."""
    if args.threads:
        torch.set_num_threads(args.threads)
    source = dataset.chosen(args)
    train, test = load_splits(args, source)
    trainer = train_network(args, train, test)
    print(f"trained {trainer.step} steps; evaluating", flush=True)
    report.finish(trainer, train, test, source)
    trace = "" if args.method == "dense" else ", trace"
    print(one_line(f"log, weights, evaluation.json{trace}: all in {args.out}"))
    dataset.tell_cache(args)
