"""The oracle's window on the rounds, worked out by hand (docs/model/window.md).

Unless a test says otherwise the machine has R = 2, C = 4, A = 2, B = 4, W = 8, E = 1, private
decoders of bitmaps, and every option at its default.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from hwsim.arch.config import ArchConfig
from hwsim.counters import COUNTERS
from oracle.cycles import decoders_of
from oracle.decoders import fill
from oracle.machines import conv, machine, network, random_masks, whole_tile
from oracle.network import run
from oracle.window import choose

Slots = list[tuple[int, list[int]]]
"""Slot by slot its length S_i and the cycles v_j(i) of each list."""


def lists_of(pixels: int, *ones: set[int]) -> list[list[int]]:
    return [[int(pixel in members) for pixel in range(pixels)] for members in ones]


def played(lists: list[list[int]], arch: ArchConfig) -> tuple[list[list[list[int]]], Slots]:
    """What each round takes of each list, and the slots beside them."""
    decoders = decoders_of(lists, [range(lane, lane + 1) for lane in range(len(lists))], arch)
    taken, slots = [], []
    while True:
        before = [decoder.cycles for decoder in decoders]
        length = fill(decoders, arch)
        worked = [decoder.cycles - old for decoder, old in zip(decoders, before, strict=True)]
        slots.append((length, worked))
        if not any(decoder.buffer for decoder in decoders):
            return taken, slots
        taken.append(choose(decoders, arch, Counter()))


def windowed(window: int, pixels: int = 16, **options: object) -> ArchConfig:
    """A machine whose tiles hold so many pixels."""
    return machine(window=window, entries=4 * pixels, **options)


class TestExample:
    """The page's: {0, 1, 9} and {7, 8} of 16 pixels, w = 4."""

    lists = lists_of(16, {0, 1, 9}, {7, 8})

    def test_rounds(self) -> None:
        # Round 0: m = 0, below 4: 0 and 1, nothing of the second list. Round 1: m = 7, below 11.
        taken, _ = played(self.lists, windowed(4))
        assert taken == [[[0, 1], []], [[9], [7, 8]]]

    def test_slots(self) -> None:
        # Two words of eight bits each. List 0 fills its buffer in two cycles; with the second
        # one 1 is its last of the word. List 1: 7 ends its word in one cycle, 8 takes one. Slot 1:
        # list 0 emits 9, its last, in one cycle; list 1 is at its end with 8. Slot 2: no one works.
        _, slots = played(self.lists, windowed(4))
        assert slots == [(2, [2, 2]), (1, [1, 0]), (0, [0, 0])]

    def test_a_full_buffer_keeps_its_tail_for_a_slot_with_room(self) -> None:
        # 24 pixels: the third words are empty. List 1's buffer is full in slots 0 and 1, its tail
        # is scanned in slot 2. List 0 scans its own behind 9 in slot 1.
        lists = lists_of(24, {0, 1, 9}, {7, 8})
        _, slots = played(lists, windowed(4, 24))
        assert slots == [(2, [2, 2]), (2, [2, 0]), (1, [0, 1])]

    def test_without_a_window(self) -> None:
        # Two rounds as well: all of both buffers, then 9. The tail comes a slot earlier.
        taken, slots = played(lists_of(24, {0, 1, 9}, {7, 8}), windowed(0, 24))
        assert taken == [[[0, 1], [7, 8]], [[9], []]]
        assert slots == [(2, [2, 2]), (2, [2, 1]), (0, [0, 0])]


class TestRule:
    def test_a_buffer_handed_over_in_part(self) -> None:
        # R = 4, w = 3, lists {0, 2, 3, 5, 6} and {1, 4}, one word. Slot 0: four cycles and two.
        # Round 0: m = 0, below 3: 0, 2 and 1; 3 and 5 stay, and 4. Slot 1: room for two, 6 ends
        # the list in one cycle. Round 1: m = 3, below 6: 3, 5 and 4. Round 2: 6.
        lists = lists_of(8, {0, 2, 3, 5, 6}, {1, 4})
        taken, slots = played(lists, windowed(3, rows=4))
        assert taken == [[[0, 2], [1]], [[3, 5], [4]], [[6], []]]
        assert slots == [(4, [4, 2]), (1, [1, 0]), (0, [0, 0]), (0, [0, 0])]

    def test_a_decoder_fills_the_room_that_there_is(self) -> None:
        # R = 3, w = 2, E = 2: {0, 3, 4, 6} emits 0, 3 and then 4, whose cycle has room for one.
        # Round 0 takes 0; slot 1 has room for one more: 6. Round 1: 3 and 4; round 2: 6.
        lists = lists_of(8, {0, 3, 4, 6})
        taken, slots = played(lists, windowed(2, rows=3, indices_per_cycle=2))
        assert taken == [[[0]], [[3, 4]], [[6]]]
        assert slots == [(2, [2]), (1, [1]), (0, [0]), (0, [0])]

    def test_w_is_the_first_distance_that_waits(self) -> None:
        # 0 and 3: three pixels apart.
        lists = lists_of(8, {0, 3})
        assert played(lists, windowed(3))[0] == [[[0]], [[3]]]
        assert played(lists, windowed(4))[0] == [[[0, 3]]]

    def test_a_window_of_one_takes_a_pixel_at_a_time(self) -> None:
        # Each round: one pixel, of every list that has it.
        lists = lists_of(8, {0, 1, 5}, {1, 5, 6})
        taken, _ = played(lists, windowed(1))
        assert taken == [[[0], []], [[1], [1]], [[5], [5]], [[], [6]]]

    def test_a_shared_decoder_takes_the_sum(self) -> None:
        # The part-filled buffers above: 4 + 2, then 1.
        lists = lists_of(8, {0, 2, 3, 5, 6}, {1, 4})
        _, slots = played(lists, windowed(3, rows=4, decoders="shared"))
        assert slots == [(6, [4, 2]), (1, [1, 0]), (0, [0, 0]), (0, [0, 0])]

    def test_coordinates_have_no_tail(self) -> None:
        # P = 24: five bits, one symbol a word. As the example, without the empty words.
        lists = lists_of(24, {0, 1, 9}, {7, 8})
        taken, slots = played(lists, windowed(4, 24, index_format="coordinate"))
        assert taken == [[[0, 1], []], [[9], [7, 8]]]
        assert slots == [(2, [2, 2]), (1, [1, 0]), (0, [0, 0])]

    def test_an_escape_needs_room(self) -> None:
        # b = 2: {0, 1, 9} is 0, 0, escape, escape, 1 (7 zeros); {2, 6} is 2, escape, 0. R = 2,
        # w = 2. Slot 0: two cycles; three cycles. Round 0: m = 0, below 2: 0 and 1. Slot 1: two
        # escapes and 9, three cycles. Round 1: m = 2: 2 alone. Round 2: m = 6: 6 alone. Round 3: 9.
        lists = lists_of(16, {0, 1, 9}, {2, 6})
        taken, slots = played(lists, windowed(2, index_format="run-length", run_length_bits=2))
        assert taken == [[[0, 1], []], [[], [2]], [[], [6]], [[9], []]]
        assert slots == [(3, [2, 3]), (3, [3, 0]), (0, [0, 0]), (0, [0, 0]), (0, [0, 0])]

    def test_empty_lists_have_no_round(self) -> None:
        taken, slots = played(lists_of(16, set(), set()), windowed(2))
        assert taken == []
        assert slots == [(2, [2, 2])]

    @pytest.mark.parametrize("seed", range(60))
    def test_every_index_is_a_pointer_in_one_round(self, seed: int) -> None:
        # In order, closer than w in a round, never more than R of a list; a wide window is none.
        rng = Random(seed)
        pixels, rows, window = rng.randint(1, 40), rng.randint(1, 5), rng.randint(1, 12)
        lists = [[int(rng.random() < 0.3) for _ in range(pixels)] for _ in range(rng.randint(1, 4))]
        options = {
            "rows": rows,
            "index_format": rng.choice(["bitmap", "coordinate", "run-length"]),
            "decoders": rng.choice(["private", "shared"]),
        }
        taken, slots = played(lists, windowed(window, 40, **options))
        for at, bits in enumerate(lists):
            found = [index for of_round in taken for index in of_round[at]]
            assert found == [pixel for pixel, bit in enumerate(bits) if bit]
        for of_round in taken:
            together = [index for indices in of_round for index in indices]
            assert together
            assert max(together) - min(together) < window
            assert max(map(len, of_round)) <= rows
        bare, bare_slots = played(lists, windowed(0, 40, **options))
        assert len(taken) >= len(bare)
        works = [sum(worked) for worked in zip(*(w for _, w in slots), strict=True)]
        assert works == [sum(worked) for worked in zip(*(w for _, w in bare_slots), strict=True)]
        assert played(lists, windowed(pixels, 40, **options)) == (bare, bare_slots)


LAYER = conv(channels=(4, 4), size=(1, 16), groups=2)
"""1x1, G = 2 on 1x16: L_b = L_c = 2, tiles of two columns, one beat of two steps a round."""

MASK = np.array(lists_of(16, {0, 1, 9}, {7, 8}, set(), set()), bool).reshape(1, 4, 1, 16)


def compares(rounds: int, lane_groups: int, rows: int) -> int:
    return rounds * (lane_groups * (rows + 1) - 1)


class TestTile:
    def test_unstructured(self) -> None:
        # The example. Base: 8 rounds of two steps, R = 2. S = 2, 1, 0. Round 0 reads 0, 1; round 1
        # reads 7, 8, 9 of banks 3, 0, 1: two cycles each hide S_1. R = 2 at the end.
        # Without a window round 0 reads 0, 1, 7, 8: two words of bank 0, which two steps hide.
        causes, counts = whole_tile(LAYER, windowed(4), "unstructured", MASK)
        assert causes == {"base": 16, "conditional": 4, "decode_stall": 2, "drain": 4}
        assert counts == {
            "macs_base": 2 * 16 * 2,
            "macs_conditional": 5 * 2,
            "activation_word_reads": 16 + 2 + 3,
            "line_fills": 32 + 5,
            "weight_word_reads": 16 + 4,
            "psum_base_writes": 32,
            "psum_conditional_reads": 5,
            "psum_conditional_writes": 5,
            "psum_output_reads": 32,
            "mask_bits_written": 32,
            "index_words_read": 4,
            "decoder_cycles": 2 + 1 + 2,
            "window_compares": 2 * 5,
            "comparator_ops": 32,
            "output_ops": 32,
            "activation_word_writes": 16,
        }

    def test_neighbours_do_not_conflict(self) -> None:
        # A = 1: L_c = 1 + 1 steps in two beats. Lists {0, 2} and {6, 8}, B = 2: 0, 2, 6, 8 are all
        # in one bank: four cycles a beat, 8 in all, 6 of them stall. With w = 4: 0, 2, then 6, 8:
        # two cycles a beat, 4 + 4, 4 of them stall.
        # Base: 8 rounds of two beats of a step, one word a bank.
        mask = np.array(lists_of(16, {0, 2}, {6, 8}, set(), set()), bool).reshape(1, 4, 1, 16)
        for window, steps, stall in ((0, 2, 6), (4, 4, 4)):
            arch = windowed(window, word_channels=1, banks=2)
            causes, _ = whole_tile(LAYER, arch, "unstructured", mask)
            assert (causes["conditional"], causes["bank_stall"]) == (steps, stall)

    def test_a_round_waits_for_the_slot_beside_it(self) -> None:
        # 48 pixels, R = 2, w = 2: lists {0, 1, 40} and {20, 21}. S_0: list 0 two cycles; list 1
        # passes two empty words, emits two: 4. Round 0: 0, 1. Slot 1: list 0 passes four words
        # and emits 40, the sixth word's last pixel of eight from 40 on: 5 cycles; X = 2. Round 1:
        # 20, 21; slot 2: list 1 scans its tail of three words: 3 cycles. Round 2: 40.
        layer = conv(channels=(4, 4), size=(1, 48), groups=2)
        mask = np.array(lists_of(48, {0, 1, 40}, {20, 21}, set(), set()), bool)
        causes, counts = whole_tile(
            layer, windowed(2, 48), "unstructured", mask.reshape(1, 4, 1, 48)
        )
        assert causes["decode_stall"] == 4 + (5 - 2) + (3 - 2)
        assert causes["conditional"] == 3 * 2
        assert counts["decoder_cycles"] == (2 + 5) + (4 + 3)
        assert counts["window_compares"] == compares(rounds=3, lane_groups=2, rows=2)

    def test_structured_and_lockstep_follow_one_list(self) -> None:
        # {0, 1, 9}, w = 4: rounds (0, 1) and (9). J = 1: R comparisons and no minimum.
        mask = MASK[:, ::2]
        _, counts = whole_tile(LAYER, windowed(4), "structured-2x", mask, 2)
        assert counts["window_compares"] == 2 * 2
        # The OR {0, 1, 7, 8, 9} in lockstep: (0, 1), (7, 8), (9), whose lanes idle in part.
        causes, counts = whole_tile(LAYER, windowed(4), "lockstep-2", MASK)
        assert causes["conditional"] == 3 * 2
        assert counts["window_compares"] == 3 * 2
        assert counts["macs_conditional"] == 5 * 2
        assert counts["macs_gated_off"] == 5 * 2

    @pytest.mark.parametrize("scheme", ["dense", "clock-gated"])
    def test_others_have_none(self, scheme: str) -> None:
        mask = None if scheme == "dense" else MASK
        found = whole_tile(LAYER, windowed(1), scheme, mask)
        assert found == whole_tile(LAYER, windowed(0), scheme, mask)
        assert "window_compares" not in found[1]

    def test_an_empty_pass_compares_nothing(self) -> None:
        _, counts = whole_tile(LAYER, windowed(1), "unstructured", np.zeros_like(MASK))
        assert "window_compares" not in counts


class TestRuns:
    layers = network(conv(channels=(8, 16), size=(6, 5), kernel=3, groups=2))

    @pytest.mark.parametrize("scheme", ["unstructured", "structured-8x", "lockstep-8"])
    @pytest.mark.parametrize("run_ahead", [0, 2])
    def test_as_wide_as_a_tile_it_takes_comparisons_alone(
        self, scheme: str, run_ahead: int
    ) -> None:
        # Tiles of P = 20.
        masks = random_masks(self.layers, 0.3, images=2, mask_group=8)
        runs = []
        for window in (0, 20, 1000):
            arch = machine(
                rows=4, columns=8, entries=160, word_channels=1, banks=3, lane_group=8,
                activation_kib=2, weight_kib=8, run_ahead=run_ahead, window=window,
            )  # fmt: skip
            runs.append(run(self.layers, arch, scheme, masks, 8, 2, images=2))
        at = COUNTERS.index("window_compares")
        for causes, counts in runs[1:]:
            np.testing.assert_array_equal(causes, runs[0][0])
            np.testing.assert_array_equal(np.delete(counts, at, 1), np.delete(runs[0][1], at, 1))
            assert counts[0, at] > 0
        assert runs[0][1][0, at] == 0

    @pytest.mark.parametrize("scheme", ["unstructured", "structured-2x", "lockstep-2"])
    def test_what_does_not_depend_on_it(self, scheme: str) -> None:
        masks = random_masks(self.layers, 0.4, images=2, mask_group=2)
        fixed = (
            "macs_conditional", "macs_gated_off", "line_fills", "psum_conditional_writes",
            "mask_bits_written", "index_words_read", "decoder_cycles",
        )  # fmt: skip
        seen, rounds = set(), []
        for window in (0, 1, 3, 7):
            arch = machine(
                rows=4, columns=8, entries=160, activation_kib=2, weight_kib=8, window=window
            )
            _, counts = run(self.layers, arch, scheme, masks, 2, 2, images=2)
            found = dict(zip(COUNTERS, counts[0].tolist(), strict=True))
            seen.add(tuple(found[name] for name in fixed))
            rounds.append(found["weight_word_reads"])
        assert len(seen) == 1
        assert min(rounds) == rounds[0] < rounds[1]  # a window never takes fewer rounds
