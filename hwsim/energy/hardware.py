"""Hardware: the memories and the logic that a scheme needs on a machine, before any price.

Lane groups decide: hardware of lane group V has J = ceil(C/V) pixel lists, R x J pointers and J
banks of partial sums; the dense and the gated machine follow one list (J = 1), and so does that of
``channels``, which holds lists of channels beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import Scheme, parse_scheme

WIDEST_MACRO_BITS = 512
"""Wider words are split over macros side by side; the widest that the tables measured."""

CHANNEL_LISTS, LISTED_CHANNELS = 2, 2048
"""Index memory of ``channels``: an output list and an input list, of a bit per channel."""

SUM_BITS = 32
"""Bits of an accumulator and of a partial sum."""


@dataclass(frozen=True)
class Memory:
    """``banks`` words can be reached at once; each word lies in ``split`` macros side by side."""

    name: str
    banks: int
    split: int
    capacity_bytes: float
    width_bits: int

    @property
    def macros(self) -> int:
        return self.banks * self.split


@dataclass(frozen=True)
class Hardware:
    """What a scheme builds, in units of memories, bits and logic.

    ``lanes`` are the columns of one lane group, ``lists`` the mask lists that the index memory
    holds (of ``channels``, lists of channels), ``list_bits`` the most that one needs,
    ``decision_adders`` the adders in front of the comparators of a structured gate, or those that
    make channels' means.
    """

    scheme: Scheme
    lanes: int
    lane_groups: int
    pointers: int
    lists: int
    list_bits: int
    decoders: int
    comparators: int
    decision_adders: int
    tile_pixels: int
    activation: Memory
    weight: Memory
    partial_sums: Memory

    @property
    def index_bits(self) -> int:
        """Bits of the index memory."""
        return self.lists * self.list_bits

    @property
    def skips(self) -> bool:
        """Whether PEs choose their weights from a word of them, and skip those of zeros."""
        return self.scheme.skipping == "word"

    @property
    def pixel_bits(self) -> int:
        """Bits of one pixel index within a tile."""
        return max(1, (self.tile_pixels - 1).bit_length())

    @property
    def memories(self) -> tuple[Memory, ...]:
        return self.activation, self.weight, self.partial_sums


def hardware_of(
    scheme: str | Scheme | Hardware, arch: ArchConfig, mask_group: int | None = None
) -> Hardware:
    """The hardware of ``scheme`` on ``arch``; a Hardware is returned as it is.

    ``mask_group`` is the number of channels that one decision covers; without it V for a
    structured scheme and 1 for the others. It sizes the gate and the lists of gated and lockstep.
    """
    if isinstance(scheme, Hardware):
        return scheme
    if isinstance(scheme, str):
        scheme = parse_scheme(scheme, arch)
    columns = arch.array.columns
    lanes = scheme.lanes(columns)
    lane_groups = -(-columns // lanes)
    sparse = scheme.kind == "sparse"
    if mask_group is None:
        mask_group = scheme.lane_group if sparse and not scheme.lockstep else 1
    decisions = 0 if scheme.kind == "dense" else -(-columns // mask_group)
    halves = 2
    weights = columns * (arch.activation.word_channels if scheme.skipping == "word" else 1)
    return Hardware(
        scheme=scheme,
        lanes=lanes,
        lane_groups=lane_groups,
        pointers=arch.array.rows * lane_groups,
        lists=_lists(scheme, lane_groups, decisions),
        list_bits=_list_bits(scheme, arch),
        decoders=_decoders(arch, lane_groups) if sparse else 0,
        comparators=decisions,
        decision_adders=_decision_adders(scheme, columns, decisions),
        tile_pixels=arch.tile_pixels,
        activation=_memory(
            "activation_buffer",
            arch.activation.banks,
            arch.activation_buffer_bytes / arch.activation.banks,
            8 * arch.activation.word_channels,
        ),
        weight=_memory("weight_buffer", 1, arch.weight_buffer_bytes, 8 * weights),
        partial_sums=_memory(
            "partial_sums",
            halves * lane_groups,
            arch.tile_pixels * lanes * SUM_BITS / 8,
            lanes * SUM_BITS,
        ),
    )


def _lists(scheme: Scheme, lane_groups: int, decisions: int) -> int:
    if scheme.kind == "channels":
        return CHANNEL_LISTS
    return lane_groups if scheme.kind == "sparse" and not scheme.lockstep else decisions


def _list_bits(scheme: Scheme, arch: ArchConfig) -> int:
    """The worst case of a tile: a bit or a symbol for every pixel, in whole words of symbols."""
    if scheme.kind == "channels":
        return LISTED_CHANNELS
    if scheme.kind != "sparse" or arch.index.format == "bitmap":
        return arch.tile_pixels
    return -(-arch.tile_pixels // arch.symbols_per_word) * arch.index.word_bits


def _decision_adders(scheme: Scheme, columns: int, decisions: int) -> int:
    """In front of the comparators of structured gates; of ``channels``, one a column, for means."""
    if scheme.kind == "channels":
        return columns
    return columns - decisions if decisions else 0


def _decoders(arch: ArchConfig, lane_groups: int) -> int:
    return 1 if arch.index.decoders == "shared" else lane_groups


def _memory(name: str, banks: int, bank_bytes: float, word_bits: int) -> Memory:
    split = -(-word_bits // WIDEST_MACRO_BITS)
    return Memory(name, banks, split, bank_bytes / split, -(-word_bits // split))
