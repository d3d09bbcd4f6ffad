"""Kernel and reference on whole runs of a kind that random cases hardly ever are.

Each asks for one thing of the kernel: what it keeps from a round, tile or batch to the next, where
a word of its bits ends, or how much room it has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from by_hand import machine
from in_memory import in_memory_trace
from oracle.cases import Case
from oracle.machines import conv, network

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import ConvLayer
from hwsim.run.simulate import simulate


def bits(shape: tuple[int, ...], density: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < density


def masks_of(layer: ConvLayer, lists: Sequence[Sequence[int]], images: int = 1) -> np.ndarray:
    """Bool (images, channels, height, width): the pixels of each list, in all images."""
    masks = np.zeros((images, len(lists), layer.out_height * layer.out_width), bool)
    for number, pixels in enumerate(lists):
        masks[:, number, pixels] = True
    return masks.reshape(images, len(lists), layer.out_height, layer.out_width)


def equal(
    arch: ArchConfig,
    layer: ConvLayer,
    scheme: str,
    masks: np.ndarray,
    inputs: np.ndarray | None = None,
) -> dict[str, int]:
    """Both models count the same of the layer, an image a batch; what they count, without zeros."""
    images = len(masks)
    none = {layer.name: np.zeros(images, np.int64)}
    case = Case(
        arch, network(layer), scheme, 1, 1, images, {layer.name: masks}, none,
        zero_operand_macs_conditional={} if inputs is None else none,
        inputs={} if inputs is None else {layer.name: inputs},
    )  # fmt: skip
    trace = in_memory_trace(case)
    names = (*CAUSES, *COUNTERS)
    kernel, reference = (
        simulate(arch, trace, scheme, batch=1, engine=engine) for engine in ("kernel", "reference")
    )
    found, expected = (
        dict(zip(names, np.hstack([run.causes, run.counters])[0].tolist(), strict=True))
        for run in (kernel, reference)
    )
    assert found == expected
    return {name: count for name, count in found.items() if count}


def test_a_full_list_whose_last_round_is_not() -> None:
    """64 ones in rounds of 3, in both tiles: as many rounds as there can be, and a slot behind."""
    layer = conv(channels=(4, 2), size=(8, 8), groups=2)
    every = list(range(64))
    counts = equal(
        machine(rows=3, columns=1, lane_group=1),
        layer, "unstructured", masks_of(layer, [every, every]),
    )  # fmt: skip
    # Two channels of the other group make a beat of two steps; 22 rounds.
    assert counts["conditional"] == 2 * 22 * 2


def test_what_is_scanned_behind_the_last_round_does_not_meet_the_next_batch() -> None:
    """The first image's one round has seven empty words behind it, the second's a second round."""
    layer = conv(channels=(2, 2), size=(1, 64), groups=2)
    masks = masks_of(layer, [[0, 1], [0, 1]], images=2)
    masks[1, :, 0, 2:4] = True
    equal(
        machine(rows=2, columns=1, lane_group=1),
        layer, "unstructured", masks,
    )  # fmt: skip


def test_more_rounds_of_a_batch_wait_for_banks_than_are_played_at_once() -> None:
    """260 rounds in each of two tiles: two pixels in one bank, for two beats of a step.

    Q = 1: 2 cycles and 1 more, as the second beat's words are in the other bank; C = 2 are two
    words, so the pitch is odd.
    """
    layer = conv(channels=(4, 2), size=(16, 65), groups=2)
    even = list(range(0, 1040, 2))
    counts = equal(
        machine(
            rows=2, columns=2, lane_group=1, word_channels=1, banks=2, run_ahead=1,
            tile_pixels=1040,
        ),
        layer, "unstructured", masks_of(layer, [even, even]),
    )  # fmt: skip
    # A base round of two neighbours has a word in each bank.
    assert counts["bank_stall"] == 2 * 260 * (3 - 2)


@pytest.mark.parametrize("few", [1, 4])
@pytest.mark.parametrize("skipping", ["none", "word"])
def test_tiles_whose_beats_ask_the_banks_in_different_orders(skipping: str, few: int) -> None:
    """Three gating groups of three words: planes 3 to 8, 0 to 2 and 6 to 8, 0 to 5.

    Banks take turns from plane to plane, but for the step from plane 2 to 6 in the second tile.

    Rounds that wait for banks: 18 of the first tile, ``few`` of the second, five of the third.
    """
    word_channels = 4 if skipping == "word" else 1
    layer = conv(channels=(9 * word_channels, 3), size=(1, 73), groups=3)
    lists = [list(range(0, 72, 2)), list(range(0, 4 * few, 2)), list(range(0, 20, 2))]
    inputs = bits((1, 36, 1, 73), 0.3) if skipping == "word" else None
    arch = machine(
        rows=2, columns=2 * word_channels, lane_group=1, word_channels=word_channels, banks=2,
        run_ahead=1, tile_pixels=80, zero_skipping=skipping,
    )  # fmt: skip
    counts = equal(arch, layer, "unstructured", masks_of(layer, lists), inputs)
    assert counts["bank_stall"]


@pytest.mark.parametrize("run_ahead", [0, 1])
def test_zeros_are_skipped_without_a_base_pass(run_ahead: int) -> None:
    layer = conv(channels=(6, 2), size=(4, 5), kernel=3, gated=True)
    arch = machine(rows=2, lane_group=1, banks=2, run_ahead=run_ahead, zero_skipping="word")
    equal(arch, layer, "unstructured", bits((1, 2, 4, 5), 0.5), bits((1, 6, 4, 5), 0.5))


@pytest.mark.parametrize("word_channels", [2, 3])
@pytest.mark.parametrize("banks", [1, 2])
def test_a_round_that_waits_for_banks_longer_than_any_beat(word_channels: int, banks: int) -> None:
    """Six words, or three in each bank, for beats of up to A steps; nothing is asked for ahead."""
    layer = conv(channels=(5, 2), size=(4, 6), kernel=3, gated=True)
    arch = machine(rows=6, word_channels=word_channels, banks=banks, zero_skipping="word")
    counts = equal(arch, layer, "dense", bits((1, 2, 4, 6), 0.5), bits((1, 5, 4, 6), 0.8))
    assert counts["bank_stall"]


@pytest.mark.parametrize("scheme", ["dense", "clock-gated"])
def test_rounds_that_run_ahead_on_rows_of_more_than_a_word(scheme: str) -> None:
    """Of 32 pixels. Taps are up to 2 * 30 + 2 places away.

    The round from pixel 28 on has places 30 to 33, in two words; a tap of 31 places leads its last
    pixel to a third one, and to more operands than the others have.
    """
    layer = conv(channels=(8, 2), size=(2, 28), kernel=3, groups=2)
    arch = machine(rows=4, columns=1, word_channels=4, banks=2, run_ahead=1, zero_skipping="word")
    inputs = bits((1, 8, 2, 28), 0.3)
    inputs[..., 1, 3] = True
    counts = equal(arch, layer, scheme, bits((1, 2, 2, 28), 0.5), inputs)
    assert counts["bank_stall"]


def test_a_window_that_ends_with_a_word() -> None:
    """Of 64 pixels: the first round is of those below 64, the second of those below 128."""
    layer = conv(channels=(4, 2), size=(8, 16), groups=2)
    arch = machine(rows=8, lane_group=1, tile_pixels=128, window=64)
    lists = [[0, 5, 63], [64, 70, 127]]
    counts = equal(arch, layer, "unstructured", masks_of(layer, lists))
    # A round of each list's pixels, in a tile of its own; two channels of the other group a step.
    assert counts["conditional"] == 2 * 2
