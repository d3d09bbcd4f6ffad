"""The laws of a tile's passes (docs/model/passes.md), held by every model on random machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
from by_hand import machine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from layer_run import LayerRun
from models import Model
from oracle.lists import symbol_bits
from oracle.machines import conv
from oracle.schemes import hardware
from rtl.layers import Counted

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import schemes_for
from tools.verification.replay import WITHIN

LAYERS = 6
"""Of a random machine."""


def draw_arch(choose: Random, model: Model) -> ArchConfig:
    """A small machine with the model's options."""

    def option(name: str, *values: str) -> str:
        return choose.choice(model.options.get(name, values))

    arch = machine(
        rows=choose.randint(1, 5),
        columns=choose.randint(1, 8),
        tile_pixels=choose.choice([12, 24, 48]),
        word_channels=choose.randint(1, 4),
        banks=choose.choice([1, 2, 4, 8]),
        lane_group=choose.randint(1, 4),
        word_bits=choose.choice([8, 16, 32]),
        feed=option("feed", "broadcast", "systolic"),
        bank_conflicts=option("bank conflicts", "exact", "bandwidth", "none"),
        decoders=choose.choice(["private", "shared"]),
        index_format=option("format", "bitmap", "coordinate", "run-length"),
    )
    most = min(4, arch.index.word_bits // symbol_bits(arch, arch.index.format))
    index = arch.index.model_copy(update={"indices_per_cycle": choose.randint(1, most)})
    return arch.model_copy(update={"index": index})


def draw_run(choose: Random, arch: ArchConfig) -> LayerRun:
    """A gated layer of a few tiles, with a mask of any density, under any scheme that fits."""
    groups, mask_group = choose.randint(2, 3), choose.choice([1, 1, 2, 4, arch.index.lane_group])
    layer = conv(
        channels=(groups * choose.randint(1, 5), groups * mask_group * choose.randint(1, 3)),
        size=(choose.randint(2, 6), choose.randint(2, 6)),
        kernel=choose.choice([1, 3]),
        stride=choose.randint(1, 2),
        groups=groups,
    )
    known = schemes_for(arch, mask_group, [layer])
    scheme = choose.choice(["clock-gated", *known[3:], *known[3:]])
    rng = np.random.default_rng(choose.getrandbits(32))
    shape = (1, layer.out_channels // mask_group, layer.out_height, layer.out_width)
    masks = rng.random(shape) < choose.choice([0.0, 0.1, 0.4, 0.8, 1.0])
    return LayerRun(arch, layer, scheme, mask_group, 1, masks)


def ones_of_lists(run: LayerRun, channels: range, pixels: Sequence) -> list[int]:
    """Pixels that each lane group of the tile has in its list."""
    image, row, column = np.array(pixels).T
    return [
        int(
            np.any(
                [run.masks[image, channels[lane] // run.mask_group, row, column] for lane in group],
                axis=0,
            ).sum()
        )
        for group in hardware(run.scheme).lane_groups(len(channels))
    ]


def ones_of_lanes(run: LayerRun, channels: range, pixels: Sequence) -> int:
    """Set bits of all of the tile's channels."""
    image, row, column = np.array(pixels).T
    return sum(
        int(run.masks[image, channel // run.mask_group, row, column].sum()) for channel in channels
    )


def hold_laws(model: Model, runs: Sequence[LayerRun]) -> None:
    """Every tile's; and lane groups of a tile may change places, lanes and all."""
    even = [run for run in runs if run.scheme != "clock-gated" and permutable(run)]
    permuted = [replace(run, masks=run.masks[:, order_of(run)]) for run in even]
    counted = model.count([*runs, *permuted])
    for run, tiles in zip(runs, counted, strict=False):
        for (channels, pixels), tile in zip(run.tiles(), tiles, strict=True):
            hold_laws_of_a_tile(model, run, channels, pixels, tile)
    assert [counted[runs.index(run)] for run in even] == counted[len(runs) :]


def hold_laws_of_a_tile(
    model: Model, run: LayerRun, channels: range, pixels: Sequence, tile: Counted
) -> None:
    """Steps by rounds; MACs, sums and fills by set bits; no pass is faster than its MACs."""
    array, layer = run.arch.array, run.layer
    rounds_of_base = -(-len(pixels) // array.rows)
    groups, lists, rounds = 1, [len(pixels)], rounds_of_base
    if run.scheme != "clock-gated":
        lists = ones_of_lists(run, channels, pixels)
        groups, rounds = len(lists), max(-(-ones // array.rows) for ones in lists)
        assert tile["psum_conditional_reads"] == sum(lists)
    ones = ones_of_lanes(run, channels, pixels)
    words = -(-(layer.in_channels // layer.groups) // run.arch.activation.word_channels)
    pointers = groups * len(pixels) + (layer.groups - 1) * sum(lists)
    assert tile["base"] == layer.base_steps * rounds_of_base
    assert tile["conditional"] == layer.conditional_steps * rounds
    assert tile["conditional"] >= layer.conditional_steps * -(-ones // (array.rows * array.columns))
    assert tile["weight_word_reads"] == tile["base"] + tile["conditional"]
    assert tile["line_fills"] == layer.kernel_size**2 * words * pointers
    assert min(tile[name] for name in WITHIN) >= 0
    if "macs_conditional" in model.names:
        assert tile["macs_conditional"] == ones * layer.conditional_steps
        assert tile["macs_base"] == len(channels) * len(pixels) * layer.base_steps


def permutable(run: LayerRun) -> bool:
    """Whether lane groups are whole, and no mask list is in two of them."""
    lanes, of_group = hardware(run.scheme).lanes, run.layer.out_channels // run.layer.groups
    width = min(run.arch.array.columns, of_group)
    return width % lanes == 0 and of_group % width == 0 and lanes % run.mask_group == 0


def order_of(run: LayerRun) -> np.ndarray:
    """Mask lists with the lane groups of each tile turned around."""
    lists_of_lanes = hardware(run.scheme).lanes // run.mask_group
    order = []
    for channels, _ in dict.fromkeys((channels, None) for channels, _ in run.tiles()):
        lists = sorted({channel // run.mask_group for channel in channels})
        groups = [lists[at : at + lists_of_lanes] for at in range(0, len(lists), lists_of_lanes)]
        order += [number for group in groups[::-1] for number in group]
    return np.array(order)


def test_random_machines_and_masks(model: Model) -> None:
    """The same machines every time, a few layers on each."""

    @settings(
        max_examples=model.examples, derandomize=True, database=None, deadline=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(choose=st.randoms(use_true_random=True))
    def one(choose: Random) -> None:
        arch = draw_arch(choose, model)
        hold_laws(model, [draw_run(choose, arch) for _ in range(LAYERS)])

    one()
