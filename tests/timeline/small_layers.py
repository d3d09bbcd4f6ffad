"""Small layers and machines on which every kind of slice occurs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from oracle.machines import conv, machine, network

from hwsim.arch.config import ArchConfig
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace


@dataclass(frozen=True)
class Small:
    """A 3x3 layer of 8 channels, G = 2, 5 x 5 pixels, two images, on a machine of these keys."""

    name: str
    scheme: str
    keys: dict[str, object] = field(default_factory=dict)
    mask_group: int = 1
    gate_norm: str = "batch"
    groups: int = 2
    layer: str = "conv"

    @property
    def arch(self) -> ArchConfig:
        return machine(**{"activation_kib": 64, "weight_kib": 64, **self.keys})

    @property
    def trace(self) -> MaskTrace:
        generator = np.random.default_rng(7)
        layer = conv(self.layer, (8, 8), (5, 5), 3, 1, self.groups, gated=True)
        header = TraceHeader(
            network=network(layer), method="drawn", mask_group=self.mask_group,
            gate_norm=self.gate_norm, dataset="drawn", image_ids=[0, 1], synthetic=True,
        )  # fmt: skip
        masks = generator.random((2, 8 // self.mask_group, 5, 5)) < 0.3
        inputs = generator.random((2, 8, 5, 5)) < 0.4
        zeros = {self.layer: np.zeros(2, np.int64)}
        return MaskTrace.from_masks(header, {self.layer: masks}, zeros, zeros, {self.layer: inputs})


LAYERS = [
    Small("baseline", "unstructured"),
    Small("run-ahead", "unstructured", {"run_ahead": 1, "banks": 3}),
    Small("far ahead", "unstructured", {"run_ahead": 4, "banks": 2, "rows": 4}),
    Small("window", "unstructured", {"window": 5, "rows": 3}),
    Small("structured", "structured-2x", mask_group=2),
    Small("lockstep", "lockstep-2"),
    Small("clock-gated", "clock-gated"),
    Small("dense", "dense"),
    Small("systolic", "unstructured", {"feed": "systolic"}),
    Small("shared decoder", "unstructured", {"decoders": "shared", "indices_per_cycle": 2}),
    Small("run-length lists", "unstructured", {"index_format": "run-length"}),
    Small("ideal banks", "unstructured", {"bank_conflicts": "bandwidth", "banks": 2}),
    Small("one bank", "unstructured", {"banks": 1}),
    Small("no conflicts", "unstructured", {"bank_conflicts": "none"}),
    Small("instance gates", "unstructured", gate_norm="instance"),
    Small("gates that zero", "unstructured", groups=1),
    Small("zeros skipped", "unstructured-skip"),
    Small("free rows", "unstructured-skip-bound"),
    Small("coded maps", "unstructured", {"dram_format": "run-length"}),
    Small("reshaped", "unstructured", {"reshape": ((4, 2), (1, 8))}),
    Small("small buffers", "dense", {"weight_kib": 1, "activation_kib": 1}),
]
"""By what is special about each."""
