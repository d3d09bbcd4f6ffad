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
from hwsim.network import ConvLayer

from .buffers import activation_words, padded
from .simulator import Case
from .tiles import tile_case
from .vectors import pack


@dataclass(frozen=True)
class Gated:
    """A layer with int8 data; an output computes on where its base sum exceeds its threshold.

    ``skip``: on an array that skips zeros, whose weight words are a beat's.
    """

    arch: ArchConfig
    layer: ConvLayer
    activations: np.ndarray
    weights: np.ndarray
    thresholds: np.ndarray
    skip: bool = False

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
        of_column = self.arch.activation.word_channels if self.skip else 1
        base = weight_words(layer, self.weights, channels, [own], of_column)
        others = [group for group in range(layer.groups) if group != own]
        case["passes"][0]["first_weight"] = "0"
        case["passes"][1]["first_weight"] = f"{len(base):x}"
        case["activations"] = activation_words(layer, self.arch, layout, self.activations)
        case["weights"] = base + weight_words(layer, self.weights, channels, others, of_column)
        case["pixels"], case["width"] = len(pixels), width
        return case


def draw(
    rng: np.random.Generator, arch: ArchConfig, one_step: bool = False, zeros: float | None = None
) -> Gated:
    """A random layer for this machine; a threshold is one of its channel's sums, met exactly.

    ``one_step``: its base path is a single MAC an output. ``zeros``: that share of activations is
    0, on an array that skips them.
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
    if zeros is not None:
        activations[rng.random(shape) < zeros] = 0
    kernel = (layer.out_channels, layer.in_channels, layer.kernel_size, layer.kernel_size)
    weights = rng.integers(-128, 128, kernel).astype(np.int8)
    base = convolve(layer, activations, weights, same_group=True)
    ranked = np.sort(np.moveaxis(base, 1, 0).reshape(layer.out_channels, -1), axis=1)
    rank = int(rng.choice([0.0, 0.3, 0.6, 0.9, 1.0]) * (ranked.shape[1] - 1))
    return Gated(arch, layer, activations, weights, ranked[:, rank], skip=zeros is not None)


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


def weight_words(
    layer: ConvLayer, weights: np.ndarray, channels: range, groups: list[int], of_column: int = 1
) -> list[str]:
    """Words of the tile's columns in the order of a pass: input group, tap, channel.

    A word is one step's; where it has more weights of each column, a beat's. What a beat of fewer
    channels lacks is 0.
    """
    inputs, kernel = layer.in_channels // layer.groups, range(layer.kernel_size)

    def byte(column: int, channel: int, group: int, ky: int, kx: int) -> int:
        inside = channel < (group + 1) * inputs
        return int(weights[column, channel, ky, kx]) & 0xFF if inside else 0

    words = [
        [
            byte(column, first + at, group, ky, kx)
            for column in channels
            for at in range(of_column)
        ]
        for group in groups
        for ky in kernel
        for kx in kernel
        for first in range(group * inputs, (group + 1) * inputs, of_column)
    ]  # fmt: skip
    return [f"{pack(word, 8):x}" for word in words]
