"""What a network computes of its dense one: densities, FLOPs, index bits."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from hwsim.network import Network
from hwsim.trace.active_channels import kept_macs
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train.networks.gating import Branch, gated_layers
from hwsim.train.networks.inference import batches, evaluating
from hwsim.train.networks.methods import dynamic_layers
from hwsim.train.networks.models import ResNet18
from hwsim.train.record.channel_masks import GRANULARITY, channel_masks, mask_fields


def costs_of(
    encoder: ResNet18, images: Tensor, network: Network, branch: Branch = "diagonal"
) -> dict[str, Any]:
    """Figures of :func:`costs` or :func:`channel_costs` over uint8 images (N, 3, H, W).

    With them ``density_images`` and, by layer, ``density_layers``. Empty for a dense encoder.
    """
    if not dynamic_layers(encoder):
        return {}
    if encoder.method in GRANULARITY:
        header = TraceHeader(
            network=network, method=encoder.method, dataset="measured",
            image_ids=tuple(range(len(images))), **mask_fields(encoder),
        )  # fmt: skip
        trace = MaskTrace.from_masks(header, channel_masks(encoder, images, branch))
        found, per_layer = channel_costs(trace), trace.densities()
    else:
        per_layer = layer_densities(encoder, images, branch)
        found = costs(per_layer, network, encoder.mask_group)
    return found | {"density_images": len(images), "density_layers": per_layer}


def layer_densities(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal"
) -> dict[str, float]:
    """Share of mask bits that are 1, per gated layer, over uint8 images in evaluation mode."""
    layers = gated_layers(encoder)
    sums = dict.fromkeys(layers, 0.0)
    with evaluating(encoder):
        for pixels in batches(images):
            encoder(pixels, branch)
            for name, layer in layers.items():
                sums[name] += float(layer.density) * len(pixels)
    return {name: total / len(images) for name, total in sums.items()}


def weighted_densities(per_layer: dict[str, float], network: Network) -> tuple[float, float]:
    """(element-weighted, MAC-weighted) density of the whole network from its layers'."""
    layers = network.gated_layers

    def mean(weights: list[int]) -> float:
        densities = (per_layer[layer.name] for layer in layers)
        return sum(w * d for w, d in zip(weights, densities, strict=True)) / sum(weights)

    return mean([layer.mask_bits() for layer in layers]), mean([layer.macs for layer in layers])


def costs(per_layer: dict[str, float], network: Network, mask_group: int) -> dict[str, Any]:
    """Densities of the whole network, FLOPs reductions (factors) and mask bits per image.

    ``per_layer``: densities. ``flops_reduction_gated`` is of the gated layers,
    ``flops_reduction_network`` of all layers.
    """
    elements, macs = weighted_densities(per_layer, network)
    gated = network.gated_layers
    ran = sum(layer.executed_macs(per_layer[layer.name]) for layer in gated)
    dense = network.macs - network.gated_macs
    return {
        "density_elements": elements,
        "density_macs": macs,
        "flops_reduction_gated": network.gated_macs / ran,
        "flops_reduction_network": network.macs / (dense + ran),
        "index_bits": network.mask_bits(mask_group),
        "index_reduction": network.mask_bits(1) / network.mask_bits(mask_group),
    }


def channel_costs(trace: MaskTrace) -> dict[str, Any]:
    """The figures of :func:`costs` from masks of channels, as a run under ``channels`` has them.

    ``density_macs``: share of the gated layers' MACs that belong to kept channels. No figure counts
    predictors.
    """
    network, kept = trace.network, kept_macs(trace)
    gated = sum(kept[layer.name] for layer in network.gated_layers) / trace.images
    return {
        "density_elements": trace.header.density_elements(trace.ones()),
        "density_macs": gated / network.gated_macs,
        "flops_reduction_gated": network.gated_macs / gated,
        "flops_reduction_network": network.macs * trace.images / sum(kept.values()),
        "index_bits": trace.header.bits,
        "index_reduction": network.mask_bits(1) / trace.header.bits,
    }
