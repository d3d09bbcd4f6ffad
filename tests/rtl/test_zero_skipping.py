"""Zeros skipped by the RTL: cycles worked out by hand.

1x1 layers on a row of pixels unless a test says otherwise, one tile of each channel tile.
A, B, R, C, Q, w as in the model's pages. A pixel's word of a group is given by how many of its
channels are not zero, which ones differs from pixel to pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from layer_run import LayerRun
from oracle.machines import conv

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer
from tools.verification.replay import WITHIN

from .layers import Counted, counted, play
from .test_tile_pass import build

NOTHING: tuple[int, ...] = ()


def words(layer: ConvLayer, arch: ArchConfig, nonzero: Sequence[Sequence[int]]) -> np.ndarray:
    """Input bits of one image: of each word of the layer, how many channels in each pixel."""
    bits = np.zeros((1, layer.in_channels, 1, layer.in_width), bool)
    most = min(arch.activation.word_channels, layer.in_channels // layer.groups)
    for word, counts in enumerate(nonzero):
        for pixel, count in enumerate(counts):
            for at in range(count):
                bits[0, word * most + (pixel + at) % most, 0, pixel] = True
    return bits


def masks(layer: ConvLayer, lists: Sequence[Sequence[int]]) -> np.ndarray:
    """The set pixels of each mask list, on a row."""
    bits = np.zeros((1, len(lists), 1, layer.out_width), bool)
    for number, ones in enumerate(lists):
        bits[0, number, 0, list(ones)] = True
    return bits


def tiles(
    arch: ArchConfig,
    layer: ConvLayer,
    scheme: str,
    inputs: np.ndarray | None,
    of_lists: np.ndarray | None,
    folder: Path,
) -> list[Counted]:
    """What the RTL counts of each tile; a mask list for each channel."""
    images = 1 if inputs is None else len(inputs)
    run = LayerRun(arch, layer, scheme, 1, images, of_lists, inputs)
    (observed,) = play([run], folder)
    return [counted(passes, run) for passes in observed]


def causes(tile: Counted) -> dict[str, int]:
    return {name: tile[name] for name in WITHIN if tile[name]}


def told(tile: Counted) -> tuple[int, int]:
    """The counters that skipping changes."""
    return tile["steps_skipped"], tile["weight_word_reads"]


TWO_WORDS = conv("conv", (8, 1), (1, 2))
"""8 channels, two pixels."""


@pytest.mark.parametrize(
    ("lanes", "rows", "spent"),
    [
        # Beat 0 takes 2 steps and beat 1 one; R = 2 <= 3. Then R cycles of the last drain.
        (1, 2, {"base": 3, "drain": 2}),
        # All lane groups follow the same pixels.
        (3, 2, {"base": 3, "drain": 2}),
        # Rounds of one pointer: 2 + 1 and 1 + 1.
        (1, 1, {"base": 5, "drain": 1}),
        # Five rows drain for 5 cycles beside 3 steps, then 5 more.
        (1, 5, {"base": 3, "drain": 2 + 5}),
    ],
)
def test_the_example_of_the_page(
    lanes: int, rows: int, spent: dict[str, int], tmp_path: Path
) -> None:
    """A = 4. Pointer 0 has (3, 0, 0, 1) and nothing, pointer 1 (0, 2, 0, 0) and nothing."""
    arch = build(rows, 3, lanes, 1, 8, 4, 4, 8)
    inputs = np.zeros((1, 8, 1, 2), bool)
    inputs[0, [0, 3, 1], 0, [0, 0, 1]] = True
    (tile,) = tiles(arch, TWO_WORDS, "dense-skip", inputs, None, tmp_path)
    assert causes(tile) == spent
    rounds = 2 if rows == 1 else 1
    assert told(tile) == (rounds * 8 - spent["base"], rounds * 2)
    assert tile["activation_word_reads"] == 2 * 2, "words are fetched as always"
    assert tile["line_fills"] == 2 * 2


def test_where_the_machine_itself_skips_the_scheme_needs_no_suffix(tmp_path: Path) -> None:
    """The page's example; without input bits the layer runs as without skipping."""
    arch = build(2, 3, 1, 1, 8, 4, 4, 8)
    array = arch.array.model_copy(update={"zero_skipping": "word"})
    arch = arch.model_copy(update={"array": array})
    inputs = words(TWO_WORDS, arch, [(2, 1), (0, 0)])
    (skips,) = tiles(arch, TWO_WORDS, "dense", inputs, None, tmp_path / "skips")
    assert (causes(skips), told(skips)) == ({"base": 3, "drain": 2}, (5, 2))
    (runs,) = tiles(arch, TWO_WORDS, "dense", None, None, tmp_path / "runs")
    assert (causes(runs), told(runs)) == ({"base": 8, "drain": 2}, (0, 8))


def test_all_zero(tmp_path: Path) -> None:
    """Five pixels, R = 2: three rounds of two beats of one step, no less than R; the last drain."""
    arch = build(2, 3, 1, 1, 8, 4, 4, 8)
    layer = conv("conv", (8, 1), (1, 5))
    (tile,) = tiles(arch, layer, "dense-skip", np.zeros((1, 8, 1, 5), bool), None, tmp_path)
    assert causes(tile) == {"base": 3 * 2, "drain": 2}
    assert told(tile) == (3 * 8 - 6, 3 * 2)


def test_no_zero(tmp_path: Path) -> None:
    """As without skipping, but for the weight words: one a beat. 7 channels are 4 and 3 steps."""
    arch = build(2, 3, 1, 1, 8, 4, 4, 8)
    layer = conv("conv", (7, 1), (1, 5))
    (skips,) = tiles(arch, layer, "dense-skip", np.ones((1, 7, 1, 5), bool), None, tmp_path / "a")
    (runs,) = tiles(arch, layer, "dense", None, None, tmp_path / "b")
    assert causes(skips) == causes(runs) == {"base": 3 * 7, "drain": 2}
    assert (told(skips), told(runs)) == ((0, 3 * 2), (0, 3 * 7))
    skips["weight_word_reads"] = runs["weight_word_reads"]
    assert skips == runs


def test_words_of_one_channel_skip_nothing(tmp_path: Path) -> None:
    """A = 1: three channels are three beats, of one step each whatever they hold."""
    arch = build(2, 3, 1, 1, 8, 1, 4, 8)
    layer = conv("conv", (3, 1), (1, 2))
    inputs = words(layer, arch, [(0, 0), (1, 0), (0, 0)])
    (tile,) = tiles(arch, layer, "dense-skip", inputs, None, tmp_path)
    assert causes(tile) == {"base": 3, "drain": 2}
    assert told(tile) == (0, 3)


ONE_BEAT = [
    # The bank reads one word after the other. All steps of the longest are still to be run:
    # max(4, 3) cycles, of which none is a stall, whenever it is known.
    ((0, 0, 4), {"base": 4, "drain": 3}),
    ((4, 0, 0), {"base": 4, "drain": 3}),
    ((1, 0, 3), {"base": 3, "drain": 3}),
    # Two steps, and a third cycle for the last word.
    ((0, 1, 2), {"base": 2, "bank_stall": 1, "drain": 3}),
    ((2, 0, 0), {"base": 2, "bank_stall": 1, "drain": 3}),
    ((0, 0, 0), {"base": 1, "bank_stall": 2, "drain": 3}),
]


@pytest.mark.parametrize(("nonzero", "spent"), ONE_BEAT)
def test_a_beat_waits_for_its_words_and_for_the_longest(
    nonzero: tuple[int, ...], spent: dict[str, int], tmp_path: Path
) -> None:
    """One bank, three words of four channels; R = 3 is no more than the beat."""
    arch = build(3, 1, 1, 1, 8, 4, 1, 8)
    layer = conv("conv", (4, 1), (1, 3))
    inputs = words(layer, arch, [nonzero])
    (tile,) = tiles(arch, layer, "dense-skip", inputs, None, tmp_path)
    assert causes(tile) == spent
    assert told(tile) == (4 - spent["base"], 1)


@pytest.mark.parametrize(
    ("rows", "spent"),
    [
        # A pointer alone: 4 of its 9 taps lie inside, of 2 steps; the others in the padding, of 1.
        (1, {"base": 4 * (4 * 2 + 5), "drain": 1}),
        # The upper two pixels: a row of taps in the padding. The lower two likewise.
        (2, {"base": 2 * (6 * 2 + 3), "drain": 2}),
        # Every tap lies inside for one of the four, so that nothing is skipped.
        (4, {"base": 9 * 2, "drain": 4}),
    ],
)
def test_the_padding_of_a_corner(rows: int, spent: dict[str, int], tmp_path: Path) -> None:
    """3x3 on a map of 2x2 pixels without a zero, A = 2; four rows of four words lie in four banks.

    Hq = Wq = 4: the pixels are at 0, 1, 4 and 5, and B = 8 keeps them apart.
    """
    arch = build(rows, 1, 1, 1, 8, 2, 8, 8)
    layer = conv("conv", (2, 1), (2, 2), kernel=3)
    (tile,) = tiles(arch, layer, "dense-skip", np.ones((1, 2, 2, 2), bool), None, tmp_path)
    assert causes(tile) == spent
    rounds = 4 // rows
    assert told(tile) == (rounds * 18 - spent["base"], rounds * 9)


def test_a_single_pixel_under_a_stride(tmp_path: Path) -> None:
    """3x3, stride 2, on two images of 4x4, A = 2, 3 channels: beats of 2 steps and of 1, R = 1.

    Pixel (1, 1) of image 1 has no zero, everything else is zero. Each of that image's four outputs
    meets it in one tap: of row 2 y - 1 + ky = 1, so ky is 2 for y = 0 and 0 for y = 1, columns
    likewise. That tap takes 2 + 1 steps, the 8 others 1 + 1. Outputs of image 0: 9 times 1 + 1.
    """
    arch = build(1, 1, 1, 1, 8, 2, 2, 8)
    layer = conv("conv", (3, 1), (4, 4), kernel=3, stride=2)
    inputs = np.zeros((2, 3, 4, 4), bool)
    inputs[1, :, 1, 1] = True
    (tile,) = tiles(arch, layer, "dense-skip", inputs, None, tmp_path)
    assert causes(tile) == {"base": 4 * 18 + 4 * 19, "drain": 1}
    assert told(tile) == (8 * 27 - 148, 8 * 18)


GATED = conv("conv", (4, 4), (1, 8), groups=2)
"""Two groups of two channels: with A = 2 a beat of the base pass, one of the conditional pass."""

OF_GROUPS = [(1, 0, 0, 0, 2, 0, 1, 1), (0, 1, 2, 2, 2, 0, 2, 2)]
"""Channels that are not zero, in the words of each group."""

TWO_LISTS = [(0, 5, 6), (1,), NOTHING, NOTHING]


def test_a_conditional_pass_with_two_lists(tmp_path: Path) -> None:
    """R = 2, C = 2, V = 1, B = 4.

    Tile 0, base pass: group 0, pixels two by two. 1, 1, 2 and 1 steps: pixels 6 and 7 have each
    one channel, which of the two does not matter. Each round drains for 2 cycles: 1 + 1 + 0 + 1 of
    drain, and 2 behind.
    Conditional pass: group 1. The first decoder has two indices after 2 cycles. Round 0, pixels 0,
    5 and 1: at most one channel, 1 step; 5 and 1 are two words of bank 1, so 2 cycles. Beside it
    pixel 6 is decoded. Round 1: 2 steps. Then 2 of drain.
    Tile 1, base pass: group 1, steps 1, 2, 2 and 2. Its lists are empty: a cycle for their word.
    """
    arch = build(2, 2, 1, 1, 8, 2, 4, 8)
    inputs = words(GATED, arch, OF_GROUPS)
    lists = masks(GATED, TWO_LISTS)
    first, second = tiles(arch, GATED, "unstructured-skip", inputs, lists, tmp_path)
    assert causes(first) == {
        "base": 1 + 1 + 2 + 1,
        "conditional": 1 + 2,
        "bank_stall": 1,
        "drain": 3 + 2 + 2,
        "decode_stall": 2,
    }
    assert told(first) == ((8 - 5) + (4 - 3), 4 + 2)
    assert causes(second) == {"base": 1 + 2 + 2 + 2, "drain": 1 + 2, "decode_stall": 1}
    assert told(second) == (8 - 7, 4)


def test_all_pointers_of_a_clock_gated_pass_count_whatever_the_mask_says(tmp_path: Path) -> None:
    """The layer above: tile 0 is its base pass, then group 1 over all pixels; tile 1 in turn.

    Drains of the rounds: 1 + 1 + 0 + 1 beside group 0's steps, 1 beside group 1's; 2 a pass.
    """
    arch = build(2, 2, 1, 1, 8, 2, 4, 8)
    inputs = words(GATED, arch, OF_GROUPS)
    lists = masks(GATED, TWO_LISTS)
    first, second = tiles(arch, GATED, "clock-gated-skip", inputs, lists, tmp_path)
    assert causes(first) == {"base": 5, "conditional": 7, "drain": 3 + 2 + 1 + 2}
    assert causes(second) == {"base": 7, "conditional": 5, "drain": 3 + 2 + 1 + 2}
    assert told(first) == told(second) == (16 - 12, 8)


AHEAD = [
    # Every beat waits for its six words: 24 cycles, of which 1 + 4 + 2 + 1 are steps.
    (0, 24 - 8, 24 - 16),
    # F_0(0) = 6: E(1) = 6. Bank 1 has read beat 1 by then: E(2) = 6 + 4. Bank 0 reads beat 2
    # from E(1) to 12: E(3) = max(10 + 2, 12). Bank 1 reads beat 3 from E(2) to 16: E(4) = 16.
    # Four steps a beat: E = 6, 10, 14, 18, and bank 1 is done with beat 3 at 10 + 6 = 16.
    (1, 16 - 8, 18 - 16),
]


@pytest.mark.parametrize(("ahead", "stalls", "without"), AHEAD)
def test_banks_that_run_ahead(ahead: int, stalls: int, without: int, tmp_path: Path) -> None:
    """R = 6, C = V = 5, A = 4, B = 2; a group has 4 words, and words of a pixel alternate banks.

    Tile 0, base pass: group 0 has no operand. 12 pixels are two rounds of four beats; in each six
    neighbours, three words of each bank: 3 cycles for 1 step, with Q = 1 as well.
    Conditional pass: every second pixel, so that a beat asks one bank for six words. Only pixel 4
    has operands: 0, 4, 2 and 1 of its words. Six indices are decoded in 6 cycles.
    Drains: 6 at the end of each pass.
    """
    arch = build(6, 5, 5, 1, 8, 4, 2, 12, ahead=ahead)
    layer = conv("conv", (32, 10), (1, 12), groups=2)
    inputs = np.zeros((1, 32, 1, 12), bool)
    inputs[0, [20, 21, 22, 23, 25, 27, 28], 0, 4] = True
    lists = masks(layer, [range(0, 12, 2)] * 5 + [NOTHING] * 5)
    tile, _ = tiles(arch, layer, "lockstep-5-skip", inputs, lists, tmp_path / "skips")
    assert causes(tile) == {
        "base": 2 * 4,
        "conditional": 1 + 4 + 2 + 1,
        "bank_stall": 2 * 4 * 2 + stalls,
        "drain": 6 + 6,
        "decode_stall": 6,
    }
    assert told(tile) == ((32 - 8) + (16 - 8), 3 * 4)
    tile, _ = tiles(arch, layer, "lockstep-5", None, lists, tmp_path / "runs")
    assert causes(tile) == {
        "base": 2 * 16,
        "conditional": 16,
        "bank_stall": without,
        "drain": 6 + 6,
        "decode_stall": 6,
    }


@pytest.mark.parametrize(
    ("window", "steps", "drains", "compares"),
    [
        # Round 0 takes 0 and 1 alone, without an operand: 1 step, and 1 cycle until R = 2. Round 1
        # takes 7, 8 and 9: 2 steps. J (R + 1) - 1 = 5 compares each.
        (4, 1 + 2, 1, 10),
        # 0, 1, 7 and 8, then 9: both rounds have a pixel of two operands.
        (0, 2 + 2, 0, 0),
    ],
)
def test_a_window(window: int, steps: int, drains: int, compares: int, tmp_path: Path) -> None:
    """The window's page: R = 2, lists {0, 1, 9} and {7, 8} of 16 pixels; pixels 7 and 9 have words
    of two operands, all others none.

    The base pass: 8 rounds of 1 step and 1 cycle of drain, then 2. Conditional pass: two indices
    of each list after 2 cycles, the ninth pixel beside round 0; 2 of drain at the end. B = 4: of
    0, 1, 7 and 8 two words lie in bank 0, read beside the two steps.
    """
    arch = build(2, 2, 1, 1, 8, 2, 4, 16, window=window)
    layer = conv("conv", (4, 4), (1, 16), groups=2)
    inputs = words(layer, arch, [[0] * 16, [2 * (pixel in (7, 9)) for pixel in range(16)]])
    lists = masks(layer, [(0, 1, 9), (7, 8), NOTHING, NOTHING])
    tile, _ = tiles(arch, layer, "unstructured-skip", inputs, lists, tmp_path)
    assert causes(tile) == {
        "base": 8,
        "conditional": steps,
        "drain": 8 + 2 + drains + 2,
        "decode_stall": 2,
    }
    assert told(tile) == (8 + 4 - steps, 8 + 2)
    assert tile["window_compares"] == compares
