"""The simulator held to the oracle: every cause and every counter of every layer, to the unit."""

from __future__ import annotations

import numpy as np
import pytest
from in_memory import in_memory_trace
from oracle.cases import KINDS, Case, draw_case
from oracle.coverage import (
    INSTANCE,
    OPTIONS,
    RESHAPE,
    RESIDENCIES,
    instances,
    options,
    reshapes,
    residencies,
)
from oracle.machines import conv, machine, network, random_masks
from oracle.skip_coverage import SKIPPED, skips

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import load_arch
from hwsim.mapping.tiles import MappingError
from hwsim.network import Network, resnet18
from hwsim.run.simulate import simulate
from tools.verification.naive import against_oracle, oracle_totals
from tools.verification.replay import Replayed


def compare(case: Case) -> set[str]:
    """Count on either side, or see both refuse; returns what the case met."""
    trace = in_memory_trace(case)
    expected = oracle_totals(case)
    if expected is None:
        with pytest.raises(MappingError):
            simulate(case.arch, trace, scheme=case.scheme, batch=case.batch)
        return {"refused"}
    result = simulate(case.arch, trace, scheme=case.scheme, batch=case.batch)
    replayed = Replayed(case.arch, trace, case.scheme, case.batch)
    totals = result.shapes, result.causes, result.counters
    assert against_oracle(case, replayed, totals, expected) is None, case.scheme
    shapes, causes, counters = expected
    met = residencies(case, shapes) | options(case, shapes, causes, counters)
    met |= skips(case, shapes, causes, counters)
    return met | instances(case, shapes) | reshapes(case, shapes)


def compare_many(examples: dict[str, int]) -> None:
    """The same cases every time; together they meet every situation there is."""
    seen: set[str] = set()
    for kind, count in examples.items():
        for seed in range(count):
            case = draw_case(kind, seed)
            try:
                seen |= compare(case)
            except BaseException as error:
                error.add_note(f"draw_case({kind!r}, seed={seed}) is {case}")
                raise
    wanted = RESIDENCIES | OPTIONS | INSTANCE | RESHAPE | SKIPPED
    assert seen >= wanted, f"never met: {sorted(wanted - seen)}"


def test_random_runs() -> None:
    compare_many({"dense": 80, "clock-gated": 80, "unstructured": 160, "shared lists": 200})


@pytest.mark.slow
def test_many_random_runs() -> None:
    compare_many(dict.fromkeys(KINDS, 1000))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "mask_group"),
    [
        ("dense", 1),
        ("clock-gated", 1),
        ("unstructured", 1),
        ("lockstep-8", 1),
        ("structured-8x", 8),
    ],
)
def test_resnet18_on_the_default_machine(scheme: str, mask_group: int) -> None:
    layers = resnet18()
    masks = random_masks(layers, density=0.3, images=3, mask_group=mask_group)
    compare(Case(load_arch("pe16x16"), layers, scheme, mask_group, 2, 3, masks, {}))


def without_masks(arch: ArchConfig, layers: Network, scheme: str, mask_group: int) -> Case:
    """One image whose mask bits are all 0."""
    masks = {
        layer.name: np.zeros(
            (1, layer.out_channels // mask_group, layer.out_height, layer.out_width), dtype=bool
        )
        for layer in layers.gated_layers
    }
    zeros = {name: np.zeros(1, dtype=np.int64) for name in masks}
    return Case(arch, layers, scheme, mask_group, 1, 1, masks, zeros)


def test_a_mask_list_of_two_lane_groups_is_written_once() -> None:
    # Two tiles of 4 columns, lists of two channels, lane groups (0 1 2) (3): the second list of
    # a tile is in both. "One per mask list in the tile": 2 lists x 1 pixel x 2 tiles.
    layers = network(conv(channels=(2, 8), size=(1, 1), groups=2))
    compare(without_masks(machine(lane_group=3), layers, "lockstep-3", mask_group=2))


def test_a_layout_narrower_than_a_consumers_map() -> None:
    # The 5x5 / 2 has the largest Hq = 1 + 2 and Wq = 6 + 2, in which the 1x1's pixels (0, 8..11)
    # and (1, 0..3) would have one address each: it uses rows of its own 12.
    layers = network(
        conv("tall", channels=(4, 4), size=(2, 12), kernel=5, stride=2, groups=2),
        conv("wide", channels=(4, 4), size=(2, 12)),
    )
    compare(without_masks(machine(rows=24, entries=96), layers, "dense", mask_group=1))
