"""Passes worked out by hand: rounds, beats, drains, bitmap lists, one decoder each or shared."""

from __future__ import annotations

from by_hand import NOTHING
from hand_worked import EMIT, PASS, READ, ROW, STEP, WAITS, Hand, beside_base

SHARED = {"decoders": "shared"}

FULL_AND_AHEAD = [[0, 1, 48, 49], [32, 33], NOTHING, NOTHING]
"""R = 2, 8 words. List 0 has two ones in word 0 and two in word 6, list 1 two in word 4."""

PASSES = [
    # R = 2: 8 rounds of two beats, 4 steps >= R; then R cycles of drain.
    Hand(
        "a pass without conflicts is its steps and its last drain", "dense", 16,
        {"base": 8 * 4 * STEP, "drain": 2 * ROW},
        {
            "macs_base": 2 * 16 * 4, "activation_word_reads": 16 * 2, "line_fills": 16 * 2,
            "weight_word_reads": 8 * 4, "psum_base_writes": 16, "psum_output_reads": 16,
            "output_ops": 2 * 16, "macs_conditional": 0, "decoder_cycles": 0,
            "mask_bits_written": 0, "comparator_ops": 0,
        },
        machine={"rows": 2},
    ),
    # R = 8: two rounds of 4 steps and 4 more cycles of drain each, the first one too; then 8.
    Hand(
        "a round waits for the other bank to drain", "dense", 16,
        {"base": 2 * 4 * STEP, "drain": 2 * (8 * ROW - 4 * STEP) + 8 * ROW},
        machine={"rows": 8},
    ),
    # 9 pixels, R = 8: the second round holds one pixel.
    Hand(
        "a part-filled round drains as long as a full one", "dense", 9,
        {"base": 2 * 4 * STEP, "drain": 2 * (8 * ROW - 4 * STEP) + 8 * ROW},
        {"psum_base_writes": 9, "weight_word_reads": 8},
        machine={"rows": 8},
    ),
    # B = 1, R = 4: 4 words for each beat of 2 steps; 2 rounds of 2 beats. X = 8 > R.
    Hand(
        "a beat waits for the fullest bank", "dense", 8,
        {"base": 2 * 4 * STEP, "bank_stall": 2 * 2 * (4 * READ - 2 * STEP), "drain": 4 * ROW},
        machine={"banks": 1},
    ),
    # B = 2, R = 4: two words of each bank in two steps.
    Hand(
        "a load of the beat's steps costs nothing", "dense", 8,
        {"base": 2 * 4 * STEP, "drain": 4 * ROW},
        machine={"banks": 2},
    ),
    # N = 0: both lists have two empty words. No round, no drain.
    Hand(
        "empty lists cost their scan alone", "unstructured", 16,
        beside_base(decode_stall=2 * PASS),
        {"decoder_cycles": 4 * PASS, "index_words_read": 4, "psum_conditional_reads": 0},
    ),
    # Pixel 0 is found after 1 cycle; the list of two words ends after 2.
    Hand(
        "a part-filled last round waits for the scan", "unstructured", 16,
        beside_base(decode_stall=EMIT + PASS, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        {"macs_conditional": 2, "psum_conditional_reads": 1, "psum_conditional_writes": 1},
        masks=[[0], NOTHING, NOTHING, NOTHING],
    ),
    # 8 ones: S_0 = 4; the second four take 4 cycles, as long as X = R = 4: no more stall.
    Hand(
        "the next round is decoded meanwhile", "unstructured", 16,
        beside_base(decode_stall=4 * EMIT, conditional=4 * STEP, drain=2 * WAITS + 4 * ROW),
        masks=[range(8), range(8), NOTHING, NOTHING],
    ),
    # List 0 is full after 4 cycles and has a tail of 1. List 1 finds 0, 8, 9 and passes no word.
    Hand(
        "the slowest list sets the pace", "unstructured", 16,
        beside_base(decode_stall=4 * EMIT, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        {"decoder_cycles": 4 * EMIT + PASS + 3 * EMIT},
        masks=[range(4), [0, 8, 9], NOTHING, NOTHING],
    ),
    # 48 pixels, 6 words: full after 4 cycles, tail of 5 against X = 4. 12 rounds of the base pass.
    Hand(
        "a tail longer than the round stalls", "unstructured", 48,
        {
            "base": 24 * STEP, "conditional": 2 * STEP,
            "drain": 12 * WAITS + 4 * ROW + WAITS + 4 * ROW,
            "decode_stall": 4 * EMIT + (5 * PASS - 4 * ROW),
        },
        masks=[range(4), range(4), NOTHING, NOTHING],
    ),
    # Slot 0: 2 and 4 + 2 cycles; list 0 passes no word while it waits. Slot 1: 5 + 2, and a tail
    # of 3, beside X = 2. Slot 2: a tail of 1. The base pass: 32 rounds of X = 2, then 2.
    Hand(
        "a decoder ahead of the others waits with a full buffer", "unstructured", 64,
        {
            "base": 64 * STEP, "conditional": 2 * 2 * STEP, "drain": 2 * ROW + 2 * ROW,
            "decode_stall": 4 * PASS + 2 * EMIT + (5 * PASS + 2 * EMIT - 2 * STEP),
        },
        {"decoder_cycles": (4 * EMIT + 6 * PASS) + (2 * EMIT + 7 * PASS)},
        masks=FULL_AND_AHEAD, machine={"rows": 2},
    ),
    # B = 1: both lists ask for words 0 to 3, four cycles for two steps; X = 4 = R. Two base rounds.
    Hand(
        "equal words of all lists are read once", "unstructured", 8,
        {
            "base": 4 * STEP, "conditional": 2 * STEP, "bank_stall": 3 * (4 * READ - 2 * STEP),
            "drain": 4 * ROW + 4 * ROW, "decode_stall": 4 * EMIT,
        },
        {"activation_word_reads": 8 + 4, "line_fills": 2 * 8 + 2 * 4},
        masks=[range(4), range(4), NOTHING, NOTHING], machine={"banks": 1},
    ),
    # Lanes are set at 0 and 1: one list {0, 1}, two cycles and an empty word; half is idle.
    Hand(
        "lockstep runs where any lane is set", "lockstep-2", 16,
        beside_base(decode_stall=2 * EMIT + PASS, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        {
            "macs_conditional": 2 * 2, "macs_gated_off": 2 * 2, "index_words_read": 2 * 2,
            "mask_bits_written": 2 * 16, "decoder_cycles": 2 * EMIT + PASS,
            "psum_conditional_reads": 2,
        },
        masks=[[0], [1], NOTHING, NOTHING],
    ),
    # One list of the two lanes: 3, in word 0, and 8, in word 1.
    Hand(
        "a structured lane group stores one list", "structured-2x", 16,
        beside_base(decode_stall=2 * EMIT, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        {
            "macs_conditional": 2 * 2 * 2, "macs_gated_off": 0, "index_words_read": 2,
            "mask_bits_written": 16, "decoder_cycles": 2 * EMIT, "psum_conditional_reads": 2,
        },
        masks=[[3, 8], [3, 8], NOTHING, NOTHING],
    ),
    # Two passes alike; one lane of pixels 0 and 1, both of pixel 5: 4 lanes of 32.
    Hand(
        "the clock-gated scheme visits every pixel", "clock-gated", 16,
        beside_base(conditional=4 * 2 * STEP, drain=4 * WAITS + 4 * ROW),
        {
            "macs_conditional": 4 * 2, "macs_gated_off": 28 * 2, "psum_conditional_writes": 3,
            "index_words_read": 4, "decoder_cycles": 0,
        },
        masks=[[0, 5], [1, 5], NOTHING, NOTHING],
    ),
    # S_0 = 4 + 4. Both tails of a word, 1 + 1, are scanned beside X.
    Hand(
        "a shared decoder fills one buffer after the other", "unstructured", 16,
        beside_base(decode_stall=8 * EMIT, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        {"decoder_cycles": 8 * EMIT + 2 * PASS},
        masks=[range(4), range(4), NOTHING, NOTHING], machine=SHARED,
    ),
    # Two words each.
    Hand(
        "a shared decoder scans empty lists too", "unstructured", 16,
        beside_base(decode_stall=4 * PASS),
        machine=SHARED,
    ),
    # Full after 4 cycles each; 3 words leave tails of 2 + 2 = X.
    Hand(
        "tails of a shared decoder as long as the round", "unstructured", 24,
        {
            "base": 12 * STEP, "conditional": 2 * STEP, "drain": 7 * WAITS + 8 * ROW,
            "decode_stall": 8 * EMIT,
        },
        masks=[range(4), range(4), NOTHING, NOTHING], machine=SHARED,
    ),
    # 4 words leave 3 + 3 > X.
    Hand(
        "tails of a shared decoder add up", "unstructured", 32,
        {
            "base": 16 * STEP, "conditional": 2 * STEP, "drain": 9 * WAITS + 8 * ROW,
            "decode_stall": 8 * EMIT + (6 * PASS - 4 * ROW),
        },
        masks=[range(4), range(4), NOTHING, NOTHING], machine=SHARED,
    ),
    # The lists of two private decoders above. Slot 0: 2 + 6 cycles. Slot 1: 7 + 3, of which 2
    # beside round 0. Slot 2: a tail of 1.
    Hand(
        "a shared decoder adds what private ones do side by side", "unstructured", 64,
        {
            "base": 64 * STEP, "conditional": 2 * 2 * STEP, "drain": 2 * ROW + 2 * ROW,
            "decode_stall": 2 * EMIT + (4 * PASS + 2 * EMIT)
            + (5 * PASS + 2 * EMIT) + 3 * PASS - 2 * STEP,
        },
        {"decoder_cycles": (4 * EMIT + 6 * PASS) + (2 * EMIT + 7 * PASS)},
        masks=FULL_AND_AHEAD, machine={"rows": 2, **SHARED},
    ),
]  # fmt: skip
