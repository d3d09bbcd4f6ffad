"""Options of the machine worked out by hand: lists of symbols, systolic feed, idealised banks."""

from __future__ import annotations

from by_hand import NOTHING
from hand_worked import (
    BASE_OF_16,
    EMIT,
    HOP,
    PASS,
    READ,
    ROW,
    STEP,
    SYMBOLS,
    WAITS,
    Hand,
    beside_base,
)

COORDINATE, RUN_LENGTH = {"index_format": "coordinate"}, {"index_format": "run-length"}
SYSTOLIC = {"feed": "systolic"}
FOUR_EACH = [range(4), range(4), NOTHING, NOTHING]
UNWRITTEN = {"mask_bits_written": 0, "index_words_read": 0, "decoder_cycles": 0}

LISTS_OF_SYMBOLS = [
    # P = 64: 6 bits, 5 of them in a word of 32. E = 2: 2 + 2, then the word's last, then one.
    # S_0 = 2; the second slot's 2 cycles are hidden. The other list has no ones and costs nothing.
    Hand(
        "a coordinate list is its ones", "unstructured", 16,
        beside_base(
            decode_stall=2 * SYMBOLS, conditional=2 * 2 * STEP, drain=2 * WAITS + 4 * ROW
        ),
        {
            "mask_bits_written": 6 * 6, "index_words_read": 2,
            "decoder_cycles": 2 * SYMBOLS + 2 * SYMBOLS, "psum_conditional_writes": 6,
        },
        masks=[range(10, 16), NOTHING, NOTHING, NOTHING],
        machine={**COORDINATE, "word_bits": 32, "indices_per_cycle": 2},
    ),
    *(
        Hand(f"empty {name} lists cost nothing", "unstructured", 16, BASE_OF_16, UNWRITTEN,
             machine=form)
        for name, form in (("coordinate", COORDINATE), ("run-length", RUN_LENGTH))
    ),
    # The bitmap's case of 48 pixels: four cycles, and then not one.
    *(
        Hand(
            f"{name} lists have no tail", "unstructured", 48,
            {
                "base": 24 * STEP, "conditional": 2 * STEP, "drain": 13 * WAITS + 8 * ROW,
                "decode_stall": 4 * SYMBOLS,
            },
            {"decoder_cycles": 8 * SYMBOLS}, FOUR_EACH, form,
        )
        for name, form in (("coordinate", COORDINATE), ("run-length", RUN_LENGTH))
    ),
    # Not those of the tile at hand: of one pixel here. R = 1 has nothing to wait for.
    *(
        Hand(
            f"coordinates of a tile of {pixels} have {bits} bits", "unstructured", 1,
            {"base": 2 * STEP, "conditional": 2 * STEP, "drain": 2 * ROW, "decode_stall": SYMBOLS},
            {"mask_bits_written": bits}, [[0], NOTHING, NOTHING, NOTHING],
            {**COORDINATE, "rows": 1, "tile_pixels": pixels},
        )
        for pixels, bits in (
            (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6), (65, 7), (128, 7)
        )
    ),
    # b = 2, four symbols to a word. Pixel 10 has three escapes; pixel 15 one for 11-13, and 1.
    # Four cycles for word 0, two for word 1: S_0 = 6. The other list has one symbol.
    Hand(
        "a run-length list is its ones and escapes", "unstructured", 16,
        beside_base(decode_stall=6 * SYMBOLS, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        {
            "mask_bits_written": (6 + 1) * 2, "index_words_read": 2 + 1,
            "decoder_cycles": 7 * SYMBOLS,
        },
        [[10, 15], [2], NOTHING, NOTHING], {**RUN_LENGTH, "run_length_bits": 2},
    ),
    # The same lists: S_0 = 6 + 1.
    Hand(
        "a shared decoder takes symbol lists in turn", "unstructured", 16,
        beside_base(decode_stall=7 * SYMBOLS, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        masks=[[10, 15], [2], NOTHING, NOTHING],
        machine={**RUN_LENGTH, "run_length_bits": 2, "decoders": "shared"},
    ),
    # b = 2, four symbols to a word, E = 4. Followed is {0, 9, 10}: 0, 3, 3, 2 and 0 are two words,
    # two cycles. Stored and read are {0, 10}: 0, 3, 3, 3 and 0, two words; and {9}: 3, 3, 3, 0.
    Hand(
        "lockstep follows the OR and stores the lanes", "lockstep-2", 16,
        beside_base(decode_stall=2 * SYMBOLS, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        {
            "mask_bits_written": (5 + 4) * 2, "index_words_read": 2 + 1,
            "decoder_cycles": 2 * SYMBOLS, "macs_conditional": 3 * 2, "macs_gated_off": 3 * 2,
        },
        [[0, 10], [9], NOTHING, NOTHING],
        {**RUN_LENGTH, "run_length_bits": 2, "indices_per_cycle": 4},
    ),
    Hand(
        "a structured lane group stores one list of coordinates", "structured-2x", 16,
        beside_base(decode_stall=2 * SYMBOLS, conditional=2 * STEP, drain=WAITS + 4 * ROW),
        {"mask_bits_written": 2 * 6, "index_words_read": 2, "macs_conditional": 2 * 2 * 2},
        [[3, 7], [3, 7], NOTHING, NOTHING], COORDINATE,
    ),
    # The bitmaps' counts, two lists of two words.
    *(
        Hand(
            f"the clock-gated scheme keeps bitmaps, not {name} lists", "clock-gated", 16,
            beside_base(conditional=4 * 2 * STEP, drain=4 * WAITS + 4 * ROW),
            {"mask_bits_written": 2 * 16, "index_words_read": 4, "decoder_cycles": 0},
            [[0, 5], [1, 5], NOTHING, NOTHING], form,
        )
        for name, form in (("coordinate", COORDINATE), ("run-length", RUN_LENGTH))
    ),
]  # fmt: skip

SKEWED = {"base": 4 * 2 * STEP, "drain": 4 * (4 + 2 - 2) * HOP}
"""The base pass of 16 pixels, R = 4, C = 2."""

SYSTOLIC_FEED = [
    # 4 rounds of two beats: 4 steps and R + C - 2 = 4 cycles of skew each, and no more.
    Hand(
        "a systolic round takes the skew and drains within it", "dense", 16,
        {"base": 4 * 4 * STEP, "drain": 4 * 4 * HOP}, {"psum_base_writes": 16}, machine=SYSTOLIC,
    ),
    # C = 3, a tile of 3 columns and one of 1; R = 4, 5 pixels: 2 rounds and 4 + 3 - 2 = 5.
    *(
        Hand(
            f"the skew is the array's whatever tile {tile} fills", "dense", 5,
            {"base": 2 * 4 * STEP, "drain": 2 * 5 * HOP},
            machine={**SYSTOLIC, "columns": 3}, tile=tile,
        )
        for tile in (0, 1)
    ),
    # Four channel tiles of 2 pixels, one pixel a round; nothing to wait for.
    Hand(
        "one systolic PE has no skew", "dense", 2, {"base": 2 * 4 * STEP},
        machine={**SYSTOLIC, "rows": 1, "columns": 1},
    ),
    # R = 4, V = 1 or 2; two rounds of 2 steps. S_0 = 4; 4 more ones beside X = 2 + skew > 4.
    *(
        Hand(
            f"the skew of a conditional round is its lane group's: {scheme}", scheme, 16,
            {
                "base": SKEWED["base"], "conditional": 2 * 2 * STEP,
                "drain": SKEWED["drain"] + 2 * (4 + lanes - 2) * HOP, "decode_stall": 4 * EMIT,
            },
            masks=[range(8), range(8), NOTHING, NOTHING], machine=SYSTOLIC,
        )
        for scheme, lanes in (("unstructured", 1), ("structured-2x", 2))
    ),
    # V = 5 in a tile of 2 columns: 4 + 5 - 2 = 7. Two pixels to find, a word to pass.
    Hand(
        "the skew is the lane group's whatever the tile fills", "lockstep-5", 16,
        {
            "base": SKEWED["base"], "conditional": 2 * STEP,
            "drain": SKEWED["drain"] + 7 * HOP, "decode_stall": 2 * EMIT + PASS,
        },
        masks=[[0], [1], NOTHING, NOTHING], machine={**SYSTOLIC, "lane_group": 5},
    ),
    Hand(
        "the clock-gated scheme's skew is the array's in both passes", "clock-gated", 16,
        {"base": SKEWED["base"], "conditional": 4 * 2 * STEP, "drain": 2 * SKEWED["drain"]},
        masks=[[0], [5], [1], [2]], machine=SYSTOLIC,
    ),
    # X = 2 + 3 = 5 with V = 1; the tail is one word less than the list: 5 or 6.
    *(
        Hand(
            f"decoding {words} words goes on during the skew", "unstructured", 8 * words,
            {
                "base": 2 * words * 2 * STEP, "conditional": 2 * STEP,
                "drain": 2 * words * 4 * HOP + 3 * HOP,
                "decode_stall": 4 * EMIT + (words - 1) * PASS - min(words - 1, 2 + 3),
            },
            masks=FOUR_EACH, machine=SYSTOLIC,
        )
        for words in (6, 7)
    ),
    # B = 1: 4 words for each beat of 2 steps.
    Hand(
        "a systolic beat waits for its words too", "dense", 8,
        {
            "base": 2 * 4 * STEP, "bank_stall": 2 * 2 * (4 * READ - 2 * STEP),
            "drain": 2 * 4 * HOP,
        },
        machine={**SYSTOLIC, "banks": 1},
    ),
]  # fmt: skip

BANKS = [
    # B = 3. Seven words, four of them in bank 0: 4 cycles, ceil(7 / 3) = 3, or none; 2 steps.
    # Both lists take 4 cycles to decode. The base rounds have at most two words of a bank.
    *(
        Hand(
            f"{conflicts} bank conflicts change cycles and no reads", "unstructured", 16,
            beside_base(
                decode_stall=4 * EMIT, conditional=2 * STEP, bank_stall=stall,
                drain=WAITS - stall + 4 * ROW,
            ),
            {"activation_word_reads": 16 + 7, "line_fills": 2 * 16 + 7},
            [[0, 3, 6, 9], [1, 4, 7], NOTHING, NOTHING],
            {"banks": 3, "bank_conflicts": conflicts},
        )
        for conflicts, stall in (
            ("exact", 4 * READ - 2 * STEP), ("bandwidth", 3 * READ - 2 * STEP), ("none", 0)
        )
    ),
    # Four words for a beat of 2 steps, in 2 rounds of 2 beats of R = 4.
    *(
        Hand(
            f"one bank has the bandwidth of one word: {conflicts}", "dense", 8,
            {"base": 2 * 4 * STEP, "bank_stall": 4 * stall, "drain": 4 * ROW},
            machine={"banks": 1, "bank_conflicts": conflicts},
        )
        for conflicts, stall in (
            ("exact", 4 * READ - 2 * STEP), ("bandwidth", 4 * READ - 2 * STEP), ("none", 0)
        )
    ),
]  # fmt: skip
