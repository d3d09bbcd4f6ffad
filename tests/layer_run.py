"""A layer to be run by any model: what it is given, and the tiles in which all models run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from oracle.layout import Pixel
from oracle.machines import network
from oracle.residency import cut_channels, flattened, split

from hwsim.arch.config import ArchConfig
from hwsim.network import ConvLayer
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace


@dataclass(frozen=True)
class LayerRun:
    """One layer of one batch on a machine, under a scheme."""

    arch: ArchConfig
    layer: ConvLayer
    scheme: str
    mask_group: int
    images: int
    masks: np.ndarray | None
    inputs: np.ndarray | None = None
    """bool (images, C_in, H, W): input bits, where the scheme skips zeros."""

    only: tuple[tuple[range, tuple[Pixel, ...]], ...] = ()

    def tiles(self) -> list[tuple[range, list[Pixel]]]:
        """Channels and pixels of every tile, the channels outside; or of the only ones."""
        if self.only:
            return [(channels, list(pixels)) for channels, pixels in self.only]
        most = self.arch.partial_sums.entries // self.arch.array.columns
        return [
            (channels, part)
            for channels in cut_channels(self.layer, self.arch, self.scheme)
            for part in split(flattened(self.layer, self.images), most)
        ]

    def piece(self, channels: range, pixels: Sequence[Pixel], masks: np.ndarray | None) -> LayerRun:
        """One tile of these pixels, with ``masks`` (lists, pixels of the batch) where given."""
        if masks is not None:
            lists, *shape = self.masks.swapaxes(0, 1).shape
            masks = masks.reshape(lists, *shape).swapaxes(0, 1)
        return replace(self, masks=masks, only=((channels, tuple(pixels)),))

    def trace(self) -> MaskTrace:
        """The masks as the simulator takes them."""
        header = TraceHeader(
            network=network(self.layer), method="synthetic", mask_group=self.mask_group,
            branch="diagonal", gate_norm="batch", dataset="synthetic",
            image_ids=list(range(self.images)), training={}, synthetic=True,
        )  # fmt: skip
        masks = {} if self.masks is None else {self.layer.name: self.masks}
        if self.inputs is None:
            return MaskTrace.from_masks(header, masks, {})
        none = {self.layer.name: np.zeros(self.images, np.int64)} if masks else {}
        inputs = {self.layer.name: self.inputs}
        return MaskTrace.from_masks(header, masks, none, none, inputs)
