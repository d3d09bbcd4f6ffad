"""What a beat adds to the pointers' addresses (docs/model/run_ahead.md)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.mapping.tiles import Mapping
from hwsim.network import ConvLayer


def conditional_groups(layer: ConvLayer) -> list[list[int]]:
    """The input groups of each gating group's conditional pass: all but its own.

    Without a base pass there is one group, and all of it.
    """
    groups = range(layer.groups)
    if layer.zeroes:
        return [[0]]
    return [[other for other in groups if other != own] for own in groups]


def beat_offsets(mapping: Mapping, groups: Sequence[int]) -> np.ndarray:
    """int64 (beats,): word offsets of the beats of a round, over these input groups in order.

    Taps row by row in each group, its channel words in each tap.
    """
    layer, layout = mapping.layer, mapping.layout
    words = -(-(layer.in_channels // layer.groups) // mapping.arch.activation.word_channels)
    plane = np.asarray(groups, np.int64)[:, None] * words + np.arange(words)
    ky, kx = np.indices((layer.kernel_size, layer.kernel_size), np.int64).reshape(2, -1)
    phase = ky % layer.stride * layer.stride + kx % layer.stride
    row, column = ky // layer.stride, kx // layer.stride
    tap = phase * layout.phase_words(mapping.images) + row * layout.width + column
    return (plane[:, None, :] * mapping.pitch + tap[:, None]).ravel()
