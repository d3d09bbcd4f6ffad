"""What a finished run leaves: weights as shipped, their accuracy and densities, and the trace."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from typing import Any

import numpy as np
import torch

from hwsim.files import write_whole
from hwsim.train.evaluate.costs import costs_of
from hwsim.train.evaluate.evaluation import DENSITY_IMAGES, RECALIBRATION_IMAGES
from hwsim.train.evaluate.features import knn
from hwsim.train.evaluate.untrained import untrained_like
from hwsim.train.finetune import FineTuner
from hwsim.train.images import views
from hwsim.train.images.sources import Source
from hwsim.train.networks import methods, models
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.models import network_of
from hwsim.train.record import resnet
from hwsim.train.trainer import Trainer

MIN_KNN_GAIN_PERCENT = 10
"""Below this gain over the untrained network a trace is labelled barely trained."""

FIGURES = (
    "density_elements", "density_macs", "flops_reduction_gated", "flops_reduction_network",
    "density_images",
)  # fmt: skip
"""What the training record keeps of a network's costs."""

SUFFIX = {"contrastive": "", "finetune": "-finetuned"}
"""Of the names of weights and trace, by stage."""

NAMES = {"adamw": "AdamW", "sgd": "SGD with Nesterov momentum 0.9", "lars": "LARS"}


def finish(trainer: Trainer, train: views.Split, test: views.Split, source: Source) -> None:
    """Evaluates the encoder as it is shipped; writes weights, evaluation.json and the trace.

    The weights are rounded to fp16 first: statistics, accuracy and masks are theirs.
    """
    args, encoder = trainer.args, trainer.model.encoder
    recalibration = train.images[:RECALIBRATION_IMAGES]
    announce("evaluating the trained encoder")
    training = summary(trainer, len(trainer.train), source)
    models.round_to_fp16(encoder)
    recalibrate(encoder, recalibration)
    training |= final_knn(trainer, encoder, train, test, "knn_percent")
    training |= accuracies(trainer, test)
    announce("evaluating the untrained encoder")
    untrained = untrained_like(encoder, args.seed, recalibration)
    training |= final_knn(trainer, untrained, train, test, "untrained_knn_percent")
    gain = training["knn_percent"] - training["untrained_knn_percent"]
    training["barely_trained"] = gain < MIN_KNN_GAIN_PERCENT
    images = test.images[:DENSITY_IMAGES]
    network = network_of(encoder, images.shape[-1], int(train.labels.max()) + 1)
    found = costs_of(encoder, images, network)
    training |= {name: found[name] for name in FIGURES if name in found}
    name = f"resnet18-{source.file_name}-{args.method}{SUFFIX[args.stage]}"
    models.save_weights(args.out / f"{name}.npz", encoder, training, trainer.top())
    write_whole(args.out / "evaluation.json", json.dumps(training, indent=2) + "\n")
    if args.method != "dense":
        # The trace is made from the file, as anyone else would make it.
        shipped, _ = models.load_weights(args.out / f"{name}.npz")
        resnet.write(
            args.out / f"{name}.h5",
            shipped,
            test.to(torch.device("cpu")),
            args.images,
            training,
            dataset=source.name,
        )


def accuracies(trainer: Trainer, test: views.Split) -> dict[str, Any]:
    """Per cent right on all test images and on those left out of training; of fine-tuning alone."""
    if not isinstance(trainer, FineTuner):
        return {}
    found = {"finetune_percent": round(trainer.accuracy(test), 2), "finetune_images": len(test)}
    if len(trainer.validation):
        found["validation_percent"] = round(trainer.accuracy(trainer.validation), 2)
        found["validation_images"] = len(trainer.validation)
    return found


def announce(phase: str) -> None:
    """Says on a terminal what takes minutes; silent elsewhere."""
    if sys.stderr.isatty():
        print(phase, file=sys.stderr)


def final_knn(
    trainer: Trainer, encoder: models.ResNet18, train: views.Split, test: views.Split, key: str
) -> dict[str, Any]:
    """{key: kNN per cent}, in the precision of the training, and the numbers of images."""
    args = trainer.args
    bank, queries = train.head(args.knn_bank), test.head(args.knn_queries)
    with trainer.autocast():
        accuracy = knn(encoder, bank, queries)
    return {key: round(accuracy, 2), "knn_bank": len(bank), "knn_queries": len(queries)}


def stage_record(args: argparse.Namespace) -> dict[str, Any]:
    """What was trained for, on which views."""
    if args.stage == "finetune":
        return {
            "stage": args.stage,
            "framework": "fine-tuning with labels, gates on",
            "loss": "cross-entropy",
            "views_are": "moved and mirrored",
        }
    return {
        "stage": args.stage,
        "framework": methods.FRAMEWORK[args.method],
        "loss": f"NT-Xent, temperature {args.temperature}",
        "min_crop_area": args.min_crop_area,
    }


def thresholds(args: argparse.Namespace) -> dict[str, Any]:
    """How the thresholds were led: by the penalty, or by the controller; or the channels kept."""
    if args.method in methods.CHANNELS_KEPT:
        return {"density_channels": args.density}
    if args.method not in methods.GATED:
        return {}
    if args.stage == "finetune" and not args.free_thresholds:
        return {"tau": "fixed"}
    found: dict[str, Any] = {"tau_optimiser": f"SGD, peak lr {args.tau_lr}, momentum 0.9"}
    if args.density is not None:
        return found | {"density_controller": args.density}
    return found | {"tau_target": args.target, "tau_penalty": args.penalty}


def summary(trainer: Trainer, images: int, source: Source) -> dict[str, Any]:
    """How the network came about, as plain JSON values: a trace carries it."""
    args = trainer.args
    epochs = round(args.batch * trainer.step / images, 2)
    return {
        **stage_record(args),
        "seed": args.seed,
        "steps": trainer.step,
        "views": trainer.views_per_step * trainer.step,
        "epochs": epochs,
        **(args.start.record(epochs, args.stage) if args.start else {}),
        "seconds": round(trainer.seconds),
        "batch": args.batch,
        "resolution_schedule": args.resolution,
        "stages": args.stages,
        "gate_norm": args.gate_norm,
        "optimiser": f"{NAMES[args.optimiser]}, peak lr {args.lr}, weight decay "
        f"{args.weight_decay}, cosine",
        **thresholds(args),
        "precision": args.precision,
        "path": "plain" if trainer.why_plain else "fast",
        "recalibration_images": min(RECALIBRATION_IMAGES, images),
        "data_name": source.name,
        "data": source.describe(),
        "software": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
