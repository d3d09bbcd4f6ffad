"""What the models of docs/timing.md share: named latencies, and where two of them first differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Engine = Literal["kernel", "reference"]
"""The models a run can be made with; both return the same integers."""


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


@dataclass(frozen=True)
class Divergence:
    """The first tile, and in it the first cause or counter, that two models count differently."""

    tile: int
    name: str
    expected: int
    actual: int

    def __str__(self) -> str:
        return f"tile {self.tile}: {self.name}: expected {self.expected}, found {self.actual}"


def first_divergence(
    expected: np.ndarray, actual: np.ndarray, names: tuple[str, ...]
) -> Divergence | None:
    """Compare int64 (tiles, len(names)) in the order of tiles, then of names; None where equal."""
    if expected.shape != actual.shape or expected.shape[1:] != (len(names),):
        raise ValueError(f"cannot compare {expected.shape} with {actual.shape}: {len(names)} names")
    different = np.argwhere(expected != actual)
    if not len(different):
        return None
    tile, position = (int(index) for index in different[0])
    return Divergence(
        tile, names[position], int(expected[tile, position]), int(actual[tile, position])
    )
