"""From a trained encoder of ours to a mask trace; :class:`Recorder` is for any other network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from hwsim.errors import UserError
from hwsim.network import Network
from hwsim.trace.files import write_trace
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.int8_sample import LayerSample
from hwsim.train.images import views
from hwsim.train.networks import models
from hwsim.train.networks.gating import Branch, GatedConv2d, gated_layers
from hwsim.train.networks.inference import evaluating, hooked, watched_batches
from hwsim.train.networks.models import network_of
from hwsim.train.record.channel_masks import GRANULARITY, mask_fields, record_channels
from hwsim.train.record.masks.gates import Gate
from hwsim.train.record.quantised import sample_of
from hwsim.train.record.recorder import Recorder

SALIENCE_IMAGES = 16


def gate_of(layer: GatedConv2d, branch: Branch) -> Gate:
    """Where a gated layer's margins Z - tau come from: what normalises its base sums gives Z."""
    norm = layer.gate_norm[branch]
    return norm, lambda z: z - layer.tau.detach()[:, None, None]


def attached(
    encoder: models.ResNet18, network: Network, *, branch: Branch = "diagonal", **options: Any
) -> Recorder:
    """A recorder of the encoder's masks; ``options`` as :meth:`Recorder.attach` takes them."""
    gates = {name: gate_of(layer, branch) for name, layer in gated_layers(encoder).items()}
    return Recorder.attach(encoder, gates, network=network, branch=branch, **options)


def record(
    encoder: models.ResNet18,
    images: Tensor,
    network: Network,
    *,
    branch: Branch = "diagonal",
    salience_images: int = SALIENCE_IMAGES,
    sampled: str | None = None,
    input_images: int = 0,
) -> dict[str, Any]:
    """What write_trace takes beside path and header, from uint8 images (N, 3, H, W).

    For a network with gates; :func:`record_channels` is for FBS and DGC. ``sampled``: the gated
    layer whose int8 data for the first image are added. Raises UserError where there is none.
    ``input_images``: of how many images the input bits of all layers but the first are added.
    """
    layers = gated_layers(encoder)
    if sampled not in (None, *layers):
        raise UserError(f"--sample {sampled}: gated layers are {', '.join(layers)}")
    samples: list[LayerSample] = []

    def sample(layer: GatedConv2d, args: tuple[Tensor, Branch], _: Tensor) -> None:
        if not samples:
            samples.append(sample_of(str(sampled), layer, *args))

    recorder = attached(
        encoder,
        network,
        branch=branch,
        salience_images=min(salience_images, len(images)),
        input_images=input_images,
    )
    sampling = hooked(after=[(layers[sampled], sample)] if sampled else [])
    with recorder, evaluating(encoder), sampling:
        for pixels in watched_batches(images, "recording"):
            encoder(pixels, branch)
    return {**recorder.contents(), "sample": samples[0] if samples else None}


def write(
    path: Path,
    encoder: models.ResNet18,
    test: views.Split,
    count: int,
    training: dict[str, Any],
    sampled: str | None = None,
    dataset: str = "CIFAR-10",
    input_images: int = 0,
) -> None:
    """Record the first `count` test images into the trace `path`.

    ``sampled``, ``input_images``: as in :func:`record`, of a network with gates.
    """
    size = test.images.shape[-1]
    network = network_of(encoder, size, int(test.labels.max()) + 1)
    images = test.images[:count]
    if encoder.method in GRANULARITY:
        recorded = record_channels(encoder, images, network)
    else:
        recorded = record(encoder, images, network, sampled=sampled, input_images=input_images)
    header = TraceHeader(
        network=network,
        method=encoder.method,
        branch="diagonal",
        dataset=f"{dataset} test split, {size}x{size}",
        image_ids=tuple(range(len(images))),
        training=training,
        synthetic=False,
        **mask_fields(encoder),
    )
    write_trace(path, header, **recorded)
