"""An encoder's features, and how well their nearest neighbours predict classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.train.images.views import Split
from hwsim.train.networks.gating import Branch
from hwsim.train.networks.inference import batches, evaluating
from hwsim.train.networks.models import ResNet18

NEIGHBOURS, KNN_TEMPERATURE = 200, 0.1


def features(encoder: ResNet18, images: Tensor, branch: Branch = "diagonal") -> Tensor:
    """(N, features) fp32 of uint8 images (N, 3, H, W), in evaluation mode."""
    with evaluating(encoder):
        return torch.cat([encoder(pixels, branch).float() for pixels in batches(images)])


def embed(encoder: ResNet18, images: Tensor, branch: Branch = "diagonal") -> Tensor:
    """The same as unit vectors."""
    return F.normalize(features(encoder, images, branch), dim=1)


def knn_accuracy(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, labels: Tensor, neighbours: int = NEIGHBOURS
) -> float:
    """Weighted kNN (Wu et al. 2018) in per cent: votes exp(cosine / 0.1) of the nearest 200.

    bank and queries: unit vectors, (N, D) and (M, D). An image whose features are not finite is
    nobody's neighbour, and as a query it counts as wrong.
    """
    classes = int(bank_labels.max()) + 1
    correct = 0
    usable = bank.isfinite().all(1)
    bank, bank_labels, queries = bank[usable].float(), bank_labels[usable], queries.float()
    if not len(bank):
        return 0.0
    for part, truth in zip(queries.split(1000), labels.split(1000), strict=True):
        with torch.autocast(part.device.type, enabled=False):
            similarity, nearest = (part @ bank.T).topk(min(neighbours, len(bank)), dim=1)
        votes = torch.zeros(len(part), classes, device=part.device)
        votes.scatter_add_(1, bank_labels[nearest], (similarity / KNN_TEMPERATURE).exp())
        correct += int(((votes.argmax(1) == truth) & part.isfinite().all(1)).sum())
    return 100 * correct / len(labels)


def knn(encoder: ResNet18, train: Split, test: Split, branch: Branch = "diagonal") -> float:
    """kNN accuracy of `test` against the bank `train` in per cent, at the images' own size."""
    return knn_accuracy(
        embed(encoder, train.images, branch), train.labels,
        embed(encoder, test.images, branch), test.labels,
    )  # fmt: skip
