"""The networks that a trained one is compared with: what was there before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hwsim.train.images.views import plain
from hwsim.train.networks.gating import GatedConv2d, gated_layers
from hwsim.train.networks.inference import recalibrate
from hwsim.train.networks.models import ResNet18, round_to_fp16

MATCHING_IMAGES = 128


def untrained_like(encoder: ResNet18, seed: int, images: Tensor) -> ResNet18:
    """The network that training with ``seed`` began with, of the architecture of ``encoder``.

    Rounded to fp16 and recalibrated on ``images``, uint8 (N, 3, H, W) of the training split, as a
    trained one is before it is measured; on their device. torch's generator on the CPU, which
    draws the weights, is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = ResNet18(
            encoder.method,
            encoder.width,
            stages=encoder.stages,
            gate_norm=encoder.gate_norm,
            mask_group=encoder.mask_group,
        )
    found = found.to(images.device, memory_format=torch.channels_last)
    round_to_fp16(found)
    recalibrate(found, images)
    return found.eval()


def set_densities(encoder: ResNet18, densities: Mapping[str, float], images: Tensor) -> None:
    """Move all thresholds of each gated layer by one number, so that it has the density given.

    Layer by layer on the diagonal branch of the first 128 ``images``, which also recalibrate
    the network afterwards, all of them: densities on other images are near, not equal.
    """

    def move(layer: GatedConv2d, args: tuple[Any, ...]) -> None:
        x, branch = args
        margins = layer.margin(layer.base_sum(x, branch), branch).flatten()
        closed = round((1 - wanted[layer]) * len(margins))
        # Contiguous, as kthvalue takes a copy's time otherwise.
        limit = margins.contiguous().kthvalue(max(closed, 1)).values
        layer.tau += limit

    layers = gated_layers(encoder)
    wanted = {layer: densities[name] for name, layer in layers.items()}
    hooks = [layer.register_forward_pre_hook(move) for layer in wanted]
    before = encoder.training
    # Normalised by the batch: what a layer reads changes with the thresholds of those before it.
    encoder.train()
    try:
        with torch.no_grad():
            pixels = plain(images[:MATCHING_IMAGES])
            encoder(pixels.contiguous(memory_format=torch.channels_last), "diagonal")
    finally:
        for hook in hooks:
            hook.remove()
        encoder.train(before)
    recalibrate(encoder, images)
