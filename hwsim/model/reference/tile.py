"""A visit to a tile in the reference model: pixels, columns, lists of its masks, its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Scheme
from hwsim.mapping.tiles import Mapping, Tiles
from hwsim.model.reference.index_memory import (
    Bitmaps,
    Coordinates,
    IndexMemory,
    RunLengths,
    SymbolLists,
)
from hwsim.model.reference.parts import Counts, Entries
from hwsim.network import MapLayer


class Layer(NamedTuple):
    """What a model is given of a layer and batch.

    ``masks`` is bool (mask lists, pixels of the batch), None for a dense pass; a list decides for
    ``mask_group`` channels. ``inputs`` is bool (images, C_in, H, W), where an input is not zero;
    None where zeros are not skipped.
    """

    scheme: Scheme
    mapping: Mapping
    tiles: Tiles
    masks: np.ndarray | None
    mask_group: int
    inputs: np.ndarray | None = None


class Tile:
    """A tile's pixels and columns, the lists its masks become, and what a visit to it counts.

    ``first``: its first pass runs; ``finishes``: all the rest does; ``compares``: its gates decide
    on complete partial sums, not on draining ones; ``zeroes``: they zero what they mask off, so
    there is no base pass and masks are there before; ``sums_stored`` and ``sums_reloaded`` say
    which way partial sums go between two visits; ``start`` is its first pixel within the batch.
    Columns, lane groups and pixels are numbered from 0 within the tile; ``lanes`` are the columns
    of each lane group, ``base_blocks`` and ``conditional_blocks`` the blocks of input channels of
    its passes. ``is_map``: it is made of maps, without a pass.
    On a gated layer ``mask_lists`` are the masks of its columns, ``stored`` those that the index
    memory holds, one list each, ``followed`` the lists that each lane group's decoder ORs and
    ``lit_lanes`` (lane group, pixel) counts the lanes whose own bit is set.
    """

    def __init__(self, layer: Layer, number: int, addresses: np.ndarray) -> None:
        scheme, mapping, tiles, masks, mask_group, _ = layer
        self.cycles: Counter[str] = Counter()
        self.counts = Counts()
        self.width, self.pixels = int(tiles.width[number]), int(tiles.pixels[number])
        self.first, self.finishes = bool(tiles.first[number]), bool(tiles.finishes[number])
        self.sums_stored = bool(tiles.psum_store_bytes[number])
        self.sums_reloaded = bool(tiles.psum_load_bytes[number])
        self.start = int(tiles.pixel_start[number])
        batch = slice(self.start, self.start + self.pixels)
        self.addresses: list[int] = addresses[batch].tolist()
        share = scheme.lane_group
        self.lanes = [
            range(first, min(first + share, self.width)) for first in range(0, self.width, share)
        ]
        self.is_map = isinstance(mapping.layer, MapLayer)
        channel, groups = int(tiles.channel_start[number]), mapping.layer.groups
        of_group = mapping.layer.out_channels // mapping.layer.conv_groups
        group, within = divmod(channel, of_group)
        blocks = [group * groups + part for part in range(groups)]
        self.base_blocks, self.conditional_blocks = blocks, list[int]()
        self.gated = masks is not None
        self.compares = mapping.instance and self.finishes
        self.zeroes = self.gated and mapping.layer.zeroes
        self._decides_on_drain = self.gated and not mapping.instance
        if masks is None:
            return
        own = blocks[within // (of_group // groups)]
        self.base_blocks = [] if self.zeroes else [own]
        self.conditional_blocks = [block for block in blocks if block not in self.base_blocks]
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
        if scheme.kind == "clock-gated" or scheme.lockstep:
            self.stored = self.mask_lists
            self.followed = [
                sorted({self.stored.index(mask_of[column]) for column in columns})
                for columns in self.lanes
            ]
        else:  # The lanes of a group agree: one list for each group, whatever masks they share.
            self.stored = [mask_of[columns[0]] for columns in self.lanes]
            self.followed = [[group] for group in range(len(self.lanes))]
        self.memory = self._memory(mapping.arch, scheme)

    def _memory(self, arch: ArchConfig, scheme: Scheme) -> IndexMemory:
        """For the stored lists; the clock-gated scheme reads bits in order, so bitmaps."""
        lists = len(self.stored)
        if arch.index.format == "bitmap" or scheme.kind == "clock-gated":
            return Bitmaps(lists, self.pixels, arch.index.word_bits, self.counts)
        code = Coordinates if arch.index.format == "coordinate" else RunLengths
        words = arch.symbols_per_word
        return SymbolLists(lists, code(arch.symbol_bits), words, self.counts)

    def write(self, entries: Entries) -> None:
        """Drain a row of the first pass: it starts the partial sums, and gates may decide on it."""
        self.counts["psum_base_writes"] += len(entries)
        if self._decides_on_drain:
            self._decide(entries[0])

    def compare(self, pixel: int) -> None:
        """Read a pixel's partial sums in all lane groups, and decide on them."""
        self.counts["psum_output_reads"] += len(self.lanes)
        self._decide(pixel)

    def _decide(self, pixel: int) -> None:
        """Channels that share a mask are added up first."""
        self.counts["adder_ops"] += sum(n - 1 for n in self.columns_of_mask.values())
        self._write_masks(pixel)

    def _write_masks(self, pixel: int) -> None:
        """One comparator decides for each mask."""
        self.counts["comparator_ops"] += len(self.mask_lists)
        self.memory.write(pixel, [self.bits[mask][pixel] for mask in self.stored])

    def know_masks(self) -> None:
        """Lists of gates that zero lie in the index memory when the tile begins."""
        for pixel in range(self.pixels):
            self._write_masks(pixel)

    def store_sums(self) -> None:
        """The DMA takes the partial sums away, word by word."""
        for _ in range(self.pixels):
            self.counts["psum_output_reads"] += len(self.lanes)

    def reload_sums(self) -> None:
        """... and brings them back."""
        for _ in range(self.pixels):
            self.counts["psum_base_writes"] += len(self.lanes)

    def add(self, entries: Entries) -> None:
        """Drain a row of a conditional pass: one partial-sum word for each lane group.

        Without a base pass it is the one that starts them.
        """
        if not self.zeroes:
            self.counts["psum_conditional_reads"] += len(entries)
        self.counts["psum_conditional_writes"] += len(entries)

    def add_where_lit(self, entries: Entries) -> None:
        """The clock-gated scheme's drain: a pixel that computed in no column changes nothing."""
        if any(self.bits[mask][entries[0]] for mask in self.mask_lists):
            self.add(entries)

    def read_masks(self, pixels: Iterable[int]) -> None:
        """The gated scheme reads its masks in order, a word when the first of its pixels comes."""
        assert isinstance(self.memory, Bitmaps)
        for pixel in pixels:
            word, position = divmod(pixel, self.memory.word_bits)
            if position == 0:
                self.memory.read(range(len(self.stored)), word)
