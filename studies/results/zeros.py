"""A trace of a dense network: nothing is left out, but zero operands are counted.

It prices `dense-zero-gated` on the activations of a network that is really dense. Every mask bit
of it is open, so that it says nothing of gating and is replayed under that scheme alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hwsim.network import Network
from hwsim.trace.files import write_trace
from hwsim.trace.format.header import TraceHeader
from hwsim.train.images import views
from hwsim.train.images.sources import Source
from hwsim.train.networks import models
from hwsim.train.networks.inference import evaluating, watched_batches
from hwsim.train.networks.models import network_of
from hwsim.train.record.recorder import Recorder


def all_open(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """The mask of a layer that leaves nothing out."""
    return torch.ones_like(output)


def record_open(encoder: models.ResNet18, images: Tensor, network: Network) -> dict[str, Any]:
    """What write_trace takes beside path and header, from uint8 images (N, 3, H, W)."""
    gates = {layer.name: all_open for layer in network.gated_layers}
    with Recorder.attach(encoder, gates, network=network) as recorder, evaluating(encoder):
        for pixels in watched_batches(images, "recording"):
            encoder(pixels)
    return recorder.contents()


def record_dense(weights: Path, source: Source, cache: Path, count: int) -> None:
    """Write the trace of the first ``count`` test images beside the weights."""
    encoder, training = models.load_weights(weights)
    test = views.load_split(source, "test", cache)
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
    write_trace(weights.with_suffix(".h5"), header, **record_open(encoder, images, network))
