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

KEPT_COSTS = (
    "density_elements", "density_macs", "flops_reduction_gated", "flops_reduction_network",
    "density_images",
)  # fmt: skip
"""What the training record keeps of a network's costs."""

STAGE_SUFFIX = {"contrastive": "", "finetune": "-finetuned"}
"""How the names of weights and trace end, by stage."""

NAMES = {"adamw": "AdamW", "sgd": "SGD with Nesterov momentum 0.9", "lars": "LARS"}


def finish(trainer: Trainer, train: views.Split, test: views.Split, source: Source) -> None:
    """Evaluates the encoder as it is shipped; writes weights, evaluation.json and the trace."""
    args, encoder = trainer.args, trainer.model.encoder
    announce("evaluating the trained encoder")
    training = training_record(trainer, source) | shipped_accuracies(trainer, train, test)
    announce("evaluating the untrained encoder")
    untrained = untrained_like(encoder, args.seed, train.images[:RECALIBRATION_IMAGES])
    training |= final_knn(trainer, untrained, train, test, "untrained_knn_percent")
    gain = training["knn_percent"] - training["untrained_knn_percent"]
    training["barely_trained"] = gain < MIN_KNN_GAIN_PERCENT
    images = test.images[:DENSITY_IMAGES]
    network = network_of(encoder, images.shape[-1], int(train.labels.max()) + 1)
    found = costs_of(encoder, images, network)
    training |= {name: found[name] for name in KEPT_COSTS if name in found}
    name = file_name(args, source)
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


def file_name(args: argparse.Namespace, source: Source) -> str:
    """Name of a run's weights and trace, without a suffix."""
    return f"resnet18-{source.file_name}-{args.method}{STAGE_SUFFIX[args.stage]}"


def shipped_accuracies(trainer: Trainer, train: views.Split, test: views.Split) -> dict[str, Any]:
    """Accuracies in per cent, and the numbers of images, of the encoder as it is shipped.

    The weights are rounded to fp16 and the statistics recalibrated first, in place. kNN, and for
    fine-tuning the share right of all test images and of the images left out of training.
    """
    encoder = trainer.model.encoder
    models.round_to_fp16(encoder)
    recalibrate(encoder, train.images[:RECALIBRATION_IMAGES])
    found = final_knn(trainer, encoder, train, test, "knn_percent")
    if isinstance(trainer, FineTuner):
        for name, split in (("finetune", test), ("validation", trainer.validation)):
            if len(split):
                found[f"{name}_percent"] = round(trainer.accuracy(split), 2)
                found[f"{name}_images"] = len(split)
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
    """Stage, loss and views."""
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
    """What set the thresholds: the penalty or the controller; or the share of channels kept."""
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


def training_record(trainer: Trainer, source: Source) -> dict[str, Any]:
    """How the network was trained, as plain JSON values: weights and trace carry it."""
    args, images = trainer.args, len(trainer.train)
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
