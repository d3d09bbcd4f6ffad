"""What a trained encoder is worth and how much of it runs: kNN accuracy and densities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.train.data import Split, plain
from hwsim.train.gating import Branch, gated_layers
from hwsim.train.models import ResNet18
from hwsim.workload import Network

NEIGHBOURS, KNN_TEMPERATURE = 200, 0.1


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


def embed(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal", batch: int = 64
) -> Tensor:
    """(N, features) unit vectors in fp32."""
    with evaluating(encoder):
        parts = [encoder(pixels, branch).float() for pixels in batches(images, batch)]
    return F.normalize(torch.cat(parts), dim=1)


def knn_accuracy(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, labels: Tensor, neighbours: int = NEIGHBOURS
) -> float:
    """Weighted kNN (Wu et al. 2018) in per cent: votes exp(cosine / 0.1) of the nearest 200.

    bank and queries: unit vectors, (N, D) and (M, D).
    """
    classes = int(bank_labels.max()) + 1
    correct = 0
    bank, queries = bank.float(), queries.float()
    for part, truth in zip(queries.split(1000), labels.split(1000), strict=True):
        with torch.autocast(part.device.type, enabled=False):
            similarity, nearest = (part @ bank.T).topk(min(neighbours, len(bank)), dim=1)
        votes = torch.zeros(len(part), classes, device=part.device)
        votes.scatter_add_(1, bank_labels[nearest], (similarity / KNN_TEMPERATURE).exp())
        correct += int((votes.argmax(1) == truth).sum())
    return 100 * correct / len(labels)


def knn(encoder: ResNet18, train: Split, test: Split, branch: Branch = "diagonal") -> float:
    """kNN accuracy of `test` against the bank `train` in per cent, at the images' own size."""
    return knn_accuracy(
        embed(encoder, train.images, branch), train.labels,
        embed(encoder, test.images, branch), test.labels,
    )  # fmt: skip


def layer_densities(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal", batch: int = 64
) -> dict[str, float]:
    """Share of mask bits that are 1, per gated layer, over uint8 images in evaluation mode."""
    layers = gated_layers(encoder)
    sums = dict.fromkeys(layers, 0.0)
    with evaluating(encoder):
        for pixels in batches(images, batch):
            encoder(pixels, branch)
            for name, layer in layers.items():
                sums[name] += float(layer.density) * len(pixels)
    return {name: total / len(images) for name, total in sums.items()}


def weighted_densities(per_layer: dict[str, float], network: Network) -> tuple[float, float]:
    """(element-weighted, MAC-weighted) density of the whole network from its layers'."""
    layers = network.gated_layers
    elements = [layer.mask_bits() for layer in layers]
    macs = [layer.macs for layer in layers]
    densities = [per_layer[layer.name] for layer in layers]
    return tuple(
        sum(w * d for w, d in zip(weights, densities, strict=True)) / sum(weights)
        for weights in (elements, macs)
    )  # type: ignore[return-value]
