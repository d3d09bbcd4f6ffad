"""The reference's parts on cases worked out by hand: blocked in one cycle, ready in the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import pytest
from simpy import Environment

from hwsim.model.reference.latencies import LATENCIES
from hwsim.model.reference.parts import Banks, Counts, dma, drain, output_stage, wave


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
        filled = banks.request(Counter(addresses), counts)
        env.run(until=filled)
        assert env.now - start == cycles * LATENCIES.bank_word
        assert counts["activation_word_reads"] == (beat + 1) * words
        assert counts["line_fills"] == (beat + 1) * len(addresses)


def test_beats_that_ask_in_one_instant_share_no_word() -> None:
    """Bank 2 serves word 6 of the first beat, then of the second; word 7 waits for nothing."""
    env, counts = Environment(), Counts()
    banks = Banks(env, 4)
    first = banks.request(Counter([6]), counts)
    second = banks.request(Counter([6, 7]), counts)
    env.run(until=first)
    assert env.now == LATENCIES.bank_word
    assert counts == {"activation_word_reads": 2, "line_fills": 2}
    env.run(until=second)
    assert env.now == 2 * LATENCIES.bank_word
    assert counts == {"activation_word_reads": 3, "line_fills": 3}


def test_the_drain_takes_its_turn_at_rows_that_hold_nothing() -> None:
    env = Environment()
    seen: list[tuple[int, dict[int, int]]] = []
    bank = [{0: 7, 1: 3}, {0: 8}, {}, {}]
    done = env.process(drain(env, bank, lambda entries: seen.append((env.now, dict(entries)))))
    env.run(until=done)
    assert env.now == 4 * LATENCIES.drained_row
    assert seen == [(1, {0: 7, 1: 3}), (2, {0: 8})]


@pytest.mark.parametrize(("conflicts", "cycles"), [("exact", 4), ("bandwidth", 2), ("none", 1)])
def test_idealised_banks_serve_any_words(
    conflicts: Literal["exact", "bandwidth", "none"], cycles: int
) -> None:
    """Bank 0 of 3 has four of five words: four cycles; any three words: two; or all at once."""
    env, counts = Environment(), Counts()
    filled = Banks(env, 3, conflicts).request(Counter([0, 3, 6, 9, 1, 3]), counts)
    env.run(until=filled)
    assert env.now == cycles * LATENCIES.bank_word
    assert counts == {"activation_word_reads": 5, "line_fills": 6}


def test_a_row_is_done_a_hop_after_the_row_before() -> None:
    """Three columns: two hops to the last one; row 1 holds nothing and takes its turn."""
    env = Environment()
    seen: list[tuple[int, dict[int, int]]] = []
    bank = [{0: 7}, {}, {0: 8}]
    done = env.process(wave(env, bank, 3, lambda entries: seen.append((env.now, dict(entries)))))
    env.run(until=done)
    assert env.now == (2 + 2) * LATENCIES.hop
    assert seen == [(2, {0: 7}), (4, {0: 8})]


def test_the_output_stage_takes_all_columns_of_a_pixel_at_once() -> None:
    env, counts = Environment(), Counts()
    env.run(until=env.process(output_stage(env, 5, width=3, lane_groups=2, counts=counts)))
    assert env.now == 5 * LATENCIES.output_pixel
    assert counts == {"psum_output_reads": 10, "output_ops": 15}


def test_dma_transfers_follow_one_another() -> None:
    env = Environment()
    env.run(until=env.process(dma(env, store=5, exposed=0, load=7)))
    assert env.now == 12
