"""The channels that FBS and DGC keep, image by image, as a trace takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hwsim.network import Network
from hwsim.trace.format.header import Granularity
from hwsim.trace.format.packing import pack_bits
from hwsim.train.networks.dgc import DGCConv2d, head_order, one_squeeze
from hwsim.train.networks.gating import Branch, GatedConv2d
from hwsim.train.networks.inference import evaluating, hooked, watched_batches
from hwsim.train.networks.methods import dynamic_layers
from hwsim.train.networks.models import ResNet18
from hwsim.train.record.zero_operands import zero_operand_macs

GRANULARITY: dict[str, Granularity] = {"fbs": "output-channel", "dgc": "input-channel-by-head"}
"""What a mask bit of a method decides on; an output activation where a method is not named."""


def mask_fields(encoder: ResNet18) -> dict[str, Any]:
    """What the header of a trace says of the encoder's masks; not for a dense one."""
    if encoder.method not in GRANULARITY:
        return {"mask_group": encoder.mask_group, "gate_norm": encoder.gate_norm}
    fields: dict[str, Any] = {"granularity": GRANULARITY[encoder.method], "mask_group": 1}
    if encoder.method == "dgc":
        channels = [layer.in_channels for layer in dynamic_layers(encoder).values()]
        fields["squeeze"] = one_squeeze(channels)
    return fields


def channel_masks(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal"
) -> dict[str, np.ndarray]:
    """bool per layer, from uint8 images (N, 3, H, W).

    FBS: (N, out_channels). DGC: (N, heads, in_channels), in the order in which heads make them.
    ValueError where a layer has gates instead.
    """
    layers = dynamic_layers(encoder)
    found: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    with evaluating(encoder):
        for pixels in watched_batches(images, "choosing channels"):
            encoder(pixels, branch)
            for name, layer in layers.items():
                if isinstance(layer, GatedConv2d) or layer.mask is None:
                    raise ValueError(f"layer {name} does not choose channels")
                mask = head_order(layer.mask) if isinstance(layer, DGCConv2d) else layer.mask
                found[name].append(mask.to(torch.bool).cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def record_channels(
    encoder: ResNet18, images: Tensor, network: Network, branch: Branch = "diagonal"
) -> dict[str, Any]:
    """What write_trace takes beside path and header, from uint8 images (N, 3, H, W).

    Zero operands are counted in the layer's input before heads choose from it: a dense machine
    has no lists of channels.
    """
    zeros: dict[str, list[np.ndarray]] = {name: [] for name in dynamic_layers(encoder)}

    def counting(name: str) -> Any:
        def observe(_: nn.Module, args: tuple[Tensor, Branch]) -> None:
            zeros[name].append(zero_operand_macs(args[0], network.by_name[name]).cpu().numpy())

        return observe

    layers = dynamic_layers(encoder).items()
    with hooked(before=((layer, counting(name)) for name, layer in layers)):
        masks = channel_masks(encoder, images, branch)
    return {
        "masks": {name: pack_bits(bits) for name, bits in masks.items()},
        "zero_operand_macs": {name: np.concatenate(parts) for name, parts in zeros.items()},
    }
