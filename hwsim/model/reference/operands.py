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
        self._layer = layer = mapping.layer
        in_group, word = layer.in_channels // layer.groups, mapping.arch.activation.word_channels
        self._of_group = range(0, in_group, word)
        firsts = [group * in_group + c for group in range(layer.groups) for c in self._of_group]
        edge = (layer.padding, layer.padding)
        padded = np.pad(inputs, ((0, 0), (0, 0), edge, edge))
        self._words = np.add.reduceat(padded, firsts, axis=1, dtype=np.int64)

    def of_beats(self, groups: Sequence[int], pixels: Sequence[int]) -> Iterator[np.ndarray]:
        """Of each beat of a pass over these input groups, the operands that each pointer has.

        ``pixels`` are the pointers' output pixels within the batch. Groups follow each other, in
        each its taps row by row, in each tap the group's words.
        """
        layer = self._layer
        image, pixel = np.divmod(np.asarray(pixels, np.int64), layer.out_pixels)
        y, x = np.divmod(pixel, layer.out_width)
        top, left = y * layer.stride, x * layer.stride
        words = len(self._of_group)
        for group in groups:
            for ky in range(layer.kernel_size):
                for kx in range(layer.kernel_size):
                    for word in range(group * words, (group + 1) * words):
                        yield self._words[image, word, top + ky, left + kx]


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
