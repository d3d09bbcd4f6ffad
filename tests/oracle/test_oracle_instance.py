"""The oracle's instance gates, worked out by hand.

Unless a test says otherwise the machine has R = 2, C = 4, P = 8, A = 2, B = 4, W = 8, E = 1,
V = 2, one KiB of either buffer, and a DMA of one byte per cycle.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.counters import CAUSES, COUNTERS
from hwsim.network import ConvLayer
from oracle.cycles import tile
from oracle.layout import conv_layout, flattened
from oracle.machines import conv, machine, network, random_masks, row
from oracle.network import run
from oracle.residency import LayerPlan, plan
from oracle.visits import ALONE, Visit


def bits(text: str) -> list[int]:
    return [int(bit) for bit in text.replace(" ", "")]


LAYER = conv(channels=(4, 4), size=(2, 3), groups=2)
"""1x1, G = 2 on 2x3 pixels, L_b = L_c = 2: tiles of 2 columns, one beat of two steps a round."""

MASK = np.array([bits("100 110"), bits("100 010"), bits("111 111"), bits("111 111")], bool)
MASK = MASK.reshape(1, 4, 2, 3)
"""The first channel tile's lists are 0, 3, 4 and 0, 4; the second one's are full."""

BASE = Visit(rest=False)
BASE_STORED = Visit(rest=False, moves=True)
REST = Visit(base=False, compares=True)
REST_RELOADED = Visit(base=False, compares=True, moves=True)


def visited(
    scheme: str, visit: Visit, arch: ArchConfig, mask: np.ndarray = MASK, mask_group: int = 1
) -> tuple[dict[str, int], dict[str, int]]:
    """Causes and counters of a visit to the first channel tile, all pixels of LAYER."""
    causes, counts = tile(
        LAYER, arch, scheme, mask, mask_group, range(2), flattened(LAYER, 1),
        conv_layout(LAYER, arch), visit,
    )  # fmt: skip
    return dict(+causes), dict(+counts)


class TestVisits:
    def test_an_image_that_is_one_tile_compares_between_its_passes(self) -> None:
        # As the unstructured tile of test_oracle_cycles.py, and six cycles that read both lists'
        # partial sums once more.
        causes, counts = visited("unstructured", ALONE, machine())
        assert causes == {"base": 6, "conditional": 4, "decode_stall": 2, "drain": 2 + 6 + 2}
        assert counts == {
            "macs_base": 24,
            "macs_conditional": 10,
            "activation_word_reads": 6 + 3 + 1,
            "line_fills": 12 + 5,
            "weight_word_reads": 6 + 4,
            "psum_base_writes": 12,
            "psum_conditional_reads": 5,
            "psum_conditional_writes": 5,
            "psum_output_reads": 12 + 12,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "decoder_cycles": 2 + 1 + 2,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }

    @pytest.mark.parametrize(
        ("scheme", "lists"), [("unstructured", 2), ("lockstep-2", 1), ("clock-gated", 1)]
    )
    def test_a_base_visit_is_the_base_pass(self, scheme: str, lists: int) -> None:
        # Three rounds of two steps and the drain. What is stored is read, J words a pixel.
        causes, counts = visited(scheme, BASE, machine())
        assert causes == {"base": 6, "drain": 2}
        assert counts == {
            "macs_base": 24,
            "activation_word_reads": 6,
            "line_fills": 6 * lists,
            "weight_word_reads": 6,
            "psum_base_writes": 6 * lists,
        }
        stored = visited(scheme, BASE_STORED, machine())
        assert stored == (causes, {**counts, "psum_output_reads": 6 * lists})

    def test_a_conditional_visit_of_two_lists(self) -> None:
        # Six cycles of comparing; S = 2, 1; two rounds of two steps; the drain.
        causes, counts = visited("unstructured", REST, machine())
        assert causes == {"conditional": 4, "decode_stall": 2, "drain": 6 + 2}
        assert counts == {
            "macs_conditional": 10,
            "activation_word_reads": 3 + 1,
            "line_fills": 5,
            "weight_word_reads": 4,
            "psum_conditional_reads": 5,
            "psum_conditional_writes": 5,
            "psum_output_reads": 12 + 12,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "decoder_cycles": 2 + 1 + 2,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }
        reloaded = visited("unstructured", REST_RELOADED, machine())
        assert reloaded == (causes, {**counts, "psum_base_writes": 12})

    def test_a_conditional_visit_in_lockstep(self) -> None:
        # One list 0, 3, 4: one partial-sum word a pixel to compare, to empty and to reload.
        causes, counts = visited("lockstep-2", REST_RELOADED, machine())
        assert causes == {"conditional": 4, "decode_stall": 2, "drain": 6 + 2}
        assert counts == {
            "macs_conditional": 10,
            "macs_gated_off": 2,
            "activation_word_reads": 2 + 1,
            "line_fills": 3,
            "weight_word_reads": 4,
            "psum_base_writes": 6,
            "psum_conditional_reads": 3,
            "psum_conditional_writes": 3,
            "psum_output_reads": 6 + 6,
            "mask_bits_written": 12,
            "index_words_read": 2,
            "decoder_cycles": 2 + 1,
            "comparator_ops": 12,
            "output_ops": 12,
            "activation_word_writes": 6,
        }

    def test_a_conditional_visit_of_the_gated_machine(self) -> None:
        # Six cycles of comparing, then every pixel again.
        causes, counts = visited("clock-gated", REST, machine())
        assert causes == {"conditional": 6, "drain": 6 + 2}
        assert counts["psum_output_reads"] == 6 + 6
        assert counts["macs_gated_off"] == 7 * 2
        assert "psum_base_writes" not in counts

    def test_structured_decides_in_the_conditional_visit(self) -> None:
        mask = MASK[:, ::2]
        _, base = visited("structured-2x", BASE, machine(), mask, 2)
        _, rest = visited("structured-2x", REST, machine(), mask, 2)
        assert "comparator_ops" not in base
        assert rest["comparator_ops"] == rest["adder_ops"] == rest["mask_bits_written"] == 6

    def test_comparing_has_no_skew(self) -> None:
        # Systolic: three rounds of 2 + (2 + 4 - 2). Then six cycles, S_0 = 2 and two rounds of
        # 2 + (2 + 1 - 2), which hide S_1.
        arch = machine(feed="systolic")
        causes, _ = visited("unstructured", BASE_STORED, arch)
        assert causes == {"base": 6, "drain": 3 * 4}
        causes, _ = visited("unstructured", REST, arch)
        assert causes == {"conditional": 4, "decode_stall": 2, "drain": 6 + 2 * 1}

    def test_no_ones_leave_comparing_and_the_scan(self) -> None:
        causes, _ = visited("unstructured", REST, machine(), np.zeros_like(MASK))
        assert causes == {"decode_stall": 1, "drain": 6}


class TestRun:
    def test_images_of_one_tile(self) -> None:
        # T_0 = 6 + 2 + 6 + 2 + 4 + 2 = 22; full lists: T_1 = 6 + 2 + 6 + 2 + 6 + 2 = 24. load_0 is
        # 24 bytes of input and 8 of weights; 12 bytes stored behind each tile.
        #   32 + max(22, 8) + max(24, 6, 12) + max(6, 12) = 90
        causes, counts = run(
            network(LAYER), machine(), "unstructured", {"conv": MASK}, 1, 1, 1,
            gate_norm="instance",
        )  # fmt: skip
        assert row(causes, CAUSES) == {
            "base": 12, "conditional": 4 + 6, "drain": 20, "decode_stall": 4, "output_stall": 6,
            "dram_stall": 32 + 6,
        }  # fmt: skip
        assert causes.sum() == 90
        assert row(counts, COUNTERS)["psum_output_reads"] == 2 * 24
        assert "dram_psum_bytes" not in row(counts, COUNTERS)

    def test_images_of_two_tiles(self) -> None:
        # P = 4: tiles of 4 and 2 pixels; lists 0, 3 | 0 and 0 | 0, then full ones. Each channel
        # tile: base 0 (T = 4 + 2), base 1 (2 + 2, stores 2 x 2 x 4 = 16 bytes), conditional 0
        # (4 + S + X + 2) and 1 (2 + S + X + 2, reloads 16).
        #   32                             load_0: 24 + 8
        #   6, 4                           nothing to move
        #   max(4 + 2 + 2 + 2, 16 + 16)    stores the sums of 1, reloads them
        #   max(2 + 1 + 2 + 2, 4, 8 + 8)   stores 4 pixels, loads weights
        #   max(6, 2, 4), 4
        #   max(4 + 2 + 4 + 2, 16 + 16)
        #   max(2 + 2 + 2 + 2, 4, 8)
        #   max(2, 4)
        # 32 + 6 + 4 + 32 + 16 + 6 + 4 + 32 + 8 + 4 = 144
        arch = machine(entries=16)
        causes, counts = run(
            network(LAYER), arch, "unstructured", {"conv": MASK}, 1, 1, 1, gate_norm="instance"
        )
        assert row(causes, CAUSES) == {
            "base": 2 * (4 + 2),
            "conditional": (2 + 2) + (4 + 2),
            "drain": 2 * (2 + 2 + 4 + 2 + 2 + 2),
            "decode_stall": 2 + 1 + 2 + 2,
            "output_stall": 2,
            "dram_stall": 32 + 22 + 9 + 20 + 2,
        }
        assert causes.sum() == 144
        assert row(counts, COUNTERS) == {
            "macs_base": 48,
            "macs_conditional": 10 + 24,
            "activation_word_reads": (6 + 2 + 1) + (6 + 6),
            "line_fills": (12 + 5) + (12 + 12),
            "weight_word_reads": (6 + 4) + (6 + 6),
            "psum_base_writes": 2 * (12 + 4),
            "psum_conditional_reads": 5 + 12,
            "psum_conditional_writes": 5 + 12,
            "psum_output_reads": 2 * (4 + 12 + 12),
            "mask_bits_written": 24,
            "index_words_read": 2 * (2 + 2),
            "decoder_cycles": (2 + 1 + 1 + 1) + (4 + 4 + 2 + 2),
            "comparator_ops": 24,
            "output_ops": 24,
            "activation_word_writes": 12,
            "dram_input_bytes": 24,
            "dram_weight_bytes": 16,
            "dram_output_bytes": 24,
            "dram_psum_bytes": 2 * (16 + 16),
        }

    def test_the_next_batchs_weights_come_during_the_last_visit(self) -> None:
        # The same image twice: max(8, 4, 8 + 8) for max(8, 4, 8), and a load_0 of 24 for 32.
        masks = {"conv": MASK.repeat(2, axis=0)}
        causes, counts = run(
            network(LAYER), machine(entries=16), "unstructured", masks, 1, 1, 2,
            gate_norm="instance",
        )  # fmt: skip
        assert causes.sum() == (144 + 8) + (144 - 8)
        assert row(counts, COUNTERS)["dram_weight_bytes"] == 2 * 16

    @pytest.mark.parametrize("scheme", ["dense", "clock-gated"])
    def test_without_masks_nothing_compares(self, scheme: str) -> None:
        # The dense machine runs gated layers, the gated one other layers, as always.
        layer = LAYER if scheme == "dense" else conv(channels=(4, 4), size=(2, 3))
        masks = random_masks(network(layer), 0.3, images=3)
        batch = run(network(layer), machine(), scheme, masks, 1, 2, 3)
        instance = run(network(layer), machine(), scheme, masks, 1, 2, 3, gate_norm="instance")
        np.testing.assert_array_equal(instance[0], batch[0])
        np.testing.assert_array_equal(instance[1], batch[1])


def planned(layer: ConvLayer, arch: ArchConfig, images: int, gate_norm: str) -> LayerPlan:
    return plan(network(layer), arch, "unstructured", images, gate_norm)[0]


class TestPlan:
    def test_tiles_end_with_their_image(self) -> None:
        pixels = {
            gate_norm: [len(part.pixels) for part in planned(LAYER, machine(), 2, gate_norm).tiles]
            for gate_norm in ("batch", "instance")
        }
        assert pixels == {"batch": [8, 4] * 2, "instance": [6, 6] * 2}

    def test_weights_outer(self) -> None:
        # Two images of tiles of 4 and 2 pixels. Each image's rows come with its first visit, the
        # weights with the channel tile's.
        tiles = planned(LAYER, machine(entries=16), 2, "instance").tiles
        image = [BASE, BASE_STORED, REST, REST_RELOADED]
        assert [part.visit for part in tiles] == image * 4
        assert [len(part.pixels) for part in tiles] == [4, 2] * 8
        assert [part.pixels[0][0] for part in tiles] == ([0] * 4 + [1] * 4) * 2
        assert [part.channels.start for part in tiles] == [0] * 8 + [2] * 8
        assert [part.input_bytes for part in tiles] == [24, 0, 0, 0] * 2 + [0] * 8
        assert [part.weight_bytes for part in tiles] == [8, *[0] * 7] * 2
        assert [part.stored_psum_bytes for part in tiles] == [0, 16, 0, 0] * 4
        assert [part.reloaded_psum_bytes for part in tiles] == [0, 0, 0, 16] * 4
        assert [part.output_bytes for part in tiles] == [0, 0, 8, 4] * 4

    def test_pixels_outer(self) -> None:
        # 3x3, 8 channels on 1x12, three images: 3 x 14 words each in 4 planes, 126 * 8 bytes do
        # not fit 1,024 - 2 * 64; an image is a tile, its 42 words fit twice. All weights do: pixels
        # outer loads each image's 96 bytes once.
        layer = conv(channels=(8, 4), size=(1, 12), kernel=3, groups=2)
        tiles = planned(layer, machine(entries=64), 3, "instance").tiles
        assert [part.visit for part in tiles] == [ALONE] * 6
        assert [part.pixels[0][0] for part in tiles] == [0, 0, 1, 1, 2, 2]
        assert [part.channels.start for part in tiles] == [0, 2] * 3
        assert [part.input_bytes for part in tiles] == [96, 0] * 3

    def test_a_tiled_input_is_loaded_for_each_visit(self) -> None:
        # The same on 2x12, two images: 2 * 4 * 14 words, pitch 114, 912 bytes against 896; tiles
        # are rows. Each touches both input rows, 192 bytes, and follows another tile, whatever the
        # order: weights outer. Tiles without visits would go pixels outer: 4 loads.
        layer = conv(channels=(8, 4), size=(2, 12), kernel=3, groups=2)
        tiles = planned(layer, machine(entries=64), 2, "instance").tiles
        assert [part.channels.start for part in tiles] == [0] * 8 + [2] * 8
        assert [part.input_bytes for part in tiles] == [192] * 16
        tiles = planned(layer, machine(entries=64), 2, "batch").tiles
        assert [part.input_bytes for part in tiles] == [192, 0] * 4

    def test_footprints_end_with_their_image(self) -> None:
        # 3x3, 12 channels on 3x6: 6 planes, Hq = 5, Wq = 8. Two images: 80 words, 82 * 12 bytes do
        # not fit 1,024 - 2 * 48. Two rows: 4 * 8 words, 34 * 12 = 408 bytes, twice 816 fit; of two
        # images: rows 2 and 5 of the padded map, 6 * 8 words, 50 * 12 = 600, twice 1,200 do not.
        layer = conv(channels=(12, 4), size=(3, 6), kernel=3, groups=2)
        by_image = planned(layer, machine(entries=48), 2, "instance").tiles
        assert [len(part.pixels) for part in by_image] == [12, 6, 12, 6] * 4
        across = planned(layer, machine(entries=48), 2, "batch").tiles
        assert {len(part.pixels) for part in across} == {6}

    def test_residuals_come_with_the_conditional_visit(self) -> None:
        # d adds a, 144 pixels, which c pushed out for d's input; tiles of 8 pixels, one column.
        a = conv("a", channels=(2, 2), size=(12, 12), kernel=3)
        b = conv("b", channels=(2, 2), size=(12, 12), kernel=3, input="a")
        c = conv("c", channels=(2, 2), size=(12, 12), kernel=3, input="b")
        d = conv("d", (2, 2), (12, 12), kernel=3, groups=2, input="c", residual="a")
        tiles = plan(network(a, b, c, d), machine(), "unstructured", 1, "instance")[3].tiles
        assert [part.residual_bytes for part in tiles] == ([0] * 18 + [8] * 18) * 2
        assert [part.output_bytes for part in tiles] == ([0] * 18 + [8] * 18) * 2
        assert [part.stored_psum_bytes for part in tiles] == ([0] + [32] * 17 + [0] * 18) * 2
        assert [part.reloaded_psum_bytes for part in tiles] == ([0] * 19 + [32] * 17) * 2
