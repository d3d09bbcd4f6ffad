"""Skipping zeros in the reference (docs/model/zero_skipping.md), worked out by hand.

Most layers are 1x1 on one row of pixels. A tile that finishes has its output stage behind it, a
cycle for each pixel; here only what the passes take and count is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from by_hand import machine
from layer_run import LayerRun
from oracle.machines import conv
from reference_run import on_reference, with_keys
from rtl.layers import Counted

from hwsim.network import ConvLayer

Skipping = Literal["none", "word", "free-rows"]

CYCLES = ("base", "conditional", "bank_stall", "drain", "decode_stall")


def in_words(*counts: Sequence[int], word: int = 4) -> np.ndarray:
    """A row of pixels, not zero in so many channels of each word: the counts of a word together."""
    return np.concatenate([np.arange(word)[:, None] < row for row in np.array(counts)])[
        None, :, None
    ]


def tiles_of(
    layer: ConvLayer,
    inputs: np.ndarray | None,
    skipping: Skipping = "word",
    scheme: str = "dense",
    masks: np.ndarray | None = None,
    images: int = 1,
    **keys: object,
) -> list[Counted]:
    """The tiles of a layer on a machine that skips so; R = 2, A = 4 and private lists if untold."""
    shares = scheme.startswith(("structured", "lockstep"))
    defaults = {"rows": 2, "word_channels": 4, "lane_group": 2 if shares else 1}
    arch = with_keys(machine(**{**defaults, **keys}), "array", zero_skipping=skipping)
    return on_reference(LayerRun(arch, layer, scheme, 1, images, masks, inputs))


def dense(inputs: np.ndarray, skipping: Skipping = "word", **keys: object) -> Counted:
    """The only tile of a 1x1 layer with one output channel."""
    _, channels, *size = inputs.shape
    (tile,) = tiles_of(conv(channels=(channels, 1), size=size), inputs, skipping, **keys)
    return tile


def passes(tile: Counted) -> dict[str, int]:
    return {name: tile[name] for name in CYCLES if tile[name]}


def lit(pixels: int, *lists: Sequence[int]) -> np.ndarray:
    """Masks of a row of pixels, a list of set ones for each output channel."""
    return np.array([[[[pixel in ones for pixel in range(pixels)]] for ones in lists]])


EXAMPLE = np.array([[3, 0, 0, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0, 0, 0]]).T[None, :, None] != 0


@pytest.mark.parametrize(
    ("skipping", "steps", "weights"),
    [
        ("none", 8, 8),
        # Beat 0: two operands and one. Beat 1: none, a step.
        ("word", 2 + 1, 2),
        # Two operands and one in all; two rows with a weight each.
        ("free-rows", 2, 2 * 2),
    ],
)
def test_the_example_of_the_page(skipping: Skipping, steps: int, weights: int) -> None:
    """One round, X >= R = 2, and R. Two words in two beats; 16 MACs, whatever is zero."""
    tile = dense(EXAMPLE, skipping)
    assert tile.pop("steps_skipped", 0) == 8 - steps
    assert tile == {
        "base": steps, "drain": 2, "output_stall": 2, "macs_base": 2 * 8,
        "activation_word_reads": 2 * 2, "line_fills": 2 * 2, "weight_word_reads": weights,
        "psum_base_writes": 2, "psum_output_reads": 2, "output_ops": 2,
    }  # fmt: skip


def test_a_suffix_is_the_key() -> None:
    layer = conv(channels=(8, 1), size=(1, 2))
    assert tiles_of(layer, EXAMPLE, "none", "dense-skip") == [dense(EXAMPLE)]


@pytest.mark.parametrize(
    ("skipping", "steps", "weights"), [("word", 2 * 2, 2 * 2), ("free-rows", 2 * 1, 2 * 2 * 1)]
)
def test_all_inputs_are_zero(skipping: Skipping, steps: int, weights: int) -> None:
    """Two rounds of X = R = 2, of two beats: a step each, or one in all."""
    tile = dense(in_words([0] * 4, [0] * 4), skipping)
    assert passes(tile) == {"base": steps, "drain": 2 * 2 - steps + 2}
    assert (tile["steps_skipped"], tile["weight_word_reads"]) == (2 * 8 - steps, weights)
    assert (tile["activation_word_reads"], tile["line_fills"]) == (4 * 2, 4 * 2)


@pytest.mark.parametrize(("skipping", "steps"), [("word", 3 + 1 + 4), ("free-rows", 3 + 0 + 4)])
def test_a_pointer_alone(skipping: Skipping, steps: int) -> None:
    tile = dense(in_words([3], [0], [4]), skipping, rows=1)
    assert passes(tile) == {"base": steps, "drain": 1}
    assert tile["steps_skipped"] == 12 - steps


def test_a_word_of_one_channel_skips_nothing() -> None:
    """Every beat is one step, and reads one weight word."""
    inputs = np.random.default_rng(1).random((1, 6, 3, 3)) < 0.3
    assert dense(inputs, word_channels=1) == dense(inputs, "none", word_channels=1)


def test_a_short_word_skips_within_itself() -> None:
    """Words of 4 and of 2 channels: 1 and 2 operands of 6; the pixel beside has none."""
    inputs = np.concatenate([in_words([1, 0]), in_words([2, 0], word=2)], axis=1)
    tile = dense(inputs)
    assert (tile["base"], tile["steps_skipped"], tile["weight_word_reads"]) == (3, 3, 2)


def test_words_begin_anew_in_every_group() -> None:
    """A = 2, groups of 3 channels: words {0, 1}, {2}, {3, 4} and {5}, of 3 and 4 zero.

    The dense scheme visits both groups; tiles of the gated ones visit one in each pass.
    """
    inputs = np.array([1, 1, 1, 0, 0, 1], bool).reshape(1, 6, 1, 1)
    layer = conv(channels=(6, 2), size=(1, 1), groups=2)
    keys = {"rows": 1, "word_channels": 2, "masks": lit(1, [0], [0])}
    (tile,) = tiles_of(layer, inputs, **keys)
    assert (tile["base"], tile["steps_skipped"], tile["weight_word_reads"]) == (2 + 1 + 1 + 1, 1, 4)
    tiles = tiles_of(layer, inputs, scheme="unstructured", **keys)
    assert [(tile["base"], tile["conditional"]) for tile in tiles] == [(3, 2), (2, 3)]


@pytest.mark.parametrize(("rows", "steps"), [(1, 4 * (4 * 2 + 5)), (4, 9 * 2)])
def test_the_zero_padding_has_no_operands(rows: int, steps: int) -> None:
    """3x3 on a map of 2x2 without a zero, A = 2 channels: at every corner 5 of 9 taps are outside.

    With all corners in a round each tap is inside for one of them.
    """
    layer = conv(channels=(2, 1), size=(2, 2), kernel=3)
    (tile,) = tiles_of(layer, np.ones((1, 2, 2, 2), bool), rows=rows, word_channels=2)
    rounds = 4 // rows
    assert (tile["base"], tile["steps_skipped"]) == (steps, rounds * 18 - steps)
    assert (tile["weight_word_reads"], tile["line_fills"]) == (rounds * 9, 4 * 9)


@pytest.mark.parametrize(
    ("stride", "at", "longer"),
    [
        (1, (0, 2), [0, 1, 1, 0, 1, 1, 0, 0, 0]),
        (1, (2, 1), [0, 0, 0, 1, 1, 1, 1, 1, 1]),
        (2, (0, 1), [1, 1, 0, 0]),
        (2, (1, 2), [0, 1, 0, 1]),
    ],
)
def test_which_pixels_see_an_operand(
    stride: int, at: tuple[int, int], longer: Sequence[int]
) -> None:
    """3x3 on 3x3, one pixel with two channels that are not zero: 9 beats of a step, or one of two.

    A tile for each pixel. Of stride 2 the output is 2x2; outputs 0 and 1 see inputs 0, 1 and 1, 2.
    """
    inputs = np.zeros((1, 2, 3, 3), bool)
    inputs[:, :, *at] = True
    layer = conv(channels=(2, 1), size=(3, 3), kernel=3, stride=stride)
    tiles = tiles_of(layer, inputs, rows=1, columns=1, word_channels=2, tile_pixels=1)
    assert [tile["base"] - 9 for tile in tiles] == longer


def test_a_stride_passes_over_pixels() -> None:
    """1x1 with stride 2 on five pixels: the first, the third and the fifth, in rounds of one."""
    layer = conv(channels=(4, 1), size=(1, 5), stride=2)
    (tile,) = tiles_of(layer, in_words([1, 4, 2, 4, 3]), rows=1)
    assert (tile["base"], tile["steps_skipped"]) == (1 + 2 + 3, 12 - 6)


def test_a_tile_over_two_images() -> None:
    """Three pixels each, R = 2: the last of image 0 is in a round with the first of image 1."""
    inputs = np.concatenate([in_words([1, 2, 3]), in_words([1, 4, 1])])
    (tile,) = tiles_of(conv(channels=(4, 1), size=(1, 3)), inputs, images=2)
    assert passes(tile) == {"base": 2 + 3 + 4, "drain": 2}
    assert (tile["steps_skipped"], tile["weight_word_reads"]) == (12 - 9, 3)


@pytest.mark.parametrize(
    ("conflicts", "run_ahead", "operands", "stall"),
    [
        # Two cycles for a beat's words: one more than the short beat's step.
        ("exact", 0, (4, 1), 1),
        ("exact", 0, (1, 4), 1),
        # The long beat reads for the short one behind it, not for the one before it.
        ("exact", 1, (4, 1), 0),
        ("exact", 1, (1, 4), 1),
        # F = 2, 4, 6. E(1) = 4, E(2) = 5, E(3) = 6.
        ("exact", 1, (4, 1, 1), 0),
        # E(1) = 2, E(2) = 6, E(3) = 7.
        ("exact", 1, (1, 4, 1), 1),
        # E(1) = 2, E(2) = 4, E(3) = 8.
        ("exact", 1, (1, 1, 4), 2),
        # Words of beat 3 are asked for when beat 2 starts, or beat 1. Q = 1: F = 2, 4, 6 and, from
        # E(2) = 5 on, 8; E(3) = 6, E(4) = 8. Steps are 7.
        ("exact", 1, (4, 1, 1, 1), 1),
        ("exact", 2, (4, 1, 1, 1), 1),
        ("exact", 1, (4, 0, 0, 2), 0),
        # Four or six words of one bank, whoever asks when.
        ("bandwidth", 0, (4, 1), 0),
        ("bandwidth", 0, (1, 4), 0),
        ("bandwidth", 0, (0, 0), 4 - 2),
        ("bandwidth", 3, (1, 1, 2), 6 - 4),
        ("none", 0, (0, 0), 0),
        ("none", 0, (1, 4), 0),
    ],
)
def test_banks(conflicts: str, run_ahead: int, operands: tuple[int, ...], stall: int) -> None:
    """B = 1, two pixels: two words for each beat. One pixel has the operands, the other none."""
    inputs = in_words(*([count, 0] for count in operands))
    keys = {"banks": 1, "bank_conflicts": conflicts, "run_ahead": run_ahead}
    tile = dense(inputs, **keys)
    assert tile["base"] == sum(max(1, count) for count in operands)
    assert tile["bank_stall"] == stall
    assert tile["activation_word_reads"] == tile["line_fills"] == 2 * len(operands)


@pytest.mark.parametrize(("run_ahead", "cycles"), [(0, 6 * 2 + 3 * 4), (1, 22)])
def test_taps_follow_each_other_row_by_row(run_ahead: int, cycles: int) -> None:
    """3x3 on a row of two pixels without a zero, A = C: the taps of the middle row have operands.

    B = 1, two words a beat, n = 1, 1, 1, 4, 4, 4, 1, 1, 1. Q = 1: F(0) to F(8) are 2, 4, 6, 8, 10,
    12, 16, 20 and 22, since beat 5 starts at 14 and beat 6 at 18; E(1) to E(9) are 2, 4, 6, 10, 14,
    18, 19, 20 and 22. Column by column it would be 19.
    """
    layer = conv(channels=(4, 1), size=(1, 2), kernel=3)
    (tile,) = tiles_of(layer, np.ones((1, 4, 1, 2), bool), banks=1, run_ahead=run_ahead)
    assert passes(tile) == {"base": 18, "bank_stall": cycles - 18, "drain": 2}


@pytest.mark.parametrize("conflicts", ["exact", "bandwidth"])
@pytest.mark.parametrize("run_ahead", [0, 1])
def test_free_rows_wait_for_no_bank(conflicts: str, run_ahead: int) -> None:
    """... and fetch as many words. Row 0 has 1 + 4 operands, row 1 has 2 + 0."""
    keys = {"banks": 1, "bank_conflicts": conflicts, "run_ahead": run_ahead}
    tile = dense(in_words([1, 2], [4, 0]), "free-rows", **keys)
    assert passes(tile) == {"base": 5, "drain": 2}
    assert (tile["steps_skipped"], tile["weight_word_reads"]) == (3, 2 * 5)
    assert (tile["activation_word_reads"], tile["line_fills"]) == (4, 4)


TWO_GROUPS = conv(channels=(4, 4), size=(1, 8), groups=2)
"""A = 2: a word in each group, a beat in each pass of a gated scheme."""


@pytest.mark.parametrize(("operands", "steps"), [(1, 1), (2, 2)])
def test_the_pointers_of_all_lists_count(operands: int, steps: int) -> None:
    """R = 2. Lists {0, 1} and {2} of tile 0 make one round, X = 2; ready after two cycles.

    Its base rounds take 1, 1, 2 and 1 steps of word 0. Word 1 is looked at in the conditional
    pass: pixels 0 to 2 have an operand, none and ``operands``; pixels 3 to 7 are no pointers.
    """
    inputs = in_words([0, 0, 1, 0, 0, 2, 1, 1], [1, 0, operands, 2, 2, 2, 2, 2], word=2)
    masks = lit(8, [0, 1], [2], [], [])
    tile, other = tiles_of(TWO_GROUPS, inputs, scheme="unstructured", masks=masks, word_channels=2)
    assert passes(tile) == {
        "base": 5, "conditional": steps, "drain": 3 + 2 + (2 - steps) + 2, "decode_stall": 2,
    }  # fmt: skip
    assert tile["steps_skipped"] == 3 + 2 - steps
    assert tile["weight_word_reads"] == 4 + 1
    assert (tile["macs_base"], tile["macs_conditional"]) == (2 * 8 * 2, 3 * 2)
    # The base pass of tile 1 looks at word 1: 1, 2, 2 and 2 steps. An empty word to scan.
    assert passes(other) == {"base": 7, "drain": 1 + 2, "decode_stall": 1}
    assert (other["steps_skipped"], other["weight_word_reads"]) == (1, 4)


@pytest.mark.parametrize(
    ("skipping", "steps", "weights"), [("word", 2 + 2, 2), ("free-rows", 2, 2 * 2)]
)
def test_lists_that_go_on_by_themselves(skipping: Skipping, steps: int, weights: int) -> None:
    """Three groups of a word of A = 2; lists {0} and {1}, the operands of one in beat 0, of the
    other in beat 1. The base pass has none: a round of one step."""
    inputs = in_words([0, 0], [2, 0], [0, 2], word=2)
    layer = conv(channels=(6, 6), size=(1, 2), groups=3)
    masks = lit(2, [0], [1], [], [], [], [])
    keys = {"scheme": "unstructured", "masks": masks, "word_channels": 2}
    tile = tiles_of(layer, inputs, skipping, **keys)[0]
    assert (tile["base"], tile["conditional"]) == (1, steps)
    assert tile["steps_skipped"] == 1 + 4 - steps
    base_weights = 1 if skipping == "word" else 2
    assert tile["weight_word_reads"] == base_weights + weights


@pytest.mark.parametrize(("window", "steps", "rounds"), [(0, 2, 1), (1, 2 + 1, 2)])
def test_rounds_of_a_window(window: int, steps: int, rounds: int) -> None:
    """Lists {0} and {1}: with w = 1 two rounds, of two operands and of none."""
    inputs = in_words([0] * 8, [2, 0] * 4, word=2)
    masks = lit(8, [0], [1], [], [])
    keys = {"scheme": "unstructured", "masks": masks, "word_channels": 2, "window": window}
    tile = tiles_of(TWO_GROUPS, inputs, **keys)[0]
    assert (tile["conditional"], tile["weight_word_reads"]) == (steps, 4 + rounds)
    assert tile["steps_skipped"] == 4 + 2 * rounds - steps


def test_the_clock_gated_scheme_counts_pointers_that_a_mask_gates() -> None:
    """R = 4: rounds of pixels 0 to 3 and 4 to 7. One lane of pixel 0 is set, its word is zero.

    Pixel 3 has two operands: the first conditional round takes 2 steps, the second 1.
    """
    inputs = in_words([0] * 8, [0, 0, 0, 2, 0, 0, 0, 1], word=2)
    keys = {"scheme": "clock-gated", "masks": lit(8, [0], [], [], []), "word_channels": 2}
    tile = tiles_of(TWO_GROUPS, inputs, rows=4, **keys)[0]
    assert passes(tile) == {"base": 2, "conditional": 3, "drain": (2 * 3 + 4) + (2 + 3 + 4)}
    assert (tile["steps_skipped"], tile["weight_word_reads"]) == (2 + 1, 2 + 2)
    assert (tile["macs_conditional"], tile["macs_gated_off"]) == (1 * 2, 15 * 2)


def test_a_layer_without_a_base_path() -> None:
    """R = 1; both beats of its only group, for pixels 1 and 2: 1 + 2 and 1 + 1 steps.

    Slot 0 is a cycle, slot 1 hidden.
    """
    inputs = in_words([2, 1, 0, 2], [2, 2, 1, 2], word=2)
    layer = conv(channels=(4, 2), size=(1, 4), gated=True)
    keys = {"scheme": "unstructured", "masks": lit(4, [1, 2], []), "word_channels": 2}
    (tile,) = tiles_of(layer, inputs, rows=1, **keys)
    assert passes(tile) == {"decode_stall": 1, "conditional": 3 + 2, "drain": 1}
    assert (tile["steps_skipped"], tile["weight_word_reads"]) == (1 + 2, 4)
