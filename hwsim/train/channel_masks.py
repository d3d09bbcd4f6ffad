"""The channels that FBS and DGC keep, image by image, as a trace takes them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hwsim.train.evaluate import batches, evaluating
from hwsim.train.gating import Branch, GatedConv2d
from hwsim.train.methods import dynamic_layers
from hwsim.train.models import ResNet18

BATCH = 16


def channel_masks(
    encoder: ResNet18, images: Tensor, branch: Branch = "diagonal"
) -> dict[str, np.ndarray]:
    """bool per layer, from uint8 images (N, 3, H, W).

    FBS: (N, out_channels). DGC: (N, heads, in_channels). ValueError where a layer has gates
    instead.
    """
    layers = dynamic_layers(encoder)
    found: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    with evaluating(encoder):
        for pixels in batches(images, BATCH):
            encoder(pixels, branch)
            for name, layer in layers.items():
                if isinstance(layer, GatedConv2d) or layer.mask is None:
                    raise ValueError(f"layer {name} does not choose channels")
                found[name].append(layer.mask.to(torch.bool).cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}
