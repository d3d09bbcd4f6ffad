"""The operands of PEs where zeros are skipped: what is not zero in the words of their pointers."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np
from simpy import Environment, Event

from hwsim.mapping.tiles import Mapping
from hwsim.model.reference.latencies import LATENCIES


class Operands:
    """Looks up words of a batch's input, ``inputs`` (images, C_in, H, W): where it is not zero."""

    def __init__(self, mapping: Mapping, inputs: np.ndarray) -> None:
        self._layer = layer = mapping.convolution
        blocks, word = layer.conv_groups * layer.groups, mapping.arch.activation.word_channels
        in_block = layer.in_channels // blocks
        self._of_block = range(0, in_block, word)
        firsts = [block * in_block + c for block in range(blocks) for c in self._of_block]
        top, left, bottom, right = layer.edges
        padded = np.pad(inputs, ((0, 0), (0, 0), (top, bottom), (left, right)))
        self._words = np.add.reduceat(padded, firsts, axis=1, dtype=np.int64)

    def of_beats(self, blocks: Sequence[int], pixels: Sequence[int]) -> Iterator[np.ndarray]:
        """Of each beat of a pass over these input blocks, the operands that each pointer has.

        ``pixels`` are the pointers' output pixels within the batch. Blocks follow each other, in
        each its taps row by row, in each tap the block's words.
        """
        layer = self._layer
        image, pixel = np.divmod(np.asarray(pixels, np.int64), layer.out_pixels)
        y, x = np.divmod(pixel, layer.out_width)
        (s_h, s_w), (d_h, d_w) = layer.strides, layer.dilations
        words = len(self._of_block)
        for block in blocks:
            for ky in range(layer.kernel[0]):
                for kx in range(layer.kernel[1]):
                    for word in range(block * words, (block + 1) * words):
                        yield self._words[image, word, y * s_h + d_h * ky, x * s_w + d_w * kx]


def take(env: Environment, left: np.ndarray) -> Generator[Event, None, int]:
    """Every PE takes an operand in each step, while it has any left; returns the steps.

    One step passes in any case: in it the PEs see that there is nothing to take.
    """
    steps = 0
    while steps == 0 or left.any():
        yield env.timeout(LATENCIES.step)
        left = left - (left > 0)
        steps += 1
    return steps
