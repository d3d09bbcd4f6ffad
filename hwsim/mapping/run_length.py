"""Run-length coding of zeros in words, as Eyeriss codes activations (docs/model/dram_format.md).

A pair is a run of zeros and the value behind it. Format: Chen et al., JSSC 52(1), 2017, section
IV-B: runs of 5 bits, values of 16, three pairs in a word of 64, whose last bit marks a last word.
"""

from __future__ import annotations

import numpy as np

RUN_BITS, VALUE_BITS, WORD_BITS = 5, 8, 64
"""Run and word as Eyeriss has them; values are int8."""


def pairs_per_word(
    run_bits: int = RUN_BITS, value_bits: int = VALUE_BITS, word_bits: int = WORD_BITS
) -> int:
    """How many pairs fit in a word beside the bit that marks the last one."""
    return (word_bits - 1) // (run_bits + value_bits)


def coded_pairs(nonzero: np.ndarray, run_bits: int = RUN_BITS) -> np.ndarray:
    """int64 (units,): pairs of each unit; ``nonzero`` bool (units, values), in coding order.

    A value ends a pair if it is not zero, if the run in front of it is at its longest, or if it is
    the unit's last.
    """
    units, values = nonzero.shape
    # A longest run and the zero behind it make a pair without a value of its own.
    escaped = 1 << run_bits
    unit, place = np.nonzero(nonzero)
    first = np.diff(unit, prepend=-1) != 0
    before = np.where(first, -1, np.concatenate([[-1], place[:-1]]))
    ending = np.full(units, -1, np.int64)
    ending[unit] = place  # the last assignment of a unit stays
    pairs = -(-(values - 1 - ending) // escaped)
    np.add.at(pairs, unit, 1 + (place - before - 1) // escaped)
    return pairs


def coded_bytes(
    nonzero: np.ndarray,
    run_bits: int = RUN_BITS,
    value_bits: int = VALUE_BITS,
    word_bits: int = WORD_BITS,
) -> np.ndarray:
    """int64 (units,): bytes of each unit's code, in whole words.

    ``nonzero``: bool (units, values), which values are not zero, in coding order. ``run_bits``,
    ``value_bits``: of a pair; ``word_bits``: of a word, a multiple of 8. Raises ValueError where
    no pair fits in a word.
    """
    fit = pairs_per_word(run_bits, value_bits, word_bits)
    if fit < 1 or word_bits % 8:
        raise ValueError(
            f"words of {word_bits} bits: expected whole bytes that hold a pair of "
            f"{run_bits} + {value_bits} bits and one bit more"
        )
    return -(-coded_pairs(nonzero, run_bits) // fit) * (word_bits // 8)
