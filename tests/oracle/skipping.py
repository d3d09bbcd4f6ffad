"""Zeros among the operands: what a round's steps come to without them, and where they are counted.

docs/model/zero_skipping.md and docs/model/zero_gating.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer, Network

from .beats import Beat
from .layout import Layout, Pixel
from .schemes import BOUND, SKIP, hardware


@dataclass(frozen=True)
class Skipping:
    """How the array passes over zeros of a layer; ``bits``: bool (images, C_in, H, W).

    ``pixels``: whose pointer starts from an address. Images are numbered alike in both.
    """

    kind: str  # "word" or "free-rows"
    layer: ConvLayer
    bits: np.ndarray
    pixels: Mapping[int, Pixel]

    def needed(self, address: int, beat: Beat) -> int:
        """Channels of a pointer's word that are not zero."""
        return operands(self.layer, self.bits, self.pixels[address], beat.tap, beat.channels)

    def shortened(self, pointers: Iterable[int], beats: Sequence[Beat]) -> list[Beat]:
        """``word``: each beat takes the steps of the pointer that needs most, and one at least."""
        return [
            beat._replace(steps=max([1, *(self.needed(pointer, beat) for pointer in pointers)]))
            for beat in beats
        ]

    def freely(self, pointers: Iterable[int], beats: Sequence[Beat]) -> int:
        """``free-rows``: cycles of the row with the most operands, and one at least."""
        rows = [sum(self.needed(pointer, beat) for beat in beats) for pointer in pointers]
        return max([1, *rows])


def skipping(
    layer: ConvLayer,
    arch: ArchConfig,
    scheme: str,
    bits: np.ndarray | None,
    pixels: Sequence[Pixel],
    layout: Layout,
) -> Skipping | None:
    """What the scheme skips in a tile of these pixels; None: it takes every step."""
    kind = kind_of(scheme, arch)
    if bits is None or kind == "none":
        return None
    return Skipping(kind, layer, bits, {layout.address(pixel): pixel for pixel in pixels})


def kind_of(scheme: str, arch: ArchConfig) -> str:
    """``none``, ``word`` or ``free-rows``: what the scheme's name says, or else the machine."""
    if scheme.endswith(BOUND):
        return "free-rows"
    return "word" if scheme.endswith(SKIP) else arch.array.zero_skipping


def operands(
    layer: ConvLayer, bits: np.ndarray, pixel: Pixel, tap: tuple[int, int], channels: range
) -> int:
    """Of the input pixel that a tap of an output pixel reads, these channels that are not zero."""
    image, y, x = pixel
    top, left, _, _ = layer.edges
    row = y * layer.strides[0] - top + tap[0] * layer.dilations[0]
    column = x * layer.strides[1] - left + tap[1] * layer.dilations[1]
    if row not in range(layer.in_height) or column not in range(layer.in_width):
        return 0  # of the padding
    return sum(bool(bits[image, channel, row, column]) for channel in channels)


def zero_macs(layer: ConvLayer, bits: np.ndarray, image: int) -> int:
    """MACs of the dense convolution of an image whose operand is zero."""
    zeros = 0
    everything = range(layer.in_channels)
    for y in range(layer.out_height):
        for x in range(layer.out_width):
            for ky in range(layer.kernel[0]):
                for kx in range(layer.kernel[1]):
                    there = operands(layer, bits, (image, y, x), (ky, kx), everything)
                    zeros += len(everything) - there
    return zeros * (layer.out_channels // layer.conv_groups)


def move_zeros(
    network: Network,
    arch: ArchConfig,
    scheme: str,
    images: int,
    dense_zeros: Mapping[str, np.ndarray],
    conditional_zeros: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    counts: Mapping[str, Counter[str]],
) -> None:
    """MACs with a zero operand leave those that run, skipped or else gated, layer by layer.

    ``dense_zeros``, ``conditional_zeros``: Z and Z_c of gated layers. Of layers that are not gated
    zeros are known from input bits alone.
    """
    gates = scheme == "dense-zero-gated" or (arch.array.zero_gating and len(conditional_zeros) > 0)
    for layer in network.convolutions:
        skips = layer.name in inputs and kind_of(scheme, arch) != "none"
        if not skips and not (gates and layer.name in dense_zeros):
            continue
        masked = layer.gated and hardware(scheme).masks != "none"
        for image in range(images):
            if layer.gated:
                base = int(dense_zeros[layer.name][image])
            else:
                base = zero_macs(layer, inputs[layer.name], image)
            conditional = 0
            if masked:
                base = base // layer.groups if layer.groups > 1 else 0  # without a base path
                conditional = int(conditional_zeros[layer.name][image])
            moved = counts[layer.name]
            moved["macs_base"] -= base
            moved["macs_conditional"] -= conditional
            moved["macs_zero_skipped" if skips else "macs_zero_gated"] += base + conditional
