"""A gated layer with int8 data, and the sums that a plain convolution gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.network import ConvLayer, Network
from hwsim.trace.format.header import TraceHeader
from hwsim.trace.mask_trace import MaskTrace


@dataclass(frozen=True)
class LayerData:
    """int8 ``activations`` (images, C_in, H, W) and ``weights`` (C_out, C_in, K, K).

    ``thresholds``: integers (mask lists,); a decision is base sum > threshold, of the added sums of
    ``mask_group`` channels. ``inverse``: the base of output group g is input group G-1-g.
    """

    layer: ConvLayer
    activations: np.ndarray
    weights: np.ndarray
    thresholds: np.ndarray
    mask_group: int
    inverse: bool

    @property
    def images(self) -> int:
        return len(self.activations)

    def base_group(self, channel: int) -> int:
        """The input group of the base path of an output channel."""
        group = channel // (self.layer.out_channels // self.layer.groups)
        return self.layer.groups - 1 - group if self.inverse else group

    def trace(self, mask: np.ndarray) -> MaskTrace:
        """``mask``: bool (mask lists, pixels of all images), as the array decided it."""
        layer = self.layer
        bits = mask.reshape(len(mask), self.images, layer.out_height, layer.out_width)
        header = TraceHeader(
            network=Network(name="alone", layers=(layer,)),
            method="drawn",
            mask_group=self.mask_group,
            branch="inverse" if self.inverse else "diagonal",
            dataset="drawn",
            image_ids=tuple(range(self.images)),
        )
        return MaskTrace.from_masks(header, {layer.name: bits.swapaxes(0, 1)})


def base_and_conditional(data: LayerData) -> tuple[np.ndarray, np.ndarray]:
    """int64 (images, C_out, H', W') each, by NumPy; float64 holds these integers exactly."""
    layer, stride = data.layer, data.layer.stride
    edge = (layer.padding, layer.padding)
    padded = np.pad(data.activations.astype(np.float64), ((0, 0), (0, 0), edge, edge))
    taps = (layer.kernel_size,) * 2
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps, (2, 3))
    windows = windows[:, :, ::stride, ::stride]
    inputs, outputs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    base, full = [], []
    for first in range(0, layer.out_channels, outputs):
        weights = data.weights[first : first + outputs].astype(np.float64)
        start = data.base_group(first) * inputs
        own = slice(start, start + inputs)
        base.append(np.tensordot(windows[:, own], weights[:, own], ((1, 4, 5), (1, 2, 3))))
        full.append(np.tensordot(windows, weights, ((1, 4, 5), (1, 2, 3))))
    sums = np.concatenate(base, axis=3).transpose(0, 3, 1, 2).astype(np.int64)
    return sums, np.concatenate(full, axis=3).transpose(0, 3, 1, 2).astype(np.int64) - sums


def decide(data: LayerData, base: np.ndarray) -> np.ndarray:
    """bool (images, C_out, H', W'): each channel's bit, from the base sums."""
    shape = (data.images, -1, data.mask_group, *base.shape[2:])
    bits = base.reshape(shape).sum(2) > data.thresholds[:, None, None]
    return np.repeat(bits, data.mask_group, axis=1)


def draw_data(
    layer: ConvLayer, images: int, mask_group: int, rank: float, inverse: bool, seed: int
) -> LayerData:
    """Drawn int8 data; a threshold is the list's own sum of that rank (0 to 1), met exactly."""
    rng = np.random.default_rng(seed)
    source = (images, layer.in_channels, layer.in_height, layer.in_width)
    kernel = (layer.out_channels, layer.in_channels, layer.kernel_size, layer.kernel_size)
    drawn = LayerData(
        layer=layer,
        activations=rng.integers(-128, 128, source).astype(np.int8),
        weights=rng.integers(-128, 128, kernel).astype(np.int8),
        thresholds=np.zeros(layer.out_channels // mask_group, np.int64),
        mask_group=mask_group,
        inverse=inverse,
    )
    base, _ = base_and_conditional(drawn)
    lists = np.moveaxis(base, 1, 0).reshape(len(drawn.thresholds), mask_group, -1).sum(1)
    drawn.thresholds[:] = np.sort(lists)[:, int(rank * (lists.shape[1] - 1))]
    return drawn
