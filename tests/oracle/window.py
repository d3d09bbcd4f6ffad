"""Which of the indices in the buffers a round takes (docs/model/window.md)."""

from __future__ import annotations

from collections import Counter

from hwsim.arch.config import ArchConfig

from .decoders import Decoder


def choose(decoders: list[Decoder], arch: ArchConfig, counts: Counter[str]) -> list[list[int]]:
    """The pointers of a round, list by list: all indices, or those near the one furthest behind."""
    window = arch.index.window
    if window == 0:
        return [decoder.hand_over() for decoder in decoders]
    held = [decoder.buffer[0] for decoder in decoders if decoder.buffer]
    counts["window_compares"] += len(decoders) - 1  # each list's first with the smallest so far
    for _ in decoders:
        counts["window_compares"] += arch.array.rows  # every place of a buffer with the limit
    return [decoder.hand_over(below=min(held) + window) for decoder in decoders]
