"""Cycles of a dense layer in one line, where banks never wait (docs/model/passes.md, layers.md)."""

from __future__ import annotations

from hwsim.network import ConvLayer

from .layout import ceil_div


def closed_form(layer: ConvLayer, rows: int, columns: int, entries: int) -> int:
    """Cycles of the passes of one image: sum of max(L, R) over rounds, and R for each tile."""
    tiles = layer.conv_groups * ceil_div(layer.out_channels // layer.conv_groups, columns)
    pixels, most, cycles = layer.out_height * layer.out_width, entries // columns, 0
    while pixels > 0:
        cycles += ceil_div(min(pixels, most), rows) * max(layer.steps, rows) + rows
        pixels -= most
    return tiles * cycles
