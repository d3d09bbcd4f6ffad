"""An encoder's figures: accuracy, density, int8; and the file beside its weights with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from hwsim.errors import UserError, one_line
from hwsim.files import read_text, write_whole
from hwsim.train.evaluate import int8, probe
from hwsim.train.evaluate.costs import costs_of
from hwsim.train.evaluate.features import features, knn, knn_accuracy
from hwsim.train.images.views import Split
from hwsim.train.networks import models
from hwsim.train.networks.gating import Branch
from hwsim.train.networks.inference import autocast
from hwsim.train.networks.models import network_of

DEFAULT = ("knn", "density", "int8")
AUTOCAST = ("knn", "linear", "finetune")
"""The figures that --precision is for; costs and int8 are measured in fp32."""

PRECISIONS = ("fp32", "bf16")
DENSITY_IMAGES, FLIP_IMAGES, CALIBRATION_IMAGES = 1000, 1000, 256
RECALIBRATION_IMAGES = 1024


@dataclass(frozen=True)
class Evaluation:
    """An encoder and the images that it is measured on; each method gives named figures.

    ``precision`` is the networks' in kNN, linear evaluation and fine-tuning.
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
        """Accuracy of weighted kNN in per cent, as :func:`knn_accuracy` defines it."""
        known, asked = (F.normalize(part, dim=1) for part in self.features)
        labels = self.train.labels, self.test.labels
        return {"knn_percent": knn_accuracy(known, labels[0], asked, labels[1])}

    def linear(self) -> dict[str, Any]:
        """Accuracy of a linear classifier on frozen features in per cent."""
        known, asked = self.features
        accuracy = probe.linear_accuracy(known, self.train.labels, asked, self.test.labels)
        return {"linear_percent": accuracy}

    def finetune(self) -> dict[str, Any]:
        """Accuracy of a fine-tuned copy in per cent, the recipe, and what of the copy runs."""
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
        """Densities and FLOPs reductions; nothing where the encoder is dense."""
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
        """The figures of each name in ``what`` (keys of WHAT), and the numbers of images."""
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


def saved_path(weights: Path) -> Path:
    """Where --save keeps the figures of a weights file."""
    return weights.with_name(f"{weights.stem}.evaluation.json")


def read_saved(weights: Path) -> dict[str, Any]:
    """The figures kept beside a weights file, {} where there is no such file. UserError."""
    path = saved_path(weights)
    if not path.exists():
        return {}
    try:
        found = json.loads(read_text(path))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({one_line(error)})") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: a JSON object was expected")
    return found


def save(weights: Path, figures: dict[str, Any]) -> None:
    """Adds figures to the file beside the weights, which is whole at every moment."""
    found = json.dumps(read_saved(weights) | figures, indent=2)
    write_whole(saved_path(weights), f"{found}\n")
