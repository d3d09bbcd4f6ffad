"""A small machine, for cases worked out by hand."""

from __future__ import annotations

from typing import Any

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import build_arch

BETWEEN_TILES = ("output_stall", "dram_stall")

NOTHING: list[int] = []


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
    zero_gating: bool = False,
    zero_skipping: str = "none",
    run_ahead: int = 0,
    window: int = 0,
) -> ArchConfig:
    """A small array; by default R = 4, C = 2, A = 2, W = 8, and more banks than pointers."""
    data: dict[str, Any] = {
        "name": "small",
        "clock_mhz": 500,
        "batch": 1,
        "array": {
            "rows": rows,
            "columns": columns,
            "feed": feed,
            "zero_gating": zero_gating,
            "zero_skipping": zero_skipping,
        },
        "partial_sums": {"entries": tile_pixels * columns},
        "activation": {
            "word_channels": word_channels,
            "banks": banks,
            "bank_conflicts": bank_conflicts,
            "run_ahead": run_ahead,
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
            "window": window,
        },
        "dram": {"bandwidth_gb_per_s": gb_per_s, "efficiency_percent": 80, "pj_per_bit": 8.0},
        "pricing": {"table": "cacti22"},
    }
    return build_arch(data)
