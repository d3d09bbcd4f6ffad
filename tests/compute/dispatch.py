"""Which pixels the kernel computes in which round: the one place that calls its decoders."""

from __future__ import annotations

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Scheme
from hwsim.model.kernel import decoders
from hwsim.model.kernel.mask_words import WORD
from hwsim.model.plan import machine_of
from hwsim.trace.format.packing import unpack_bits


def rounds_of_list(arch: ArchConfig, scheme: Scheme, bits: np.ndarray) -> list[np.ndarray]:
    """Pixels of each round of one list, as the kernel's decoder cuts it.

    ``bits``: bool (pixels of the tile,). Pixels count from the tile's first, int64.
    """
    machine = machine_of(arch, scheme)
    words = -(-len(bits) // WORD)
    padded = np.zeros((1, words * WORD), bool)
    padded[0, : len(bits)] = bits
    masks = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
    most = len(bits) // machine.rows + 1
    unions = np.zeros((most, words), np.uint64)
    slots = np.zeros(most + 1, np.int64)
    if machine.format == decoders.BITMAP:
        rounds, *_ = decoders.decode_bitmap(machine, masks, 0, len(bits), 1, unions, slots)
    else:
        rounds, *_ = decoders.decode_symbols(machine, masks, 0, 1, unions, slots)
    taken = unpack_bits(unions[:rounds].view(np.uint8), (words * WORD,))
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
