"""The output stage (docs/model/pipeline.md; reading 14)."""

from __future__ import annotations

from collections import Counter

from hwsim.arch.config import ArchConfig
from hwsim.network import AnyLayer, MapLayer

from .layout import Pixel, ceil_div


def output_stage(
    layer: AnyLayer,
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


def pooled_at(layer: AnyLayer, pixel: Pixel) -> tuple[int, int] | None:
    """The pooled pixel (row, column) of which this is the bottom right, and so the last, pixel.

    None where there is none (reading 14).
    """
    if isinstance(layer, MapLayer):
        return pixel[1:]
    down, across = (layer.pool, layer.pool) if isinstance(layer.pool, int) else layer.pool
    rows = last_of_each(layer.pooled_height, down, layer.out_height)
    columns = last_of_each(layer.pooled_width, across, layer.out_width)
    _, y, x = pixel
    return (rows.index(y), columns.index(x)) if y in rows and x in columns else None


def last_of_each(pooled: int, factor: int, extent: int) -> list[int]:
    """The output row, or column, that finishes each pooled one."""
    return [min((at + 1) * factor, extent) - 1 for at in range(pooled)]


def finishes_pooled(layer: AnyLayer, pixel: Pixel) -> bool:
    """Whether an output pixel is the last of a pooled one."""
    return pooled_at(layer, pixel) is not None
