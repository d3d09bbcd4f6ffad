"""An encoder's features, the statistics that they rest on, and what their neighbours say."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.train.data import Split, plain
from hwsim.train.gating import Branch, gated_layers
from hwsim.train.models import ResNet18

NEIGHBOURS, KNN_TEMPERATURE = 200, 0.1


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """What a network of this precision, fp32 or bf16, runs in.

    It keeps weights in bf16 until it is left: enter it anew for every step of an optimiser.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the mode before is put back."""
    before = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(before)


def batches(images: Tensor, size: int) -> Iterator[Tensor]:
    """uint8 images -> normalised float batches in channels_last."""
    for chunk in images.split(size):
        yield plain(chunk).contiguous(memory_format=torch.channels_last)


def watched_batches(images: Tensor, size: int, what: str) -> Iterable[Tensor]:
    """The same, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    return track(
        batches(images, size),
        what,
        total=-(-len(images) // size),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def recalibrate(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal", batch: int = 128
) -> None:
    """Set the running statistics of BatchNorm and of the branch's gates to those of plain images.

    In training they mix both branches, augmented views and other resolutions. Each batch counts
    alike (cumulative average). images: uint8 (N, 3, H, W) of the training split.
    """
    gates = gated_layers(encoder).values()
    other = {id(norm) for g in gates for name, norm in g.gate_norm.items() if name != branch}
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d) and id(m) not in other]
    momenta = [norm.momentum for norm in norms]
    before = encoder.training
    encoder.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for pixels in batches(images, batch):
            encoder(pixels, branch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    encoder.train(before)


def features(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal", batch: int = 64
) -> Tensor:
    """(N, features) of uint8 images in evaluation mode, fp32."""
    with evaluating(encoder):
        return torch.cat([encoder(pixels, branch).float() for pixels in batches(images, batch)])


def embed(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal", batch: int = 64
) -> Tensor:
    """(N, features) unit vectors in fp32."""
    return F.normalize(features(encoder, images, branch, batch), dim=1)


def knn_accuracy(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, labels: Tensor, neighbours: int = NEIGHBOURS
) -> float:
    """Weighted kNN (Wu et al. 2018) in per cent: votes exp(cosine / 0.1) of the nearest 200.

    bank and queries: unit vectors, (N, D) and (M, D). Where a network has no finite features of an
    image, it is nobody's neighbour, and as a query it counts as wrong.
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
