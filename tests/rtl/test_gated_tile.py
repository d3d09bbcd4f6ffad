"""It computes: gated convolutions through the RTL, bit for bit torch's, in the kernel's cycles."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from oracle.schemes import hardware

from tools.verification.replay import WITHIN

from .convolution import Gated, draw
from .layers import engine_tiles, oracle_tiles
from .simulator import Observation, observe
from .test_tile_pass import build, shared
from .tiles import parameters

MACHINES = {
    "short": (build(4, 4, 1, 1, 8, 4, 4, 32), 3),
    "E = 2": (build(4, 4, 1, 2, 8, 4, 4, 32), 15),
    "V = 3": (build(5, 6, 3, 1, 16, 3, 3, 25), 15),
    "V = 4": (build(4, 6, 4, 1, 8, 2, 8, 40), 15),
    "shared": (shared(build(4, 3, 1, 1, 8, 4, 2, 20)), 15),
    "one step": (build(1, 3, 1, 1, 8, 1, 2, 16), 6),
    "Q = 1, w = 6": (build(4, 4, 1, 1, 8, 4, 3, 32, ahead=1, window=6), 15),
    "Q = 4": (build(5, 4, 2, 2, 16, 5, 4, 30, ahead=4), 15),
    "Q = 2, w = 4, shared": (shared(build(3, 3, 1, 1, 8, 2, 1, 20, ahead=2, window=4)), 15),
    "one step, Q = 2": (build(1, 3, 1, 1, 8, 1, 2, 16, ahead=2), 6),
}
"""Machines, and the layers drawn for each. With one row and one step rounds of one cycle follow one
another."""

machines = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "short")) for name in MACHINES]
)


@lru_cache
def played(name: str) -> list[tuple[Gated, list[Observation]]]:
    """The layers of a machine, and what the RTL made of their tiles."""
    arch, layers = MACHINES[name]
    rng = np.random.default_rng(1 if name == "short" else 2)
    drawn = [draw(rng, arch, one_step=name == "one step") for _ in range(layers)]
    cases = [gated.cases() for gated in drawn]
    machine = {**parameters(arch), "DEPTH": 2048, "STEPS": 512}
    with TemporaryDirectory() as folder:
        flat = [case for of_layer in cases for case in of_layer]
        observed = iter(observe("gated_tile", "gated_bench", machine, flat, Path(folder)))
        return [
            (gated, [next(observed) for _ in of_layer])
            for gated, of_layer in zip(drawn, cases, strict=True)
        ]


def decided(gated: Gated, observed: list[Observation]) -> np.ndarray:
    """The masks of the RTL's comparators: lists of lane groups, a copy for each lane."""
    layer, images = gated.layer, len(gated.activations)
    masks = np.zeros((images, layer.out_channels, layer.out_height, layer.out_width), bool)
    for (channels, pixels), seen in zip(gated.run(masks).tiles(), observed, strict=True):
        image, row, column = np.array(pixels).T
        for group, bits in zip(
            hardware(gated.scheme).lane_groups(len(channels)), seen["lists"], strict=False
        ):
            found = [bool(int(bits, 16) >> pixel & 1) for pixel in range(len(pixels))]
            for lane in group:
                masks[image, channels[lane], row, column] = found
    return masks


def any_of_group(gated: Gated, masks: np.ndarray) -> np.ndarray:
    """The OR of each lane group's bits, a copy for each lane."""
    together = np.zeros_like(masks)
    for channels in {channels for channels, _ in gated.run(masks).tiles()}:
        for group in hardware(gated.scheme).lane_groups(len(channels)):
            lanes = [channels[lane] for lane in group]
            together[:, lanes] = masks[:, lanes].any(axis=1, keepdims=True)
    return together


@machines
@pytest.mark.parametrize("by", ["numpy", "torch"])
def test_masks_and_sums(name: str, by: str) -> None:
    """Where a bit is set the whole convolution's sum, else that of the output's own group."""
    share = []
    for number, (gated, observed) in enumerate(played(name)):
        masks, sums = gated.by_numpy if by == "numpy" else gated.by_torch
        np.testing.assert_array_equal(decided(gated, observed), any_of_group(gated, masks))
        for tile, ((channels, pixels), seen) in enumerate(
            zip(gated.run(masks).tiles(), observed, strict=True)
        ):
            image, row, column = np.array(pixels).T
            expected = sums[image, channels[0] : channels[-1] + 1, row, column]
            computed = np.array(seen["sums"], np.uint32).astype(np.int32)
            where = f"layer {number}, tile {tile}"
            np.testing.assert_array_equal(computed, expected, err_msg=where)
        share.append(masks.mean())
    assert 0 < np.mean(share) < 1, "masks of both kinds"


@machines
def test_cycles(name: str) -> None:
    """Kernel's and oracle's, of the masks that the RTL decided; the array and the drain behind."""
    behind_array = MACHINES[name][0].activation.word_channels + 1
    tiles = 0
    for number, (gated, observed) in enumerate(played(name)):
        run = gated.run(decided(gated, observed))
        models = [oracle_tiles(run), engine_tiles(run, "kernel")]
        for tile, (seen, *expected) in enumerate(zip(observed, *models, strict=True)):
            where = f"layer {number}, tile {tile}"
            for counted in expected:
                assert sum(seen["cycles"]) == sum(counted[cause] for cause in WITHIN), where
            behind = [w - c for w, c in zip(seen["waits"], seen["cycles"], strict=True)]
            # A conditional pass without a round ends as it is.
            assert behind[0] == behind_array
            assert behind[1] in (behind_array, 0)
            tiles += 1
    assert tiles >= 2 * MACHINES[name][1]
