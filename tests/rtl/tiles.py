"""A tile's masks, addresses and beats as the inputs of ``counted_tile_pass``."""

from __future__ import annotations

from collections import Counter

import numpy as np
from oracle.cycles import lane_bits
from oracle.layout import Layout, Pixel, stored_bytes
from oracle.schemes import hardware

from hwsim.arch.config import ArchConfig
from hwsim.workload import ConvLayer

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
        "P": arch.partial_sums.entries // arch.array.columns,
        "SHARED": int(arch.index.decoders == "shared"),
    }


def tile_case(
    layer: ConvLayer,
    arch: ArchConfig,
    scheme: str,
    mask: np.ndarray | None,
    mask_group: int,
    channels: range,
    pixels: list[Pixel],
    layout: Layout,
    images: int,
) -> Case:
    """Inputs of the tile and of its one or two passes."""
    machine = hardware(scheme)
    lane_groups = machine.lane_groups(len(channels))
    word_bits = arch.index.word_bits
    words = len(range(0, len(pixels), word_bits))
    gated = layer.gated and machine.masks != "none"
    tile = {
        "pixels": len(pixels),
        "words": words,
        "lane_groups": pack([1] * len(lane_groups), 1),
        "pixel_addresses": pack([layout.address(pixel) for pixel in pixels], ADDRESS_BITS),
        **geometry(layer, arch, layout, images),
    }
    passes: list[dict[str, int]] = []
    base_group = channels[0] // (layer.out_channels // layer.groups)
    if not gated:
        passes.append({"decoded": 0, **input_groups(list(range(layer.groups)), tile)})
    else:
        others = [group for group in range(layer.groups) if group != base_group]
        passes.append({"decoded": 0, **input_groups([base_group], tile)})
        decoded = int(machine.masks != "gated")
        passes.append({"decoded": decoded, **input_groups(others, tile)})
        if decoded:
            assert mask is not None
            words_of_list = parameters(arch)["P"] // word_bits + (
                parameters(arch)["P"] % word_bits > 0
            )
            lists = []
            for group in lane_groups:
                lanes = [lane_bits(mask, mask_group, channels[lane], pixels) for lane in group]
                lists.append(pack([max(bits) for bits in zip(*lanes, strict=True)], 1))
            tile["lists"] = pack(lists, words_of_list * word_bits)
    return {"tile": hexadecimal(tile), "passes": [hexadecimal(inputs) for inputs in passes]}


def hexadecimal(inputs: dict[str, int]) -> dict[str, str]:
    return {name: f"{level:x}" for name, level in inputs.items()}


def geometry(layer: ConvLayer, arch: ArchConfig, layout: Layout, images: int) -> dict[str, int]:
    """Beats of an input group, and where its words lie: planes by word, split by phase."""
    word = arch.activation.word_channels
    full, short = divmod(layer.in_channels // layer.groups, word)
    phase = images * layout.hq * layout.wq
    pitch = stored_bytes(arch, 1, layout.phases * phase) // word
    stride = layer.stride
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
    observed: list[dict[str, int]], scheme: str
) -> tuple[Counter[str], Counter[str]]:
    """A tile's passes in the words of the contract; what the RTL does not count is left out."""
    causes, counts = Counter[str](), Counter[str]()
    passes = [("base", "psum_base_writes"), ("conditional", "psum_conditional_reads")]
    for (cause, uses), seen in zip(passes[: len(observed)], observed, strict=True):
        causes[cause] += seen["steps"]
        causes["bank_stall"] += seen["bank_stall_cycles"]
        causes["drain"] += seen["drain_cycles"]
        causes["decode_stall"] += seen["decode_stall_cycles"]
        counts["activation_word_reads"] += seen["word_reads"]
        counts["line_fills"] += seen["line_fills"]
        counts["weight_word_reads"] += seen["steps"]
        counts["decoder_cycles"] += seen["decoder_cycles"]
        # The gated scheme updates the pixels whose bits it reads beside the pass.
        if (cause, scheme) != ("conditional", "clock-gated"):
            counts[uses] += seen["pixel_uses"]
    return causes, counts
