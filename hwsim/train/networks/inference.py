"""How a network runs outside training: precision, mode, batches, hooks, fresh statistics."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hwsim.cli import watched
from hwsim.train.images.views import plain
from hwsim.train.networks.gating import Branch, gated_layers
from hwsim.train.networks.models import ResNet18

Hook = tuple[nn.Module, Callable[..., Any]]
"""A module, and what is called when it runs: torch's forward hook or forward pre-hook."""

BATCH = 64
"""Images at once where only accuracies, densities and features are wanted."""

RECORDING_BATCH = 16
"""Images at once where masks are recorded: shipped traces can be reproduced bit by bit with it."""


def device(text: str) -> str:
    """Type of an option that names a device of torch: one that is there and computes."""
    try:
        computes = float(torch.ones(1, device=text).sum()) == 1
    except (RuntimeError, AssertionError, NotImplementedError):
        computes = False
    if not computes:
        there = ", ".join(["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))])
        raise argparse.ArgumentTypeError(f"no device {text!r} here; there is {there}")
    return text


@contextmanager
def hooked(*, before: Iterable[Hook] = (), after: Iterable[Hook] = ()) -> Iterator[None]:
    """Inside, ``before`` are called before their modules run and ``after`` when these have run."""
    with ExitStack() as hooks:
        for module, call in before:
            hooks.enter_context(module.register_forward_pre_hook(call))
        for module, call in after:
            hooks.enter_context(module.register_forward_hook(call))
        yield


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """What a network of this precision, fp32 or bf16, runs in.

    It keeps weights in bf16 until it is left: enter it anew for every step of an optimiser.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def without_gradients(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Training or evaluation mode, without gradients; the mode before is put back."""
    before = model.training
    model.train(training)
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(before)


def evaluating(model: nn.Module) -> AbstractContextManager[None]:
    """Evaluation mode, without gradients."""
    return without_gradients(model, training=False)


def batches(images: Tensor, size: int = BATCH) -> Iterator[Tensor]:
    """uint8 images (N, 3, H, W) -> normalised fp32 batches in channels_last."""
    for chunk in images.split(size):
        yield plain(chunk).contiguous(memory_format=torch.channels_last)


def watched_batches(images: Tensor, what: str) -> Iterator[Tensor]:
    """The same in batches of RECORDING_BATCH, with progress; ``what`` names the work."""
    size = RECORDING_BATCH
    return watched(batches(images, size), what, -(-len(images) // size))


def recalibrate(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal", batch: int = 128
) -> None:
    """Set the running statistics of BatchNorm and of the branch's gates from plain images.

    In training they mix both branches, augmented views and other resolutions. All batches have
    the same weight (cumulative average). images: uint8 (N, 3, H, W) of the training split.
    """
    gates = gated_layers(encoder).values()
    other = {id(norm) for g in gates for name, norm in g.gate_norm.items() if name != branch}
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d) and id(m) not in other]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with without_gradients(encoder, training=True):
        for pixels in batches(images, batch):
            encoder(pixels, branch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
