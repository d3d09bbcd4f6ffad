"""An encoder's features, the statistics that they rest on, and what their neighbours say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hwsim.cli import watched
from hwsim.train.images.views import plain
from hwsim.train.networks.gating import Branch, gated_layers
from hwsim.train.networks.models import ResNet18


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


def watched_batches(images: Tensor, size: int, what: str) -> Iterator[Tensor]:
    """The same, with progress."""
    return watched(batches(images, size), what, -(-len(images) // size))


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
