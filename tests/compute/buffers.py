"""What the buffers hold, word by word, and the steps in which a pass reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.mapping.layout import plane_bytes
from hwsim.mapping.tiles import Mapping

from .data import LayerData


class ActivationBuffer:
    """int8 (addresses, A): planes by channel word, split by the stride's phases, zero-padded."""

    def __init__(self, data: LayerData, mapping: Mapping, arch: ArchConfig) -> None:
        layer, layout, self.word = data.layer, mapping.layout, arch.activation.word_channels
        self.width, self.stride = layout.width, layer.stride
        self.phase_words = data.images * layout.height * layout.width
        self.pitch = plane_bytes(layout.phases * self.phase_words, arch) // self.word
        self.inputs = layer.in_channels // layer.groups
        self.group_words = -(-self.inputs // self.word)
        self.words = np.zeros((layout.words * self.pitch, self.word), np.int8)
        edge = layer.padding, layer.kernel_size + layer.stride
        padded = np.pad(data.activations, ((0, 0), (0, 0), edge, edge))
        for channel in range(layer.in_channels):
            plane, lane = self.plane(channel)
            for phase in range(layout.phases):
                y, x = divmod(phase, layer.stride)
                rows = padded[:, channel, y :: layer.stride, x :: layer.stride]
                content = np.zeros((data.images, layout.height, layout.width), np.int8)
                rows = rows[:, : layout.height, : layout.width]
                content[:, : rows.shape[1], : rows.shape[2]] = rows
                first = plane * self.pitch + phase * self.phase_words
                self.words[first : first + self.phase_words, lane] = content.ravel()

    def plane(self, channel: int) -> tuple[int, int]:
        """Channel word and place in it; every input group starts on a word."""
        group, within = divmod(channel, self.inputs)
        return group * self.group_words + within // self.word, within % self.word

    def offset(self, plane: int, ky: int, kx: int) -> int:
        """What a step adds to every pointer."""
        phase = ky % self.stride * self.stride + kx % self.stride
        inside = ky // self.stride * self.width + kx // self.stride
        return plane * self.pitch + phase * self.phase_words + inside


@dataclass(frozen=True)
class Pass:
    """Beats and steps of a pass over some input groups, for one channel tile.

    ``offsets`` int64 (beats,); ``beat`` and ``lane`` int64 (steps,): which word of the line
    register, and which int8 in it, a step consumes; ``weights`` int32 (steps, columns): the weight
    word of each step.
    """

    offsets: np.ndarray
    beat: np.ndarray
    lane: np.ndarray
    weights: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.beat)

    @property
    def beat_steps(self) -> np.ndarray:
        """int64 (beats,)."""
        return np.bincount(self.beat, minlength=len(self.offsets))


def steps_of_pass(
    data: LayerData, buffer: ActivationBuffer, groups: list[int], columns: slice
) -> Pass:
    """Beats over input group, tap and channel word; a step for each channel of the word."""
    taps = range(data.layer.kernel_size)
    offsets: list[int] = []
    steps: list[tuple[int, int, np.ndarray]] = []
    for group in groups:
        first = group * buffer.inputs
        for ky in taps:
            for kx in taps:
                for channel in range(first, first + buffer.inputs):
                    plane, lane = buffer.plane(channel)
                    if lane == 0:
                        offsets.append(buffer.offset(plane, ky, kx))
                    weight_word = data.weights[columns, channel, ky, kx]
                    steps.append((len(offsets) - 1, lane, weight_word))
    beat, lane, weights = zip(*steps, strict=True)
    return Pass(
        np.array(offsets), np.array(beat), np.array(lane), np.array(weights).astype(np.int32)
    )
