"""Layers that make a map of maps without a convolution (docs/model/layers.md)."""

from __future__ import annotations

from collections import Counter

from hwsim.arch.config import ArchConfig
from hwsim.network import MapLayer

from .layout import Pixel, ceil_div
from .outputs import output_stage
from .residency import LayerPlan


def tile(
    layer: MapLayer, arch: ArchConfig, channels: range, pixels: list[Pixel]
) -> tuple[Counter[str], Counter[str]]:
    """Cycles and counters of a tile: the output stage makes it, no pass and no partial sum does."""
    counts: Counter[str] = Counter()
    output_stage(layer, arch, channels, [], pixels, counts)
    return Counter(), counts


def read_once(this: LayerPlan, counts: Counter[str]) -> None:
    """Count the words of a batch's input and scale, each of which is read once."""
    layer, arch = this.layer, this.arch
    images = {image for part in this.tiles for image, _, _ in part.pixels}
    words = ceil_div(layer.in_channels, arch.activation.word_channels)
    for _ in images:
        for _ in range(layer.in_height * layer.in_width):
            counts["activation_word_reads"] += words
        if this.placement.scale is not None:
            counts["residual_word_reads"] += this.placement.scale.words
