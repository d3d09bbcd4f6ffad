"""What a random case knows of its activations: which are not zero, and who skips them."""

from __future__ import annotations

from random import Random

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer, Network

from .schemes import SKIP

WAYS = ("none", "none", "none", "none", "word", "free-rows", SKIP)
"""Values of ``array.zero_skipping``, or the scheme's suffix; most skip nothing."""


def draw_way(rng: Random, scheme: str, arch: ArchConfig) -> str:
    """One of WAYS that the scheme has on the machine."""
    way = rng.choice(WAYS)
    if arch.array.feed == "systolic" or (way == SKIP and scheme == "dense-zero-gated"):
        return "none"
    return way


def draw_inputs(
    rng: Random, network: Network, arch: ArchConfig, images: int
) -> dict[str, np.ndarray]:
    """Input bits of all layers, or of some, one at least."""
    noise = np.random.default_rng(rng.getrandbits(32))
    layers = list(network.convolutions)
    if rng.random() < 0.3:
        layers = rng.sample(layers, rng.randint(1, len(layers)))
    return {layer.name: draw_bits(rng, noise, layer, arch, images) for layer in layers}


def draw_bits(
    rng: Random, noise: np.random.Generator, layer: ConvLayer, arch: ArchConfig, images: int
) -> np.ndarray:
    """bool (images, C_in, H, W) of one density; now and then whole words or channels are zero."""
    shape = (images, layer.in_channels, layer.in_height, layer.in_width)
    density = rng.choice([0.0, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0])
    bits = noise.random(shape) < density
    if rng.random() < 0.3:
        bits &= (noise.random(layer.in_channels) < 0.6)[None, :, None, None]
    if rng.random() < 0.3:  # words of each pixel, groups starting on a word
        size, extent = arch.activation.word_channels, layer.in_channels // layer.groups
        words = -(-extent // size)
        there = noise.random((images, layer.groups * words, *shape[2:])) < 0.5
        word = [
            channel // extent * words + channel % extent // size
            for channel in range(layer.in_channels)
        ]
        bits &= there[:, word]
    return bits
