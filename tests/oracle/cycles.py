"""One tile, cycle by cycle (docs/model/passes.md, docs/model/counters.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hwsim.arch.config import ArchConfig
from hwsim.workload import ConvLayer

from .decoders import Decoder, fill
from .layout import Layout, Pixel
from .lists import symbol_bits, words_of
from .outputs import output_stage
from .schemes import hardware
from .visits import AT_ONCE, Visit

Causes = Counter[str]
Counts = Counter[str]


@dataclass(frozen=True)
class Pass:
    """What the rounds of one pass have in common; ``width``: columns that a systolic feed skews."""

    cause: str  # "base" or "conditional"
    beats: list[int]  # steps of each
    width: int


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
) -> tuple[Causes, Counts]:
    """Compute cycles by cause and counters of a visit, without output stage and DMA time.

    ``mask`` is bool (images, out_channels / mask_group, out_height, out_width), images as the
    pixels number them; None runs one dense pass. ``layout`` is what the pointers step through.
    """
    groups = hardware(scheme).lane_groups(len(channels))
    gated = layer.gated and hardware(scheme).masks != "none"
    addresses = [layout.address(pixel) for pixel in pixels]
    causes, counts = Causes(), Counts()
    if visit.base:
        beats = beat_steps(layer, arch, input_groups=1 if gated else layer.groups)
        base_pass(addresses, len(channels), groups, beats, arch, causes, counts)
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
    decide(channels, mask_group, set(lists), pixels, counts)
    beats = beat_steps(layer, arch, input_groups=layer.groups - 1)
    masked(scheme, addresses, lanes, lists, beats, arch, causes, counts)
    return causes, counts


def base_pass(
    addresses: list[int],
    width: int,
    groups: list[range],
    beats: list[int],
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
) -> None:
    """The pass over every pixel that a tile's first partial sums come from, dense or base."""
    this = Pass("base", beats, width=arch.array.columns)
    for pointers in consecutive(addresses, arch.array.rows):
        play_round([pointers] * len(groups), this, arch, causes, counts)
    last_drain(arch, causes)
    counts["macs_base"] += width * len(addresses) * sum(beats)
    counts["psum_base_writes"] += len(groups) * len(addresses)


def masked(
    scheme: str,
    addresses: list[int],
    lanes: list[list[int]],
    lists: dict[int, list[int]],
    beats: list[int],
    arch: ArchConfig,
    causes: Causes,
    counts: Counts,
) -> None:
    """The scheme's conditional pass, and the lists that it stores and reads."""
    machine = hardware(scheme)
    groups = machine.lane_groups(len(lanes))
    this = Pass("conditional", beats, width=machine.lanes or arch.array.columns)
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
    pointer_lists: list[list[int]], this: Pass, arch: ArchConfig, causes: Causes, counts: Counts
) -> int:
    """Count one round of one pointer list per lane group; returns its cycles X."""
    distinct: set[int] = set()
    for pointers in pointer_lists:
        distinct.update(pointers)
    load = bank_load(distinct, arch)

    cycles = 0
    for steps in this.beats:
        cycles += max(steps, load)
        causes[this.cause] += steps
        causes["bank_stall"] += max(0, load - steps)
        counts["activation_word_reads"] += len(distinct)
        counts["weight_word_reads"] += steps
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


def bank_load(distinct: set[int], arch: ArchConfig) -> int:
    """Cycles in which the banks can read these words, as far as the machine has conflicts."""
    if arch.activation.bank_conflicts == "none":
        return 0
    banks: Counter[int] = Counter()
    for at, address in enumerate(sorted(distinct)):
        # "bandwidth": a perfect mapping deals the words out to the banks in turn.
        exact = arch.activation.bank_conflicts == "exact"
        banks[(address if exact else at) % arch.activation.banks] += 1
    return max(banks.values())


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
            counts["macs_conditional" if bit else "macs_gated_off"] += sum(this.beats)
        if any(bits):
            counts["psum_conditional_reads"] += 1
            counts["psum_conditional_writes"] += 1


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
        found = [decoder.hand_over() for decoder in decoders]
        pointers = [[addresses[position] for position in positions] for positions in found]
        cycles = play_round(pointers, this, arch, causes, counts)
        causes["decode_stall"] += max(0, fill(decoders, arch) - cycles)
        count_lanes(found, lanes, groups, sum(this.beats), counts)
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
    found: list[list[int]], lanes: list[list[int]], groups: list[range], steps: int, counts: Counts
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
