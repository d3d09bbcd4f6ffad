"""One gated layer's int8 data for one image: what a functional check computes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.trace.format.header import TraceError, TraceHeader

ARRAYS = {"activations": "<i1", "weights": "<i1", "thresholds": "<i4", "mask": "<u1"}
"""Data and types, in the order in which they are hashed."""


@dataclass(frozen=True)
class LayerSample:
    """Quantised operands of ``layer`` for the trace's image at position ``image``.

    ``activations`` (in_channels, in_height, in_width); ``weights`` (out_channels, in_channels, K,
    K); ``thresholds`` (mask lists,): a bit is 1 where the base sums of a list's channels, added,
    exceed it; ``mask``: the bits so decided, packed like a trace's. The recorded bits were decided
    by unquantised numbers: not all are the same.
    """

    layer: str
    image: int
    activations: np.ndarray
    weights: np.ndarray
    thresholds: np.ndarray
    mask: np.ndarray

    @classmethod
    def read(cls, file: Any) -> LayerSample:
        """From an open file, a hwsim.trace.format.container.Container."""
        of = file.attributes("sample")
        data = {name: file.dataset(f"sample/{name}")[:] for name in ARRAYS}
        return cls(file.as_text(of["layer"]), int(of["image"]), **data)

    def write(self, group: Any) -> None:
        """Into an HDF5 group."""
        group.attrs.update({"layer": self.layer, "image": self.image})
        for name in ARRAYS:
            data = getattr(self, name)
            group.create_dataset(name, data=data, chunks=data.shape)

    def contents(self) -> bytes:
        """What the trace's hash covers."""
        arrays = [getattr(self, name).astype(kind).tobytes() for name, kind in ARRAYS.items()]
        return b"".join([f"{self.layer} {self.image}".encode(), *arrays])

    def differing_bits(self, recorded: np.ndarray) -> int:
        """Bits of ``mask`` that are not as in ``recorded``, the image's packed mask."""
        return int(np.bitwise_count(self.mask ^ recorded).sum())

    def check(self, header: TraceHeader, where: str) -> None:
        """Raise TraceError unless the sample is one of this trace's layers and images."""
        layer = header.network.by_name.get(self.layer)
        if layer is None or not layer.gated or not 0 <= self.image < header.images:
            raise TraceError(
                f"{where}: sample of layer {self.layer}, image {self.image}: none such"
            )
        shapes: list[tuple[int, ...]] = [
            (layer.in_channels, layer.in_height, layer.in_width),
            (layer.out_channels, layer.in_channels // layer.conv_groups, *layer.kernel),
            (header.mask_channels(layer),),
            (-(-layer.mask_bits(header.mask_group) // 8),),
        ]
        for (name, kind), shape in zip(ARRAYS.items(), shapes, strict=True):
            data = getattr(self, name)
            if data.dtype != kind or data.shape != shape:
                raise TraceError(f"{where}: sample: {name} {data.dtype}{data.shape}, not {shape}")
