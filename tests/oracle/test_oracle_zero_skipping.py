"""The oracle's array that skips zeros, worked out by hand (docs/model/zero_skipping.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from hwsim.counters import CAUSES, COUNTERS
from oracle.beats import Beat
from oracle.cycles import Pass, play_round
from oracle.machines import conv, machine, network, row, whole_tile
from oracle.network import run
from oracle.skipping import Skipping, zero_macs

SKIPS = ("word", "free-rows")


def bits_of(size: tuple[int, int], *pixels: str) -> np.ndarray:
    """One image, row by row: the channels of each pixel, in words as they are easy to read."""
    maps = np.array([[int(bit) for bit in pixel.replace(" ", "")] for pixel in pixels], bool)
    return maps.T.reshape(1, -1, *size)


def told(counts: Mapping[str, int]) -> tuple[int, int]:
    """Steps skipped and words of weights."""
    return counts["steps_skipped"], counts["weight_word_reads"]


class TestDense:
    """R = 2: rounds of two pixels, and two cycles to drain the last one. B = 4: no conflicts."""

    def test_the_pages_example(self) -> None:
        # Beat 0: 2 and 1 operands, beat 1: none. 3 steps of 8. By rows: 2 and 1 operands.
        layer = conv(channels=(8, 4), size=(1, 2))
        bits = bits_of((1, 2), "1001 0000", "0100 0000")
        found = {
            kind: whole_tile(
                layer, machine(word_channels=4, zero_skipping=kind), "dense", None, inputs=bits
            )
            for kind in SKIPS
        }
        assert found["word"][0] == {"base": 3, "drain": 2}
        assert found["free-rows"][0] == {"base": 2, "drain": 2}
        assert told(found["word"][1]) == (5, 2)
        assert told(found["free-rows"][1]) == (6, 2 * 2)
        for _, counts in found.values():
            assert (counts["activation_word_reads"], counts["line_fills"]) == (4, 4)
            assert counts["macs_base"] == 4 * 2 * 8  # zeros leave it when the run is over

    @pytest.mark.parametrize(
        ("kind", "causes", "skipped"),
        [
            # 3x3, 5 channels in words of 2, 2, 1: 27 beats of 45 steps, and three rounds.
            ("none", {"base": 135, "drain": 2}, (0, 135)),
            ("word", {"base": 81, "drain": 2}, (54, 81)),
            # One cycle a round, which waits for the second that drains the one before.
            ("free-rows", {"base": 3, "drain": 3 + 2}, (132, 3 * 2)),
        ],
    )
    def test_everything_is_zero(
        self, kind: str, causes: dict[str, int], skipped: tuple[int, int]
    ) -> None:
        layer = conv(channels=(5, 4), size=(2, 3), kernel=3)
        bits = np.zeros((1, 5, 2, 3), bool)
        found, counts = whole_tile(layer, machine(zero_skipping=kind), "dense", None, inputs=bits)
        assert found == causes
        assert told(counts) == skipped

    @pytest.mark.parametrize("kind", SKIPS)
    def test_nothing_is_zero(self, kind: str) -> None:
        # 1x1: no padding. Three rounds of 2 + 2 + 1 steps; the last word has one channel. Words
        # of weights: three beats a round, or both rows' in 15 cycles.
        layer = conv(channels=(5, 4), size=(2, 3))
        bits = np.ones((1, 5, 2, 3), bool)
        causes, counts = whole_tile(layer, machine(zero_skipping=kind), "dense", None, inputs=bits)
        assert causes == {"base": 15, "drain": 2}
        assert told(counts) == (0, 9 if kind == "word" else 30)

    def test_one_pointer(self) -> None:
        # R = 1, two words of three: (2, 1), (0, 3), (0, 0) operands. Words: 2 + 1, 1 + 3, 1 + 1 of
        # 18 steps. Rows: 3, 3 and 1.
        layer = conv(channels=(6, 4), size=(1, 3))
        bits = bits_of((1, 3), "110 001", "000 111", "000 000")
        for kind, base, skipped in (("word", 9, (9, 6)), ("free-rows", 7, (11, 7))):
            arch = machine(rows=1, word_channels=3, zero_skipping=kind)
            causes, counts = whole_tile(layer, arch, "dense", None, inputs=bits)
            assert causes == {"base": base, "drain": 1}
            assert told(counts) == skipped

    def test_words_of_one_channel(self) -> None:
        # A = 1: two rounds of four beats, a step each. By rows 1 and 0, then 2 and 2 operands: the
        # first round waits a cycle.
        layer = conv(channels=(4, 4), size=(1, 4))
        bits = bits_of((1, 4), "1000", "0000", "0110", "0011")
        for kind, causes, skipped in (
            ("word", {"base": 8, "drain": 2}, (0, 8)),
            ("free-rows", {"base": 3, "drain": 3}, (5, 6)),
        ):
            arch = machine(word_channels=1, zero_skipping=kind)
            found, counts = whole_tile(layer, arch, "dense", None, inputs=bits)
            assert found == causes
            assert told(counts) == skipped

    def test_rows_that_need_different_words(self) -> None:
        # Each beat waits for another pointer: 3 + 3. Rows that go on by themselves take 3.
        layer = conv(channels=(6, 4), size=(1, 2))
        bits = bits_of((1, 2), "111 000", "000 111")
        for kind, base in (("word", 6), ("free-rows", 3)):
            arch = machine(word_channels=3, zero_skipping=kind)
            causes, _ = whole_tile(layer, arch, "dense", None, inputs=bits)
            assert causes["base"] == base

    def test_a_corner_is_all_padding_but_one_tap(self) -> None:
        # One pixel under 3x3: of 9 taps of two words the middle one takes 2 + 2 steps, the others
        # 1 + 1: 20 of 36. 8 taps, 4 channels, 4 outputs are MACs with a zero.
        layer = conv(channels=(4, 4), size=(1, 1), kernel=3)
        bits = np.ones((1, 4, 1, 1), bool)
        causes, counts = whole_tile(
            layer, machine(zero_skipping="word"), "dense", None, inputs=bits
        )
        assert causes == {"base": 20, "drain": 2}
        assert told(counts) == (16, 18)
        assert zero_macs(layer, bits, 0) == 8 * 4 * 4

    def test_padding_for_all_pointers_of_a_round(self) -> None:
        # 2x2 under 3x3, nothing is zero. Round 0, the upper row: taps of ky = 0 lie above both, 3
        # times two words of one step; the other 6 taps have an input for one pointer at least:
        # 6 x 4. The lower row alike, of ky = 2.
        layer = conv(channels=(4, 4), size=(2, 2), kernel=3)
        bits = np.ones((1, 4, 2, 2), bool)
        causes, counts = whole_tile(
            layer, machine(zero_skipping="word"), "dense", None, inputs=bits
        )
        assert causes == {"base": 60, "drain": 2}
        assert told(counts) == (12, 36)

    def test_stride(self) -> None:
        # 3x3 / 2 on 3x3, padding 1; only input (1, 1) is not zero, both of its channels. Outputs
        # (0, 0), (0, 1) read it by taps (2, 2), (2, 0), the lower ones by (0, 2), (0, 0): a round
        # has two beats of 2 and seven of 1. By rows: 2 operands each.
        layer = conv(channels=(2, 4), size=(3, 3), kernel=3, stride=2)
        bits = bits_of((3, 3), *["00"] * 4, "11", *["00"] * 4)
        for kind, base, skipped in (("word", 22, (14, 18)), ("free-rows", 4, (32, 8))):
            arch = machine(zero_skipping=kind)
            causes, counts = whole_tile(layer, arch, "dense", None, inputs=bits)
            assert causes == {"base": base, "drain": 2}
            assert told(counts) == skipped
        assert zero_macs(layer, bits, 0) == 4 * (4 * 18) - 4 * (4 * 2)

    def test_groups_start_on_a_word(self) -> None:
        # G = 2 of three channels in words of two: 0 1, 2, 3 4, 5. Channels 2 and 3 are not in one
        # word: four beats of one step.
        layer = conv(channels=(6, 4), size=(1, 1), groups=2)
        bits = bits_of((1, 1), "001 100")
        causes, counts = whole_tile(
            layer, machine(zero_skipping="word"), "dense", None, inputs=bits
        )
        assert causes == {"base": 4, "drain": 2}
        assert told(counts) == (2, 4)

    def test_a_tile_of_two_images(self) -> None:
        # 1x3 pixels of one word. Batches of two: rounds (0 0), (2 of image 0 and 0 of image 1), the
        # rest: 1 + 2 + 1. Batches of one: (0 0), (1) and (2 0), (1): 1 + 1 + 2 + 1.
        # Zeros: 5 and 3, of four outputs each.
        layer = conv(channels=(2, 4), size=(1, 3))
        bits = np.concatenate(
            [bits_of((1, 3), "00", "00", "10"), bits_of((1, 3), "11", "00", "10")]
        )
        for batch, base, skipped in ((2, 4, 2), (1, 5, 3)):
            causes, counts = run(
                network(layer), machine(zero_skipping="word"), "dense", {}, 1, batch, 2,
                inputs={"conv": bits},
            )  # fmt: skip
            assert row(causes, CAUSES)["base"] == base
            found = row(counts, COUNTERS)
            assert found["steps_skipped"] == skipped
            assert (found["macs_base"], found["macs_zero_skipped"]) == (16, 32)


class TestBanks:
    """Pointers 0, 2, 4 and B = 2: three words in one bank, bank 0, 1, 0 in beats of offset 0, 1, 2.

    Three beats of three steps; operands by beat: (1, 3, 1), of pointers 0, 0 and 2.
    """

    layer = conv(channels=(9, 4), size=(1, 5))
    bits = bits_of(
        (1, 5), "100 111 000", "111 111 111", "000 000 010", "111 111 111", "000 100 000"
    )
    beats = tuple(Beat(3, at, (0, 0), range(3 * at, 3 * at + 3)) for at in range(3))

    def played(self, kind: str = "word", **options: object) -> tuple[Counter[str], Counter[str]]:
        skips = Skipping(kind, self.layer, self.bits, {at: (0, 0, at) for at in range(5)})
        causes, counts = Counter[str](), Counter[str]()
        arch = machine(banks=2, zero_skipping=kind, **options)
        this = Pass("base", self.beats, 4, skips=skips)
        assert play_round([[0, 2, 4]], this, arch, causes, counts) == sum(causes.values())
        return +causes, +counts

    @pytest.mark.parametrize(
        ("options", "stall"),
        [
            # Every beat waits for its three words: 9 cycles of 5 steps.
            ({}, 4),
            # Q = 1: bank 1 reads beat 1's words beside bank 0, so beat 1 starts at 3 and takes its
            # 3 steps, in which bank 0 reads those of beat 2. E = 3, 6, 7.
            ({"run_ahead": 1}, 2),
            # Nine words of two banks: 5 cycles.
            ({"bank_conflicts": "bandwidth"}, 0),
            ({"bank_conflicts": "none"}, 0),
        ],
    )
    def test_five_steps(self, options: dict[str, object], stall: int) -> None:
        causes, counts = self.played(**options)
        assert causes == +Counter({"base": 5, "bank_stall": stall})
        assert counts == {
            "activation_word_reads": 9,
            "line_fills": 9,
            "weight_word_reads": 3,
            "steps_skipped": 4,
        }

    @pytest.mark.parametrize(
        ("options", "stall"),
        [
            ({}, 6),
            # E = 3, 4; bank 0 reads beat 2 from cycle 3 on: 6.
            ({"run_ahead": 1}, 3),
            ({"run_ahead": 1, "bank_conflicts": "bandwidth"}, 2),
            ({"bank_conflicts": "none"}, 0),
        ],
    )
    def test_three_steps(
        self, options: dict[str, object], stall: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # One operand a beat: steps hide less of the reading.
        bits = self.bits.copy()
        bits[0, 4:6, 0, 0] = False
        monkeypatch.setattr(TestBanks, "bits", bits)
        causes, _ = self.played(**options)
        assert causes == +Counter({"base": 3, "bank_stall": stall})

    def test_free_rows_wait_for_no_bank(self) -> None:
        # 4, 1 and 1 operands; two rows of weights in each of four cycles.
        causes, counts = self.played("free-rows")
        assert causes == {"base": 4}
        assert told(counts) == (5, 8)
        assert counts["activation_word_reads"] == 9


class TestConditional:
    """G = 2, 4 -> 4 channels on 1x8: a base and a conditional pass of one beat of two steps.

    The tile's base pass reads channels 0 and 1, its conditional pass 2 and 3. R = 2, B = 4.
    """

    layer = conv(channels=(4, 4), size=(1, 8), groups=2)
    pixels = ("11 00", "01 10", "00 01", "00 00", "10 00", "00 11", "00 00", "00 11")
    mask = np.zeros((1, 4, 1, 8), bool)
    mask[0, 0, 0, [0, 1, 2]] = mask[0, 1, 0, [1, 5]] = True

    def tile(
        self, kind: str, scheme: str, pixel_5: str = "00 11"
    ) -> tuple[Counter[str], Counter[str]]:
        bits = bits_of((1, 8), *self.pixels[:5], pixel_5, *self.pixels[6:])
        return whole_tile(self.layer, machine(zero_skipping=kind), scheme, self.mask, inputs=bits)

    def test_two_lists(self) -> None:
        # Base: 2 + 1 + 1 + 1 steps, three rounds drain a cycle more; then R.
        # S_0 = 2. Round 0: 0, 1 and 1, 5: pixel 5 has 2 operands, and bank 1 two words: 2 cycles.
        # Round 1: 2 of list 0, one step, a cycle of drain. R.
        causes, counts = self.tile("word", "unstructured")
        assert causes == {"base": 5, "conditional": 3, "decode_stall": 2, "drain": 5 + 3}
        assert told(counts) == (3 + 1, 4 + 2)
        assert (counts["activation_word_reads"], counts["line_fills"]) == (8 + 4, 16 + 5)
        assert (counts["macs_base"], counts["macs_conditional"]) == (2 * 8 * 2, 5 * 2)

    def test_fewer_steps_hide_less(self) -> None:
        # Pixel 5 has one operand: round 0 takes one step and waits for bank 1.
        causes, counts = self.tile("word", "unstructured", "00 01")
        assert causes == {
            "base": 5, "conditional": 2, "bank_stall": 1, "decode_stall": 2, "drain": 8
        }  # fmt: skip
        assert told(counts) == (3 + 2, 4 + 2)
        # Free rows do not wait for the bank, but for the drain.
        causes, counts = self.tile("free-rows", "unstructured", "00 01")
        assert causes == {"base": 5, "conditional": 2, "decode_stall": 2, "drain": 9}
        assert told(counts) == (3 + 2, (5 + 2) * 2)

    def test_clock_gated(self) -> None:
        # All pointers count, whatever the mask says: 1 + 1 + 2 + 2; two rounds drain a cycle more.
        causes, counts = self.tile("word", "clock-gated")
        assert causes == {"base": 5, "conditional": 6, "drain": 5 + 4}
        assert told(counts) == (3 + 2, 4 + 4)
        assert (counts["macs_conditional"], counts["macs_gated_off"]) == (5 * 2, 11 * 2)

    @pytest.mark.parametrize(("window", "conditional", "skipped"), [(0, 2, 4), (4, 1 + 2, 4 + 1)])
    def test_a_windows_rounds(self, window: int, conditional: int, skipped: int) -> None:
        # Lists 0, 1 and 7. Together: 2 steps for pixel 7. D = 4: 0 and 1 need one, 7 two.
        # Base: nothing but zeros, 4 rounds of one step.
        mask = np.zeros((1, 4, 1, 8), bool)
        mask[0, 0, 0, [0, 1]] = mask[0, 1, 0, 7] = True
        bits = bits_of((1, 8), "00 10", *["00 00"] * 6, "00 11")
        arch = machine(zero_skipping="word", window=window)
        causes, counts = whole_tile(self.layer, arch, "unstructured", mask, inputs=bits)
        assert (causes["base"], causes["conditional"]) == (4, conditional)
        assert counts["steps_skipped"] == skipped

    def test_no_base_path(self) -> None:
        # Three channels in words of 2 and 1. Lists 2, 3 and 3, 6: S_0 = 2, one round of one step a
        # beat, where bank 2 has two words: 4 cycles. R.
        layer = conv(channels=(3, 2), size=(1, 8), gated=True)
        mask = np.zeros((1, 2, 1, 8), bool)
        mask[0, 0, 0, [2, 3]] = mask[0, 1, 0, [3, 6]] = True
        pixels = ["11 1"] * 8
        pixels[2], pixels[3], pixels[6] = "10 0", "00 1", "01 0"
        arch = machine(zero_skipping="word")
        causes, counts = whole_tile(
            layer, arch, "unstructured", mask, inputs=bits_of((1, 8), *pixels)
        )
        assert causes == {"conditional": 2, "bank_stall": 2, "decode_stall": 2, "drain": 2}
        assert told(counts) == (1, 2)
        assert counts["macs_conditional"] == 4 * 3
