"""Accuracy with labels: linear evaluation on frozen features, and fine-tuning.

Both are SimCLR's protocols with recipes of our choice (docs/guide/evaluation.md).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from hwsim.cli import watched
from hwsim.train.evaluate.features import features
from hwsim.train.images.views import Shuffler, Split, plain
from hwsim.train.networks.gating import Branch, gated_layers
from hwsim.train.networks.inference import autocast, batches, evaluating
from hwsim.train.networks.models import ResNet18

LINEAR_ITERATIONS, LINEAR_DECAY = 200, 1e-4
STANDARDISING_IMAGES, LEAST_DEVIATION = 1024, 1e-2
SHIFT = 4
"""Pixels by which fine-tuning moves a 32x32 image; in proportion to the side for other images."""


def linear_accuracy(known: Tensor, labels: Tensor, asked: Tensor, truth: Tensor) -> float:
    """Per cent right of a linear classifier on frozen features, (N, D) and (M, D).

    Multinomial logistic regression by L-BFGS on all features at once, standardised. The loss is
    the mean cross-entropy plus LINEAR_DECAY / 2 * |W|^2. No random number is drawn.
    """
    mean, deviation = known.mean(0), known.std(0).clamp(min=1e-6)
    known, asked = (known - mean) / deviation, (asked - mean) / deviation
    classifier = nn.Linear(known.shape[1], int(labels.max()) + 1).to(known.device)
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    optimiser = torch.optim.LBFGS(
        classifier.parameters(), max_iter=LINEAR_ITERATIONS, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimiser.zero_grad()
        size = classifier.weight.square().sum()
        loss = F.cross_entropy(classifier(known), labels) + LINEAR_DECAY / 2 * size
        loss.backward()
        return loss

    optimiser.step(objective)
    with torch.no_grad():
        return percent_correct(classifier(asked), truth)


def percent_correct(scores: Tensor, truth: Tensor) -> float:
    return 100 * float((scores.argmax(1) == truth).float().mean())


@dataclass(frozen=True)
class FineTuning:
    """The recipe: SGD with Nesterov momentum 0.9, half a cosine, on encoder and classifier."""

    epochs: int = 10
    batch: int = 128
    lr: float = 0.02
    weight_decay: float = 5e-4
    seed: int = 0
    precision: str = "fp32"


class Classifier(nn.Module):
    """An encoder and a linear layer on its features, on one branch; scores in fp32, at first all 0.

    Features are standardised by the mean and deviation that the uint8 images ``seen`` have at
    first: FBS's are ten times as large as others', and a classifier's steps grow with the square.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, encoder: ResNet18, seen: Tensor, classes: int, branch: Branch, precision: str
    ) -> None:
        super().__init__()
        self.encoder, self.branch, self.precision = encoder, branch, precision
        known = features(encoder, seen, branch)
        deviation = known.std(0, correction=0)
        self.register_buffer("mean", known.mean(0))
        # A feature that is zero in the sample would dominate when it first fires.
        least = max(LEAST_DEVIATION * float(deviation.mean()), 1e-6)
        self.register_buffer("deviation", deviation.clamp(min=least))
        self.fc = nn.Linear(encoder.features, classes, device=seen.device)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        with autocast(x.device, self.precision):
            found = (self.encoder(x, self.branch) - self.mean) / self.deviation
            return self.fc(found).float()


def fine_tune(
    encoder: ResNet18, train: Split, test: Split, recipe: FineTuning, branch: Branch = "diagonal"
) -> tuple[float, ResNet18]:
    """(accuracy in per cent, the tuned encoder); ``encoder`` stays as it is.

    Gates stay on and their thresholds fixed; the running statistics of the branch's gates follow.
    """
    device = train.images.device
    torch.manual_seed(recipe.seed)
    classes = int(train.labels.max()) + 1
    seen = train.images[:STANDARDISING_IMAGES]
    model = Classifier(copy.deepcopy(encoder), seen, classes, branch, recipe.precision)
    for layer in gated_layers(model).values():
        layer.tau.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(
        trained, recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay, nesterov=True
    )
    generator = Generator().manual_seed(recipe.seed + 1)
    shuffler = Shuffler(len(train), min(recipe.batch, len(train)), generator)
    steps = recipe.epochs * (len(train) // shuffler.batch)
    model.train()
    for step in watched(range(steps), "fine-tuning", steps):
        optimiser.param_groups[0]["lr"] = recipe.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        chosen = shuffler.next().to(device)
        views = shifted(train.images[chosen], generator)
        loss = F.cross_entropy(model(views), train.labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return accuracy(model, test), model.encoder.eval()


def accuracy(model: Classifier, test: Split) -> float:
    """Per cent right at the images' own size."""
    with evaluating(model):
        scores = torch.cat([model(pixels) for pixels in batches(test.images, 64)])
    return percent_correct(scores, test.labels)


def shifted(images: Tensor, generator: Generator) -> Tensor:
    """Each image moved by up to an eighth of its side, reflected at the edges; half are mirrored.

    uint8 (N, 3, H, W) -> the network's input, the same size.
    """
    count, side = len(images), images.shape[-1]
    margin = SHIFT * side // 32
    draws = torch.rand(3, count, generator=generator).to(images.device)
    padded = F.pad(plain(images), (margin,) * 4, mode="reflect")
    span = torch.arange(side, device=images.device)
    rows = (draws[0] * (2 * margin + 1)).long()[:, None] + span
    columns = (draws[1] * (2 * margin + 1)).long()[:, None] + span
    columns = torch.where((draws[2] < 0.5)[:, None], columns.flip(1), columns)
    which = torch.arange(count, device=images.device)[:, None, None]
    # Indices around a slice put the channels last.
    cut = padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return cut.contiguous(memory_format=torch.channels_last)
