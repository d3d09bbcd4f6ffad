"""The scheme ``channels`` held to its oracle: every cause and counter of every layer."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from oracle.cases import draw_block, draw_chain, draw_machine, other_shapes
from oracle.channel_coverage import situations, wanted
from oracle.channel_tiles import DGC, FBS, Gates
from oracle.channels import run
from oracle.machines import conv
from oracle.residency import DoesNotFit

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from hwsim.mapping.tiles import MappingError
from hwsim.network import Network
from hwsim.run.simulate import replay_by_tile, simulate
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace


@dataclass(frozen=True)
class Case:
    arch: ArchConfig
    network: Network
    granularity: str
    squeeze: int
    batch: int
    masks: dict[str, np.ndarray]

    def trace(self) -> MaskTrace:
        images = len(next(iter(self.masks.values())))
        header = TraceHeader(
            network=self.network, method="synthetic", granularity=self.granularity, mask_group=1,
            squeeze=self.squeeze, dataset="synthetic", image_ids=tuple(range(images)),
        )  # fmt: skip
        return MaskTrace.from_masks(header, self.masks)


def draw_case(granularity: str, seed: int) -> Case:
    """A small machine and network, chains of gated layers as often as not."""
    rng = Random(f"{granularity} {seed}")
    arch = draw_machine(rng)
    draw = rng.choice([draw_chain, draw_chain, draw_chain, draw_block, draw_sums])
    network = draw(rng, 1)
    while not network.gated_layers:
        network = draw(rng, 1)
    images = rng.randint(1, 5)
    noise = np.random.default_rng(rng.getrandbits(32))
    density = rng.choice([0.0, 0.1, 0.3, 0.5, 0.5, 0.7, 0.9, 1.0])
    masks = {}
    for layer in network.gated_layers:
        shape = (layer.out_channels,)
        if granularity == DGC:
            shape = (layer.groups, layer.in_channels)
        bias = rng.choice([0.0, 0.3]) * noise.standard_normal(shape)
        masks[layer.name] = noise.random((images, *shape)) + bias < density
    return Case(arch, network, granularity, rng.choice([1, 2, 4, 16]), rng.randint(1, 3), masks)


def draw_sums(rng: Random, mask_group: int) -> Network:
    """Sums of gated layers that layers without a gate read and add, a 1x1 / 2 among them."""
    groups, size = rng.choice([2, 4]), (rng.choice([3, 4, 6]), rng.choice([2, 4, 5]))
    width = groups * rng.randint(1, 3)
    layers = [
        conv("first", (4, width), size, rng.choice([1, 3]), 1, groups),
        conv("sum", (width, width), size, 3, 1, groups, input="first", residual="first"),
        conv("reads", (width, rng.randint(1, 9)), size, 1, rng.choice([1, 2]), input="sum"),
        conv("adds", (4, width), size, rng.choice([1, 3]), residual="sum"),
        conv("last", (width, 5), size, 1, input="adds"),
    ]
    return Network(name="sums", layers=[layer.model_dump() for layer in layers])


def difference(case: Case, found: np.ndarray, expected: np.ndarray, names: tuple[str, ...]) -> str:
    """The first entry that differs, by layer and name."""
    for layer, row, rights in zip(case.network.layers, found, expected, strict=True):
        for name, value, right in zip(names, row, rights, strict=True):
            if value != right:
                return f"{layer.name}: {name} is {value}, the oracle counts {right}"
    return ""


def compare(case: Case) -> set[str]:
    """Count on either side, or see both refuse; returns what the case met."""
    inputs = case.network, case.arch, case.granularity, case.masks, case.batch
    images = case.trace().images
    try:
        causes, counters = run(*inputs, images, case.squeeze)
    except DoesNotFit:
        with pytest.raises(MappingError):
            simulate(case.arch, case.trace(), "channels", batch=case.batch)
        return {"refused"}
    result = simulate(case.arch, case.trace(), "channels", batch=case.batch)
    assert difference(case, result.causes, causes, CAUSES) == ""
    assert difference(case, result.counters, counters, COUNTERS) == ""
    by_tile = replay_by_tile(case.arch, case.trace(), "channels", batch=case.batch)
    assert sum(cycles.sum() for cycles, _ in by_tile) == result.cycles
    gates = Gates(case.granularity, case.squeeze, case.masks)
    return situations(case.arch, case.network, gates, min(case.batch, images))


@pytest.mark.parametrize("granularity", [FBS, DGC])
def test_random_runs(granularity: str) -> None:
    met: set[str] = set()
    for seed in range(120):
        case = draw_case(granularity, seed)
        try:
            met |= compare(case)
        except BaseException as error:
            error.add_note(f"draw_case({granularity!r}, seed={seed}) is {case}")
            raise
    missing = {"refused", *wanted(granularity)} - met
    assert not missing, f"never met: {sorted(missing)}"


@pytest.mark.slow
@pytest.mark.parametrize("granularity", [FBS, DGC])
def test_many_random_runs(granularity: str) -> None:
    for seed in range(1000, 3000):
        compare(draw_case(granularity, seed))


@pytest.mark.parametrize("granularity", [FBS, DGC])
def test_chosen_shapes(granularity: str) -> None:
    """With ``array.reshape`` the run is that of the shapes it says it took."""
    taken = set()
    for seed in range(30):
        case = draw_case(granularity, seed)
        array = case.arch.array.model_copy(update={"reshape": tuple(other_shapes(case.arch)[:2])})
        arch = case.arch.model_copy(update={"array": array})
        try:
            result = simulate(arch, case.trace(), "channels", batch=case.batch)
        except MappingError:
            continue
        causes, counters = run(
            case.network, arch, granularity, case.masks, case.batch, result.images,
            case.squeeze, result.shapes,
        )  # fmt: skip
        assert difference(case, result.causes, causes, CAUSES) == ""
        assert difference(case, result.counters, counters, COUNTERS) == ""
        taken |= {shape != arch.array.shapes[0] for shape in result.shapes}
    assert taken == {True, False}
