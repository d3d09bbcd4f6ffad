"""A tile in the reference model: pixels, columns, the lists its masks become, its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from hwsim.arch import ArchConfig
from hwsim.index_memory import Bitmaps, Coordinates, IndexMemory, RunLengths, SymbolLists
from hwsim.processes import Counts, Entries
from hwsim.schemes import Scheme
from hwsim.tiling import Tiles


class Tile:
    """A tile's pixels and columns, the lists its masks become, and what is counted for it.

    Columns, lane groups and pixels are numbered from 0 within the tile; ``lanes`` are the columns
    of each lane group. On a gated layer ``mask_lists`` are the masks of its columns, ``stored``
    those that the index memory holds, one list each, ``followed`` the lists that each lane group's
    decoder ORs and ``lit_lanes`` (lane group, pixel) counts the lanes whose own bit is set.
    """

    def __init__(
        self,
        arch: ArchConfig,
        scheme: Scheme,
        tiles: Tiles,
        number: int,
        addresses: np.ndarray,
        masks: np.ndarray | None,
        mask_group: int,
    ) -> None:
        self.cycles: Counter[str] = Counter()
        self.counts = Counts()
        self.width, self.pixels = int(tiles.width[number]), int(tiles.pixels[number])
        start = int(tiles.pixel_start[number])
        batch = slice(start, start + self.pixels)
        self.addresses: list[int] = addresses[batch].tolist()
        share = scheme.lane_group
        self.lanes = [
            range(first, min(first + share, self.width)) for first in range(0, self.width, share)
        ]
        self.gated = masks is not None
        if masks is None:
            return
        channel = int(tiles.channel_start[number])
        mask_of = [(channel + column) // mask_group for column in range(self.width)]
        self.columns_of_mask = Counter(mask_of)
        self.mask_lists = list(self.columns_of_mask)
        self.bits: dict[int, list[int]] = {
            mask: masks[mask, batch].astype(int).tolist() for mask in self.mask_lists
        }
        self.lit_lanes = [
            [sum(bits) for bits in zip(*(self.bits[mask_of[c]] for c in columns), strict=True)]
            for columns in self.lanes
        ]
        if scheme.kind == "gated" or scheme.lockstep:
            self.stored = self.mask_lists
            self.followed = [
                sorted({self.stored.index(mask_of[column]) for column in columns})
                for columns in self.lanes
            ]
        else:  # The lanes of a group agree: one list for each group, whatever masks they share.
            self.stored = [mask_of[columns[0]] for columns in self.lanes]
            self.followed = [[group] for group in range(len(self.lanes))]
        self.memory = self._memory(arch, scheme)

    def _memory(self, arch: ArchConfig, scheme: Scheme) -> IndexMemory:
        """The memory for the stored lists; the gated scheme reads bits in order, so bitmaps."""
        lists = len(self.stored)
        if arch.index.format == "bitmap" or scheme.kind == "gated":
            return Bitmaps(lists, self.pixels, arch.index.word_bits, self.counts)
        code = Coordinates if arch.index.format == "coordinate" else RunLengths
        words = arch.symbols_per_word
        return SymbolLists(lists, code(arch.symbol_bits), words, self.counts)

    def write(self, entries: Entries) -> None:
        """Drain a row of the first pass: it starts the partial sums, and gates are decided on it.

        One comparator decides for each mask, behind an adder where channels share it.
        """
        self.counts["psum_base_writes"] += len(entries)
        if self.gated:
            pixel = entries[0]
            self.counts["comparator_ops"] += len(self.mask_lists)
            self.counts["adder_ops"] += sum(n - 1 for n in self.columns_of_mask.values())
            self.memory.write(pixel, [self.bits[mask][pixel] for mask in self.stored])

    def add(self, entries: Entries) -> None:
        """Drain a row of a conditional pass: one partial-sum word for each lane group."""
        self.counts["psum_conditional_reads"] += len(entries)
        self.counts["psum_conditional_writes"] += len(entries)

    def add_where_lit(self, entries: Entries) -> None:
        """The gated scheme's drain: a pixel that computed in no column changes nothing."""
        if any(self.bits[mask][entries[0]] for mask in self.mask_lists):
            self.add(entries)

    def read_masks(self, pixels: Iterable[int]) -> None:
        """The gated scheme reads its masks in order, a word when the first of its pixels comes."""
        assert isinstance(self.memory, Bitmaps)
        for pixel in pixels:
            word, position = divmod(pixel, self.memory.word_bits)
            if position == 0:
                self.memory.read(range(len(self.stored)), word)
