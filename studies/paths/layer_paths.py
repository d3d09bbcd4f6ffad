"""Base and conditional path of a gated layer: sums, maps, and the figures taken of them.

docs/guide/paths.md defines them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.errors import UserError
from hwsim.train.networks import models
from hwsim.train.networks.gating import Branch, GatedConv2d, gated_layers, spread
from hwsim.train.networks.methods import GATED
from studies.paths.spatial import area_means, correlations, power

MAPS = ("base", "conditional", "conditional_unmasked", "gates")
"""What is held against the edges, in the order of the columns."""

SUMS = ("base", "conditional", "conditional_unmasked", "full")
"""Whose spatial power is measured, in the order of the columns."""

SHOWN = ("base", "conditional", "gates")
"""The maps that paths.npz holds."""

LEAST_PIXELS = 8
"""A side below this has too few frequencies to cut them at half of Nyquist."""


@dataclass(frozen=True)
class Site:
    """A gated layer, the normalisation behind it, and the image pixels from one output to the next.

    ``span``: the product of the strides up to and including the layer's.
    """

    name: str
    layer: GatedConv2d
    norm: nn.BatchNorm2d
    span: int


def sites_of(encoder: models.ResNet18) -> Iterator[Site]:
    """The gated layers in execution order. Raises UserError for a method without them."""
    if encoder.method not in GATED:
        raise UserError(
            f"a network of {encoder.method} has no base and conditional paths; "
            f"valid: {', '.join(GATED)}"
        )
    names = {layer: name for name, layer in gated_layers(encoder).items()}
    span = 1
    for block in encoder.blocks():
        span *= block.conv1.stride[0]
        for layer, norm in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
            yield Site(names[layer], layer, norm, span)


def sums_and_gates(site: Site, x: Tensor, branch: Branch) -> tuple[dict[str, Tensor], Tensor]:
    """({part of SUMS: (N, C, h, w)}, open gates (N, mask lists, h, w) bool) on the layer's input.

    Each channel scaled as the batch normalisation that follows scales it, but not shifted: sums
    are in units of what goes on to the rest of the network.
    """
    layer, norm = site.layer, site.norm
    base = layer.base_sum(x, branch)
    gates = layer.margin(base, branch) > 0
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None]
    full = F.conv2d(x, layer.weight, stride=layer.stride, padding=layer.padding) * scale
    base = base * scale
    conditional = full - base
    masked = conditional * spread(gates, len(scale))
    sums = dict(zip(SUMS, (base, masked, conditional, full), strict=True))
    return sums, gates


def deviations(sums: Tensor) -> Tensor:
    """abs(sum - the channel's mean over the image), (N, C, h, w)."""
    return (sums - sums.mean((2, 3), keepdim=True)).abs()


def maps_of(sums: Mapping[str, Tensor], gates: Tensor) -> dict[str, Tensor]:
    """{part of MAPS: (N, h, w)}: means over the channels; a closed gate adds nothing to its."""
    conditional = deviations(sums["conditional_unmasked"])
    # The mean is taken before the mask is applied: else closed gates would differ by it.
    masked = conditional * spread(gates, conditional.shape[1])
    of_channels = deviations(sums["base"]), masked, conditional, gates.float()
    return {part: values.mean(1) for part, values in zip(MAPS, of_channels, strict=True)}


@dataclass(frozen=True)
class LayerBatch:
    """A layer's figures for some images, and its maps of the images that are shown.

    ``correlations``: by map, (N,); ``power``: by sum, high and all.
    """

    size: tuple[int, int]
    images: int
    density: float
    correlations: Mapping[str, Tensor]
    power: Mapping[str, tuple[float, float]]
    maps: Mapping[str, Tensor]

    @classmethod
    def of(cls, site: Site, x: Tensor, branch: Branch, edge: Tensor, shown: int) -> LayerBatch:
        """``edge``: the images' edges, (N, H, W); ``shown``: how many images' maps are kept."""
        sums, gates = sums_and_gates(site, x, branch)
        maps = maps_of(sums, gates)
        own = area_means(edge, site.span)
        height, width = own.shape[1:]
        return cls(
            (height, width),
            len(x),
            float(gates.float().mean()),
            {part: correlations(maps[part], own) for part in MAPS},
            {p: power(sums[p]) for p in SUMS} if min(height, width) >= LEAST_PIXELS else {},
            {part: maps[part][:shown] for part in SHOWN},
        )


def row_of(name: str, batches: Sequence[LayerBatch]) -> dict[str, Any]:
    """The layer's figures over all images; NaN where none counts."""
    images = sum(batch.images for batch in batches)
    row: dict[str, Any] = {"layer": name, "height": batches[0].size[0], "width": batches[0].size[1]}
    row |= {"images": images, "density": sum(b.density * b.images for b in batches) / images}
    found = {p: torch.cat([b.correlations[p] for b in batches]) for p in MAPS}
    for part, each in found.items():
        row[f"edge_correlation_{part}"] = float(each.nanmean())
    for part, each in found.items():
        row[f"left_out_{part}"] = int(each.isnan().sum())
    for part in SUMS:
        powers = [batch.power[part] for batch in batches if batch.power]
        high, total = (sum(column) for column in zip(*powers, strict=True)) if powers else (0, 0)
        row[f"high_frequency_share_{part}"] = high / total if total else np.nan
    return row
