"""The beats of a pass in their order (docs/model/passes.md, docs/model/run_ahead.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer

from .layout import Layout


class Beat(NamedTuple):
    """The steps over one activation word; ``offset``: of that word from where pointers start.

    ``tap``, ``channels``: which input the word is of, and what of it.
    """

    steps: int
    offset: int = 0
    tap: tuple[int, int] = (0, 0)
    channels: range = range(0)


def beats_over(
    layer: ConvLayer, arch: ArchConfig, layout: Layout, input_groups: Iterable[int]
) -> list[Beat]:
    """Every beat of a pass over these of the layer's G input groups."""
    beats = []
    for group in input_groups:
        for ky in range(layer.kernel_size):
            for kx in range(layer.kernel_size):
                for word, steps in enumerate(words_of_a_group(layer, arch)):
                    plane = group * len(words_of_a_group(layer, arch)) + word
                    offset = plane * layout.pitch + tap_offset(layer, layout, ky, kx)
                    first = group * (layer.in_channels // layer.groups)
                    first += word * arch.activation.word_channels
                    beats.append(Beat(steps, offset, (ky, kx), range(first, first + steps)))
    return beats


def words_of_a_group(layer: ConvLayer, arch: ArchConfig) -> list[int]:
    """Channels of each activation word of an input group: A, and fewer in the last one."""
    words = []
    left = layer.in_channels // layer.groups
    while left > 0:
        words.append(min(arch.activation.word_channels, left))
        left -= arch.activation.word_channels
    return words


def tap_offset(layer: ConvLayer, layout: Layout, ky: int, kx: int) -> int:
    """Words from an output pixel's address to the input that a tap of it reads, in one plane."""
    down, phase_y = divmod(ky, layer.stride)
    right, phase_x = divmod(kx, layer.stride)
    phase = phase_y * layer.stride + phase_x
    return phase * layout.phase_words + down * layout.wq + right
