"""A tile's passes in clock cycles: cause by cause what the oracle, and what the kernel, says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from oracle.cycles import tile as oracle_tile
from oracle.layout import conv_layout
from oracle.machines import conv, machine, network
from oracle.residency import cut_channels, flattened, split

from hwsim.arch import ArchConfig
from hwsim.counts import CAUSES, C
from hwsim.simulate import simulate
from hwsim.trace import MaskTrace, TraceHeader
from hwsim.workload import ConvLayer

from .simulator import Case, observe
from .tiles import causes_and_counts, parameters, tile_case

COMPUTE_CAUSES = CAUSES[:5]
"""Those of a tile's passes; output stage and DMA are beside the RTL."""


@dataclass(frozen=True)
class LayerRun:
    """One layer of one batch under a scheme: what the RTL plays, tile by tile."""

    layer: ConvLayer
    scheme: str
    mask_group: int
    images: int
    masks: np.ndarray | None

    def tiles(self, arch: ArchConfig) -> list[tuple[range, list[tuple[int, int, int]]]]:
        pixels = flattened(self.layer, self.images)
        most = arch.partial_sums.entries // arch.array.columns
        return [
            (channels, part)
            for channels in cut_channels(self.layer, arch, self.scheme)
            for part in split(pixels, most)
        ]

    def cases(self, arch: ArchConfig) -> list[Case]:
        layout = conv_layout(self.layer, arch)
        return [
            tile_case(
                self.layer, arch, self.scheme, self.masks, self.mask_group,
                channels, pixels, layout, self.images,
            )
            for channels, pixels in self.tiles(arch)
        ]  # fmt: skip


def draw(rng: np.random.Generator, arch: ArchConfig) -> LayerRun:
    """A random layer, scheme and mask for this machine."""
    lanes, columns = arch.index.lane_group, arch.array.columns
    schemes = ["unstructured"] if lanes == 1 else [f"lockstep-{lanes}"]
    mask_group = 1
    if lanes > 1 and columns % lanes == 0 and rng.random() < 0.5:
        schemes, mask_group = [f"structured-{lanes}x"], lanes
    scheme = str(rng.choice([*schemes * 4, "gated", "dense"]))
    groups = int(rng.choice([1, 2, 2, 3, 4]))
    kernel = int(rng.choice([1, 1, 2, 3, 3]))
    width = mask_group * int(rng.integers(1, max(2, 2 * columns // mask_group + 1)))
    layer = conv(
        channels=(groups * int(rng.integers(1, 7)), groups * width),
        size=(int(rng.integers(max(1, kernel - 1), 9)), int(rng.integers(max(1, kernel - 1), 9))),
        kernel=kernel,
        stride=int(rng.choice([1, 1, 2])),
        groups=groups,
    )
    images = int(rng.integers(1, 3))
    masks = None
    if groups > 1:
        shape = (images, layer.out_channels // mask_group, layer.out_height, layer.out_width)
        density = rng.choice([0.0, 0.02, 0.1, 0.3, 0.6, 0.9, 1.0])
        masks = rng.random(shape) < density
    return LayerRun(layer, scheme, mask_group, images, masks)


def kernel_result(run: LayerRun, arch: ArchConfig) -> tuple[dict[str, int], np.ndarray]:
    """Compute causes and all counters of the layer, by the simulator."""
    net = network(run.layer)
    header = TraceHeader(
        network=net, method="synthetic", mask_group=run.mask_group, branch="diagonal",
        gate_norm="batch", dataset="synthetic", image_ids=list(range(run.images)), training={},
        synthetic=True,
    )  # fmt: skip
    masks = {} if run.masks is None else {run.layer.name: run.masks}
    result = simulate(arch, MaskTrace.from_masks(header, masks, {}), run.scheme, batch=run.images)
    causes = {name: int(result.causes[0, CAUSES.index(name)]) for name in COMPUTE_CAUSES}
    return causes, result.counters[0]


def compare(arch: ArchConfig, layers: int, seed: int, folder: Path) -> int:
    """Play random layers on one machine; every tile equals the oracle, every sum the kernel."""
    rng = np.random.default_rng(seed)
    runs = [draw(rng, arch) for _ in range(layers)]
    cases = [run.cases(arch) for run in runs]
    flat = [case for of_run in cases for case in of_run]
    observed = iter(observe("counted_tile_pass", "tile_bench", parameters(arch), flat, folder))
    for number, run in enumerate(runs):
        layer_causes, layer_counts = Counter[str](), Counter[str]()
        for at, (channels, pixels) in enumerate(run.tiles(arch)):
            causes, counts = causes_and_counts(next(observed), run.scheme)
            layer_causes.update(causes)
            layer_counts.update(counts)
            expected_causes, expected_counts = oracle_tile(
                run.layer, arch, run.scheme, run.masks, run.mask_group, channels, pixels,
                conv_layout(run.layer, arch),
            )  # fmt: skip
            where = f"run {number}, {run.scheme}, tile {at}"
            for name in COMPUTE_CAUSES:
                assert causes[name] == expected_causes[name], f"{where}: {name}"
            for name, count in counts.items():
                assert count == expected_counts[name], f"{where}: {name}"
        if run.masks is None:  # a trace has a gated layer
            continue
        kernel_causes, kernel_counts = kernel_result(run, arch)
        for name in COMPUTE_CAUSES:
            assert layer_causes[name] == kernel_causes[name], f"run {number}, kernel: {name}"
        for name, count in layer_counts.items():
            assert count == kernel_counts[C[name]], f"run {number}, kernel: {name}"
    return len(flat)


def shared(arch: ArchConfig) -> ArchConfig:
    return arch.model_copy(update={"index": arch.index.model_copy(update={"decoders": "shared"})})


def build(
    rows: int, columns: int, lanes: int, per_cycle: int, word_bits: int, word: int, banks: int,
    tile_pixels: int,
) -> ArchConfig:  # fmt: skip
    """R, C, V, E, W, A, B, P; buffers large enough to keep the layer's tiles at P."""
    return machine(
        rows=rows, columns=columns, lane_group=lanes, indices_per_cycle=per_cycle,
        word_bits=word_bits, word_channels=word, banks=banks, entries=columns * tile_pixels,
        activation_kib=64, weight_kib=64,
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
]
"""Every parameter at its least and beyond; widths that V does not divide, tiles that W does not."""


def test_random_tiles(tmp_path: Path) -> None:
    assert compare(build(3, 4, 2, 2, 8, 2, 3, 24), layers=8, seed=2, folder=tmp_path) > 40


def test_random_tiles_of_a_shared_decoder(tmp_path: Path) -> None:
    assert compare(shared(build(2, 4, 1, 1, 8, 2, 4, 16)), layers=3, seed=3, folder=tmp_path) > 8


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(MACHINES)))
def test_many_random_tiles(number: int, tmp_path: Path) -> None:
    assert compare(MACHINES[number], layers=60, seed=10 + number, folder=tmp_path) > 100


@pytest.mark.slow
def test_the_default_machine(pe16x16: ArchConfig, tmp_path: Path) -> None:
    assert compare(pe16x16, layers=4, seed=4, folder=tmp_path) > 8
