"""The reference's parts on cases worked out by hand: blocked in one cycle, ready in the next."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from simpy import Environment

from hwsim.processes import Banks, Counts, Decoder, IndexMemory, dma, drain, output_stage
from hwsim.timing import LATENCIES

EMPTY, EMISSION = LATENCIES.empty_word, LATENCIES.emission


def decoder_of(
    env: Environment, *words: str, rows: int, per_cycle: int = 1
) -> tuple[Decoder, Counts]:
    """A decoder of one list; words of bits are written first pixel first."""
    counts = Counts()
    memory = IndexMemory(1, sum(map(len, words)), len(words[0]), counts)
    for pixel, bit in enumerate("".join(words)):
        memory.write(pixel, [int(bit)])
    return Decoder(env, memory, [0], rows, per_cycle, counts), counts


def hand_over_at(env: Environment, decoder: Decoder, cycle: int) -> list[int]:
    """The buffer that becomes ready in exactly this cycle, taken over in it."""
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
    assert decoder.hand_over() == []


def test_a_full_buffer_blocks() -> None:
    env = Environment()
    decoder, counts = decoder_of(env, "1111", rows=2)
    env.run(until=10)
    assert counts["decoder_cycles"] == 2
    assert decoder.hand_over() == [0, 1]
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
    assert decoder.hand_over() == [0]
    assert hand_over_at(env, decoder, 5 + 3 * EMPTY) == []


def test_a_full_round_at_the_end_of_the_list_has_no_tail() -> None:
    env = Environment()
    decoder, _ = decoder_of(env, "0000", "0011", rows=2)
    assert hand_over_at(env, decoder, EMPTY + 2 * EMISSION) == [6, 7]
    assert decoder.ready.triggered
    assert decoder.hand_over() == []


def test_an_empty_list_is_scanned_and_gives_nothing() -> None:
    env = Environment()
    decoder, _ = decoder_of(env, "0000", "0000", "0000", rows=4)
    assert hand_over_at(env, decoder, 3 * EMPTY) == []


def test_lists_that_share_a_decoder_are_ored_and_those_that_share_words_read_once() -> None:
    counts = Counts()
    memory = IndexMemory(lists=3, pixels=6, word_bits=4, counts=counts)
    memory.write(0, [1, 0, 0])
    memory.write(3, [0, 1, 1])
    memory.write(5, [0, 0, 1])
    assert [memory.read([0, 1], word) for word in range(2)] == [0b1001, 0]
    assert counts["index_words_read"] == 4
    assert [memory.read([1, 2], word) for word in range(2)] == [0b1000, 0b10]
    assert counts["index_words_read"] == 6
    assert counts["mask_bits_written"] == 9


@pytest.mark.parametrize(
    ("addresses", "cycles", "words"),
    [
        ([0, 1, 2, 3], 1, 4),  # every bank once
        ([0, 4, 8, 1], 3, 4),  # bank 0 three times
        ([5, 5, 5], 1, 1),  # one word for three pointers
        ([0, 4, 4, 0, 1, 5, 9, 9], 3, 5),  # banks 0 and 1: two and three words
    ],
)
def test_a_bank_serves_one_distinct_address_a_cycle(
    addresses: Sequence[int], cycles: int, words: int
) -> None:
    env, counts = Environment(), Counts()
    banks = Banks(env, 4)
    for beat in range(2):
        start = env.now
        filled = banks.request(addresses, counts)
        env.run(until=filled)
        assert env.now - start == cycles * LATENCIES.bank_word
        assert counts["activation_word_reads"] == (beat + 1) * words
        assert counts["line_fills"] == (beat + 1) * len(addresses)


def test_requests_of_one_instant_are_granted_together() -> None:
    """Asked one after the other in the same cycle, two pointers still share the word."""
    env, counts = Environment(), Counts()
    banks = Banks(env, 4)
    first = banks.request([6], counts)
    second = banks.request([6, 7], counts)
    env.run(until=first & second)
    assert env.now == LATENCIES.bank_word
    assert counts == {"activation_word_reads": 2, "line_fills": 3}


def test_the_drain_takes_its_turn_at_rows_that_hold_nothing() -> None:
    env = Environment()
    seen: list[tuple[int, dict[int, int]]] = []
    bank = [{0: 7, 1: 3}, {0: 8}, {}, {}]
    done = env.process(drain(env, bank, lambda entries: seen.append((env.now, dict(entries)))))
    env.run(until=done)
    assert env.now == 4 * LATENCIES.drained_row
    assert seen == [(1, {0: 7, 1: 3}), (2, {0: 8})]


def test_the_output_stage_takes_all_columns_of_a_pixel_at_once() -> None:
    env, counts = Environment(), Counts()
    env.run(until=env.process(output_stage(env, 5, width=3, lane_groups=2, counts=counts)))
    assert env.now == 5 * LATENCIES.output_pixel
    assert counts == {"psum_output_reads": 10, "output_ops": 15}


def test_dma_transfers_follow_one_another() -> None:
    env = Environment()
    env.run(until=env.process(dma(env, 5, 0, 7)))
    assert env.now == 12
