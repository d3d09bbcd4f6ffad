"""The counters and the causes of cycles (docs/model/counters.md).

Both are fixed, ordered vocabularies: models return int64 arrays whose last axis follows them, so
that results of different models compare with one ``assert_array_equal``.
"""

from __future__ import annotations

COUNTERS: tuple[str, ...] = (
    "macs_base",  # executed in dense and base passes
    "macs_conditional",  # executed in conditional passes
    "macs_gated_off",  # MAC slots that were scheduled but clock-gated by a mask
    "macs_zero_gated",  # MACs that a mask lets run, clock-gated because their operand is zero
    "macs_zero_skipped",  # MACs with a zero operand, where steps without operands are skipped
    "activation_word_reads",  # buffer words of A channels read, after merging equal addresses
    "line_fills",  # line registers filled, one per pointer and beat
    "weight_word_reads",  # buffer words read, one per step and round (of C bytes) or per beat
    "steps_skipped",  # steps of a round's beats in which no pointer has an operand
    "psum_base_writes",  # partial-sum words written by dense and base passes
    "psum_conditional_reads",  # partial-sum words read to be added to
    "psum_conditional_writes",  # ... and written back
    "psum_output_reads",  # partial-sum words emptied by the output stage
    "mask_bits_written",  # bits the comparators write into the index memory
    "index_words_read",  # index-memory words of W bits read
    "decoder_cycles",  # cycles in which a decoder works, summed over decoders
    "window_compares",  # comparisons of pixel indices by which a window chooses a round's
    "comparator_ops",  # threshold decisions
    "adder_ops",  # additions of the structured decision, V - 1 per decision
    "output_ops",  # outputs scaled, activated and requantised
    "residual_word_reads",  # words of A channels read for the residual addition
    "activation_word_writes",  # words of A channels written by the output stage
    "dram_input_bytes",  # loaded
    "dram_weight_bytes",  # loaded
    "dram_residual_bytes",  # loaded
    "dram_output_bytes",  # stored
    "dram_psum_bytes",  # partial sums of instance gates, stored and loaded
)
"""Counter names; int64, totals over the images of a batch.

A partial-sum word is one lane group's V x 32 bits on sparse hardware and one row of C x 32 bits on
the dense and the clock-gated machine.
"""

CAUSES: tuple[str, ...] = (
    "base",
    "conditional",
    "bank_stall",
    "drain",
    "decode_stall",
    "output_stall",
    "dram_stall",
)
"""Why a cycle passed; int64, they add up to the total."""

CAUSE_LABELS = {
    "base": "base",
    "conditional": "conditional",
    "bank_stall": "bank stall",
    "drain": "drain",
    "decode_stall": "decode stall",
    "output_stall": "output stall",
    "dram_stall": "DRAM stall",
}
"""The causes as tables and figures call them."""

C = {name: position for position, name in enumerate(COUNTERS)}
"""Position of a counter in an array."""

DRAM_COUNTERS: tuple[str, ...] = tuple(name for name in COUNTERS if name.startswith("dram_"))


def idle_pe_cycles(pes: int, cycles: int, counters: dict[str, int]) -> int:
    """PE cycles in which no MAC was executed or clock-gated."""
    slots = ("macs_base", "macs_conditional", "macs_gated_off", "macs_zero_gated")
    return pes * cycles - sum(counters[name] for name in slots)


def utilisation(pes: int, cycles: int, counters: dict[str, int]) -> float:
    """Executed MACs / (PEs x cycles); 0 where no cycle passed."""
    executed = counters["macs_base"] + counters["macs_conditional"]
    return executed / (pes * cycles) if cycles else 0.0
