"""Channel orders: a layer's mask lists sorted by mean density inside each gating group.

A static permutation of output channels costs no hardware: it is folded into the weights, rows of
the layer that makes a tensor and input channels of those that read it. Lists of like length then
share a tile, so that fewer rounds wait for the longest. Layers whose outputs are added share one
order. Densities are measured on other images than those replayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd
from typing import Literal, get_args

import numpy as np

from hwsim.errors import nearest
from hwsim.network import AnyLayer, ConvLayer, Network
from hwsim.trace.format.header import TraceError, TraceHeader
from hwsim.trace.format.layout import CHUNK_IMAGES
from hwsim.trace.mask_trace import MaskTrace

ChannelOrder = Literal["natural", "density"]
"""As the network was trained, or sorted inside each gating group, densest mask lists first."""

NATURAL: ChannelOrder = "natural"


def require_order(name: str) -> str:
    """The name; TraceError with the nearest valid one where there is no such order."""
    valid = get_args(ChannelOrder)
    if name not in valid:
        raise TraceError(f"channel order {name!r}: unknown" + nearest(name, valid))
    return name


def density_order(trace: MaskTrace, images: Sequence[int] | None = None) -> dict[str, np.ndarray]:
    """Order of the mask lists of each gated layer: int64 (lists,), the old place of each new one.

    Densest first, inside each gating group (and those of the layers that read the tensor); lists
    of equal density stay in order. Layers joined by residual additions share one order, by the sum
    of their densities. ``images``: positions in the trace that are measured, all without it.
    Raises TraceError for masks of channels.
    """
    if trace.header.of_channels or not trace.header.has_masks:
        what = "masks of channels have" if trace.header.has_masks else "without masks there is"
        raise TraceError(f"{trace.path or trace.name}: {what} no channel order")
    chosen = np.arange(trace.images) if images is None else np.asarray(images, np.int64)
    orders = {}
    for tensors in added_together(trace.network):
        members = [layer for layer in trace.network.gated_layers if layer.name in tensors]
        if members:
            density = sum(_list_densities(trace, layer, chosen) for layer in members)
            order = _sorted_inside(np.asarray(density), _block_lists(trace.header, tensors))
            orders.update({layer.name: order for layer in members})
    return orders


def images_apart(source: TraceHeader, replayed: TraceHeader) -> list[int]:
    """Positions in ``source`` of images that are not among the replayed: another dataset's, or
    other ids."""
    seen = set(replayed.image_ids) if source.dataset == replayed.dataset else set()
    return [at for at, image in enumerate(source.image_ids) if image not in seen]


def same_gates(one: TraceHeader, other: TraceHeader) -> bool:
    """Whether an order measured on one can serve the other; that the weights are the same ones no
    header can prove."""
    alike = ("network", "method", "mask_group", "branch", "gate_norm", "granularity", "synthetic")
    return all(getattr(one, name) == getattr(other, name) for name in alike)


def added_together(network: Network) -> Iterator[frozenset[str]]:
    """Every tensor once, with those that residual additions tie to it."""
    tied = {name: {name} for name in network.shapes}
    for layer in network.layers:
        if layer.residual is not None:
            both = tied[layer.name] | tied[layer.residual]
            for name in both:
                tied[name] = both
    seen: set[str] = set()
    for name, tensors in tied.items():
        if name not in seen:
            seen |= tensors
            yield frozenset(tensors)


def _block_lists(header: TraceHeader, tensors: frozenset[str]) -> int:
    """Mask lists of the blocks inside which lists may change places; 1 where none may.

    No block crosses a gating group of a layer that makes one of the tensors or reads it. What
    comes from outside comes in the order that it has; so do tensors that a layer other than a
    convolution of one tensor makes or reads, or one with groups of its own.
    """
    makers = [layer for layer in header.network.layers if layer.name in tensors]
    readers = [layer for layer in header.network.layers if not tensors.isdisjoint(layer.reads)]
    reordered = (reorders(layer, tensors) for layer in (*makers, *readers))
    outside = not tensors.isdisjoint(header.network.outside)
    if outside or not all(reordered):
        return 1
    made = (layer.out_channels // layer.groups for layer in makers)
    read = (layer.in_channels // layer.groups for layer in readers if layer.input in tensors)
    block = gcd(*made, *read)
    return 1 if block % header.mask_group else block // header.mask_group


def reorders(layer: AnyLayer, tensors: frozenset[str]) -> bool:
    """Whether a layer works as well where the channels of these tensors have another order."""
    return (
        isinstance(layer, ConvLayer)
        and layer.conv_groups == 1
        and layer.weights_from not in tensors
        and (len(layer.inputs) == 1 or tensors.isdisjoint(layer.inputs))
    )


def _list_densities(trace: MaskTrace, layer: ConvLayer, images: np.ndarray) -> np.ndarray:
    """float64 (lists,): share of ones of each mask list over the images at these positions."""
    ones = np.zeros(trace.header.mask_channels(layer), np.int64)
    for start in range(0, trace.images, CHUNK_IMAGES):
        inside = images[(images >= start) & (images < start + CHUNK_IMAGES)] - start
        if inside.size:
            masks = trace.masks(layer.name, start, start + CHUNK_IMAGES)
            ones += masks[inside].sum(axis=(0, 2, 3))
    return ones / (layer.out_pixels * images.size)


def _sorted_inside(density: np.ndarray, block: int) -> np.ndarray:
    """Places sorted by falling density inside each block; int64."""
    blocks = density.reshape(-1, block)
    order = np.argsort(-blocks, axis=1, kind="stable")
    return (order + block * np.arange(len(blocks))[:, None]).ravel()
