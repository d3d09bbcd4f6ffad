"""The reference on whole layers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

from by_hand import NOTHING, conditional, machine, run_by_hand


def test_a_pass_without_conflicts_is_its_steps_and_its_last_drain() -> None:
    """R = 2: 8 rounds of two beats, 4 steps >= R; then R cycles of drain."""
    run = run_by_hand(machine(rows=2), "dense", 16)
    assert run.cycles[0] == {"base": 8 * 4, "drain": 2}
    assert run.counters[0] == {
        "macs_base": 2 * 16 * 4,
        "activation_word_reads": 16 * 2,
        "line_fills": 16 * 2,
        "weight_word_reads": 8 * 4,
        "psum_base_writes": 16,
        "psum_output_reads": 16,
        "output_ops": 2 * 16,
    }


def test_a_round_waits_for_the_other_bank_to_drain() -> None:
    """R = 8: two rounds of 4 steps and 4 more cycles of drain each, the first one too; then 8."""
    run = run_by_hand(machine(rows=8), "dense", 16)
    assert run.cycles[0] == {"base": 2 * 4, "drain": 2 * 4 + 8}


def test_a_part_filled_round_drains_as_long_as_a_full_one() -> None:
    """9 pixels, R = 8: the second round holds one pixel."""
    run = run_by_hand(machine(rows=8), "dense", 9)
    assert run.cycles[0] == {"base": 2 * 4, "drain": 2 * 4 + 8}
    assert run.counters[0]["psum_base_writes"] == 9
    assert run.counters[0]["weight_word_reads"] == 8


def test_a_beat_waits_for_the_fullest_bank() -> None:
    """B = 1, R = 4: 4 words for each beat of 2 steps; 2 rounds of 2 beats. X = 8 > R."""
    run = run_by_hand(machine(banks=1), "dense", 8)
    assert run.cycles[0] == {"base": 2 * 4, "bank_stall": 2 * 2 * 2, "drain": 4}


def test_a_load_of_the_beats_steps_costs_nothing() -> None:
    """B = 2, R = 4: two words of each bank in two steps."""
    run = run_by_hand(machine(banks=2), "dense", 8)
    assert run.cycles[0] == {"base": 2 * 4, "drain": 4}


def test_empty_lists_cost_their_scan_alone() -> None:
    """N = 0: both lists have two empty words. No round, no drain."""
    run = run_by_hand(machine(), "unstructured", 16, [NOTHING] * 4)
    assert conditional(run) == {"decode_stall": 2}
    assert run.counters[0]["decoder_cycles"] == 4
    assert run.counters[0]["index_words_read"] == 4


def test_a_part_filled_last_round_waits_for_the_scan() -> None:
    """Pixel 0 is found after 1 cycle; the list of two words ends after 2."""
    run = run_by_hand(machine(), "unstructured", 16, [[0], NOTHING, NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 2, "conditional": 2, "drain": 2 + 4}
    assert run.counters[0]["macs_conditional"] == 2
    assert run.counters[0]["psum_conditional_writes"] == 1


def test_the_next_round_is_decoded_meanwhile() -> None:
    """8 ones: S_0 = 4; the second four take 4 cycles, as long as X = R = 4: no more stall."""
    lists = [range(8), range(8), NOTHING, NOTHING]
    run = run_by_hand(machine(), "unstructured", 16, lists)
    assert conditional(run) == {"decode_stall": 4, "conditional": 4, "drain": 4 + 4}


def test_the_slowest_list_sets_the_pace() -> None:
    """List 0 is full after 4 cycles. List 1 finds 0, 8, 9 and passes no word: 3 cycles."""
    run = run_by_hand(machine(), "unstructured", 16, [range(4), [0, 8, 9], NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 4, "conditional": 2, "drain": 2 + 4}
    # v: 4 and the tail of 1; 3.
    assert run.counters[0]["decoder_cycles"] == 5 + 3


def test_a_tail_longer_than_the_round_stalls() -> None:
    """48 pixels, 6 words: full after 4 cycles, tail of 5 against X = 4.

    The base pass has 12 rounds: 24 steps, 24 + 4 cycles of drain.
    """
    run = run_by_hand(machine(), "unstructured", 48, [range(4), range(4), NOTHING, NOTHING])
    assert run.cycles[0] == {
        "base": 24,
        "conditional": 2,
        "drain": 24 + 4 + 2 + 4,
        "decode_stall": 4 + 1,
    }


def test_a_decoder_ahead_of_the_others_waits_with_a_full_buffer() -> None:
    """R = 2, 8 words. List 0 has two ones in word 0 and two in word 6, list 1 two in word 4.

    Slot 0: 2 and 4 + 2 cycles; list 0 passes no word while it waits. Slot 1: 5 + 2, and a tail
    of 3, beside X = 2. Slot 2: a tail of 1. The base pass has 32 rounds of X = 2 and ends with 2.
    """
    lists = [[0, 1, 48, 49], [32, 33], NOTHING, NOTHING]
    run = run_by_hand(machine(rows=2), "unstructured", 64, lists)
    assert run.cycles[0] == {
        "base": 64,
        "conditional": 2 * 2,
        "drain": 2 + 2,
        "decode_stall": 6 + (7 - 2),
    }
    assert run.counters[0]["decoder_cycles"] == (2 + 7 + 1) + (6 + 3)


def test_equal_words_of_all_lists_are_read_once() -> None:
    """B = 1: both lists ask for words 0 to 3, four cycles for two steps; X = 4 = R."""
    lists = [range(4), range(4), NOTHING, NOTHING]
    run = run_by_hand(machine(banks=1), "unstructured", 8, lists)
    # Two base rounds, each 2 steps and 2 cycles of stall, then the last drain of 4; S_0 = 4.
    assert run.cycles[0] == {
        "base": 4,
        "conditional": 2,
        "bank_stall": 3 * 2,
        "drain": 4 + 4,
        "decode_stall": 4,
    }
    assert run.counters[0]["activation_word_reads"] == 8 + 4
    assert run.counters[0]["line_fills"] == 2 * 8 + 2 * 4


def test_lockstep_runs_where_any_lane_is_set() -> None:
    """Lanes are set at 0 and 1: one list {0, 1}, two cycles and an empty word; half is idle."""
    run = run_by_hand(machine(), "lockstep-2", 16, [[0], [1], NOTHING, NOTHING])
    assert conditional(run) == {"decode_stall": 3, "conditional": 2, "drain": 2 + 4}
    counters = run.counters[0]
    assert (counters["macs_conditional"], counters["macs_gated_off"]) == (2 * 2, 2 * 2)
    assert (counters["index_words_read"], counters["mask_bits_written"]) == (2 * 2, 2 * 16)
    assert counters["decoder_cycles"] == 3
    assert counters["psum_conditional_reads"] == 2


def test_the_gated_scheme_visits_every_pixel() -> None:
    """Two passes alike; one lane of pixels 0 and 1, both of pixel 5: 4 lanes of 32."""
    run = run_by_hand(machine(), "gated", 16, [[0, 5], [1, 5], NOTHING, NOTHING])
    assert conditional(run) == {"conditional": 4 * 2, "drain": 4 * 2 + 4}
    counters = run.counters[0]
    assert (counters["macs_conditional"], counters["macs_gated_off"]) == (4 * 2, 28 * 2)
    assert counters["psum_conditional_writes"] == 3
    assert counters["index_words_read"] == 4
    assert "decoder_cycles" not in counters


def dense_tiles(**transfers: Sequence[int]) -> list[dict[str, int]]:
    """Four tiles of 8 pixels and 1 (weights outer, R = 4, P = 8), with these transfers.

    T = 2 rounds x 4 steps + 4 = 12 for the long tiles, 4 + 4 = 8 for the short ones.
    """
    return run_by_hand(machine(tile_pixels=8), "dense", 9, **transfers).cycles


def test_the_output_stage_ends_behind_the_last_tile() -> None:
    """8 pixels beside a short tile of 8 cycles; one pixel at the end."""
    assert dense_tiles() == [
        {"base": 8, "drain": 4},
        {"base": 4, "drain": 4},
        {"base": 8, "drain": 4},
        {"base": 4, "drain": 4, "output_stall": 1},
    ]


def test_an_output_stage_longer_than_the_next_tile_stalls() -> None:
    """R = 2, P = 8: a tile of one pixel takes 4 + 2 = 6 cycles beside 8 pixels."""
    cycles = run_by_hand(machine(rows=2, tile_pixels=8), "dense", 9).cycles
    assert cycles[1] == {"base": 4, "drain": 2, "output_stall": 2}
    assert cycles[3] == {"base": 4, "drain": 2, "output_stall": 2 + 1}


def test_transfers_as_long_as_the_tile_are_hidden() -> None:
    """Beside tile 1 (8 cycles): 5 to store and 3 to load; but for the first load all is hidden."""
    cycles = dense_tiles(loads=[7, 12, 3, 0, 3], stores=[5, 0, 5, 1])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [7, 0, 0, 0]


def test_transfers_one_cycle_longer_are_not() -> None:
    cycles = dense_tiles(loads=[7, 13, 4, 0, 4], stores=[5, 0, 5, 2])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [7 + 1, 1, 0, 1 + 1]
    assert cycles[3]["output_stall"] == 1


def test_a_transfer_longer_than_the_output_stage_stalls_for_the_rest() -> None:
    """R = 2: 6 cycles compute, 8 pixels are emptied, 11 cycles transfer."""
    arch = machine(rows=2, tile_pixels=8)
    cycles = run_by_hand(arch, "dense", 9, loads=[0, 0, 11, 0, 0]).cycles
    assert cycles[1] == {"base": 4, "drain": 2, "output_stall": 2, "dram_stall": 3}


def test_exposed_weights_are_hidden_by_nothing() -> None:
    """The output stage waits as well: its 8 pixels still fill tile 3's 8 cycles, no more."""
    cycles = dense_tiles(exposed=[0, 0, 9, 0])
    assert [tile.get("dram_stall", 0) for tile in cycles] == [0, 0, 9, 0]
    assert [tile.get("output_stall", 0) for tile in cycles] == [0, 0, 0, 1]
