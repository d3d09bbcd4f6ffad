"""A tile's passes in clock cycles: cause by cause what the oracle, and what the kernel, says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from oracle.machines import machine

from hwsim.arch.config import ArchConfig

from .layers import difference, draw, play, skipping


def compare(arch: ArchConfig, layers: int, seed: int, folder: Path, skips: bool = False) -> int:
    """Play random layers on one machine; every tile equals the oracle's and the kernel's."""
    rng = np.random.default_rng(seed)
    runs = [draw(rng, arch) for _ in range(layers)]
    if skips:
        runs = [skipping(rng, run) for run in runs]
    observed = play(runs, folder)
    for number, (run, seen) in enumerate(zip(runs, observed, strict=True)):
        assert difference(run, seen) is None, f"run {number}, {run.scheme}"
    return sum(map(len, observed))


def shared(arch: ArchConfig) -> ArchConfig:
    return arch.model_copy(update={"index": arch.index.model_copy(update={"decoders": "shared"})})


def build(
    rows: int, columns: int, lanes: int, per_cycle: int, word_bits: int, word: int, banks: int,
    tile_pixels: int, ahead: int = 0, window: int = 0,
) -> ArchConfig:  # fmt: skip
    """R, C, V, E, W, A, B, P, Q, w; buffers large enough to keep the layer's tiles at P."""
    return machine(
        rows=rows, columns=columns, lane_group=lanes, indices_per_cycle=per_cycle,
        word_bits=word_bits, word_channels=word, banks=banks, entries=columns * tile_pixels,
        activation_kib=64, weight_kib=64, run_ahead=ahead, window=window,
    )  # fmt: skip


MACHINES = [
    build(1, 1, 1, 1, 8, 1, 1, 10),
    build(2, 4, 1, 1, 8, 2, 4, 24),
    build(3, 3, 1, 2, 16, 3, 2, 33),
    build(4, 6, 1, 1, 8, 4, 8, 60),
    build(5, 4, 2, 4, 32, 5, 3, 70),
    build(4, 8, 8, 3, 8, 4, 4, 48),
    build(2, 6, 3, 1, 64, 2, 1, 99),
    build(8, 8, 4, 2, 8, 4, 16, 64),
    build(16, 4, 4, 1, 32, 4, 16, 128),
    shared(build(3, 4, 1, 1, 8, 2, 4, 24)),
    shared(build(4, 6, 2, 3, 8, 3, 8, 40)),
    build(3, 4, 1, 1, 8, 2, 3, 6, ahead=1),
    build(4, 6, 1, 2, 8, 4, 1, 60, ahead=2, window=9),
    build(2, 5, 2, 1, 16, 2, 6, 40, ahead=4),
    build(4, 4, 1, 1, 8, 4, 8, 64, window=1),
    shared(build(3, 6, 2, 2, 8, 3, 8, 50, ahead=1, window=5)),
    shared(build(2, 4, 1, 1, 8, 1, 2, 33, ahead=3, window=200)),
    build(1, 3, 1, 1, 8, 1, 2, 20, ahead=1, window=3),
]
"""Every parameter at its least and beyond; widths that V does not divide, tiles that W does not.

With run-ahead also one bank, numbers of banks that are no powers of two, and tiles of fewer pixels
than the banks' words have channels. With a window some in which all lists wait for one, and one
that no tile is as large as.
"""


def test_random_tiles(tmp_path: Path) -> None:
    assert compare(build(3, 4, 2, 2, 8, 2, 3, 24), layers=8, seed=2, folder=tmp_path) > 40


def test_random_tiles_of_banks_that_run_ahead_and_lists_that_a_window_keeps_together(
    tmp_path: Path,
) -> None:
    machine = build(3, 4, 1, 2, 8, 2, 3, 24, ahead=2, window=6)
    assert compare(machine, layers=8, seed=2, folder=tmp_path) > 40


def test_random_tiles_that_skip_zeros(tmp_path: Path) -> None:
    machine = build(3, 4, 1, 2, 8, 3, 3, 24, ahead=1, window=6)
    assert compare(machine, layers=8, seed=5, folder=tmp_path, skips=True) > 40


def test_random_tiles_of_a_shared_decoder(tmp_path: Path) -> None:
    assert compare(shared(build(2, 4, 1, 1, 8, 2, 4, 16)), layers=3, seed=3, folder=tmp_path) > 8


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(MACHINES)))
def test_many_random_tiles(number: int, tmp_path: Path) -> None:
    arch = MACHINES[number]
    layers, least = (20, 40) if arch.activation.run_ahead else (60, 100)  # beats ahead cost time
    assert compare(arch, layers, seed=10 + number, folder=tmp_path) > least


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(MACHINES)))
def test_many_random_tiles_that_skip_zeros(number: int, tmp_path: Path) -> None:
    compare(MACHINES[number], layers=12, seed=40 + number, folder=tmp_path, skips=True)


@pytest.mark.slow
def test_the_default_machine(pe16x16: ArchConfig, tmp_path: Path) -> None:
    assert compare(pe16x16, layers=4, seed=4, folder=tmp_path) > 8
