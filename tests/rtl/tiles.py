"""A tile's masks, addresses and beats as the inputs of ``counted_tile_pass``."""

from __future__ import annotations

from collections import Counter

import numpy as np
from oracle.cycles import lane_bits
from oracle.layout import Layout, Pixel
from oracle.schemes import Hardware, hardware

from hwsim.arch.config import ArchConfig
from hwsim.arch.schemes import SKIP
from hwsim.network import ConvLayer

from .simulator import Case
from .vectors import pack

ADDRESS_BITS = 16
MOST_TAPS = 9


def parameters(arch: ArchConfig) -> dict[str, int]:
    """The machine in the words of the RTL."""
    return {
        "R": arch.array.rows,
        "C": arch.array.columns,
        "V": arch.index.lane_group,
        "E": arch.index.indices_per_cycle,
        "W": arch.index.word_bits,
        "A": arch.activation.word_channels,
        "B": arch.activation.banks,
        "Q": arch.activation.run_ahead,
        "P": arch.partial_sums.entries // arch.array.columns,
        "SHARED": int(arch.index.decoders == "shared"),
    }


def longest_list(arch: ArchConfig) -> int:
    """Bits of a list of all pixels of a tile, in whole words."""
    pixels, word = parameters(arch)["P"], arch.index.word_bits
    return -(-pixels // word) * word


def tile_case(
    layer: ConvLayer,
    arch: ArchConfig,
    scheme: str,
    mask: np.ndarray | None,
    mask_group: int,
    channels: range,
    pixels: list[Pixel],
    layout: Layout,
) -> Case:
    """Inputs of the tile and of its one or two passes; the conditional one is the last."""
    machine = lists_of(scheme)
    lane_groups = machine.lane_groups(len(channels))
    word_bits = arch.index.word_bits
    words = len(range(0, len(pixels), word_bits))
    gated = layer.gated and machine.masks != "none"
    tile = {
        "pixels": len(pixels),
        "words": words,
        "lane_groups": pack([1] * len(lane_groups), 1),
        # No index is as large: a larger window makes no difference.
        "window": min(arch.index.window, longest_list(arch)),
        "pixel_addresses": pack([layout.address(pixel) for pixel in pixels], ADDRESS_BITS),
        **geometry(layer, arch, layout),
    }
    passes: list[dict[str, int]] = []
    groups = list(range(layer.groups))
    if gated and not layer.zeroes:
        base_group = channels[0] // (layer.out_channels // layer.groups)
        passes.append({"decoded": 0, **input_groups([base_group], tile)})
        groups.remove(base_group)
    decoded = int(gated and machine.masks != "gated")
    passes.append({"decoded": decoded, **input_groups(groups, tile)})
    if decoded:
        assert mask is not None
        lists = []
        for group in lane_groups:
            lanes = [lane_bits(mask, mask_group, channels[lane], pixels) for lane in group]
            lists.append(pack([max(bits) for bits in zip(*lanes, strict=True)], 1))
        tile["lists"] = pack(lists, longest_list(arch))
    return {"tile": hexadecimal(tile), "passes": [hexadecimal(inputs) for inputs in passes]}


def lists_of(scheme: str) -> Hardware:
    """What follows which list: skipping zeros changes nothing of it."""
    return hardware(scheme.removesuffix(SKIP))


def passes_of(layer: ConvLayer, scheme: str) -> list[str]:
    """The cause that the steps of each of a tile's passes are."""
    if not layer.gated or lists_of(scheme).masks == "none":
        return ["base"]
    return ["conditional"] if layer.zeroes else ["base", "conditional"]


def hexadecimal(inputs: dict[str, int]) -> dict[str, str]:
    return {name: f"{level:x}" for name, level in inputs.items()}


def geometry(layer: ConvLayer, arch: ArchConfig, layout: Layout) -> dict[str, int]:
    """Beats of an input group, and where its words lie: planes by word, split by phase."""
    word = arch.activation.word_channels
    full, short = divmod(layer.in_channels // layer.groups, word)
    phase, pitch, stride = layout.phase_words, layout.pitch, layer.stride
    taps = [
        (ky % stride * stride + kx % stride) * phase + ky // stride * layout.wq + kx // stride
        for ky in range(layer.kernel_size)
        for kx in range(layer.kernel_size)
    ]
    assert layout.words * pitch < 1 << ADDRESS_BITS, "addresses may not wrap"
    return {
        "taps": len(taps),
        "tap_offsets": pack(taps, ADDRESS_BITS),
        "full_beats": full,
        "short_steps": short,
        "pitch": pitch,
        "group_pitch": (full + (short > 0)) * pitch,
    }


def input_groups(groups: list[int], tile: dict[str, int]) -> dict[str, int]:
    """Consecutive input groups, one of them left out."""
    skipped = [group for group in range(groups[0], groups[-1]) if group not in groups]
    return {
        "first_group": groups[0],
        "last_group": groups[-1],
        "skips": len(skipped),
        "skip_group": skipped[0] if skipped else 0,
        "first_offset": groups[0] * tile["group_pitch"],
    }


def causes_and_counts(
    observed: list[dict[str, int]], layer: ConvLayer, scheme: str
) -> tuple[Counter[str], Counter[str]]:
    """A tile's passes in the words of the contract; what the RTL does not count is left out."""
    causes, counts = Counter[str](), Counter[str]()
    for cause, seen in zip(passes_of(layer, scheme), observed, strict=True):
        causes[cause] += seen["steps"]
        causes["bank_stall"] += seen["bank_stall_cycles"]
        causes["drain"] += seen["drain_cycles"]
        causes["decode_stall"] += seen["decode_stall_cycles"]
        counts["activation_word_reads"] += seen["word_reads"]
        counts["line_fills"] += seen["line_fills"]
        counts["weight_word_reads"] += seen["weight_word_reads"]
        counts["steps_skipped"] += seen["steps_skipped"]
        counts["decoder_cycles"] += seen["decoder_cycles"]
        counts["window_compares"] += seen["window_compares"]
        if cause == "base":
            counts["psum_base_writes"] += seen["pixel_uses"]
        elif lists_of(scheme).masks != "gated":
            # A clock-gated one updates the pixels whose bits it reads beside the pass.
            counts["psum_conditional_writes"] += seen["pixel_uses"]
            # Where no pass was before, nothing is added up.
            counts["psum_conditional_reads"] += 0 if layer.zeroes else seen["pixel_uses"]
    return causes, counts
