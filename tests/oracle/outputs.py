"""The output stage (docs/model/pipeline.md; reading 14)."""

from __future__ import annotations

from collections import Counter

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer

from .layout import Pixel, ceil_div


def output_stage(
    layer: ConvLayer,
    arch: ArchConfig,
    channels: range,
    groups: list[range],
    pixels: list[Pixel],
    counts: Counter[str],
) -> None:
    """Empty the finished half: one pixel of all columns at a time."""
    words = ceil_div(len(channels), arch.activation.word_channels)
    for pixel in pixels:
        counts["psum_output_reads"] += len(groups)
        counts["output_ops"] += len(channels)
        if layer.residual is not None:
            counts["residual_word_reads"] += words
        if finishes_pooled(layer, pixel):
            counts["activation_word_writes"] += words


def finishes_pooled(layer: ConvLayer, pixel: Pixel) -> bool:
    """Whether this is the bottom right, and so the last, pixel of a pooled one (reading 14)."""
    _, y, x = pixel
    return y % layer.pool == layer.pool - 1 and x % layer.pool == layer.pool - 1
