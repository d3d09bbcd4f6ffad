"""It computes: the kernel's dispatch over int8 data gives a gated convolution's integers.

Cycles and counters of the contract that say what was touched are the kernel's own for that layer:
data movement and cycles belong to one dispatch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from compute import replay as replaying
from compute.check import check, check_torch
from compute.data import draw_data
from compute.draws import SITUATIONS, draw, situations
from compute.replay import Replay, replay
from oracle.machines import conv

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import parse_scheme
from hwsim.mapping.tiles import MappingError
from hwsim.network import INPUT, ConvLayer, resnet18

SCHEMES = [
    ("unstructured", 1),
    ("structured-8x", 8),
    ("lockstep-8", 1),
    ("clock-gated", 1),
    ("dense", 1),
]


def gated_layer(name: str) -> ConvLayer:
    """A layer of ResNet-18 on 32x32 images, alone."""
    alone = {"input": INPUT, "residual": None, "pool": 1}
    return resnet18().by_name[name].model_copy(update=alone)


@pytest.fixture(scope="module", params=SCHEMES, ids=lambda scheme: scheme[0])
def whole_layer(request: pytest.FixtureRequest, baseline: ArchConfig) -> Replay:
    """64 -> 64 channels on 32x32 pixels, two images, three bits in ten set."""
    scheme, mask_group = request.param
    data = draw_data(gated_layer("layer1.0.conv1"), 2, mask_group, 0.7, False, seed=1)
    return replay(baseline, parse_scheme(scheme, baseline), data)


def draws(seeds: range, check: Callable[[Replay], None]) -> set[str]:
    """Hold the layers drawn by these seeds to ``check``; returns the situations met."""
    met: set[str] = set()
    for seed in seeds:
        try:
            run = replay(*draw(seed))
            check(run)
        except MappingError:
            continue
        except BaseException as error:
            error.add_note(f"draw({seed})")
            raise
        met |= situations(run)
    return met


def test_a_whole_layer(whole_layer: Replay) -> None:
    check(whole_layer)
    if whole_layer.scheme.kind != "dense":
        assert 0.29 < whole_layer.mask.mean() < 0.31


def test_a_whole_layer_in_torch(whole_layer: Replay) -> None:
    check_torch(whole_layer)


def test_small_layers() -> None:
    met = draws(range(80), check)
    assert met >= SITUATIONS, f"never met: {sorted(SITUATIONS - met)}"


def test_small_layers_in_torch() -> None:
    draws(range(80, 120), check_torch)


def test_a_pixel_lost_or_computed_twice_is_noticed(
    baseline: ArchConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = conv(channels=(8, 8), size=(8, 8), kernel=3, groups=2)
    data = draw_data(layer, 1, 1, 0.7, False, seed=1)
    scheme = parse_scheme("unstructured", baseline)
    check(replay(baseline, scheme, data))
    dispatched = replaying.rounds_of_tile

    def lose(*tile: object) -> list[list[np.ndarray]]:
        rounds = dispatched(*tile)
        return [[rounds[0][0][1:], *rounds[0][1:]], *rounds[1:]]

    def repeat(*tile: object) -> list[list[np.ndarray]]:
        rounds = dispatched(*tile)
        return [*rounds[:1], *rounds]

    for spoilt in (lose, repeat):
        monkeypatch.setattr(replaying, "rounds_of_tile", spoilt)
        with pytest.raises(AssertionError):
            check(replay(baseline, scheme, data))


@pytest.mark.slow
def test_many_small_layers() -> None:
    assert draws(range(1000, 4000), check) >= SITUATIONS


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "mask_group"), SCHEMES)
@pytest.mark.parametrize("inverse", [False, True])
def test_every_gated_shape_of_resnet18(
    baseline: ArchConfig, scheme: str, mask_group: int, inverse: bool
) -> None:
    for stage in (1, 2, 3, 4):
        for name in ("0.conv1", "1.conv2"):
            layer = gated_layer(f"layer{stage}.{name}")
            data = draw_data(layer, 2, mask_group, 0.75, inverse, seed=stage)
            check(replay(baseline, parse_scheme(scheme, baseline), data))
