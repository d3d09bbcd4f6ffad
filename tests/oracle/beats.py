"""The beats of a pass in their order (docs/model/passes.md, docs/model/run_ahead.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer

from .layout import Layout, words_by_block


class Beat(NamedTuple):
    """The steps over one activation word; ``offset``: of that word from where pointers start.

    ``tap``, ``channels``: which input the word is of, and what of it.
    """

    steps: int
    offset: int = 0
    tap: tuple[int, int] = (0, 0)
    channels: range = range(0)


def beats_over(
    layer: ConvLayer, arch: ArchConfig, layout: Layout, blocks: Iterable[int]
) -> list[Beat]:
    """Every beat of a pass over these of the layer's blocks of input channels."""
    words = words_by_block(layer, arch)
    return [
        Beat(
            len(channels),
            plane * layout.pitch + tap_offset(layer, layout, ky, kx),
            (ky, kx),
            channels,
        )
        for block in blocks
        for ky in range(layer.kernel[0])
        for kx in range(layer.kernel[1])
        for plane, channels in words[block]
    ]


def tap_offset(layer: ConvLayer, layout: Layout, ky: int, kx: int) -> int:
    """Words from an output pixel's address to the input that a tap of it reads, in one plane."""
    down, phase_y = divmod(ky * layer.dilations[0], layer.strides[0])
    right, phase_x = divmod(kx * layer.dilations[1], layer.strides[1])
    phase = phase_y * layer.strides[1] + phase_x
    return phase * layout.phase_words + down * layout.wq + right
