"""Numbers side by side in the wide vectors of the RTL's ports."""

from __future__ import annotations


def pack(numbers: list[int], bits: int) -> int:
    """Numbers side by side in one vector, the first in the lowest bits."""
    return sum(number << (at * bits) for at, number in enumerate(numbers))


def unpack(vector: int, bits: int, count: int) -> list[int]:
    """The other way round."""
    return [(vector >> (at * bits)) & ((1 << bits) - 1) for at in range(count)]
