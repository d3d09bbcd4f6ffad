"""A drawn data set: a square of a class's colour and size on noise. For tests and first tries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SIZE, CLASSES = 32, 10
COUNTS = {"train": 1000, "test": 200}
SEEDS = {"train": 0, "test": 1}


def picture(label: int, generator: np.random.Generator) -> np.ndarray:
    """(3, SIZE, SIZE) uint8."""
    pixels = generator.integers(0, 80, (3, SIZE, SIZE))
    side = 6 + 2 * label
    top, left = generator.integers(0, SIZE - side + 1, 2)
    colour = np.array([17 * label, 160 - 15 * label, 90])
    pixels[:, top : top + side, left : left + side] += colour[:, None, None]
    return pixels.astype(np.uint8)


def pictures(split: str) -> Iterator[tuple[np.ndarray, int]]:
    """The split's images and class numbers, the same each time; classes take turns."""
    generator = np.random.default_rng(SEEDS[split])
    for number in range(COUNTS[split]):
        label = number % CLASSES
        yield picture(label, generator), label
