"""One tile, cycle by cycle (docs/timing.md, "Passes" and "Counters")."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from hwsim.arch import ArchConfig
from hwsim.workload import ConvLayer

from .layout import Layout, Pixel, ceil_div

Causes = Counter[str]
Counts = Counter[str]


@dataclass(frozen=True)
class Hardware:
    """What a scheme's name says: lanes that share a list (None: all of them), and its masks."""

    lanes: int | None
    masks: str  # "none", "gated", "sparse" or "lockstep"

    def lane_groups(self, width: int) -> list[range]:
        """Columns of a tile, cut into the groups that share one pixel list."""
        lanes = width if self.lanes is None else self.lanes
        return [range(at, min(at + lanes, width)) for at in range(0, width, lanes)]


def hardware(scheme: str) -> Hardware:
    """Read a scheme's name."""
    if scheme in ("dense", "dense-zero-gated"):
        return Hardware(lanes=None, masks="none")
    if scheme == "gated":
        return Hardware(lanes=None, masks="gated")
    if scheme == "unstructured":
        return Hardware(lanes=1, masks="sparse")
    if structured := re.fullmatch(r"structured-(\d+)x", scheme):
        return Hardware(lanes=int(structured[1]), masks="sparse")
    if lockstep := re.fullmatch(r"lockstep-(\d+)", scheme):
        return Hardware(lanes=int(lockstep[1]), masks="lockstep")
    raise ValueError(f"no scheme is called {scheme!r}")


@dataclass(frozen=True)
class Slot:
    """What a decoder did for one round: the positions it found and the cycles it took."""

    positions: list[int]
    cycles: int


def tile(
    layer: ConvLayer,
    arch: ArchConfig,
    scheme: str,
    mask: np.ndarray | None,
    mask_group: int,
    channels: range,
    pixels: list[Pixel],
    layout: Layout,
) -> tuple[Causes, Counts]:
    """Compute cycles by cause and counters of one tile, without output stage and DMA time.

    ``mask`` is bool (images, out_channels / mask_group, out_height, out_width), images as the
    pixels number them; None runs one dense pass. ``layout`` is what the pointers step through.
    """
    machine = hardware(scheme)
    groups = machine.lane_groups(len(channels))
    causes, counts = Causes(), Counts()
    output_stage(layer, arch, channels, groups, pixels, counts)
    addresses = [layout.address(pixel) for pixel in pixels]

    gated = layer.gated and machine.masks != "none"
    dense_groups = 1 if gated else layer.groups
    beats = beat_steps(layer, arch, input_groups=dense_groups)
    for pointers in consecutive(addresses, arch.array.rows):
        play_round([pointers] * len(groups), beats, "base", arch, causes, counts)
    causes["drain"] += arch.array.rows
    counts["macs_base"] += len(channels) * len(pixels) * sum(beats)
    counts["psum_base_writes"] += len(groups) * len(pixels)
    if not gated:
        return causes, counts

    assert mask is not None
    lanes = [lane_bits(mask, mask_group, channel, pixels) for channel in channels]
    lists = {channel // mask_group for channel in channels}
    decide(channels, mask_group, lists, pixels, counts)
    beats = beat_steps(layer, arch, input_groups=layer.groups - 1)
    if machine.masks == "gated":
        gated_pass(addresses, lanes, beats, arch, causes, counts)
        index_lists = len(lists)
    else:
        if machine.masks == "sparse":
            require_structure(lanes, groups)
        conditional_pass(addresses, lanes, groups, beats, arch, causes, counts)
        index_lists = len(lists) if machine.masks == "lockstep" else len(groups)
    counts["mask_bits_written"] += index_lists * len(pixels)
    counts["index_words_read"] += index_lists * ceil_div(len(pixels), arch.index.word_bits)
    return causes, counts


def beat_steps(layer: ConvLayer, arch: ArchConfig, input_groups: int) -> list[int]:
    """Steps of every beat of a pass over ``input_groups`` of the layer's G input groups."""
    word = arch.activation.word_channels
    steps = []
    for _ in range(input_groups):
        for _ in range(layer.kernel_size * layer.kernel_size):
            left = layer.in_channels // layer.groups
            while left > 0:
                steps.append(min(word, left))
                left -= word
    return steps


def consecutive(addresses: list[int], rows: int) -> list[list[int]]:
    """Rounds of a pass that skips nothing: ``rows`` pixels at a time, in order."""
    return [addresses[at : at + rows] for at in range(0, len(addresses), rows)]


def play_round(
    pointer_lists: list[list[int]],
    beats: list[int],
    cause: str,
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
) -> int:
    """Count one round of one pointer list per lane group; returns its cycles X."""
    distinct: set[int] = set()
    for pointers in pointer_lists:
        distinct.update(pointers)
    banks: dict[int, set[int]] = {}
    for address in distinct:
        banks.setdefault(address % arch.activation.banks, set()).add(address)
    load = max(len(held) for held in banks.values())

    cycles = 0
    for steps in beats:
        cycles += max(steps, load)
        causes[cause] += steps
        causes["bank_stall"] += max(0, load - steps)
        counts["activation_word_reads"] += len(distinct)
        counts["weight_word_reads"] += steps
        for pointers in pointer_lists:
            counts["line_fills"] += len(pointers)
    while cycles < arch.array.rows:  # the bank of the round before is still draining
        cycles += 1
        causes["drain"] += 1
    return cycles


def gated_pass(
    addresses: list[int],
    lanes: list[list[int]],
    beats: list[int],
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
) -> None:
    """The gated scheme's conditional pass: every pixel is fetched, masked MACs are gated off."""
    for pointers in consecutive(addresses, arch.array.rows):
        play_round([pointers], beats, "conditional", arch, causes, counts)
    causes["drain"] += arch.array.rows
    for position in range(len(addresses)):
        bits = [lane[position] for lane in lanes]
        for bit in bits:
            counts["macs_conditional" if bit else "macs_gated_off"] += sum(beats)
        if any(bits):
            counts["psum_conditional_reads"] += 1
            counts["psum_conditional_writes"] += 1


def conditional_pass(
    addresses: list[int],
    lanes: list[list[int]],
    groups: list[range],
    beats: list[int],
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
) -> None:
    """The conditional pass of decoders and pixel lists, round after round."""
    decoders: list[list[Slot]] = []
    for group in groups:
        bits = [max(lanes[lane][at] for lane in group) for at in range(len(addresses))]
        decoders.append(decode(bits, arch))
    for slots in decoders:
        for slot in slots:
            counts["decoder_cycles"] += slot.cycles

    def slowest(slot: int) -> int:
        return max(slots[slot].cycles if slot < len(slots) else 0 for slots in decoders)

    causes["decode_stall"] += slowest(0)
    this = 0
    while True:
        found = [slots[this].positions if this < len(slots) else [] for slots in decoders]
        if not any(found):
            break
        pointers = [[addresses[position] for position in positions] for positions in found]
        cycles = play_round(pointers, beats, "conditional", arch, causes, counts)
        causes["decode_stall"] += max(0, slowest(this + 1) - cycles)
        count_lanes(found, lanes, groups, sum(beats), counts)
        this += 1
    if this > 0:
        causes["drain"] += arch.array.rows


def decode(bits: list[int], arch: ArchConfig) -> list[Slot]:
    """Step a bitmap decoder through its list; the last slot may find nothing (the tail)."""
    rows, width = arch.array.rows, arch.index.word_bits
    words = [bits[at : at + width] for at in range(0, len(bits), width)]
    slots: list[Slot] = []
    buffer: list[int] = []
    cycles = at = 0
    while at < len(words):
        if len(buffer) == rows:  # full: it stops until the round takes the buffer
            slots.append(Slot(buffer, cycles))
            buffer, cycles = [], 0
        cycles += 1
        word = words[at]
        for _ in range(arch.index.indices_per_cycle):
            if 1 in word and len(buffer) < rows:
                bit = word.index(1)
                word[bit] = 0
                buffer.append(at * width + bit)
        if 1 not in word:
            at += 1
    if cycles > 0:
        slots.append(Slot(buffer, cycles))
    return slots


def count_lanes(
    found: list[list[int]],
    lanes: list[list[int]],
    groups: list[range],
    steps: int,
    counts: Counts,
) -> None:
    """MACs and partial-sum words of a round, lane by lane of each list's pixels."""
    for group, positions in zip(groups, found, strict=True):
        for position in positions:
            counts["psum_conditional_reads"] += 1
            counts["psum_conditional_writes"] += 1
            for lane in group:
                bit = lanes[lane][position]
                counts["macs_conditional" if bit else "macs_gated_off"] += steps


def lane_bits(mask: np.ndarray, mask_group: int, channel: int, pixels: list[Pixel]) -> list[int]:
    """Mask bit of one output channel at each pixel of the tile."""
    return [int(mask[image, channel // mask_group, y, x]) for image, y, x in pixels]


def require_structure(lanes: list[list[int]], groups: list[range]) -> None:
    """Lanes that share a list without lockstep must have one mask."""
    for group in groups:
        for lane in group:
            if lanes[lane] != lanes[group[0]]:
                raise ValueError(f"the mask differs between lanes {group[0]} and {lane} of a tile")


def decide(
    channels: range, mask_group: int, lists: set[int], pixels: list[Pixel], counts: Counts
) -> None:
    """Comparators and adders: one decision per mask list and pixel of the tile."""
    for mask_list in lists:
        members = [channel for channel in channels if channel // mask_group == mask_list]
        for _ in pixels:
            counts["comparator_ops"] += 1
            counts["adder_ops"] += len(members) - 1


def output_stage(
    layer: ConvLayer,
    arch: ArchConfig,
    channels: range,
    groups: list[range],
    pixels: list[Pixel],
    counts: Counts,
) -> None:
    """Empty the finished half: one pixel of all columns at a time."""
    words = ceil_div(len(channels), arch.activation.word_channels)
    for pixel in pixels:
        counts["psum_output_reads"] += len(groups)
        counts["output_ops"] += len(channels)
        if layer.residual is not None:
            counts["residual_word_reads"] += words
        if finishes_pooled(layer, pixel):
            counts["activation_word_writes"] += words


def finishes_pooled(layer: ConvLayer, pixel: Pixel) -> bool:
    """Whether this is the bottom right, and so the last, pixel of a pooled one (reading 14)."""
    _, y, x = pixel
    return y % layer.pool == layer.pool - 1 and x % layer.pool == layer.pool - 1
