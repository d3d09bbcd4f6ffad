"""A gated convolution on int8 data: its sums by NumPy and by torch, its words in the buffers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from layer_run import LayerRun
from oracle.layout import Layout, Pixel, conv_layout
from oracle.machines import conv

from hwsim.arch.config import ArchConfig
from hwsim.workload import ConvLayer

from .simulator import Case
from .tiles import tile_case
from .vectors import pack


@dataclass(frozen=True)
class Gated:
    """A layer with int8 data; an output computes on where its base sum exceeds its threshold."""

    arch: ArchConfig
    layer: ConvLayer
    activations: np.ndarray
    weights: np.ndarray
    thresholds: np.ndarray

    @property
    def scheme(self) -> str:
        lanes = self.arch.index.lane_group
        return "unstructured" if lanes == 1 else f"lockstep-{lanes}"

    def run(self, masks: np.ndarray) -> LayerRun:
        """What the models of cycles are given."""
        images = len(self.activations)
        return LayerRun(self.arch, self.layer, self.scheme, 1, images, masks)

    @cached_property
    def by_numpy(self) -> tuple[np.ndarray, np.ndarray]:
        """Masks and sums, (images, channels, rows, columns)."""
        data = self.layer, self.activations, self.weights
        base = convolve(*data, same_group=True)
        masks = base > self.thresholds[:, None, None]
        return masks, base + masks * convolve(*data, same_group=False)

    @cached_property
    def by_torch(self) -> tuple[np.ndarray, np.ndarray]:
        """The same; in float64, which holds sums below 2^53 exactly."""
        reason = "torch is not installed: the RTL's sums are held to NumPy only"
        torch = pytest.importorskip("torch", reason=reason)
        layer, conv2d = self.layer, torch.nn.functional.conv2d
        x, weights = (torch.from_numpy(d).double() for d in (self.activations, self.weights))
        shape = {"stride": layer.stride, "padding": layer.padding}
        blocks = weights.chunk(layer.groups)
        own = [block.chunk(layer.groups, 1)[group] for group, block in enumerate(blocks)]
        base = conv2d(x, torch.cat(own), groups=layer.groups, **shape)
        masks = base > torch.from_numpy(self.thresholds)[:, None, None]
        sums = torch.where(masks, conv2d(x, weights, **shape), base)
        return masks.numpy(), sums.to(torch.int64).numpy()

    def cases(self) -> list[Case]:
        """The RTL's inputs for each tile, without masks: it decides itself."""
        run = self.run(self.by_numpy[0])  # for the tiles' shapes
        layout = conv_layout(self.layer, self.arch, run.images)
        return [self._case(run, channels, pixels, layout) for channels, pixels in run.tiles()]

    def _case(self, run: LayerRun, channels: range, pixels: list[Pixel], layout: Layout) -> Case:
        layer, width = self.layer, len(channels)
        case = tile_case(layer, self.arch, self.scheme, run.masks, 1, channels, pixels, layout)
        del case["tile"]["lists"]
        case["tile"]["columns"] = f"{(1 << width) - 1:x}"
        thresholds = [int(self.thresholds[column]) & 0xFFFFFFFF for column in channels]
        case["tile"]["thresholds"] = f"{pack(thresholds, 32):x}"
        own = channels[0] // (layer.out_channels // layer.groups)
        base = weight_words(layer, self.weights, channels, [own])
        others = [group for group in range(layer.groups) if group != own]
        case["passes"][0]["first_weight"] = "0"
        case["passes"][1]["first_weight"] = f"{len(base):x}"
        case["activations"] = activation_words(layer, self.arch, layout, self.activations)
        case["weights"] = base + weight_words(layer, self.weights, channels, others)
        case["pixels"], case["width"] = len(pixels), width
        return case


def draw(rng: np.random.Generator, arch: ArchConfig, one_step: bool = False) -> Gated:
    """A random layer for this machine; a threshold is one of its channel's sums, met exactly.

    ``one_step``: its base path is a single MAC an output.
    """
    groups, images = int(rng.choice([2, 3, 4])), int(rng.integers(1, 3))
    layer = conv(
        channels=(
            groups * (1 if one_step else int(rng.integers(1, 7))),
            groups * int(rng.integers(1, arch.array.columns + 3)),
        ),
        size=(int(rng.integers(2, 7)), int(rng.integers(2, 7))),
        kernel=1 if one_step else int(rng.choice([1, 3, 3])),
        stride=int(rng.choice([1, 1, 2])),
        groups=groups,
    )
    shape = (images, layer.in_channels, layer.in_height, layer.in_width)
    activations = rng.integers(-128, 128, shape).astype(np.int8)
    kernel = (layer.out_channels, layer.in_channels, layer.kernel_size, layer.kernel_size)
    weights = rng.integers(-128, 128, kernel).astype(np.int8)
    base = convolve(layer, activations, weights, same_group=True)
    ranked = np.sort(np.moveaxis(base, 1, 0).reshape(layer.out_channels, -1), axis=1)
    rank = int(rng.choice([0.0, 0.3, 0.6, 0.9, 1.0]) * (ranked.shape[1] - 1))
    return Gated(arch, layer, activations, weights, ranked[:, rank])


def padded(layer: ConvLayer, activations: np.ndarray) -> np.ndarray:
    edge = (layer.padding, layer.padding + layer.kernel_size)  # the last phase may reach behind
    return np.pad(activations.astype(np.int64), ((0, 0), (0, 0), edge, edge))


def convolve(
    layer: ConvLayer, activations: np.ndarray, weights: np.ndarray, same_group: bool
) -> np.ndarray:
    """Int64 sums over the input channels of the output's own group, or over all the others."""
    images = activations.shape[0]
    sums = np.zeros((images, layer.out_channels, layer.out_height, layer.out_width), np.int64)
    source, stride = padded(layer, activations), layer.stride
    inputs, outputs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    for output in range(layer.out_channels):
        for channel in range(layer.in_channels):
            if (output // outputs == channel // inputs) != same_group:
                continue
            for ky in range(layer.kernel_size):
                for kx in range(layer.kernel_size):
                    bottom, right = ky + stride * layer.out_height, kx + stride * layer.out_width
                    window = source[:, channel, ky:bottom:stride, kx:right:stride]
                    sums[:, output] += window * int(weights[output, channel, ky, kx])
    return sums


def activation_words(
    layer: ConvLayer, arch: ArchConfig, layout: Layout, activations: np.ndarray
) -> list[str]:
    """The buffer's content: planes of words, split by the stride's phases, zero-padded."""
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
                    byte = int(source[image, channel, y, x]) & 0xFF
                    content[address] |= byte << (8 * lane)
    return [f"{word:x}" for word in content]


def weight_words(
    layer: ConvLayer, weights: np.ndarray, channels: range, groups: list[int]
) -> list[str]:
    """A word of the tile's columns for every step of a pass: input group, tap, channel."""
    inputs, kernel = layer.in_channels // layer.groups, range(layer.kernel_size)
    return [
        f"{pack([int(weights[column, channel, ky, kx]) & 0xFF for column in channels], 8):x}"
        for group in groups
        for ky in kernel
        for kx in kernel
        for channel in range(group * inputs, (group + 1) * inputs)
    ]
