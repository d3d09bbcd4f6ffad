"""Laws of skipped zeros in the reference (docs/model/zero_skipping.md), on random layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from by_hand import machine
from layer_run import LayerRun
from oracle.machines import conv
from reference_run import on_reference, with_keys
from rtl.layers import Counted

from hwsim.arch.config import ArchConfig
from hwsim.mapping.pointers import beat_offsets, pixel_addresses
from hwsim.mapping.residency import map_network
from hwsim.network import Network

COUNTS_OF_SKIPPING = ("steps_skipped", "weight_word_reads")

SCHEMES = ("dense", "clock-gated", "unstructured", "structured-2x", "lockstep-2")


def drawn(choose: Random, scheme: str, density: float) -> LayerRun:
    """A layer of a few tiles on a small machine of few banks."""
    groups = choose.choice([1, 2, 3])
    share = 2 if scheme.startswith(("structured", "lockstep")) else 1
    arch = machine(
        rows=choose.randint(1, 5), columns=4, tile_pixels=choose.choice([12, 64]),
        word_channels=choose.randint(1, 4), banks=choose.randint(1, 6), lane_group=share,
        run_ahead=choose.randint(0, 3), window=choose.choice([0, 0, 4]),
        bank_conflicts=choose.choice(["exact", "exact", "bandwidth", "none"]),
        decoders=choose.choice(["private", "shared"]),
    )  # fmt: skip
    size = choose.randint(2, 5), choose.randint(2, 5)
    layer = conv(
        channels=(groups * choose.randint(1, 5), groups * 2), size=size, groups=groups,
        kernel=choose.choice([1, 1, 3]), stride=choose.randint(1, 2), gated=True,
    )  # fmt: skip
    images = choose.randint(1, 2)
    rng = np.random.default_rng(choose.randrange(1000))
    lists = layer.out_channels // (2 if scheme.startswith("structured") else 1)
    masks = rng.random((images, lists, layer.out_height, layer.out_width)) < 0.5
    inputs = rng.random((images, layer.in_channels, *size)) < density
    group = layer.out_channels // lists
    return LayerRun(arch, layer, scheme, group, images, masks, inputs)


def skipping(run: LayerRun, how: str) -> list[Counted]:
    """The tiles of the layer on a machine that skips so."""
    return on_reference(replace(run, arch=with_keys(run.arch, "array", zero_skipping=how)))


def without(tile: Counted, *names: str) -> dict[str, int]:
    return {name: count for name, count in tile.items() if name not in names}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_where_no_input_is_zero_nothing_is_skipped(scheme: str) -> None:
    """A weight word is as wide as the beats are long: fewer reads, and nothing else is other.

    No zero padding, whose pixels have no operands.
    """
    choose = Random(1)
    for _ in range(8):
        run = drawn(choose, scheme, density=1)
        layer = run.layer.model_copy(update={"kernel_size": 1, "padding": 0})
        run = replace(run, layer=layer)
        none, word = skipping(run, "none"), skipping(run, "word")
        for tile, other in zip(word, none, strict=True):
            assert not tile["steps_skipped"]
            assert without(tile, "weight_word_reads") == without(other, "weight_word_reads")
            assert tile["weight_word_reads"] <= other["weight_word_reads"]
        for tile, other in zip(skipping(run, "free-rows"), none, strict=True):
            assert not tile["steps_skipped"]
            assert (tile["base"], tile["conditional"]) == (other["base"], other["conditional"])
            rows = run.arch.array.rows
            assert tile["weight_word_reads"] == rows * other["weight_word_reads"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_skipping_changes_cycles_and_what_it_counts_itself(scheme: str) -> None:
    """A skipped step is a cycle of the array less; free rows take the fewest, and no bank stall.

    Without input bits both run as without skipping.
    """
    choose, skipped = Random(2), 0
    cycles = ("base", "conditional", "bank_stall", "drain", "decode_stall", "output_stall")
    for _ in range(8):
        run = drawn(choose, scheme, density=0.3)
        tables = [skipping(run, how) for how in ("none", "word", "free-rows")]
        for none, word, free in zip(*tables, strict=True):
            changed = (*cycles, *COUNTS_OF_SKIPPING)
            assert without(none, *changed) == without(word, *changed) == without(free, *changed)
            steps = none["base"] + none["conditional"]
            assert word["base"] + word["conditional"] == steps - word["steps_skipped"]
            assert free["base"] + free["conditional"] == steps - free["steps_skipped"]
            assert free["steps_skipped"] >= word["steps_skipped"]
            assert not free["bank_stall"]
            skipped += word["steps_skipped"]
        blind = replace(run, inputs=None)
        assert skipping(blind, "word") == skipping(blind, "free-rows") == tables[0]
    assert skipped


def operands_by_the_page(run: LayerRun, pixel: tuple[int, int, int]) -> list[int]:
    """nnz of one pointer in every beat of a dense pass."""
    layer, word = run.layer, run.arch.activation.word_channels
    per_group, (n, y, x) = layer.in_channels // layer.groups, pixel
    counts = []
    taps = list(product(range(layer.kernel_size), repeat=2))
    for g, (ky, kx), c in product(range(layer.groups), taps, range(0, per_group, word)):
        row, column = y * layer.stride - layer.padding + ky, x * layer.stride - layer.padding + kx
        if not (0 <= row < layer.in_height and 0 <= column < layer.in_width):
            counts.append(0)
            continue
        channels = range(g * per_group + c, g * per_group + min(c + word, per_group))
        counts.append(sum(bool(run.inputs[n, channel, row, column]) for channel in channels))
    return counts


def end_of_beats(arch: ArchConfig, words: Sequence[Sequence[int]], steps: Sequence[int]) -> int:
    """What a round's beats take as the pages write it; ``words`` are the addresses of each beat."""
    banks, ahead = arch.activation.banks, arch.activation.run_ahead
    if arch.activation.bank_conflicts == "none":
        return sum(steps)
    if arch.activation.bank_conflicts == "bandwidth":
        return max(sum(steps), -(-sum(map(len, words)) // banks))
    starts, served = [0], [0] * banks
    for beat, its_steps in enumerate(steps):
        asked = starts[max(0, beat - ahead)]
        load = [sum(word % banks == bank for word in words[beat]) for bank in range(banks)]
        served = [max(was, asked) + more for was, more in zip(served, load, strict=True)]
        starts.append(max(starts[-1] + its_steps, *served))
    return starts[-1]


def test_the_rule_of_the_page() -> None:
    """On random dense layers, in one tile, the clock shows n_t, run-ahead and the bounds."""
    choose, skipped = Random(3), 0
    for _ in range(30):
        run = drawn(choose, "dense", density=0.4)
        arch, layer = with_keys(run.arch, "partial_sums", entries=64 * 4), run.layer
        run = replace(run, arch=arch)
        (mapping,) = map_network(Network(name="one", layers=(layer,)), arch, run.images, "off")
        words = pixel_addresses(mapping.pointers)[:, None] + beat_offsets(
            mapping.pointers, range(layer.groups)
        )
        pixels = list(product(range(run.images), range(layer.out_height), range(layer.out_width)))
        base = stall = free = 0
        for first in range(0, len(pixels), arch.array.rows):
            rows = slice(first, first + arch.array.rows)
            operands = [operands_by_the_page(run, pixel) for pixel in pixels[rows]]
            steps = [max(1, *beat) for beat in zip(*operands, strict=True)]
            asked = [set(beat.tolist()) for beat in words[rows].T]
            base += sum(steps)
            stall += end_of_beats(arch, asked, steps) - sum(steps)
            free += max(1, max(map(sum, operands)))
        tile, *others = skipping(run, "word")
        assert (tile["base"], tile["bank_stall"]) == (base, stall), run
        bound, *more = skipping(run, "free-rows")
        assert (bound["base"], bound["bank_stall"]) == (free, 0), run
        skipped += tile["steps_skipped"]
        # Tiles of other channels see the same.
        assert {each["base"] for each in others} <= {base}
        assert {each["base"] for each in more} <= {free}
    assert skipped
