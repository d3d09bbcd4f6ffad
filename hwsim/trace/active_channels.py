"""Activity: which channels matter to which layer, image by image, where masks are of channels.

From the graph and the masks alone (docs/model/channels.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hwsim.network import ConvLayer, MapLayer, Network
from hwsim.trace.format.header import Granularity
from hwsim.trace.mask_trace import MaskTrace

IMAGES_AT_ONCE = 4096
"""Images whose channels are in memory at once where a whole trace is counted."""


class Channels(NamedTuple):
    """A layer's channels, uint8 flags, by image.

    ``computed`` (images, out_channels): outputs that are computed; ``kept`` (images, heads,
    in_channels): inputs that they read; ``present`` (images, in_channels): active in the input
    tensor; ``added`` (images, out_channels): active in the residual, all 0 without one.
    """

    computed: np.ndarray
    kept: np.ndarray
    present: np.ndarray
    added: np.ndarray

    def pairs(self) -> int:
        """Computed outputs x kept inputs, summed over heads and images."""
        heads = self.kept.shape[1]
        outputs = self.computed.reshape(len(self.computed), heads, -1).sum(axis=2, dtype=np.int64)
        return int((outputs * self.kept.sum(axis=2, dtype=np.int64)).sum())


def maybe_inactive(network: Network, granularity: Granularity) -> frozenset[str]:
    """Tensors that a mask can leave inactive channels in; shapes and edges decide."""
    found: set[str] = set()
    if granularity == "output-channel":
        for layer in network.layers:
            if layer.gated and (layer.residual is None or layer.residual in found):
                found.add(layer.name)
    return frozenset(found)


def selecting(network: Network, granularity: Granularity) -> frozenset[str]:
    """Layers that do not read or make all channels of every image."""
    inactive = maybe_inactive(network, granularity)
    return frozenset(
        layer.name
        for layer in network.layers
        if layer.gated or not inactive.isdisjoint(layer.reads)
    )


def hindrance(network: Network, granularity: Granularity) -> str:
    """Why masks of channels cannot be used on the network's layers, "" if they can."""
    found = selecting(network, granularity)
    for layer in network.layers:
        if layer.name not in found:
            continue
        if isinstance(layer, MapLayer):
            return f"layer {layer.name} ({layer.operator}) would have to leave channels out"
        if layer.conv_groups > 1:
            return f"layer {layer.name} is a convolution with groups"
        if len(layer.inputs) > 1 or layer.multiplies:
            return f"layer {layer.name} reads several tensors"
    return ""


def channels_of(
    network: Network, granularity: Granularity, masks: Mapping[str, np.ndarray], images: int
) -> dict[str, Channels]:
    """The channels of every layer that selects.

    ``masks``: bool (images, *mask shape) per gated layer.
    """
    outside = network.outside.items()
    active = {tensor: np.ones((images, channels), bool) for tensor, (channels, _, _) in outside}
    found = {}
    for layer in network.layers:
        present = np.concatenate([active[tensor] for tensor in layer.inputs], axis=1)
        computed = np.ones((images, layer.out_channels), bool)
        kept = present[:, None, :]
        if layer.gated and granularity == "output-channel":
            computed = masks[layer.name]
        elif layer.gated:
            kept = masks[layer.name]
        added = np.zeros_like(computed)
        if layer.residual is not None:
            added = active[layer.residual]
        active[layer.name] = computed | added
        found[layer.name] = Channels(
            *(np.ascontiguousarray(flags, np.uint8) for flags in (computed, kept, present, added))
        )
    return {name: found[name] for name in selecting(network, granularity)}


def kept_macs(trace: MaskTrace) -> dict[str, int]:
    """MACs of each layer over all images, of computed outputs and kept inputs; no predictors'."""
    network, granularity = trace.network, trace.header.granularity
    macs = {layer.name: layer.macs * trace.images for layer in network.layers}
    macs |= dict.fromkeys(selecting(network, granularity), 0)
    for start in range(0, trace.images, IMAGES_AT_ONCE):
        stop = min(start + IMAGES_AT_ONCE, trace.images)
        masks = {layer.name: trace.masks(layer.name, start, stop) for layer in network.gated_layers}
        for name, found in channels_of(network, granularity, masks, stop - start).items():
            layer = network.by_name[name]
            macs[name] += found.pairs() * layer.taps * layer.out_pixels
    return macs


def predictors(layer: ConvLayer, granularity: Granularity, squeeze: int) -> list[ConvLayer]:
    """The dense layers that choose a gated layer's channels, in execution order."""
    if granularity == "output-channel":
        return [_dense(f"{layer.name}.predictor", layer.in_channels, layer.out_channels)]
    hidden = -(-layer.in_channels // squeeze)
    narrow = _dense(f"{layer.name}.squeeze", layer.in_channels, layer.groups * hidden)
    excite = [
        _dense(f"{layer.name}.excite{head}", hidden, layer.in_channels)
        for head in range(layer.groups)
    ]
    return [narrow, *excite]


def _dense(name: str, inputs: int, outputs: int) -> ConvLayer:
    return ConvLayer(
        name=name, in_channels=inputs, out_channels=outputs, kernel_size=1, in_height=1, in_width=1
    )
