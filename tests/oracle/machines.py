"""Small machines and layers on which hand and oracle can follow every cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hwsim.arch.config import ArchConfig, Shape
from hwsim.arch.load import build_arch
from hwsim.network import ConvLayer, Network

from .cycles import tile
from .layout import conv_layout
from .residency import cut_channels, flattened


def machine(
    rows: int = 2,
    columns: int = 4,
    entries: int = 32,
    word_channels: int = 2,
    banks: int = 4,
    word_bits: int = 8,
    indices_per_cycle: int = 1,
    lane_group: int = 2,
    activation_kib: int = 1,
    weight_kib: int = 1,
    clock_mhz: int = 100,
    bandwidth_gb_per_s: float = 0.1,
    efficiency_percent: int = 100,
    feed: str = "broadcast",
    bank_conflicts: str = "exact",
    decoders: str = "private",
    index_format: str = "bitmap",
    run_length_bits: int = 4,
    reshape: Sequence[Shape] = (),
    run_ahead: int = 0,
    window: int = 0,
    zero_gating: bool = False,
    zero_skipping: str = "none",
    dram_format: str = "dense",
) -> ArchConfig:
    """R, C, 4*entries bytes, A, B, W, E, V; the DMA moves one byte per cycle unless told."""
    return build_arch(
        {
            "name": "small",
            "clock_mhz": clock_mhz,
            "batch": 2,
            "array": {
                "rows": rows,
                "columns": columns,
                "feed": feed,
                "zero_gating": zero_gating,
                "zero_skipping": zero_skipping,
                "reshape": list(reshape),
            },
            "partial_sums": {"entries": entries},
            "activation": {
                "word_channels": word_channels,
                "banks": banks,
                "bank_conflicts": bank_conflicts,
                "run_ahead": run_ahead,
                "dram_format": dram_format,
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
            "dram": {
                "bandwidth_gb_per_s": bandwidth_gb_per_s,
                "efficiency_percent": efficiency_percent,
                "pj_per_bit": 8.0,
            },
            "pricing": {"table": "cacti22"},
        }
    )


def conv(
    name: str = "conv",
    channels: tuple[int, int] = (4, 4),
    size: tuple[int, int] = (2, 3),
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    **edges: object,
) -> ConvLayer:
    """A layer of (in, out) channels and (height, width) input, "same" padding, gated if G > 1."""
    return ConvLayer.model_validate(
        {
            "name": name,
            "in_channels": channels[0],
            "out_channels": channels[1],
            "kernel_size": kernel,
            "stride": stride,
            "padding": kernel // 2,
            "in_height": size[0],
            "in_width": size[1],
            "gated": groups > 1,
            "groups": groups,
            **edges,
        }
    )


def network(*layers: ConvLayer) -> Network:
    """A network of these layers in this order."""
    return Network(name="small", layers=layers)


def row(table: np.ndarray, names: tuple[str, ...], layer: int = 0) -> dict[str, int]:
    """The entries of one layer that are not zero."""
    return {name: int(count) for name, count in zip(names, table[layer], strict=True) if count}


def whole_tile(
    layer: ConvLayer,
    arch: ArchConfig,
    scheme: str,
    mask: np.ndarray | None,
    mask_group: int = 1,
    inputs: np.ndarray | None = None,
) -> tuple[Counter[str], Counter[str]]:
    """The layer's first channel tile over all pixels of one image, or of those with input bits."""
    channels = cut_channels(layer, arch, scheme)[0]
    images = 1 if inputs is None else len(inputs)
    pixels = flattened(layer, images)
    layout = conv_layout(layer, arch, images)
    causes, counts = tile(
        layer, arch, scheme, mask, mask_group, channels, pixels, layout, inputs=inputs
    )
    return +causes, +counts


def random_masks(
    layers: Network, density: float, images: int, mask_group: int = 1, seed: int = 1
) -> dict[str, np.ndarray]:
    """Independent bits of one density for every gated layer, as ``run`` takes them."""
    rng = np.random.default_rng(seed)
    return {
        layer.name: rng.random(
            (images, layer.out_channels // mask_group, layer.out_height, layer.out_width)
        )
        < density
        for layer in layers.gated_layers
    }
