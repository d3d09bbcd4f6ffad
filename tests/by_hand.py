"""A small machine, and one layer on it by the reference alone, for cases worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.arch import ArchConfig, build_arch
from hwsim.counts import CAUSES, COUNTERS
from hwsim.reference import run_layer
from hwsim.residency import map_network
from hwsim.schemes import parse_scheme
from hwsim.tiling import tile_layer
from hwsim.workload import ConvLayer, Network

BETWEEN_TILES = ("output_stall", "dram_stall")

NOTHING: list[int] = []

BASE_OF_16 = {"base": 4 * 2, "drain": 4 * 2 + 4}
"""The base pass of 16 pixels, R = 4: rounds of 2 steps wait for 4 rows; then the last drain."""


def machine(
    rows: int = 4,
    columns: int = 2,
    tile_pixels: int = 64,
    word_channels: int = 2,
    banks: int = 16,
    lane_group: int = 2,
    word_bits: int = 8,
    indices_per_cycle: int = 1,
    activation_kib: int = 512,
    weight_kib: int = 160,
    gb_per_s: float = 12.8,
    feed: str = "broadcast",
    bank_conflicts: str = "exact",
    decoders: str = "private",
    index_format: str = "bitmap",
    run_length_bits: int = 4,
) -> ArchConfig:
    """A small array; by default R = 4, C = 2, A = 2, W = 8, and more banks than pointers."""
    data: dict[str, Any] = {
        "name": "small",
        "clock_mhz": 500,
        "batch": 1,
        "array": {"rows": rows, "columns": columns, "feed": feed},
        "partial_sums": {"entries": tile_pixels * columns},
        "activation": {
            "word_channels": word_channels,
            "banks": banks,
            "bank_conflicts": bank_conflicts,
            "buffer_kib": activation_kib,
        },
        "weight": {"buffer_kib": weight_kib},
        "index": {
            "lane_group": lane_group,
            "word_bits": word_bits,
            "indices_per_cycle": indices_per_cycle,
            "decoders": decoders,
            "format": index_format,
            "run_length_bits": run_length_bits,
        },
        "dram": {"bandwidth_gb_per_s": gb_per_s, "efficiency_percent": 80, "pj_per_bit": 8.0},
        "pricing": {"table": "cacti22"},
    }
    return build_arch(data)


@dataclass(frozen=True)
class Run:
    """A layer's cycles by cause and counters, tile by tile; zeros left out."""

    cycles: list[dict[str, int]]
    counters: list[dict[str, int]]


def run_by_hand(
    arch: ArchConfig,
    scheme: str,
    pixels: int,
    masks: Sequence[Sequence[int]] | None = None,
    loads: Sequence[int] | None = None,
    stores: Sequence[int] | None = None,
    exposed: Sequence[int] | None = None,
) -> Run:
    """A 1x1 convolution, 4 -> 4 channels in 2 groups, on a row of pixels, with these transfers.

    With masks (the set pixels of each channel) L_b = L_c = 2, one beat of two steps each for
    A = 2, and a channel tile is one gating group of two channels. Without, one dense pass of L = 4,
    two beats, again in two channel tiles where C = 2.
    """
    shape: dict[str, Any] = {"kernel_size": 1, "in_height": 1, "in_width": pixels}
    gating: dict[str, Any] = {"gated": True, "groups": 2} if masks is not None else {}
    layer = ConvLayer(name="conv", in_channels=4, out_channels=4, **shape, **gating)
    mapping = map_network(
        Network(name="alone", layers=(layer,)), arch, images=1, gating=masks is not None
    )[0]
    tiles = tile_layer(mapping)
    bits = None
    if masks is not None:
        bits = np.zeros((4, pixels), bool)
        for row, ones in zip(bits, masks, strict=True):
            row[list(ones)] = True
    none = [0] * len(tiles)
    cycles, counters = run_layer(
        arch,
        parse_scheme(scheme, arch),
        mapping,
        tiles,
        bits,
        1,
        np.array(loads or [*none, 0]),
        np.array(stores or none),
        np.array(exposed or none),
    )
    return Run(
        [{n: v for n, v in zip(CAUSES, row, strict=True) if v} for row in cycles.tolist()],
        [{n: v for n, v in zip(COUNTERS, row, strict=True) if v} for row in counters.tolist()],
    )


def conditional(run: Run) -> dict[str, int]:
    """What the first tile spent besides its base pass of 16 pixels."""
    spent = {name: value - BASE_OF_16.get(name, 0) for name, value in run.cycles[0].items()}
    return {name: value for name, value in spent.items() if value and name not in BETWEEN_TILES}
