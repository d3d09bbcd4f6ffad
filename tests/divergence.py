"""Where two models first differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
