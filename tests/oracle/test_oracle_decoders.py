"""The oracle's lists and decoders, worked out by hand.

Unless a test says otherwise the machine has R = 2, P = 8, W = 8, E = 1 and private decoders.
"""

from __future__ import annotations

import pytest

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import ArchError
from oracle.decoders import Decoder, fill
from oracle.lists import run_lengths, symbol_bits, words_of
from oracle.machines import machine


def bits(text: str) -> list[int]:
    return [int(bit) for bit in text.replace(" ", "")]


def slots(text: str, arch: ArchConfig) -> list[tuple[list[int], int]]:
    """What one decoder finds for each round, and the cycles that it takes."""
    decoder = Decoder(bits(text), arch)
    done = []
    while decoder.left:
        cycles = fill([decoder], arch)
        done.append((decoder.hand_over(), cycles))
    return done


class TestLists:
    def test_a_bitmap_is_cut_into_words(self) -> None:
        assert words_of(bits("10000000 01"), machine(), "bitmap") == [bits("10000000"), [0, 1]]

    @pytest.mark.parametrize(
        ("pixels", "size"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (256, 8)]
    )
    def test_coordinates_tell_the_pixels_of_the_largest_tile_apart(
        self, pixels: int, size: int
    ) -> None:
        arch = machine(rows=1, entries=4 * pixels)
        assert symbol_bits(arch, "coordinate") == size

    def test_coordinates_do_not_straddle_words(self) -> None:
        # P = 8: three bits, two to a word of 8. P = 60: six bits, five to a word of 32.
        assert words_of(bits("1001 11"), machine(), "coordinate") == [[0, 3], [4, 5]]
        assert words_of(bits("1001 1000"), machine(), "coordinate") == [[0, 3], [4]]
        large = machine(entries=240, word_bits=32)
        assert words_of(bits("1111 0111"), large, "coordinate") == [[0, 1, 2, 3, 5], [6, 7]]

    def test_run_lengths_escape_long_gaps_and_end_with_the_last_one(self) -> None:
        # Two bits: up to two zeros and a one are a symbol, 3 is three zeros and no one.
        assert run_lengths(bits("1 01 001"), longest=3) == [0, 1, 2]
        assert run_lengths(bits("000 1 000 00 1 00000"), longest=3) == [3, 0, 3, 2]
        assert run_lengths(bits("000 000 1"), longest=3) == [3, 3, 0]
        # Four bits: fourteen zeros and a one are 14; a zero more is the escape.
        assert run_lengths([0] * 14 + [1] + [0] * 15 + [1], longest=15) == [14, 15, 0]

    def test_run_lengths_do_not_straddle_words(self) -> None:
        # Three bits, two to a word of 8.
        arch = machine(run_length_bits=3)
        assert words_of(bits("1 01 0001"), arch, "run-length") == [[0, 1], [3]]

    @pytest.mark.parametrize("form", ["coordinate", "run-length"])
    def test_a_list_without_ones_has_no_words(self, form: str) -> None:
        assert words_of(bits("0000 0000"), machine(), form) == []

    @pytest.mark.parametrize(
        "refused",
        [
            {"index_format": "coordinate", "indices_per_cycle": 3},  # two of 3 bits in a word of 8
            {"index_format": "run-length", "indices_per_cycle": 3},  # two of 4 bits
            {"index_format": "run-length", "indices_per_cycle": 2, "run_length_bits": 5},  # one
            {"index_format": "coordinate", "entries": 4 * 257},  # nine bits: none
        ],
    )
    def test_a_word_holds_what_a_cycle_consumes(self, refused: dict[str, object]) -> None:
        with pytest.raises(ArchError, match=r"indices_per_cycle|word_bits"):
            machine(**refused)


class TestBitmap:
    def test_empty_words_cost_a_cycle_each_and_wait_for_room(self) -> None:
        # Round 0: one empty word, then 13 and 14. Full: the two empty words are passed in the next
        # slot, then 32.
        text = "00000000 00000110 00000000 00000000 10000000"
        assert slots(text, machine()) == [([13, 14], 3), ([32], 3)]

    def test_room_and_word_limit_what_a_cycle_emits(self) -> None:
        # E = 2, R = 4: (0 1) (2: the word's last) (8: room for one) | (9 10) (11).
        arch = machine(rows=4, indices_per_cycle=2)
        assert slots("11100000 11110000", arch) == [([0, 1, 2, 8], 3), ([9, 10, 11], 2)]

    def test_trailing_words_of_a_full_last_round_are_the_tail(self) -> None:
        assert slots("11000000 00000000 00", machine()) == [([0, 1], 2), ([], 2)]

    def test_trailing_words_of_a_part_filled_round_belong_to_it(self) -> None:
        assert slots("10000000 00000000 00", machine()) == [([0], 3)]

    def test_no_tail_where_the_last_word_fills_the_round(self) -> None:
        assert slots("00000000 00000011", machine()) == [([14, 15], 3)]

    def test_a_list_of_zeros_is_scanned(self) -> None:
        assert slots("00000000 00000000 00", machine()) == [([], 3)]


class TestCoordinates:
    """R = 4, P = 24, W = 32, E = 3: five bits, six symbols to a word."""

    arch = machine(rows=4, entries=96, word_bits=32, indices_per_cycle=3, index_format="coordinate")

    def test_zeros_cost_nothing_and_there_is_no_tail(self) -> None:
        # W = 8, E = 1, R = 2: one symbol to a word.
        arch = machine(entries=96, index_format="coordinate")
        assert slots("00000000 00000011 00000000", arch) == [([14, 15], 2)]
        assert slots("10000000 00000001 00000001", arch) == [([0, 15], 2), ([23], 1)]

    def test_room_limits_what_a_cycle_consumes(self) -> None:
        # E = 3, R = 4: (0 1 2) (8: room for one) | (9 10).
        assert slots("11100000 11100000", self.arch) == [([0, 1, 2, 8], 2), ([9, 10], 1)]

    def test_the_word_limits_what_a_cycle_consumes(self) -> None:
        # Eight ones, words of six: (0 1 2) (3) | (4 5: the word's last) (6 7).
        assert slots("11111111", self.arch) == [([0, 1, 2, 3], 2), ([4, 5, 6, 7], 2)]

    def test_a_list_without_ones_costs_nothing(self) -> None:
        assert slots("00000000 00000000", self.arch) == []


class TestRunLengths:
    """Symbols of two bits, four to a word of 8: 3 is the escape; R = 2."""

    text = "1000 0000 1 100"
    """Symbols 0, 3, 3, 1 and 0, in a word of its own; ones at 0, 8, 9."""

    def test_escapes_cost_cycles(self) -> None:
        arch = machine(run_length_bits=2, index_format="run-length")
        assert words_of(bits(self.text), arch, "run-length") == [[0, 3, 3, 1], [0]]
        assert slots(self.text, arch) == [([0, 8], 4), ([9], 1)]

    @pytest.mark.parametrize("emitted", [2, 3, 4])
    def test_with_room_for_one_an_escape_takes_the_cycle(self, emitted: int) -> None:
        # Room for two: (0, escape). Then room for one: (escape), (1: 8). E = 3 is as slow.
        arch = machine(run_length_bits=2, index_format="run-length", indices_per_cycle=emitted)
        assert slots(self.text, arch) == [([0, 8], 3), ([9], 1)]

    def test_escapes_take_no_room(self) -> None:
        # R = 4, E = 4: (0, 3, 3, 1), then the next word: (0).
        arch = machine(rows=4, run_length_bits=2, index_format="run-length", indices_per_cycle=4)
        assert slots(self.text, arch) == [([0, 8, 9], 2)]

    def test_an_escape_waits_for_room(self) -> None:
        # Symbols 0, 0 | 3, 3, 0: the full buffer stops the decoder before the escapes.
        arch = machine(run_length_bits=2, index_format="run-length", indices_per_cycle=4)
        assert slots("11 000 000 1 00", arch) == [([0, 1], 1), ([8], 2)]

    def test_a_list_without_ones_costs_nothing(self) -> None:
        arch = machine(run_length_bits=2, index_format="run-length")
        assert slots("0000 0000", arch) == []


class TestSharing:
    """Three lists of 24 pixels, three words each; R = 2.

    First: 0 and 1, then a tail of two words. Second: 0 alone, all three words in slot 0. Third:
    0 and 1, then an empty word and 23.
    """

    lists = (
        "11000000 00000000 00000000",
        "10000000 00000000 00000000",
        "11000000 00000000 00000001",
    )

    def cycles(self, arch: ArchConfig) -> list[int]:
        """S_0, S_1, ... and, last, the cycles in which decoders worked."""
        decoders = [Decoder(bits(text), arch) for text in self.lists]
        spent = []
        while any(decoder.left for decoder in decoders):
            spent.append(fill(decoders, arch))
            for decoder in decoders:
                decoder.hand_over()
        return [*spent, sum(decoder.cycles for decoder in decoders)]

    def test_private_decoders_step_together(self) -> None:
        assert self.cycles(machine()) == [3, 2, 2 + 3 + 2 + 2 + 2]

    def test_a_shared_decoder_serves_one_list_after_the_other(self) -> None:
        assert self.cycles(machine(decoders="shared")) == [2 + 3 + 2, 2 + 2, 11]

    def test_a_shared_decoder_of_coordinates_has_no_tails_to_serve(self) -> None:
        # P = 24: five bits, one symbol to a word. Slot 0: 2 + 1 + 2 symbols; slot 1: the 23.
        arch = machine(entries=96, decoders="shared", index_format="coordinate")
        assert self.cycles(arch) == [5, 1, 6]
