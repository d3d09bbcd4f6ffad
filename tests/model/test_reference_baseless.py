"""Gates that zero in the reference (docs/model/baseless.md), worked out by hand.

A 1x1 layer, 4 -> 2 channels, gated in one group: L = 4 steps in two beats of A = 2. R = 4, C = 2,
W = 8 and more banks than pointers; one tile of 16 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from by_hand import NOTHING, machine
from layer_run import LayerRun
from oracle.machines import conv
from reference_run import on_reference, with_keys
from rtl.layers import Counted

EIGHT = range(8)


def zeroing(
    scheme: str,
    lists: Sequence[Sequence[int]],
    channels: tuple[int, int] = (4, 2),
    pixels: int = 16,
    **keys: object,
) -> LayerRun:
    """The layer under a scheme, with the set pixels of each mask."""
    masks = np.zeros((1, len(lists), 1, pixels), bool)
    for mask, ones in enumerate(lists):
        masks[0, mask, 0, list(ones)] = True
    layer = conv(channels=channels, size=(1, pixels), gated=True)
    lanes = 2 if scheme.startswith(("structured", "lockstep")) else 1
    arch = machine(**{"lane_group": lanes, **keys})
    return LayerRun(arch, layer, scheme, channels[1] // len(lists), 1, masks)


def alone(run: LayerRun) -> Counted:
    """The only tile. The output stage empties its 16 pixels behind it."""
    (tile,) = on_reference(run)
    assert tile.pop("output_stall") == 16
    return tile


def test_a_tile_has_its_conditional_pass_alone() -> None:
    """S_0 = 4; two rounds of X = 4, as long as 4 more indices take and a tail of a word; R = 4.

    Two lists of 8 ones; 8 pixels in two beats are read once for both.
    """
    assert alone(zeroing("unstructured", [EIGHT, EIGHT])) == {
        "decode_stall": 4, "conditional": 2 * 4, "drain": 4,
        "macs_conditional": 2 * 8 * 4, "activation_word_reads": 8 * 2, "line_fills": 2 * 8 * 2,
        "weight_word_reads": 2 * 4, "psum_conditional_writes": 2 * 8, "psum_output_reads": 2 * 16,
        "mask_bits_written": 2 * 16, "index_words_read": 2 * 2, "decoder_cycles": 2 * (8 + 1),
        "comparator_ops": 2 * 16, "output_ops": 2 * 16,
    }  # fmt: skip


def test_a_tile_without_ones_takes_its_scan() -> None:
    """Two words in each list. What the output stage reads is zeros."""
    assert alone(zeroing("unstructured", [NOTHING, NOTHING])) == {
        "decode_stall": 2, "psum_output_reads": 2 * 16, "mask_bits_written": 2 * 16,
        "index_words_read": 4, "decoder_cycles": 4, "comparator_ops": 2 * 16, "output_ops": 2 * 16,
    }  # fmt: skip


def test_the_clock_gated_scheme_visits_every_pixel() -> None:
    """Four rounds of X = 4, and R. One lane of pixels 0 and 1 and both of 5: 4 of 32."""
    assert alone(zeroing("clock-gated", [[0, 5], [1, 5]])) == {
        "conditional": 4 * 4, "drain": 4,
        "macs_conditional": 4 * 4, "macs_gated_off": 28 * 4, "activation_word_reads": 16 * 2,
        "line_fills": 16 * 2, "weight_word_reads": 4 * 4, "psum_conditional_writes": 3,
        "psum_output_reads": 16, "mask_bits_written": 2 * 16, "index_words_read": 2 * 2,
        "comparator_ops": 2 * 16, "output_ops": 2 * 16,
    }  # fmt: skip


def test_a_lane_group_in_lockstep() -> None:
    """One list {0, 1}, two cycles and an empty word; one lane idle at each pixel."""
    assert alone(zeroing("lockstep-2", [[0], [1]])) == {
        "decode_stall": 3, "conditional": 4, "drain": 4,
        "macs_conditional": 2 * 4, "macs_gated_off": 2 * 4, "activation_word_reads": 2 * 2,
        "line_fills": 2 * 2, "weight_word_reads": 4, "psum_conditional_writes": 2,
        "psum_output_reads": 16, "mask_bits_written": 2 * 16, "index_words_read": 2 * 2,
        "decoder_cycles": 3, "comparator_ops": 2 * 16, "output_ops": 2 * 16,
    }  # fmt: skip


def test_channels_that_share_a_mask_are_not_added_up() -> None:
    """One list of two lanes, {3, 8}: a cycle in each word."""
    tile = alone(zeroing("structured-2x", [[3, 8]]))
    assert (tile["decode_stall"], tile["conditional"], tile["drain"]) == (2, 4, 4)
    assert (tile["comparator_ops"], tile["adder_ops"]) == (16, 0)
    assert (tile["psum_conditional_writes"], tile["macs_conditional"]) == (2, 2 * 2 * 4)


def test_dense_schemes_run_one_dense_pass() -> None:
    """Four rounds of X = 4, and R."""
    assert alone(zeroing("dense", [EIGHT, EIGHT])) == {
        "base": 4 * 4, "drain": 4,
        "macs_base": 2 * 16 * 4, "activation_word_reads": 16 * 2, "line_fills": 16 * 2,
        "weight_word_reads": 4 * 4, "psum_base_writes": 16, "psum_output_reads": 16,
        "output_ops": 2 * 16,
    }  # fmt: skip


def test_lists_of_symbols_are_written_before_the_tile() -> None:
    """P = 64: 6 bits a pixel, one in a word of 8. Ready after 4 cycles, and no tail."""
    tile = alone(zeroing("unstructured", [EIGHT, [2]], index_format="coordinate"))
    assert (tile["decode_stall"], tile["conditional"], tile["drain"]) == (4, 8, 4)
    assert (tile["mask_bits_written"], tile["index_words_read"]) == (9 * 6, 9)


def test_a_systolic_feed() -> None:
    """A skew of R + V - 2 in both rounds, in which slot 1 and the tail are hidden."""
    tile = alone(zeroing("unstructured", [EIGHT, EIGHT], feed="systolic"))
    assert (tile["decode_stall"], tile["conditional"], tile["drain"]) == (4, 8, 2 * (4 + 1 - 2))


@pytest.mark.parametrize("scheme", ["clock-gated", "lockstep-2"])
@pytest.mark.parametrize(("run_ahead", "stall"), [(0, 4), (1, 2)])
def test_run_ahead_visits_all_planes(scheme: str, run_ahead: int, stall: int) -> None:
    """A = 1, B = 2, R = 3, all of 3 pixels: the dense pass of test_reference_run_ahead.py."""
    run = zeroing(scheme, [range(3), range(3)], pixels=3, rows=3, word_channels=1, banks=2)
    arch = with_keys(run.arch, "activation", run_ahead=run_ahead)
    (tile,) = on_reference(LayerRun(arch, run.layer, scheme, 1, 1, run.masks))
    assert (tile["conditional"], tile["bank_stall"]) == (4, stall)


def test_a_window() -> None:
    """R = 2, w = 4: the lists of the window's page, in two rounds of X = 4.

    A cycle of slot 1 is hidden. Before either round two buffers of two places compare.
    """
    run = zeroing("unstructured", [[0, 1, 9], [7, 8]], rows=2)
    arch = with_keys(run.arch, "index", window=4)
    tile = alone(LayerRun(arch, run.layer, run.scheme, 1, 1, run.masks))
    assert (tile["decode_stall"], tile["conditional"], tile["drain"]) == (2, 2 * 4, 2)
    assert (tile["window_compares"], tile["psum_conditional_writes"]) == (2 * 5, 5)


def test_tiles_of_several_channels_and_images() -> None:
    """Two channel tiles, each over both images' pixels, also where gates normalise by instance.

    Tile 0 as in the first test: pixels 4 to 11 of 16, in both words: four indices of word 0, a
    slot of 4; four of word 1; no tail. Tile 1 has no ones.
    """
    masks = np.zeros((2, 4, 1, 8), bool)
    masks[0, :2, 0, 4:] = masks[1, :2, 0, :4] = True
    layer = conv(channels=(4, 4), size=(1, 8), gated=True)
    run = LayerRun(machine(lane_group=1), layer, "unstructured", 1, 2, masks)
    tiles = on_reference(run)
    assert tiles == on_reference(run, "instance")
    names = ("decode_stall", "conditional", "drain", "decoder_cycles", "psum_conditional_reads")
    # The output stage is busy for 16 cycles with tile 0, of which tile 1 hides 2.
    assert [[tile[name] for name in names] for tile in tiles] == [[4, 8, 4, 16, 0], [2, 0, 0, 4, 0]]
    assert [tile["output_stall"] for tile in tiles] == [0, 14 + 16]
