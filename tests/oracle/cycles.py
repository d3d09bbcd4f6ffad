"""One tile, cycle by cycle (docs/model/passes.md, docs/model/counters.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer

from .banks import reading_cycles
from .beats import Beat, beats_over
from .decoders import Decoder, fill
from .layout import Layout, Pixel
from .lists import symbol_bits, words_of
from .outputs import output_stage
from .schemes import hardware
from .skipping import Skipping, skipping
from .visits import AT_ONCE, Visit
from .window import choose

Causes = Counter[str]
Counts = Counter[str]


@dataclass(frozen=True)
class Pass:
    """What the rounds of one pass have in common; ``width``: columns that a systolic feed skews.

    ``adds``: to the sums of a base pass; else the tile's sums start here. ``skips``: zeros.
    """

    cause: str  # "base" or "conditional"
    beats: Sequence[Beat]
    width: int
    adds: bool = True
    skips: Skipping | None = None

    @property
    def steps(self) -> int:
        """Steps of all beats, the MACs of one output."""
        return sum(beat.steps for beat in self.beats)


def tile(
    layer: ConvLayer,
    arch: ArchConfig,
    scheme: str,
    mask: np.ndarray | None,
    mask_group: int,
    channels: range,
    pixels: list[Pixel],
    layout: Layout,
    visit: Visit = AT_ONCE,
    inputs: np.ndarray | None = None,
) -> tuple[Causes, Counts]:
    """Compute cycles by cause and counters of a visit, without output stage and DMA time.

    ``mask`` is bool (images, out_channels / mask_group, out_height, out_width), images as the
    pixels number them; None runs one dense pass. ``layout`` is what the pointers step through, of
    all images of the batch, at the pitch of the machine's own shape. ``inputs`` is bool (images,
    in_channels, in_height, in_width), where an input is not zero; None where that is not known.
    """
    groups = hardware(scheme).lane_groups(len(channels))
    gated = layer.gated and hardware(scheme).masks != "none"
    addresses = [layout.address(pixel) for pixel in pixels]
    first, then = input_blocks(layer, channels, gated)
    skips = skipping(layer, arch, scheme, inputs, pixels, layout)
    causes, counts = Causes(), Counts()
    if visit.base and first:
        beats = beats_over(layer, arch, layout, first)
        base_pass(addresses, len(channels), groups, beats, arch, causes, counts, skips)
    if visit.stores:
        counts["psum_output_reads"] += len(groups) * len(pixels)
    if not visit.rest:
        return causes, counts
    if visit.reloads:
        counts["psum_base_writes"] += len(groups) * len(pixels)
    output_stage(layer, arch, channels, groups, pixels, counts)
    if not gated:
        return causes, counts

    assert mask is not None
    lanes = [lane_bits(mask, mask_group, channel, pixels) for channel in channels]
    lists = {channel // mask_group: lane for channel, lane in zip(channels, lanes, strict=True)}
    if visit.compares:
        for _ in pixels:
            causes["drain"] += 1
            counts["psum_output_reads"] += len(groups)
    decide(channels, mask_group, set(lists), pixels, bool(first), counts)
    beats = beats_over(layer, arch, layout, then)
    width = hardware(scheme).lanes or arch.array.columns
    this = Pass("conditional", beats, width, adds=bool(first), skips=skips)
    masked(scheme, addresses, lanes, lists, this, arch, causes, counts)
    return causes, counts


def input_blocks(layer: ConvLayer, channels: range, gated: bool) -> tuple[list[int], list[int]]:
    """What a tile's first pass visits, base or dense, and what its conditional pass does.

    Blocks of input channels: G of them in the group of the convolution that the tile is in.
    """
    group = channels[0] // (layer.out_channels // layer.conv_groups)
    blocks = list(range(group * layer.groups, (group + 1) * layer.groups))
    if not gated:
        return blocks, []
    if layer.groups == 1:  # gates that zero: there is no base path
        return [], blocks
    own = channels[0] // (layer.out_channels // layer.blocks)
    return [own], [block for block in blocks if block != own]


def base_pass(
    addresses: list[int],
    width: int,
    groups: list[range],
    beats: Sequence[Beat],
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
    skips: Skipping | None = None,
) -> None:
    """The pass over every pixel that a tile's first partial sums come from, dense or base."""
    this = Pass("base", beats, width=arch.array.columns, skips=skips)
    for pointers in consecutive(addresses, arch.array.rows):
        play_round([pointers] * len(groups), this, arch, causes, counts)
    last_drain(arch, causes)
    counts["macs_base"] += width * len(addresses) * this.steps
    counts["psum_base_writes"] += len(groups) * len(addresses)


def masked(
    scheme: str,
    addresses: list[int],
    lanes: list[list[int]],
    lists: dict[int, list[int]],
    this: Pass,
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
) -> None:
    """The scheme's conditional pass, and the lists that it stores and reads."""
    machine = hardware(scheme)
    groups = machine.lane_groups(len(lanes))
    if machine.masks == "gated":
        gated_pass(addresses, lanes, this, arch, causes, counts)
        store_lists(list(lists.values()), "bitmap", arch, counts)
        return
    if machine.masks == "sparse":
        require_structure(lanes, groups)
    conditional_pass(addresses, lanes, groups, this, arch, causes, counts)
    followed = [lanes[group[0]] for group in groups]
    stored = list(lists.values()) if machine.masks == "lockstep" else followed
    store_lists(stored, arch.index.format, arch, counts)


def consecutive(addresses: list[int], rows: int) -> list[list[int]]:
    """Rounds of a pass that skips nothing: ``rows`` pixels at a time, in order."""
    return [addresses[at : at + rows] for at in range(0, len(addresses), rows)]


def play_round(
    pointer_lists: list[list[int]], this: Pass, arch: ArchConfig, causes: Causes, counts: Counts
) -> int:
    """Count one round of one pointer list per lane group; returns its cycles X."""
    distinct: set[int] = set()
    for pointers in pointer_lists:
        distinct.update(pointers)

    cycles = spend_beats(distinct, this, arch, causes, counts)
    for _ in this.beats:
        counts["activation_word_reads"] += len(distinct)
        for pointers in pointer_lists:
            counts["line_fills"] += len(pointers)
    if arch.array.feed == "systolic":  # operands reach each PE a cycle after its neighbours
        skew = max(row + column for row in range(arch.array.rows) for column in range(this.width))
        causes["drain"] += skew
        return cycles + skew
    while cycles < arch.array.rows:  # the bank of the round before is still draining
        cycles += 1
        causes["drain"] += 1
    return cycles


def spend_beats(
    distinct: set[int], this: Pass, arch: ArchConfig, causes: Causes, counts: Counts
) -> int:
    """A round's steps and stalls; returns the cycles of its beats."""
    if this.skips is not None and this.skips.kind == "free-rows":
        cycles = this.skips.freely(distinct, this.beats)
        causes[this.cause] += cycles
        counts["weight_word_reads"] += cycles * arch.array.rows  # each row has a port
        counts["steps_skipped"] += this.steps - cycles
        return cycles
    beats = this.beats
    if this.skips is None:
        counts["weight_word_reads"] += this.steps
    else:
        beats = this.skips.shortened(distinct, this.beats)
        counts["weight_word_reads"] += len(beats)  # each of the weights of all its channels
    steps = sum(beat.steps for beat in beats)
    cycles = reading_cycles(distinct, beats, arch)
    causes[this.cause] += steps
    causes["bank_stall"] += cycles - steps
    if steps < this.steps:
        counts["steps_skipped"] += this.steps - steps
    return cycles


def last_drain(arch: ArchConfig, causes: Causes) -> None:
    """The R cycles behind a pass's last round; a systolic round has drained by its end."""
    if arch.array.feed == "broadcast":
        causes["drain"] += arch.array.rows


def gated_pass(
    addresses: list[int],
    lanes: list[list[int]],
    this: Pass,
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
) -> None:
    """The gated scheme's conditional pass: every pixel is fetched, masked MACs are gated off."""
    for pointers in consecutive(addresses, arch.array.rows):
        play_round([pointers], this, arch, causes, counts)
    last_drain(arch, causes)
    for position in range(len(addresses)):
        bits = [lane[position] for lane in lanes]
        for bit in bits:
            counts["macs_conditional" if bit else "macs_gated_off"] += this.steps
        if any(bits):
            update_sum(this, counts)


def conditional_pass(
    addresses: list[int],
    lanes: list[list[int]],
    groups: list[range],
    this: Pass,
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
) -> None:
    """The conditional pass of decoders and pixel lists, round after round."""
    decoders = decoders_of(lanes, groups, arch)
    causes["decode_stall"] += fill(decoders, arch)
    rounds = 0
    while any(decoder.buffer for decoder in decoders):
        found = choose(decoders, arch, counts)
        pointers = [[addresses[position] for position in positions] for positions in found]
        cycles = play_round(pointers, this, arch, causes, counts)
        causes["decode_stall"] += max(0, fill(decoders, arch) - cycles)
        count_lanes(found, lanes, groups, this, counts)
        rounds += 1
    if rounds > 0:
        last_drain(arch, causes)
    for decoder in decoders:
        counts["decoder_cycles"] += decoder.cycles


def decoders_of(lanes: list[list[int]], groups: list[range], arch: ArchConfig) -> list[Decoder]:
    """One decoder per lane group, at the start of the OR of its lanes."""
    return [
        Decoder([max(bits) for bits in zip(*(lanes[lane] for lane in group), strict=True)], arch)
        for group in groups
    ]


def store_lists(lists: list[list[int]], form: str, arch: ArchConfig, counts: Counts) -> None:
    """Lists go bit by bit into the index memory and come out again word by word."""
    for bits in lists:
        for word in words_of(bits, arch, form):
            counts["mask_bits_written"] += len(word) * symbol_bits(arch, form)
            counts["index_words_read"] += 1


def count_lanes(
    found: list[list[int]], lanes: list[list[int]], groups: list[range], this: Pass, counts: Counts
) -> None:
    """MACs and partial-sum words of a round, lane by lane of each list's pixels."""
    for group, positions in zip(groups, found, strict=True):
        for position in positions:
            update_sum(this, counts)
            for lane in group:
                bit = lanes[lane][position]
                counts["macs_conditional" if bit else "macs_gated_off"] += this.steps


def update_sum(this: Pass, counts: Counts) -> None:
    """A partial-sum word of the conditional pass is written, and read where it adds to one."""
    counts["psum_conditional_reads"] += int(this.adds)
    counts["psum_conditional_writes"] += 1


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
    channels: range,
    mask_group: int,
    lists: set[int],
    pixels: list[Pixel],
    adds_up: bool,
    counts: Counts,
) -> None:
    """Comparators and adders: one decision per mask list and pixel of the tile.

    ``adds_up``: the sums of a mask group are added up for it; there are none before a first pass.
    """
    for mask_list in lists:
        members = [channel for channel in channels if channel // mask_group == mask_list]
        for _ in pixels:
            counts["comparator_ops"] += 1
            counts["adder_ops"] += len(members) - 1 if adds_up else 0
