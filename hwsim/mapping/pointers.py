"""Pointers: at which words they find a layer's input (docs/model/bank_conflicts.md).

An output pixel has an address, a beat adds an offset to it, the same to all pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hwsim.mapping.layout import Layout, block_words, first_word
from hwsim.network import ConvLayer


class Pointers(NamedTuple):
    """All that the addresses of a layer's input hang on.

    ``pitch``: words from one plane of ``layout`` to the next; words of ``word`` channels lie in
    ``banks`` banks.
    """

    layer: ConvLayer
    images: int
    layout: Layout
    pitch: int
    word: int
    banks: int


def pixel_addresses(pointers: Pointers) -> np.ndarray:
    """int64 (images * out_pixels,): word address of each output pixel's pointer, at offset 0."""
    layer, layout = pointers.layer, pointers.layout
    shape = pointers.images, layer.out_height, layer.out_width
    image, row, column = np.indices(shape, np.int64, sparse=True)
    return ((image * layout.height + row) * layout.width + column).ravel()


def first_blocks(layer: ConvLayer, gated: bool) -> list[list[int]]:
    """The input blocks of the first pass of each block of output channels.

    Of a base pass where ``gated``: its own (the inverse branch has another one, in which a beat
    finds its words in the same banks). Of a dense pass: all of its group's.
    """
    if gated:
        return [[own] for own in range(layer.blocks)]
    return [_of_group(layer, group) for group in range(layer.conv_groups)]


def conditional_blocks(layer: ConvLayer) -> list[list[int]]:
    """The input blocks of each output block's conditional pass: its group's but for its own.

    Without a base pass there is one block in each group, and all of it.
    """
    if layer.zeroes:
        return first_blocks(layer, gated=False)
    return [
        [other for other in _of_group(layer, own // layer.groups) if other != own]
        for own in range(layer.blocks)
    ]


def _of_group(layer: ConvLayer, group: int) -> list[int]:
    """The blocks of one group of the convolution."""
    return list(range(group * layer.groups, (group + 1) * layer.groups))


def beat_offsets(pointers: Pointers, blocks: Sequence[int]) -> np.ndarray:
    """int64 (beats,): word offsets of the beats of a round, over these input blocks in order.

    Taps row by row in each block, its channel words in each tap.
    """
    layer, layout, word = pointers.layer, pointers.layout, pointers.word
    first = np.array([first_word(layer, word, block) for block in blocks], np.int64)
    plane = first[:, None] + np.arange(block_words(layer, word))
    (down, right), (high, wide) = layer.dilations, layer.strides
    ky, kx = np.indices(layer.kernel, np.int64).reshape(2, -1)
    phase = ky * down % high * wide + kx * right % wide
    row, column = ky * down // high, kx * right // wide
    tap = phase * layout.phase_words(pointers.images) + row * layout.width + column
    return (plane[:, None, :] * pointers.pitch + tap[:, None]).ravel()
