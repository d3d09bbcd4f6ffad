"""Fine-tuning: an encoder and a linear layer on labels, gates on, from weights of another stage."""

from __future__ import annotations

import argparse
import copy
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from hwsim.train.evaluate import probe
from hwsim.train.images import dataset, views
from hwsim.train.images.sources import DataError
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.methods import lasso
from hwsim.train.trainer import Trainer


class FineTuner(Trainer):
    """A run with labels: one view of each image, moved and mirrored, on the diagonal branch.

    Thresholds are fixed without --free-thresholds; running statistics of the gates follow. FBS and
    DGC keep the share of channels that is in their weights.
    """

    measured = "validation_percent"

    def __init__(self, args: argparse.Namespace, train: views.Split) -> None:
        self.classes = int(train.labels.max()) + 1
        self.seen = train.images[: probe.STANDARDISING_IMAGES]
        kept = len(train) - args.validation
        if kept < args.batch:
            raise DataError(
                f"--validation {args.validation}: of {len(train)} images {max(kept, 0)} are left "
                f"to train on, fewer than --batch {args.batch}"
            )
        self.validation = views.Split(train.images[kept:], train.labels[kept:])
        super().__init__(args, train.head(kept))

    def build(self) -> Any:
        encoder = copy.deepcopy(self.args.start.encoder).to(self.device)
        precision = self.args.precision
        model = probe.Classifier(encoder, self.seen, self.classes, "diagonal", precision)
        for layer in gated_layers(model).values():
            layer.tau.requires_grad_(self.args.free_thresholds)
        return model.train()

    @property
    def views_per_step(self) -> int:
        return int(self.args.batch)

    @property
    def pulls_thresholds(self) -> bool:
        return bool(self.args.free_thresholds)

    def advance(self) -> None:
        """Nothing: only rate and resolution follow the progress of fine-tuning."""

    def losses(self) -> tuple[Tensor, Tensor]:
        """The cross-entropy of the next batch; the lasso."""
        chosen = self.shuffler.next().to(self.train.images.device)
        images = dataset.at_most(self.train.images[chosen], self.resolution)
        views = probe.shifted(images, self.generator)
        with self.path():
            scores = self.network(views)
        return F.cross_entropy(scores, self.train.labels[chosen]), lasso(self.model)

    def accuracy(self, split: views.Split) -> float:
        return probe.accuracy(self.model, split)

    def top(self) -> dict[str, Tensor]:
        """The classifier, for models.save_weights: scores = fc((features - mean) / deviation)."""
        model = self.model
        found = {"mean": model.mean, "deviation": model.deviation}
        return found | {f"fc.{name}": value for name, value in model.fc.state_dict().items()}
