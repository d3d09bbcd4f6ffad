"""It computes: the kernel's dispatch over int8 data gives a gated convolution's integers.

Cycles and counters of the contract that say what was touched are the kernel's own for that layer:
data movement and cycles belong to one dispatch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from compute import replay as replaying
from compute.data import base_and_conditional, decide, draw_data
from compute.draws import SITUATIONS, draw, situations
from compute.replay import Replay, replay
from oracle.machines import conv

from hwsim.arch import ArchConfig
from hwsim.counts import CAUSES, COUNTERS
from hwsim.schemes import parse_scheme
from hwsim.simulate import simulate
from hwsim.tiling import MappingError
from hwsim.workload import INPUT, ConvLayer, resnet18

TOUCHED = (
    "base", "conditional", "bank_stall",
    "macs_base", "macs_conditional", "macs_gated_off",
    "activation_word_reads", "line_fills", "weight_word_reads",
    "psum_base_writes", "psum_conditional_reads", "psum_conditional_writes",
    "comparator_ops", "adder_ops",
)  # fmt: skip

SCHEMES = [("unstructured", 1), ("structured-8x", 8), ("lockstep-8", 1), ("gated", 1), ("dense", 1)]


def gated_layer(name: str) -> ConvLayer:
    """A layer of ResNet-18 on 32x32 images, alone."""
    alone = {"input": INPUT, "residual": None, "pool": 1}
    return resnet18().by_name[name].model_copy(update=alone)


def flat(sums: np.ndarray) -> np.ndarray:
    """(images, channels, rows, columns) as (channels, pixels of all images)."""
    return sums.swapaxes(0, 1).reshape(sums.shape[1], -1)


@pytest.fixture(scope="module", params=SCHEMES, ids=lambda scheme: scheme[0])
def whole_layer(request: pytest.FixtureRequest, pe16x16: ArchConfig) -> Replay:
    """64 -> 64 channels on 32x32 pixels, two images, three bits in ten set."""
    scheme, mask_group = request.param
    data = draw_data(gated_layer("layer1.0.conv1"), 2, mask_group, 0.7, False, seed=1)
    return replay(pe16x16, parse_scheme(scheme, pe16x16), data)


def check(run: Replay) -> None:
    """Right sums, every part once, and what the kernel counted for it."""
    arch, scheme, data = run.arch, run.scheme, run.data
    base, conditional = base_and_conditional(data)
    np.testing.assert_array_equal(run.base_parts, 1)
    if scheme.kind == "dense":
        np.testing.assert_array_equal(run.sums, flat(base + conditional))
    else:
        bits = decide(data, base)
        np.testing.assert_array_equal(np.repeat(run.mask, data.mask_group, axis=0), flat(bits))
        np.testing.assert_array_equal(run.conditional_parts, flat(bits))
        np.testing.assert_array_equal(run.sums, flat(base + bits * conditional))
    result = simulate(arch, data.trace(run.mask), scheme.name, batch=data.images)
    counted = dict(zip(CAUSES + COUNTERS, [*result.causes[0], *result.counters[0]], strict=True))
    assert {name: run.counts[name] for name in TOUCHED} == {name: counted[name] for name in TOUCHED}


def check_torch(run: Replay) -> None:
    """The sums against torch's: grouped convolution, comparison, masked rest."""
    torch = pytest.importorskip("torch", reason="torch is not installed: sums held to NumPy only")
    data, layer = run.data, run.data.layer
    x = torch.from_numpy(data.activations).double()  # exact: every sum is below 2^53
    weight = torch.from_numpy(data.weights).double()
    shape = {"stride": layer.stride, "padding": layer.padding}
    blocks = weight.chunk(layer.groups)
    inputs = list(x.chunk(layer.groups, 1))
    order = [data.base_group(len(blocks[0]) * g) for g in range(layer.groups)]
    own = [block.chunk(layer.groups, 1)[g] for block, g in zip(blocks, order, strict=True)]
    base_input = torch.cat([inputs[g] for g in order], 1)
    conv2d = torch.nn.functional.conv2d
    base = conv2d(base_input, torch.cat(own), groups=layer.groups, **shape)
    full = conv2d(x, weight, **shape)
    added = base.unflatten(1, (-1, data.mask_group)).sum(2)
    mask = added > torch.from_numpy(data.thresholds)[:, None, None]
    mask = mask.repeat_interleave(data.mask_group, 1)
    gated = full if run.scheme.kind == "dense" else torch.where(mask, full, base)
    np.testing.assert_array_equal(run.sums, flat(gated.to(torch.int64).numpy()))


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
    pe16x16: ArchConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = conv(channels=(8, 8), size=(8, 8), kernel=3, groups=2)
    data = draw_data(layer, 1, 1, 0.7, False, seed=1)
    scheme = parse_scheme("unstructured", pe16x16)
    check(replay(pe16x16, scheme, data))
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
            check(replay(pe16x16, scheme, data))


@pytest.mark.slow
def test_many_small_layers() -> None:
    assert draws(range(1000, 4000), check) >= SITUATIONS


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "mask_group"), SCHEMES)
@pytest.mark.parametrize("inverse", [False, True])
def test_every_gated_shape_of_resnet18(
    pe16x16: ArchConfig, scheme: str, mask_group: int, inverse: bool
) -> None:
    for stage in (1, 2, 3, 4):
        for name in ("0.conv1", "1.conv2"):
            layer = gated_layer(f"layer{stage}.{name}")
            data = draw_data(layer, 2, mask_group, 0.75, inverse, seed=stage)
            check(replay(pe16x16, parse_scheme(scheme, pe16x16), data))
