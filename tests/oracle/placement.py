"""Which tensors stay on chip (docs/model/residency.md, docs/model/layers.md; readings 5 and 12)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.arch.config import ArchConfig
from hwsim.network import AnyLayer, MapLayer, Network

from .layout import Layout, ceil_div, flattened, pointer_layout, tensor_layout, touched_rows


@dataclass(frozen=True)
class Scale:
    """A tensor that a map layer multiplies by: values and words of an image."""

    values: int
    words: int
    on_chip: bool


@dataclass(frozen=True)
class Placement:
    """Where the tensors of one layer are: on chip, or in DRAM."""

    input_resident: bool  # the whole input is in the buffer, or comes to be
    input_on_chip: bool  # ... and was there before the layer began
    residual_on_chip: bool
    output_stored: bool
    layout: Layout | None  # that the pointers step through; map layers have none
    loaded_channels: int | None = None  # of the input, in each row that comes; None: all
    scale: Scale | None = None


def activation_room(arch: ArchConfig) -> int:
    """Bytes of the activation buffer beside the two staging tiles (reading 5)."""
    staging_tile = arch.array.columns * (arch.partial_sums.entries // arch.array.columns)
    return arch.activation.buffer_kib * 1024 - 2 * staging_tile


def place(network: Network, arch: ArchConfig, images: int) -> list[Placement]:
    """Decide in execution order which tensors stay on chip (reading 12)."""
    room = activation_room(arch)
    made = list(network.shapes)  # those from outside first
    size = {
        tensor: tensor_layout(network, tensor, arch, images).stored_bytes(arch)
        for tensor in made
        if is_read(network, tensor, after=-1)
    }
    on_chip: set[str] = set()
    from_dram: set[str] = set()
    placements = []
    for at, layer in enumerate(network.layers):
        resident = sum(size[tensor] for tensor in set(layer.inputs)) <= room
        there = {tensor for tensor in layer.inputs if tensor in on_chip}
        placed: list[str] = []
        if resident:
            placed += dict.fromkeys(layer.inputs)
            wished = [layer.name] if is_read(network, layer.name, after=at) else []
            wished += [
                tensor
                for tensor in made
                if tensor in on_chip
                and tensor not in layer.inputs
                and (tensor in beside(layer) or is_read(network, tensor, after=at))
            ]
            for tensor in wished:
                if sum(size[other] for other in placed) + size[tensor] <= room:
                    placed.append(tensor)
        absent = set(layer.inputs) - (there if resident else set())
        from_dram |= absent | {tensor for tensor in beside(layer) if tensor not in placed}
        placements.append(
            Placement(
                input_resident=resident,
                input_on_chip=not absent,
                residual_on_chip=layer.residual in placed,
                output_stored=False,  # seen by those that read it
                layout=layout_of_pointers(network, layer, arch, images),
                loaded_channels=sum(network.shapes[tensor][0] for tensor in absent),
                scale=scale_of(network, layer, arch, placed),
            )
        )
        on_chip = {tensor for tensor in placed if is_read(network, tensor, after=at)}
        if not touches_all(layer):
            on_chip -= absent
    return [
        replace(
            placement,
            output_stored=(
                layer is network.layers[-1]
                or not is_read(network, layer.name, after=-1)
                or layer.name in from_dram
                or any(layer.name == brings_weights(other) for other in network.layers)
            ),
        )
        for layer, placement in zip(network.layers, placements, strict=True)
    ]


def brings_weights(layer: AnyLayer) -> str | None:
    """The tensor that comes as the layer's weights, from DRAM: no reading of what is on chip."""
    return None if isinstance(layer, MapLayer) else layer.weights_from


def beside(layer: AnyLayer) -> list[str]:
    """What a layer reads beside its input: a residual, a scale."""
    scale = layer.scale if isinstance(layer, MapLayer) else None
    return [tensor for tensor in (layer.residual, scale) if tensor is not None]


def layout_of_pointers(
    network: Network, layer: AnyLayer, arch: ArchConfig, images: int
) -> Layout | None:
    if isinstance(layer, MapLayer):
        return None
    return pointer_layout(network, layer, arch, images)


def scale_of(
    network: Network, layer: AnyLayer, arch: ArchConfig, placed: list[str]
) -> Scale | None:
    """What a map layer multiplies by, if it does."""
    if not isinstance(layer, MapLayer) or layer.scale is None:
        return None
    channels, height, width = network.shapes[layer.scale]
    words = ceil_div(channels, arch.activation.word_channels)
    return Scale(channels * height * width, words * height * width, layer.scale in placed)


def is_read(network: Network, tensor: str, after: int) -> bool:
    """Whether a layer behind position ``after`` reads the tensor, but for weights."""
    return any(tensor in (*layer.inputs, *beside(layer)) for layer in network.layers[after + 1 :])


def touches_all(layer: AnyLayer) -> bool:
    """Whether the layer needs every row of its input."""
    pixels = flattened(layer, images=1)
    return touched_rows(layer, pixels) == {(0, row) for row in range(layer.in_height)}
