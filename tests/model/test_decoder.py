"""The reference's decoder worked out by hand: blocked in one cycle, ready in the next."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from simpy import Environment

from hwsim.model.reference.decoder import BitmapScan, Decoder, scan_of
from hwsim.model.reference.index_memory import Bitmaps, Coordinates, RunLengths, SymbolLists
from hwsim.model.reference.latencies import LATENCIES
from hwsim.model.reference.parts import Counts

EMPTY, EMISSION, SYMBOLS = LATENCIES.empty_word, LATENCIES.emission, LATENCIES.symbols


def decoder_of(
    env: Environment, *words: str, rows: int, per_cycle: int = 1
) -> tuple[Decoder, Counts]:
    """A decoder of one bitmap; words of bits are written first pixel first."""
    counts = Counts()
    memory = Bitmaps(1, sum(map(len, words)), len(words[0]), counts)
    for pixel, bit in enumerate("".join(words)):
        memory.write(pixel, [int(bit)])
    return Decoder(env, [scan_of(memory, [0], per_cycle)], rows, counts, 0), counts


def symbol_decoder(
    env: Environment,
    code: Coordinates | RunLengths,
    pixels: Sequence[int],
    rows: int,
    per_cycle: int = 1,
) -> tuple[Decoder, Counts]:
    """A decoder of one list of symbols, four in a word."""
    counts = Counts()
    memory = SymbolLists(1, code, 4, counts)
    for pixel in pixels:
        memory.write(pixel, [1])
    return Decoder(env, [scan_of(memory, [0], per_cycle)], rows, counts, 0), counts


def hand_over_at(env: Environment, decoder: Decoder, cycle: int) -> list[int]:
    """The buffer that becomes ready in exactly this cycle, taken over in it."""
    (pixels,) = buffers_at(env, decoder, cycle)
    return pixels


def buffers_at(env: Environment, decoder: Decoder, cycle: int) -> list[list[int]]:
    """As before, all buffers of a decoder that serves several lists."""
    env.run(until=cycle)  # everything before this cycle's end
    assert not decoder.ready.triggered, f"ready before cycle {cycle}"
    env.run(until=decoder.ready)
    assert env.now == cycle
    return decoder.hand_over()


def test_empty_words_cost_a_cycle_each() -> None:
    env = Environment()
    decoder, counts = decoder_of(env, "0000", "0000", "0000", "0010", rows=4)
    assert hand_over_at(env, decoder, 3 * EMPTY + EMISSION) == [14]
    assert counts["decoder_cycles"] == 4
    assert counts["index_words_read"] == 4
    assert counts["mask_bits_written"] == 16


def test_a_word_with_ones_costs_no_cycle_of_its_own() -> None:
    env = Environment()
    decoder, _ = decoder_of(env, "1001", "0100", "0001", rows=8)
    assert hand_over_at(env, decoder, 4 * EMISSION) == [0, 3, 5, 11]


@pytest.mark.parametrize(("per_cycle", "cycles"), [(1, 5), (2, 3), (3, 3), (4, 2)])
def test_indices_of_one_cycle_come_from_one_word(per_cycle: int, cycles: int) -> None:
    """Four ones and one: 4 + 1, (2 + 2) + 1, (3 + 1) + 1, 4 + 1 indices."""
    env = Environment()
    decoder, _ = decoder_of(env, "1111", "1000", rows=8, per_cycle=per_cycle)
    assert hand_over_at(env, decoder, cycles * EMISSION) == [0, 1, 2, 3, 4]


def test_no_more_indices_than_there_is_room() -> None:
    """Three a cycle into two entries: 2, then 2; the next word is not begun in the same cycle."""
    env = Environment()
    decoder, _ = decoder_of(env, "1111", "1100", rows=2, per_cycle=3)
    assert hand_over_at(env, decoder, 1) == [0, 1]
    assert hand_over_at(env, decoder, 2) == [2, 3]
    assert hand_over_at(env, decoder, 3) == [4, 5]
    assert decoder.ready.triggered
    assert decoder.hand_over() == [[]]


def test_a_full_buffer_blocks() -> None:
    env = Environment()
    decoder, counts = decoder_of(env, "1111", rows=2)
    env.run(until=10)
    assert counts["decoder_cycles"] == 2
    assert decoder.hand_over() == [[0, 1]]
    assert hand_over_at(env, decoder, 10 + 2 * EMISSION) == [2, 3]
    assert counts["decoder_cycles"] == 4


def test_a_part_filled_round_waits_for_the_end_of_the_list() -> None:
    env = Environment()
    decoder, _ = decoder_of(env, "1000", "0000", "0000", "0000", rows=2)
    assert hand_over_at(env, decoder, EMISSION + 3 * EMPTY) == [0]
    assert decoder.ready.triggered


def test_the_tail_of_a_full_last_round_is_scanned_in_the_next_slot() -> None:
    """The buffer is full after one cycle and taken in the fifth: nothing is scanned between."""
    env = Environment()
    decoder, counts = decoder_of(env, "1000", "0000", "0000", "0000", rows=1)
    env.run(until=5)
    assert counts["decoder_cycles"] == 1
    assert decoder.hand_over() == [[0]]
    assert hand_over_at(env, decoder, 5 + 3 * EMPTY) == []


def test_a_full_round_at_the_end_of_the_list_has_no_tail() -> None:
    env = Environment()
    decoder, _ = decoder_of(env, "0000", "0011", rows=2)
    assert hand_over_at(env, decoder, EMPTY + 2 * EMISSION) == [6, 7]
    assert decoder.ready.triggered
    assert decoder.hand_over() == [[]]


def test_an_empty_list_is_scanned_and_gives_nothing() -> None:
    env = Environment()
    decoder, _ = decoder_of(env, "0000", "0000", "0000", rows=4)
    assert hand_over_at(env, decoder, 3 * EMPTY) == []


def shared_decoder(env: Environment, *lists: str, rows: int, word_bits: int = 4) -> Decoder:
    """A decoder that serves several bitmaps, one index per cycle."""
    memory = Bitmaps(len(lists), len(lists[0]), word_bits, Counts())
    for pixel, bits in enumerate(zip(*lists, strict=True)):
        memory.write(pixel, map(int, bits))
    scans = [scan_of(memory, [number], 1) for number in range(len(lists))]
    return Decoder(env, scans, rows, Counts(), 0)


def test_a_shared_decoder_serves_its_lists_one_after_the_other() -> None:
    """Slot 0: list 0 is full after 2 cycles, list 1 passes a word and finds one pixel.

    Slot 1: the two ones of list 0's second word; list 1 is at its end.
    """
    env = Environment()
    decoder = shared_decoder(env, "11000011", "00000100", rows=2)
    assert buffers_at(env, decoder, 2 * EMISSION + (EMPTY + EMISSION)) == [[0, 1], [5]]
    assert buffers_at(env, decoder, 4 + 2 * EMISSION) == [[6, 7], []]
    assert decoder.ready.triggered


def test_a_shared_decoder_takes_its_lists_in_order() -> None:
    """List 1 is at its end after its one word, in slot 0; list 0 goes on in slot 1."""
    served = []

    class Watched(BitmapScan):
        def step(self, room: int) -> tuple[int, list[int]]:
            served.append((env.now, watched.index(self)))
            return super().step(room)

    env = Environment()
    memory = Bitmaps(2, 4, 4, Counts())
    for pixel, bits in enumerate([(1, 0), (1, 0), (1, 0), (0, 1)]):
        memory.write(pixel, bits)
    watched = [Watched(memory, [number], 1) for number in range(2)]
    decoder = Decoder(env, watched, 2, Counts(), 0)
    assert buffers_at(env, decoder, 3 * EMISSION) == [[0, 1], [3]]
    assert buffers_at(env, decoder, 4 * EMISSION) == [[2], []]
    assert served == [(0, 0), (1, 0), (2, 1), (3, 0)]


def test_a_shared_decoder_does_not_run_ahead() -> None:
    """List 0 has more to find, and waits with list 1 for the handover in cycle 9."""
    env = Environment()
    decoder = shared_decoder(env, "11110000", "11110000", rows=2)
    env.run(until=9)
    assert decoder.hand_over() == [[0, 1], [0, 1]]
    assert buffers_at(env, decoder, 9 + 4 * EMISSION) == [[2, 3], [2, 3]]


def test_a_shared_decoder_scans_the_tails_in_the_next_slot() -> None:
    """Full after a cycle each; two words without ones are left of list 0, one of list 1."""
    env = Environment()
    decoder = shared_decoder(env, "100000000000", "000010000000", rows=1)
    assert buffers_at(env, decoder, EMISSION + (EMPTY + EMISSION)) == [[0], [4]]
    assert buffers_at(env, decoder, 3 + (2 + 1) * EMPTY) == [[], []]


@pytest.mark.parametrize(("per_cycle", "cycles"), [(1, 5), (2, 3), (3, 3), (4, 2)])
def test_symbols_of_one_cycle_come_from_one_word(per_cycle: int, cycles: int) -> None:
    """Four symbols and one: 4 + 1, (2 + 2) + 1, (3 + 1) + 1, 4 + 1 cycles."""
    env = Environment()
    pixels = [3, 9, 10, 40, 63]
    decoder, counts = symbol_decoder(env, Coordinates(6), pixels, rows=8, per_cycle=per_cycle)
    assert hand_over_at(env, decoder, cycles * SYMBOLS) == pixels
    assert counts["decoder_cycles"] == cycles
    assert counts["index_words_read"] == 2


def test_a_list_of_symbols_has_no_tail() -> None:
    """The last one fills the buffer: whatever pixels follow, the list is at its end."""
    env = Environment()
    decoder, _ = symbol_decoder(env, Coordinates(6), [1, 5], rows=2)
    assert hand_over_at(env, decoder, 2 * SYMBOLS) == [1, 5]
    assert decoder.ready.triggered
    assert decoder.hand_over() == [[]]


def test_a_list_without_ones_costs_nothing() -> None:
    env = Environment()
    decoder, counts = symbol_decoder(env, RunLengths(2), [], rows=2)
    env.run(until=decoder.ready)
    assert env.now == 0
    assert decoder.hand_over() == [[]]
    assert not counts["index_words_read"]


@pytest.mark.parametrize(("pixel", "cycles"), [(0, 1), (2, 1), (3, 2), (5, 2), (6, 3), (10, 4)])
def test_escapes_cost_what_other_symbols_cost(pixel: int, cycles: int) -> None:
    """b = 2, so three zeros an escape: 2 zeros are one symbol, 3 an escape and one symbol."""
    env = Environment()
    decoder, _ = symbol_decoder(env, RunLengths(2), [pixel], rows=2)
    assert hand_over_at(env, decoder, cycles * SYMBOLS) == [pixel]


@pytest.mark.parametrize(("rows", "cycles"), [(1, 4), (2, 2), (3, 2), (4, 1)])
def test_room_counts_symbols_also_where_they_are_escapes(rows: int, cycles: int) -> None:
    """E = 4, b = 2, pixel 10: escapes for 0-2, 3-5, 6-8 and the symbol 1 make one word."""
    env = Environment()
    decoder, _ = symbol_decoder(env, RunLengths(2), [10], rows=rows, per_cycle=4)
    assert hand_over_at(env, decoder, cycles * SYMBOLS) == [10]


def test_escapes_take_no_room() -> None:
    """E = R = 2, b = 2. Pixels 6 and 7: two escapes leave room for both symbols."""
    env = Environment()
    decoder, _ = symbol_decoder(env, RunLengths(2), [6, 7], rows=2, per_cycle=2)
    assert hand_over_at(env, decoder, 2 * SYMBOLS) == [6, 7]


def test_an_escape_and_its_one_need_room_for_two_in_one_cycle() -> None:
    """Pixels 4 and 8: an escape and 1; then, with room for one, an escape, and its 0 after it."""
    env = Environment()
    decoder, _ = symbol_decoder(env, RunLengths(2), [4, 8], rows=2, per_cycle=2)
    assert hand_over_at(env, decoder, 3 * SYMBOLS) == [4, 8]


def test_a_full_buffer_blocks_escapes() -> None:
    """Pixel 0 fills the buffer; escapes for 1-3, 4-6 and the symbol of 7 wait until cycle 10."""
    env = Environment()
    decoder, counts = symbol_decoder(env, RunLengths(2), [0, 7], rows=1)
    env.run(until=10)
    assert counts["decoder_cycles"] == 1
    assert decoder.hand_over() == [[0]]
    assert hand_over_at(env, decoder, 10 + 3 * SYMBOLS) == [7]
