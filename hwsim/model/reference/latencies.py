"""Cycles that one action of a part takes (docs/model/reference_model.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Latencies:
    """Cycles that one action of a part takes. They belong to the contract: no key changes them."""

    step: int = 1  # every PE of the array executes one MAC
    bank_word: int = 1  # a bank serves one address, to all pointers that ask for it
    empty_word: int = 1  # a decoder passes one word without ones
    emission: int = 1  # a decoder emits up to E indices of one word
    symbols: int = 1  # a decoder consumes up to E symbols of one word
    hop: int = 1  # operands pass from a PE to the next one of a systolic array
    drained_row: int = 1  # one entry of every column's accumulator bank
    compared_pixel: int = 1  # an instance gate decides on all columns of one pixel
    output_pixel: int = 1  # the output stage empties all columns of one pixel


LATENCIES = Latencies()
