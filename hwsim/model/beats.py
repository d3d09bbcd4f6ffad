"""The beats of a layer's passes, and the words that rounds of consecutive pixels ask of each bank.

No mask and no price changes them. They are remembered for all machines on which pointers find the
same words: callers do not write to the arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from hwsim.mapping.pixel_tiles import PixelTiles
from hwsim.mapping.pointers import (
    Pointers,
    beat_offsets,
    conditional_blocks,
    first_blocks,
    pixel_addresses,
)
from hwsim.model.kernel import passes
from hwsim.model.kernel.run_ahead import BeatSequence
from hwsim.network import ConvLayer

Kind = Literal["dense", "base", "conditional"]


class PassBeats(NamedTuple):
    """A pass of a layer: its beats, their banks, and which order of them each block has.

    ``order`` int64 (blocks of output channels,): places in ``sequence``.
    """

    beats: passes.Beats
    sequence: BeatSequence
    order: np.ndarray


NO_PASS = PassBeats(
    passes.Beats(0, 0, 0, 0),
    BeatSequence(np.zeros((1, 0), np.int64), np.zeros(0, np.int64)),
    np.zeros(1, np.int64),
)
"""Of a map that is made without one."""


def blocks_of(layer: ConvLayer, kind: Kind) -> list[list[int]]:
    """The input blocks of a pass, for each block of output channels (dense: for each group)."""
    if kind == "conditional":
        return conditional_blocks(layer)
    return first_blocks(layer, gated=kind == "base")


@lru_cache(maxsize=2048)
def beats_of(pointers: Pointers, kind: Kind) -> PassBeats:
    """Which block a dense or base pass reads is the same to all banks: one order of beats.

    Banks are alike: orders that differ in where they begin are one.
    """
    layer, orders = pointers.layer, blocks_of(pointers.layer, kind)
    beats = _beats(layer, pointers.word, len(orders[0]))
    told = orders if kind == "conditional" else orders[:1]
    shifts, order = _distinct([beat_offsets(pointers, blocks) for blocks in told], pointers.banks)
    order = np.resize(order, len(orders))
    tap = [beats.full_steps] * (layer.block_channels // pointers.word)
    tap += [beats.short_steps] * (beats.short_steps > 0)
    steps = np.array(tap * ((beats.full + beats.short) // len(tap)), np.int64)
    return PassBeats(beats, BeatSequence(shifts, steps), order)


def _beats(layer: ConvLayer, word: int, blocks: int) -> passes.Beats:
    """A pass over ``blocks`` input blocks; no word holds channels of two of them."""
    full, short_steps = divmod(layer.block_channels, word)
    passed = blocks * layer.taps
    return passes.Beats(passed * full, word, passed * (short_steps > 0), short_steps)


def _distinct(offsets: Sequence[np.ndarray], banks: int) -> tuple[np.ndarray, np.ndarray]:
    """Different orders of banks, int64 (orders, beats), and which one each row of offsets has."""
    rows = np.array(offsets, np.int64)
    # Few and long rows: a dictionary tells equal ones in no time, where np.unique sorts them.
    shifts = (rows[:, :1] - rows) % banks
    distinct = {row.tobytes(): row for row in shifts}
    places = {row: place for place, row in enumerate(distinct)}
    order = np.array([places[row.tobytes()] for row in shifts])
    return np.stack(list(distinct.values())), order


@lru_cache(maxsize=1024)
def consecutive_words(pointers: Pointers, cut: PixelTiles, rows: int) -> np.ndarray:
    """Words of rounds of ``rows`` consecutive pixels: int64 (pixel tiles, rounds, banks)."""
    banks = pixel_addresses(pointers) % pointers.banks
    return passes.consecutive_words(rows, pointers.banks, banks, cut.starts, cut.counts)


@lru_cache(maxsize=256)
def pixels_in_banks(pointers: Pointers, cut: PixelTiles, words: int) -> np.ndarray:
    """uint64 (pixel tiles, words, banks): which pixels of a tile lie in which bank."""
    banks = pixel_addresses(pointers) % pointers.banks
    return passes.bank_masks(banks, cut.starts, cut.counts, pointers.banks, words)
