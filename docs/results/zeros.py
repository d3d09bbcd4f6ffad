"""A trace of a dense network: nothing is left out, but zero operands are counted.

It prices `dense-zero-gated` on the activations of a network that is really dense. Every mask bit
of it is open, so that it says nothing of gating and is replayed under that scheme alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from hwsim.formats import pack_bits
from hwsim.header import TraceHeader
from hwsim.trace import write_trace
from hwsim.train import data, models
from hwsim.train.costs import network_of
from hwsim.train.features import evaluating, watched_batches
from hwsim.train.recorder import zero_operand_macs
from hwsim.train.sources import Source
from hwsim.workload import Network

BATCH = 16


def count_zero_operands(
    encoder: models.ResNet18, images: Tensor, network: Network
) -> dict[str, np.ndarray]:
    """int64 (N,) by layer that a gated network would gate: MACs with a zero activation operand.

    images: uint8 (N, 3, H, W).
    """
    found: dict[str, list[np.ndarray]] = {layer.name: [] for layer in network.gated_layers}

    def counting(name: str) -> Any:
        def observe(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            found[name].append(zero_operand_macs(args[0], network.by_name[name]).numpy())

        return observe

    modules = dict(encoder.named_modules())
    hooks = [modules[name].register_forward_pre_hook(counting(name)) for name in found]
    try:
        with evaluating(encoder):
            for pixels in watched_batches(images, BATCH, "recording"):
                encoder(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: np.concatenate(parts) for name, parts in found.items()}


def record_dense(weights: Path, source: Source, cache: Path, count: int) -> None:
    """Write the trace of the first ``count`` test images beside the weights."""
    encoder, training = models.load_weights(weights)
    test = data.load_split(source, "test", cache)
    images = test.images[:count]
    size = images.shape[-1]
    network = network_of(encoder, size, int(test.labels.max()) + 1)
    header = TraceHeader(
        network=network,
        method="dense",
        mask_group=1,
        dataset=f"{source.name} test split, {size}x{size}",
        image_ids=tuple(range(len(images))),
        training=training,
    )
    zeros = count_zero_operands(encoder, images, network)
    opened = {
        layer.name: pack_bits(np.ones((len(images), header.layer_bits(layer)), bool))
        for layer in network.gated_layers
    }
    write_trace(weights.with_suffix(".h5"), header, opened, zeros)
