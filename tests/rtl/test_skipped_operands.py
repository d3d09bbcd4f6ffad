"""Zeros skipped by the RTL over int8 data: the sums are right all the same."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from .convolution import Gated, draw
from .layers import play
from .simulator import Observation, observe
from .test_gated_tile import any_of_group, decided
from .test_tile_pass import build, shared
from .tiles import parameters

MACHINES = {
    "short": (build(4, 4, 1, 1, 8, 4, 4, 32), 3),
    "Q = 2": (build(5, 4, 2, 2, 16, 5, 3, 30, ahead=2), 8),
    "Q = 1, w = 6": (build(4, 4, 1, 1, 8, 3, 2, 32, ahead=1, window=6), 8),
    "shared": (shared(build(4, 3, 1, 1, 8, 4, 1, 20)), 8),
    "A = 1": (build(1, 3, 1, 1, 8, 1, 2, 16), 4),
}

machines = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "short")) for name in MACHINES]
)


@lru_cache
def computed(name: str) -> list[tuple[Gated, list[Observation]]]:
    """Layers of int8 data, some dense and some almost all zero, and what the RTL made of them."""
    arch, layers = MACHINES[name]
    rng = np.random.default_rng(3)
    drawn = [draw(rng, arch, zeros=(0.5, 0.9, 0.2, 1.0)[at % 4]) for at in range(layers)]
    cases = [gated.cases() for gated in drawn]
    machine = {**parameters(arch), "SKIP": 1, "DEPTH": 2048, "STEPS": 512}
    with TemporaryDirectory() as folder:
        flat = [case for of_layer in cases for case in of_layer]
        observed = iter(observe("gated_tile", "gated_bench", machine, flat, Path(folder)))
        return [
            (gated, [next(observed) for _ in of_layer])
            for gated, of_layer in zip(drawn, cases, strict=True)
        ]


@machines
def test_masks_and_sums_are_those_of_all_operands(name: str) -> None:
    """What is skipped adds nothing: bit for bit the sums of a plain convolution."""
    for number, (gated, observed) in enumerate(computed(name)):
        found, sums = gated.by_numpy
        np.testing.assert_array_equal(decided(gated, observed), any_of_group(gated, found))
        for (channels, pixels), seen in zip(gated.run(found).tiles(), observed, strict=True):
            image, row, column = np.array(pixels).T
            expected = sums[image, channels[0] : channels[-1] + 1, row, column]
            mine = np.array(seen["sums"], np.uint32).astype(np.int32)
            np.testing.assert_array_equal(mine, expected, err_msg=f"layer {number}")


@machines
def test_cycles_are_the_same_by_bytes_and_by_bits(name: str, tmp_path: Path) -> None:
    """Pass by pass what ``counted_tile_pass`` says, which has a bit of each channel alone."""
    drawn = computed(name)
    runs = [
        replace(gated.run(gated.by_numpy[0]), inputs=gated.activations != 0) for gated, _ in drawn
    ]
    skips = play([replace(run, scheme=f"{run.scheme}-skip") for run in runs], tmp_path / "skips")
    saved = 0
    for (_, observed), of_layer in zip(drawn, skips, strict=True):
        for seen, passes in zip(observed, of_layer, strict=True):
            assert seen["cycles"] == [each["clock"] for each in passes]
            assert seen["weight_word_reads"] == [each["weight_word_reads"] for each in passes]
            saved += sum(each["steps_skipped"] for each in passes)
    assert (saved > 0) == (name != "A = 1")
