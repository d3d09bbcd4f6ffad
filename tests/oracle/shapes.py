"""Which shapes of the array a layer can hold (docs/model/reshape.md)."""

from __future__ import annotations

from collections.abc import Iterable

from hwsim.arch.config import ArchConfig, Shape
from hwsim.network import AnyLayer, ConvLayer, Network

from .placement import place
from .residency import DoesNotFit, cut_channels, plan_layer, uses_masks
from .schemes import hardware


def held_shapes(
    network: Network,
    arch: ArchConfig,
    scheme: str,
    mask_group: int,
    batch_sizes: Iterable[int],
    gate_norm: str,
) -> dict[str, list[Shape]]:
    """Layer -> the array's own shape, and in their order those of the others that it can hold.

    Of the own one nothing is asked here: where it does not fit, no run does.
    """
    own, *others = arch.array.shapes
    fitting = {layer.name: others for layer in network.layers}
    for images in batch_sizes:
        for layer, placement in zip(network.layers, place(network, arch, images), strict=True):
            fitting[layer.name] = [
                shape
                for shape in fitting[layer.name]
                if fits(layer, arch, shape, scheme, images, placement, gate_norm)
            ]
    return {
        layer.name: [
            own,
            *(
                shape
                for shape in fitting[layer.name]
                if keeps_structure(layer, arch.shaped(shape), scheme, mask_group)
            ),
        ]
        for layer in network.layers
    }


def fits(layer: AnyLayer, *arguments: object) -> bool:
    """Whether the buffers hold the layer, as ``plan_layer`` would plan it, with a channel tile."""
    try:
        return plan_layer(layer, *arguments).weights != "parts"
    except DoesNotFit:
        return False


def keeps_structure(layer: AnyLayer, arch: ArchConfig, scheme: str, mask_group: int) -> bool:
    """Whether no lane group spans two masks, where a scheme's lanes have one mask."""
    if not uses_masks(layer, scheme) or hardware(scheme).masks != "sparse":
        return True
    tiles = mask_lists(layer, arch, scheme, mask_group)
    return all(len(lists) == 1 for groups in tiles for lists in groups)


def mask_lists(
    layer: ConvLayer, arch: ArchConfig, scheme: str, mask_group: int
) -> list[list[set[int]]]:
    """For every channel tile, the mask lists of each of its lane groups."""
    return [
        [
            {channels[lane] // mask_group for lane in group}
            for group in hardware(scheme).lane_groups(len(channels))
        ]
        for channels in cut_channels(layer, arch, scheme)
    ]
