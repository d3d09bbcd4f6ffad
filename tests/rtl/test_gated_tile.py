"""It computes: gated convolutions through the RTL, bit for bit NumPy's, in the oracle's cycles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from oracle.cycles import tile as oracle_tile
from oracle.layout import Layout, Pixel, conv_layout
from oracle.machines import conv
from oracle.residency import cut_channels, flattened, split

from hwsim.arch import ArchConfig
from hwsim.workload import ConvLayer

from .simulator import Case, observe
from .test_tile_pass import build, shared
from .tiles import parameters, tile_case
from .vectors import pack


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
    layer: ConvLayer, arch: ArchConfig, layout: Layout, pitch: int, activations: np.ndarray
) -> list[str]:
    """The buffer's content: planes of words, split by the stride's phases, zero-padded."""
    images, word = activations.shape[0], arch.activation.word_channels
    source, stride = padded(layer, activations), layer.stride
    inputs = layer.in_channels // layer.groups
    words_of_group = layout.words // layer.groups
    content = [0] * (layout.words * pitch)
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
                    address = plane * pitch + row * layout.wq + x // stride
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


def compare(arch: ArchConfig, layers: int, seed: int, folder: Path) -> int:
    """Random gated layers; returns the tiles played."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    expected: list[tuple[int, np.ndarray]] = []
    decided = 0.0
    lanes = arch.index.lane_group
    scheme = "unstructured" if lanes == 1 else f"lockstep-{lanes}"
    for _ in range(layers):
        groups, images = int(rng.choice([2, 3, 4])), int(rng.integers(1, 3))
        layer = conv(
            channels=(
                groups * int(rng.integers(1, 7)),
                groups * int(rng.integers(1, arch.array.columns + 3)),
            ),
            size=(int(rng.integers(2, 7)), int(rng.integers(2, 7))),
            kernel=int(rng.choice([1, 3, 3])),
            stride=int(rng.choice([1, 1, 2])),
            groups=groups,
        )
        shape = (images, layer.in_channels, layer.in_height, layer.in_width)
        activations = rng.integers(-128, 128, shape).astype(np.int8)
        kernel = (layer.out_channels, layer.in_channels, layer.kernel_size, layer.kernel_size)
        weights = rng.integers(-128, 128, kernel).astype(np.int8)
        base = convolve(layer, activations, weights, same_group=True)
        # A threshold is one of the channel's sums, so that one decision meets it exactly.
        ranked = np.sort(np.moveaxis(base, 1, 0).reshape(layer.out_channels, -1), axis=1)
        rank = int(rng.choice([0.0, 0.3, 0.6, 0.9, 1.0]) * (ranked.shape[1] - 1))
        thresholds = ranked[:, rank]
        masks = base > thresholds[:, None, None]
        gated = base + masks * convolve(layer, activations, weights, same_group=False)
        decided += float(masks.mean()) / layers
        layout = conv_layout(layer, arch)
        most = arch.partial_sums.entries // arch.array.columns
        for channels in cut_channels(layer, arch, scheme):
            for pixels in split(flattened(layer, images), most):
                case, cycles = tile(
                    layer, arch, scheme, masks, channels, pixels, layout, activations, weights,
                    thresholds,
                )  # fmt: skip
                cases.append(case)
                image, row, column = np.array(pixels).T
                expected.append((cycles, gated[image, channels[0] : channels[-1] + 1, row, column]))
    folder.mkdir(exist_ok=True)
    machine = {**parameters(arch), "DEPTH": 2048, "STEPS": 512}
    observed = observe("gated_tile", "gated_bench", machine, cases, folder)
    for number, (seen, (cycles, sums)) in enumerate(zip(observed, expected, strict=True)):
        computed = np.array(seen["sums"], np.uint32).astype(np.int32)
        np.testing.assert_array_equal(computed, sums, err_msg=f"sums of tile {number}")
        if arch.index.decoders == "private":
            assert sum(seen["cycles"]) == cycles, f"cycles of tile {number}"
        # The array's distance and the drain's; a conditional pass without a round ends as it is.
        behind = [w - c for w, c in zip(seen["waits"], seen["cycles"], strict=True)]
        assert behind[0] == arch.activation.word_channels + 1
        assert behind[1] in (arch.activation.word_channels + 1, 0)
    assert 0 < decided < 1, "masks of both kinds"
    return len(cases)


def tile(
    layer: ConvLayer,
    arch: ArchConfig,
    scheme: str,
    masks: np.ndarray,
    channels: range,
    pixels: list[Pixel],
    layout: Layout,
    activations: np.ndarray,
    weights: np.ndarray,
    thresholds: np.ndarray,
) -> tuple[Case, int]:
    """The RTL's inputs, without the masks: it decides itself; and the cycles of the two passes."""
    case = tile_case(layer, arch, scheme, masks, 1, channels, pixels, layout, activations.shape[0])
    del case["tile"]["lists"]
    width, own = len(channels), channels[0] // (layer.out_channels // layer.groups)
    case["tile"]["columns"] = f"{(1 << width) - 1:x}"
    case["tile"]["thresholds"] = (
        f"{pack([int(thresholds[column]) & 0xFFFFFFFF for column in channels], 32):x}"
    )
    base = weight_words(layer, weights, channels, [own])
    others = [group for group in range(layer.groups) if group != own]
    case["passes"][0]["first_weight"] = "0"
    case["passes"][1]["first_weight"] = f"{len(base):x}"
    pitch = int(case["tile"]["pitch"], 16)
    case["activations"] = activation_words(layer, arch, layout, pitch, activations)
    case["weights"] = base + weight_words(layer, weights, channels, others)
    case["pixels"], case["width"] = len(pixels), width
    causes, _ = oracle_tile(layer, arch, scheme, masks, 1, channels, pixels, layout)
    return case, causes.total()


def test_gated_convolutions(tmp_path: Path) -> None:
    assert compare(build(4, 4, 1, 1, 8, 4, 4, 32), layers=3, seed=1, folder=tmp_path) >= 8


@pytest.mark.slow
@pytest.mark.parametrize(
    "arch",
    [
        build(4, 4, 1, 2, 8, 4, 4, 32),
        build(5, 6, 3, 1, 16, 3, 3, 25),
        build(4, 6, 4, 1, 8, 2, 8, 40),
        shared(build(4, 3, 1, 1, 8, 4, 2, 20)),
    ],
)
def test_many_gated_convolutions(arch: ArchConfig, tmp_path: Path) -> None:
    assert compare(arch, layers=15, seed=2, folder=tmp_path) >= 30
