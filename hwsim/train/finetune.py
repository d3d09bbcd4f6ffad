"""Fine-tuning: an encoder and a linear layer on labels, gates on, from weights of another stage."""

from __future__ import annotations

import argparse
import copy
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from hwsim.train.evaluate import probe
from hwsim.train.images import dataset, views
from hwsim.train.networks.gating import gated_layers
from hwsim.train.networks.methods import lasso
from hwsim.train.trainer import Trainer


class FineTuner(Trainer):
    """The same run with labels: one view an image, moved and mirrored, on the diagonal branch.

    Thresholds stay as they are unless --free-thresholds; running statistics of the gates follow.
    FBS and DGC keep the share of channels that their weights say.
    """

    measured = "validation_percent"

    def __init__(self, args: argparse.Namespace, train: views.Split) -> None:
        self.classes = int(train.labels.max()) + 1
        self.seen = train.images[: probe.STANDARDISING_IMAGES]
        kept = len(train) - args.validation
        if kept < args.batch:
            raise views.DataError(
                f"--validation {args.validation}: of {len(train)} images {max(kept, 0)} are left "
                f"to train on, fewer than --batch {args.batch}"
            )
        self.validation = views.Split(train.images[kept:], train.labels[kept:])
        super().__init__(args, train.head(kept))

    def build(self) -> Any:
        encoder = copy.deepcopy(self.args.start.encoder).to(self.device)
        model = probe.Classifier(
            encoder, self.seen, self.classes, "diagonal", self.args.precision
        )  # fmt: skip
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
        """Nothing follows the progress of fine-tuning but rate and resolution."""

    def losses(self) -> tuple[Tensor, Tensor]:
        """The cross-entropy of the next batch; the lasso."""
        chosen = self.shuffler.next().to(self.train.images.device)
        images = self.train.images[chosen]
        if self.resolution < images.shape[-1]:
            images = dataset.shrink(images, self.resolution)
        views = probe.shifted(images, self.generator)
        with self.path():
            scores = self.network(views)
        return F.cross_entropy(scores, self.train.labels[chosen]), lasso(self.model)

    def accuracy(self, split: views.Split) -> float:
        return probe.accuracy(self.model, split)

    def top(self) -> dict[str, Tensor]:
        """What is on the encoder, for models.save_weights: scores = fc((features - mean) / dev)."""
        model = self.model
        found = {"mean": model.mean, "deviation": model.deviation}
        return found | {f"fc.{name}": value for name, value in model.fc.state_dict().items()}
