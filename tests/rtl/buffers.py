"""A layer's input as the activation buffer holds it: its bytes, or a bit of each."""

from __future__ import annotations

import numpy as np
from oracle.layout import Layout

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer


def padded(layer: ConvLayer, activations: np.ndarray) -> np.ndarray:
    edge = (layer.padding, layer.padding + layer.kernel_size)  # the last phase may reach behind
    return np.pad(activations.astype(np.int64), ((0, 0), (0, 0), edge, edge))


def activation_words(
    layer: ConvLayer, arch: ArchConfig, layout: Layout, activations: np.ndarray, bits: int = 8
) -> list[str]:
    """The buffer's content: planes of words, split by the stride's phases, zero-padded.

    A channel has ``bits`` of a word.
    """
    images, word = activations.shape[0], arch.activation.word_channels
    source, stride = padded(layer, activations), layer.stride
    inputs = layer.in_channels // layer.groups
    words_of_group = layout.words // layer.groups
    content = [0] * (layout.words * layout.pitch)
    for channel in range(layer.in_channels):
        group, within = divmod(channel, inputs)
        plane, lane = group * words_of_group + within // word, within % word
        for image in range(images):
            for y in range(stride * layout.hq):
                for x in range(stride * layout.wq):
                    if y >= source.shape[2] or x >= source.shape[3]:
                        continue
                    phase = y % stride * stride + x % stride
                    row = (phase * images + image) * layout.hq + y // stride
                    address = plane * layout.pitch + row * layout.wq + x // stride
                    byte = int(source[image, channel, y, x]) & ((1 << bits) - 1)
                    content[address] |= byte << (bits * lane)
    return [f"{word:x}" for word in content]
