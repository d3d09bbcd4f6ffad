"""Which pixels the kernel computes in which round: the one place that calls its decoders."""

from __future__ import annotations

import numpy as np

from hwsim import lists
from hwsim.arch import ArchConfig
from hwsim.formats import WORD, tile_words, unpack_bits
from hwsim.schemes import Scheme
from hwsim.simulate import _machine


def rounds_of_list(arch: ArchConfig, scheme: Scheme, bits: np.ndarray) -> list[np.ndarray]:
    """Pixels of each round of one list, as the kernel's decoder cuts it.

    ``bits``: bool (pixels of the tile,). Pixels count from the tile's first, int64.
    """
    machine = _machine(arch, scheme)
    packed = np.packbits(bits, bitorder="little")[None]
    words = tile_words(packed, 1, len(bits), len(bits))[0, 0]
    most = len(bits) // machine.rows + 1
    unions = np.zeros((most, len(words)), np.uint64)
    slots = np.zeros(most + 1, np.int64)
    if machine.format == lists.BITMAP:
        index_words = -(-len(bits) // machine.word_bits)
        rounds, *_ = lists.decode_bitmap(machine, words, index_words, unions, slots)
    else:
        rounds, *_ = lists.decode_symbols(machine, words, unions, slots)
    taken = unpack_bits(unions[:rounds].view(np.uint8), (len(words) * WORD,))
    return [np.flatnonzero(pixels) for pixels in taken]


def rounds_of_tile(arch: ArchConfig, scheme: Scheme, bits: np.ndarray) -> list[list[np.ndarray]]:
    """The conditional pass of a tile: for each round, the pixels of each lane group.

    ``bits``: bool (columns, pixels), every lane's own bits; a lane group's list is their OR.
    """
    groups = range(0, len(bits), scheme.lane_group)
    each = [
        rounds_of_list(arch, scheme, bits[lane : lane + scheme.lane_group].any(0))
        for lane in groups
    ]
    none = np.empty(0, np.int64)
    return [
        [rounds[i] if i < len(rounds) else none for rounds in each]
        for i in range(max(map(len, each)))
    ]
