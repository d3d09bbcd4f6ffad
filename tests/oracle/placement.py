"""Which tensors stay on chip (docs/model/residency.md; readings 5 and 12)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.arch.config import ArchConfig
from hwsim.network import INPUT, ConvLayer, Network

from .layout import Layout, flattened, pointer_layout, tensor_layout, touched_rows


@dataclass(frozen=True)
class Placement:
    """Where the tensors of one layer are: on chip, or in DRAM."""

    input_resident: bool  # the whole input is in the buffer, or comes to be
    input_on_chip: bool  # ... and was there before the layer began
    residual_on_chip: bool
    output_stored: bool
    layout: Layout  # that the pointers step through


def activation_room(arch: ArchConfig) -> int:
    """Bytes of the activation buffer beside the two staging tiles (reading 5)."""
    staging_tile = arch.array.columns * (arch.partial_sums.entries // arch.array.columns)
    return arch.activation.buffer_kib * 1024 - 2 * staging_tile


def place(network: Network, arch: ArchConfig, images: int) -> list[Placement]:
    """Decide in execution order which tensors stay on chip (reading 12)."""
    room = activation_room(arch)
    made = [INPUT, *(layer.name for layer in network.layers)]
    layouts = {
        tensor: tensor_layout(network, tensor, arch, images)
        for tensor in made
        if is_read(network, tensor, after=-1)
    }
    size = {tensor: layout.stored_bytes(arch) for tensor, layout in layouts.items()}
    on_chip: set[str] = set()
    from_dram: set[str] = set()
    seen: list[tuple[bool, bool, bool]] = []
    for at, layer in enumerate(network.layers):
        resident = size[layer.input] <= room
        was_there = layer.input in on_chip
        placed: list[str] = []
        if resident:
            placed.append(layer.input)
            wished = [layer.name] if is_read(network, layer.name, after=at) else []
            wished += [
                tensor
                for tensor in made
                if tensor in on_chip
                and tensor != layer.input
                and (tensor == layer.residual or is_read(network, tensor, after=at))
            ]
            for tensor in wished:
                if sum(size[other] for other in placed) + size[tensor] <= room:
                    placed.append(tensor)
        if not was_there:
            from_dram.add(layer.input)
        if layer.residual is not None and layer.residual not in placed:
            from_dram.add(layer.residual)
        seen.append((resident, was_there, layer.residual in placed))
        on_chip = {tensor for tensor in placed if is_read(network, tensor, after=at)}
        if not was_there and not touches_all(layer):
            on_chip.discard(layer.input)
    return [
        Placement(
            input_resident=resident,
            input_on_chip=was_there,
            residual_on_chip=residual_there,
            output_stored=(
                layer is network.layers[-1]
                or not is_read(network, layer.name, after=-1)
                or layer.name in from_dram
            ),
            layout=pointer_layout(network, layer, arch, images),
        )
        for layer, (resident, was_there, residual_there) in zip(network.layers, seen, strict=True)
    ]


def is_read(network: Network, tensor: str, after: int) -> bool:
    """Whether a layer behind position ``after`` reads the tensor, as input or as residual."""
    return any(tensor in (layer.input, layer.residual) for layer in network.layers[after + 1 :])


def touches_all(layer: ConvLayer) -> bool:
    """Whether the layer's taps touch every row of its input."""
    pixels = flattened(layer, images=1)
    return touched_rows(layer, pixels) == {(0, row) for row in range(layer.in_height)}
