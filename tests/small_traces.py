"""Trace files drawn at random, of a small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwsim.network import Network
from hwsim.trace.files import write_trace
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.format.packing import pack_bits


def write_small_trace(path: Path, network: Network, method: str, mask_group: int) -> Path:
    """4 images of random masks with margins for 2, drawn from a fixed seed."""
    generator = np.random.default_rng(mask_group)
    masks, margins, scales, zeros = {}, {}, {}, {}
    for layer in network.gated_layers:
        shape = (4, layer.out_channels // mask_group, layer.out_height, layer.out_width)
        z = generator.integers(-100, 60, shape).astype(np.int8)
        masks[layer.name] = pack_bits(z > 0)
        margins[layer.name] = z[:2].reshape(2, -1)
        scales[layer.name] = 0.03
        zeros[layer.name] = generator.integers(0, layer.macs, 4)
    header = TraceHeader(
        network=network,
        method=method,
        mask_group=mask_group,
        dataset="drawn at random",
        image_ids=(3, 1, 4, 5),
        training={"epochs": 0},
        synthetic=True,
    )
    write_trace(path, header, masks, zeros, margins, scales)
    return path
