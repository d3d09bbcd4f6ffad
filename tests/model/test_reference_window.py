"""A window on the rounds in the reference (docs/model/window.md), worked out by hand.

The layer of hand_worked.py: 1x1, 4 -> 4 channels in 2 groups, a beat of two steps in each pass, no
bank conflicts. A base pass of R <= 2 is its steps and R cycles of drain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from by_hand import NOTHING, machine
from hand_worked import Hand
from layer_run import LayerRun
from oracle.machines import conv
from reference_run import on_reference, with_keys
from rtl.layers import Counted
from simpy import Environment

from hwsim.model.reference.decoder import Decoder, scan_of
from hwsim.model.reference.index_memory import Bitmaps
from hwsim.model.reference.parts import Counts

CYCLES = ("base", "conditional", "bank_stall", "drain", "decode_stall")


def tile_of(
    window: int,
    lists: Sequence[Sequence[int]],
    pixels: int,
    scheme: str = "unstructured",
    **machine: object,
) -> Counted:
    """The first tile, whose lane groups have these lists; the second one's are empty."""
    lanes = 2 if scheme.startswith("structured") else 1
    masks = [*(ones for ones in lists for _ in range(lanes)), NOTHING, NOTHING]
    run = Hand("", scheme, pixels, {}, masks=masks, machine=machine).run
    run = replace(run, arch=with_keys(run.arch, "index", window=window))
    return on_reference(run)[0]


def passes(tile: Counted) -> dict[str, int]:
    """Cycles of the tile's own passes."""
    return {name: tile[name] for name in CYCLES if tile[name]}


@pytest.mark.parametrize(("window", "compares"), [(4, 2 * (2 * 3 - 1)), (0, 0)])
def test_the_example_of_the_page(window: int, compares: int) -> None:
    """Slot 0: both buffers are full after 2 cycles; slot 1, a cycle for pixel 9, is hidden.

    Two rounds of X = 2 with a window and without one: {0, 1} and {7, 8, 9}, or {0, 1, 7, 8} and
    {9}, so five words either way. Before each round 6 places and, to find m, 2 lists compare.
    """
    tile = tile_of(window, [[0, 1, 9], [7, 8]], 16, rows=2)
    assert passes(tile) == {
        "base": 8 * 2, "conditional": 2 * 2, "drain": 2 + 2, "decode_stall": 2,
    }  # fmt: skip
    assert tile["window_compares"] == compares
    assert tile["activation_word_reads"] == 16 + 5
    assert tile["line_fills"] == 2 * 16 + 5
    assert tile["decoder_cycles"] == 3 + 2
    assert tile["psum_conditional_writes"] == 5


@pytest.mark.parametrize(("window", "rounds", "stall"), [(0, 1, 2), (8, 2, 0), (9, 2, 2)])
def test_words_far_apart_do_not_meet_in_a_bank(window: int, rounds: int, stall: int) -> None:
    """A = 1, so two beats of one step; B = 4. Pixels 0 and 8 share a bank, so do 1 and 9.

    All four in a round make each beat wait a cycle; so do 0, 1 and 8, which w = 9 lets in.
    """
    tile = tile_of(window, [[0, 1], [8, 9]], 16, rows=2, word_channels=1, banks=4)
    assert tile["conditional"] == rounds * 2
    assert tile["bank_stall"] == stall


def test_a_buffer_that_keeps_an_index_has_less_room() -> None:
    """R = 2, w = 3. Slot 0: {0, 5} and {0, 1} after 2 cycles. Round 0 takes 0; 0, 1.

    Slot 1: one place is free for 6, a cycle, beside 2 for 2 and 3. Round 1, m = 2: nothing of
    {5, 6}; 2, 3. Slot 2: nothing to do. Round 2: 5, 6. Three rounds of X = 2.
    """
    tile = tile_of(3, [[0, 5, 6], [0, 1, 2, 3]], 8, rows=2)
    assert passes(tile) == {
        "base": 4 * 2, "conditional": 3 * 2, "drain": 2 + 2, "decode_stall": 2,
    }  # fmt: skip
    assert tile["window_compares"] == 3 * 5
    assert tile["weight_word_reads"] == (4 + 3) * 2
    assert tile["activation_word_reads"] == 8 + 2 + 2 + 2
    assert tile["line_fills"] == 2 * 8 + 7
    assert tile["decoder_cycles"] == 3 + 4


@pytest.mark.parametrize(
    ("decoders", "window", "rounds", "decode_stall"),
    [
        # S_0 = 1. Slot 1: list 0's tail, 3 words, beside X = 2; list 1's buffer is full. Slot 2:
        # list 1's tail.
        ("private", 1, 2, 1 + (3 - 2) + (3 - 2)),
        ("private", 0, 1, 1 + (3 - 2)),
        # S_0 = 1 + 1; the same tails, in a slot each; without a window both in slot 1.
        ("shared", 1, 2, 2 + (3 - 2) + (3 - 2)),
        ("shared", 0, 1, 2 + (3 + 3 - 2)),
    ],
)
def test_a_tail_waits_for_room(decoders: str, window: int, rounds: int, decode_stall: int) -> None:
    """R = 1, 4 words of 8 pixels; the lists are {0} and {1}."""
    tile = tile_of(window, [[0], [1]], 32, rows=1, decoders=decoders)
    assert passes(tile) == {
        "base": 32 * 2, "conditional": rounds * 2, "drain": 1 + 1, "decode_stall": decode_stall,
    }  # fmt: skip
    assert tile["decoder_cycles"] == 4 + 4


@pytest.mark.parametrize("index_format", ["coordinate", "run-length"])
def test_lists_of_symbols_have_no_tail(index_format: str) -> None:
    tile = tile_of(1, [[0], [1]], 32, rows=1, index_format=index_format)
    assert passes(tile) == {"base": 64, "conditional": 4, "drain": 2, "decode_stall": 1}


@pytest.mark.parametrize(("window", "rounds"), [(3, 2), (4, 1), (0, 1)])
def test_a_list_alone_is_cut_too(window: int, rounds: int) -> None:
    """One lane group, R = 2, the list {0, 3}: a window of 3 ends before pixel 3."""
    tile = tile_of(window, [[0, 3]], 8, scheme="structured-2x", rows=2)
    assert tile["conditional"] == rounds * 2
    assert tile["window_compares"] == (rounds * (1 * 3 - 1) if window else 0)
    assert tile["decode_stall"] == 2


def test_indices_of_one_cycle_are_no_more_than_the_room_left() -> None:
    """R = 2, E = 2, w = 1; the lists are {0, 1, 2} and {}: rounds of 0, of 1 and of 2.

    Slot 0: 0 and 1 in a cycle, and the other list's word is passed. Slot 1: 2 takes 0's place.
    """
    tile = tile_of(1, [[0, 1, 2], NOTHING], 8, rows=2, indices_per_cycle=2)
    assert passes(tile) == {"base": 8, "conditional": 3 * 2, "drain": 4, "decode_stall": 1}
    assert tile["decoder_cycles"] == 2 + 1
    assert tile["window_compares"] == 3 * 5


def test_a_tile_without_ones_compares_nothing() -> None:
    tile = tile_of(4, [NOTHING, NOTHING], 16, rows=2)
    assert passes(tile) == {"base": 16, "drain": 2, "decode_stall": 2}
    assert not tile["window_compares"]


@pytest.mark.parametrize("scheme", ["dense", "clock-gated"])
def test_passes_of_consecutive_pixels_have_no_window(scheme: str) -> None:
    lists = [[0, 9], [3]]
    assert tile_of(1, lists, 16, scheme) == tile_of(0, lists, 16, scheme)


@pytest.mark.parametrize("scheme", ["unstructured", "lockstep-2"])
@pytest.mark.parametrize("decoders", ["private", "shared"])
@pytest.mark.parametrize("index_format", ["bitmap", "run-length"])
def test_random_masks(scheme: str, decoders: str, index_format: str) -> None:
    """A window as wide as the tile is none; a narrower one changes rounds and no pointer."""
    layer = conv(channels=(4, 8), size=(5, 6), groups=2)
    arch = machine(
        rows=3, columns=4, tile_pixels=30, lane_group=1 if scheme == "unstructured" else 2,
        decoders=decoders, index_format=index_format,
    )  # fmt: skip
    masks = np.random.default_rng(1).random((1, 8, 5, 6)) < 0.4
    groups = 4 if scheme == "unstructured" else 2

    def with_window(window: int) -> list[Counted]:
        windowed = with_keys(arch, "index", window=window)
        return on_reference(LayerRun(windowed, layer, scheme, 1, 1, masks))

    kept = ("line_fills", "psum_conditional_writes", "mask_bits_written", "macs_conditional")
    none = with_window(0)
    for window in (1, 4, 11, 30, 64):
        tiles = with_window(window)
        for tile, other in zip(tiles, none, strict=True):
            compares = tile.pop("window_compares")
            assert compares == (groups * 4 - 1) * tile["conditional"] // 2
            assert {name: tile[name] for name in kept} == {name: other[name] for name in kept}
        assert tiles == none or window < 30
        assert tiles != none or window > 1


def test_a_decoder_keeps_what_it_does_not_hand_over() -> None:
    """R = 3: 0, 1, 2 after 3 cycles; 2 stays, and two more are found in two more cycles."""
    env, counts = Environment(), Counts()
    memory = Bitmaps(1, 8, 8, counts)
    for pixel in range(8):
        memory.write(pixel, [1])
    decoder = Decoder(env, [scan_of(memory, [0], 1)], 3, counts, 0)
    env.run(until=decoder.ready)
    assert env.now == 3
    assert decoder.hand_over(2) == [[0, 1]]
    env.run(until=decoder.ready)
    assert env.now == 3 + 2
    assert decoder.hand_over(2) == [[]]  # full as it was: ready again in the same instant
    env.run(until=decoder.ready)
    assert env.now == 5
    assert decoder.hand_over() == [[2, 3, 4]]
