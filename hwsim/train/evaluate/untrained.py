"""The networks that a trained one is compared with: its own before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hwsim.train.networks.gating import GatedConv2d, gated_layers
from hwsim.train.networks.inference import batches, hooked, recalibrate, without_gradients
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

    ``densities``: share of open gates by layer. ``images``: uint8 (N, 3, H, W). Thresholds move
    layer by layer on the diagonal branch of the first 128; all of them recalibrate the network
    afterwards. Densities on other images are near, not equal.
    """

    def move(layer: GatedConv2d, args: tuple[Any, ...]) -> None:
        margins = layer.margin_on(*args).flatten()
        closed = round((1 - wanted[layer]) * len(margins))
        # Contiguous, as kthvalue takes a copy's time otherwise.
        limit = margins.contiguous().kthvalue(max(closed, 1)).values
        layer.tau += limit

    layers = gated_layers(encoder)
    wanted = {layer: densities[name] for name, layer in layers.items()}
    pixels = next(batches(images[:MATCHING_IMAGES], MATCHING_IMAGES))
    hooks = hooked(before=((layer, move) for layer in wanted))
    # Normalised by the batch: each layer's input changes with the thresholds of earlier layers.
    with without_gradients(encoder, training=True), hooks:
        encoder(pixels, "diagonal")
    recalibrate(encoder, images)
