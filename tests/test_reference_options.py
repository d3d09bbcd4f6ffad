"""The reference on whole layers worked out by hand, for each option of the machine.

Unless a case says otherwise R = 4, C = 2 and W = 8, a pass has beats of two steps, one when it is
conditional, and X = R = 4.
"""

from __future__ import annotations

import pytest
from by_hand import NOTHING, conditional, machine, run_by_hand

ALL_EMPTY = [NOTHING] * 4


def test_a_shared_decoder_fills_one_buffer_after_the_other() -> None:
    """S_0 = 4 + 4. Both tails of a word, 1 + 1, are scanned beside X."""
    arch = machine(decoders="shared")
    run = run_by_hand(arch, "unstructured", 16, [range(4), range(4), NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 8, "conditional": 2, "drain": 2 + 4}
    assert run.counters[0]["decoder_cycles"] == 8 + 2


def test_a_shared_decoder_scans_empty_lists_too() -> None:
    """Two words each."""
    run = run_by_hand(machine(decoders="shared"), "unstructured", 16, ALL_EMPTY)
    assert conditional(run) == {"decode_stall": 2 + 2}


@pytest.mark.parametrize(("pixels", "stall"), [(24, 0), (32, 2)])
def test_tails_of_a_shared_decoder_add_up(pixels: int, stall: int) -> None:
    """Full after 4 cycles each. 3 words leave tails of 2 + 2 = X; 4 words leave 3 + 3 > X."""
    arch = machine(decoders="shared")
    run = run_by_hand(arch, "unstructured", pixels, [range(4), range(4), NOTHING, NOTHING])
    assert run.cycles[0]["decode_stall"] == 8 + stall


def test_a_shared_decoder_adds_what_private_ones_do_side_by_side() -> None:
    """R = 2, X = 2; the lists of the same case with private decoders.

    Slot 0: 2 + 6 cycles. Slot 1: 7 + 3, of which 2 beside round 0. Slot 2: a tail of 1.
    """
    lists = [[0, 1, 48, 49], [32, 33], NOTHING, NOTHING]
    run = run_by_hand(machine(rows=2, decoders="shared"), "unstructured", 64, lists)
    assert run.cycles[0] == {
        "base": 64,
        "conditional": 2 * 2,
        "drain": 2 + 2,
        "decode_stall": (2 + 6) + (7 + 3 - 2),
    }
    assert run.counters[0]["decoder_cycles"] == (2 + 7 + 1) + (6 + 3)


def test_a_coordinate_list_is_its_ones() -> None:
    """P = 64: 6 bits, 5 of them in a word of 32. E = 2: 2 + 2, then the word's last, then one.

    S_0 = 2; the second slot's 2 cycles are hidden. The other list has no ones and costs nothing.
    """
    arch = machine(index_format="coordinate", word_bits=32, indices_per_cycle=2)
    run = run_by_hand(arch, "unstructured", 16, [range(10, 16), NOTHING, NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 2, "conditional": 2 * 2, "drain": 2 * 2 + 4}
    counters = run.counters[0]
    assert counters["mask_bits_written"] == 6 * 6
    assert counters["index_words_read"] == 2
    assert counters["decoder_cycles"] == 2 + 2
    assert counters["psum_conditional_writes"] == 6


@pytest.mark.parametrize("index_format", ["coordinate", "run-length"])
def test_lists_of_symbols_cost_nothing_where_they_are_empty(index_format: str) -> None:
    run = run_by_hand(machine(index_format=index_format), "unstructured", 16, ALL_EMPTY)
    assert conditional(run) == {}
    written_and_read = {"mask_bits_written", "index_words_read", "decoder_cycles"}
    assert not written_and_read & set(run.counters[0])


@pytest.mark.parametrize("index_format", ["coordinate", "run-length"])
def test_lists_of_symbols_have_no_tail(index_format: str) -> None:
    """The bitmap's case of 48 pixels: four cycles, and then not one."""
    lists = [range(4), range(4), NOTHING, NOTHING]
    run = run_by_hand(machine(index_format=index_format), "unstructured", 48, lists)
    assert run.cycles[0]["decode_stall"] == 4
    assert run.counters[0]["decoder_cycles"] == 4 + 4


@pytest.mark.parametrize(
    ("tile_pixels", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6), (65, 7), (128, 7)]
)
def test_coordinates_have_the_bits_of_a_whole_tile(tile_pixels: int, bits: int) -> None:
    """Not those of the tile at hand: of one pixel here."""
    arch = machine(rows=1, tile_pixels=tile_pixels, index_format="coordinate")
    run = run_by_hand(arch, "unstructured", 1, [[0], NOTHING, NOTHING, NOTHING])
    assert run.counters[0]["mask_bits_written"] == bits


def test_a_run_length_list_is_its_ones_and_escapes() -> None:
    """b = 2, four symbols to a word. Pixel 10 has three escapes; pixel 15 one for 11-13, and 1.

    Four cycles for word 0, two for word 1: S_0 = 6. The other list has one symbol.
    """
    arch = machine(index_format="run-length", run_length_bits=2)
    run = run_by_hand(arch, "unstructured", 16, [[10, 15], [2], NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 6, "conditional": 2, "drain": 2 + 4}
    counters = run.counters[0]
    assert counters["mask_bits_written"] == (6 + 1) * 2
    assert counters["index_words_read"] == 2 + 1
    assert counters["decoder_cycles"] == 6 + 1


def test_a_shared_decoder_takes_symbol_lists_in_turn() -> None:
    """The same lists: S_0 = 6 + 1."""
    arch = machine(index_format="run-length", run_length_bits=2, decoders="shared")
    run = run_by_hand(arch, "unstructured", 16, [[10, 15], [2], NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 7, "conditional": 2, "drain": 2 + 4}


def test_lockstep_follows_the_or_and_stores_the_lanes() -> None:
    """b = 2, four symbols to a word, E = 4.

    Followed is {0, 9, 10}: 0, 3, 3, 2 and 0 are two words, two cycles. Stored and read are {0, 10}:
    0, 3, 3, 3 and 0, two words; and {9}: 3, 3, 3, 0, one word.
    """
    arch = machine(index_format="run-length", run_length_bits=2, indices_per_cycle=4)
    run = run_by_hand(arch, "lockstep-2", 16, [[0, 10], [9], NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 2, "conditional": 2, "drain": 2 + 4}
    counters = run.counters[0]
    assert counters["mask_bits_written"] == (5 + 4) * 2
    assert counters["index_words_read"] == 2 + 1
    assert counters["decoder_cycles"] == 2
    assert (counters["macs_conditional"], counters["macs_gated_off"]) == (3 * 2, 3 * 2)


def test_a_structured_lane_group_stores_one_list() -> None:
    arch = machine(index_format="coordinate")
    run = run_by_hand(arch, "structured-2x", 16, [[3, 7], [3, 7], NOTHING, NOTHING])
    assert run.counters[0]["mask_bits_written"] == 2 * 6
    assert run.counters[0]["index_words_read"] == 2
    assert run.counters[0]["macs_conditional"] == 2 * 2 * 2


@pytest.mark.parametrize("index_format", ["coordinate", "run-length"])
def test_the_gated_scheme_keeps_bitmaps(index_format: str) -> None:
    lists = [[0, 5], [1, 5], NOTHING, NOTHING]
    symbols = run_by_hand(machine(index_format=index_format), "gated", 16, lists)
    assert symbols == run_by_hand(machine(), "gated", 16, lists)


def test_a_systolic_round_takes_the_skew_and_drains_within_it() -> None:
    """Dense, 4 rounds of two beats: 4 steps and R + C - 2 = 4 cycles of skew each, and no more."""
    run = run_by_hand(machine(feed="systolic"), "dense", 16)
    assert run.cycles[0] == {"base": 4 * 4, "drain": 4 * 4}
    assert run.counters[0]["psum_base_writes"] == 16


def test_the_skew_is_the_arrays_whatever_the_tile_fills() -> None:
    """C = 3, a tile of 3 columns and one of 1; R = 4, 5 pixels: 2 rounds and 4 + 3 - 2 = 5."""
    cycles = run_by_hand(machine(feed="systolic", columns=3), "dense", 5).cycles
    assert cycles[0] == {"base": 2 * 4, "drain": 2 * 5}
    assert {name: cycles[1][name] for name in cycles[0]} == cycles[0]


def test_one_systolic_pe_has_no_skew() -> None:
    """Four channel tiles of 2 pixels, one pixel a round; nothing to wait for."""
    run = run_by_hand(machine(feed="systolic", rows=1, columns=1), "dense", 2)
    assert run.cycles[0] == {"base": 2 * 4}


SYSTOLIC_BASE_OF_16 = {"base": 4 * 2, "drain": 4 * 4}


@pytest.mark.parametrize(
    ("scheme", "skew"), [("unstructured", 4 + 1 - 2), ("structured-2x", 4 + 2 - 2)]
)
def test_the_skew_of_a_conditional_round_is_its_lane_groups(scheme: str, skew: int) -> None:
    """R = 4, V = 1 or 2; two rounds of 2 steps. S_0 = 4; 4 more ones beside X = 2 + skew > 4."""
    lists = [range(8), range(8), NOTHING, NOTHING]
    cycles = run_by_hand(machine(feed="systolic"), scheme, 16, lists).cycles[0]
    assert cycles == {
        "base": SYSTOLIC_BASE_OF_16["base"],
        "conditional": 2 * 2,
        "drain": SYSTOLIC_BASE_OF_16["drain"] + 2 * skew,
        "decode_stall": 4,
    }


def test_the_skew_is_the_lane_groups_whatever_the_tile_fills() -> None:
    """V = 5 in a tile of 2 columns: 4 + 5 - 2 = 7. Two pixels to find, a word to pass."""
    arch = machine(feed="systolic", lane_group=5)
    cycles = run_by_hand(arch, "lockstep-5", 16, [[0], [1], NOTHING, NOTHING]).cycles[0]
    assert cycles == {
        "base": SYSTOLIC_BASE_OF_16["base"],
        "conditional": 2,
        "drain": SYSTOLIC_BASE_OF_16["drain"] + 7,
        "decode_stall": 2 + 1,
    }


def test_the_gated_schemes_skew_is_the_arrays_in_both_passes() -> None:
    cycles = run_by_hand(machine(feed="systolic"), "gated", 16, [[0], [5], [1], [2]]).cycles[0]
    assert cycles == {"base": 4 * 2, "conditional": 4 * 2, "drain": 2 * 4 * 4}


@pytest.mark.parametrize(("words", "stall"), [(6, 0), (7, 1)])
def test_decoding_goes_on_during_the_skew(words: int, stall: int) -> None:
    """X = 2 + 3 = 5 with V = 1; the tail is one word less than the list."""
    lists = [range(4), range(4), NOTHING, NOTHING]
    run = run_by_hand(machine(feed="systolic"), "unstructured", 8 * words, lists)
    assert run.cycles[0]["decode_stall"] == 4 + stall


def test_a_systolic_beat_waits_for_its_words_too() -> None:
    """B = 1: 4 words for each beat of 2 steps."""
    run = run_by_hand(machine(feed="systolic", banks=1), "dense", 8)
    assert run.cycles[0] == {"base": 2 * 4, "bank_stall": 2 * 2 * 2, "drain": 2 * 4}


@pytest.mark.parametrize(("bank_conflicts", "stall"), [("exact", 2), ("bandwidth", 1), ("none", 0)])
def test_idealised_banks_change_cycles_and_no_reads(bank_conflicts: str, stall: int) -> None:
    """B = 3. Seven words, four of them in bank 0: 4 cycles, ceil(7 / 3) = 3, or none; 2 steps.

    Both lists take 4 cycles to decode. The base rounds have at most two words of a bank.
    """
    arch = machine(banks=3, bank_conflicts=bank_conflicts)
    run = run_by_hand(arch, "unstructured", 16, [[0, 3, 6, 9], [1, 4, 7], NOTHING, NOTHING])
    expected = {"decode_stall": 4, "conditional": 2, "bank_stall": stall, "drain": 2 - stall + 4}
    assert conditional(run) == {cause: cycles for cause, cycles in expected.items() if cycles}
    assert run.counters[0]["activation_word_reads"] == 16 + 7
    assert run.counters[0]["line_fills"] == 2 * 16 + 7


@pytest.mark.parametrize(("bank_conflicts", "stall"), [("exact", 2), ("bandwidth", 2), ("none", 0)])
def test_one_bank_has_the_bandwidth_of_one_word(bank_conflicts: str, stall: int) -> None:
    """Four words for a beat of 2 steps, in 2 rounds of 2 beats."""
    run = run_by_hand(machine(banks=1, bank_conflicts=bank_conflicts), "dense", 8)
    assert run.cycles[0].get("bank_stall", 0) == 4 * stall
