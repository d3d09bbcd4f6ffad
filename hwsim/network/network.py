"""A network: its layers in execution order, with their edges.

Layers that are not gated are part of it, so that no total leaves anything out.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from hwsim.errors import nearest
from hwsim.network.description import Described, Name
from hwsim.network.layers import INPUT, OUTSIDE, ConvLayer
from hwsim.network.map_layer import MapLayer

Shape = tuple[int, int, int]


def _kind(layer: Any) -> str:
    found = "operator" in layer if isinstance(layer, dict) else isinstance(layer, MapLayer)
    return "map" if found else "convolution"


AnyLayer: TypeAlias = Annotated[
    Annotated[ConvLayer, Tag("convolution")] | Annotated[MapLayer, Tag("map")], Discriminator(_kind)
]
"""A layer as a network has it: where a description has an ``operator``, one without MACs."""


class Network(Described):
    """Layers in execution order; every tensor is made before it is read."""

    name: Name
    layers: tuple[AnyLayer, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _edges_fit(self) -> Self:
        made = dict(self.outside)
        for layer in self.layers:
            if layer.name == INPUT or layer.name.startswith(OUTSIDE):
                raise ValueError(f"layer {layer.name}: tensors from outside are named so")
            if layer.name in made:
                raise ValueError(f"layer {layer.name}: the name is used twice")
            for tensor in layer.reads:
                if tensor not in made:
                    raise ValueError(
                        f"layer {layer.name}: {_verb(layer, tensor)} {tensor!r}, which no layer "
                        f"before it makes{nearest(tensor, made)}"
                    )
            _input_fits(layer, made)
            _residual_fits(layer, made)
            if isinstance(layer, ConvLayer):
                _product_fits(layer, made)
            made[layer.name] = (layer.out_channels, layer.pooled_height, layer.pooled_width)
        return self

    @cached_property
    def outside(self) -> dict[str, Shape]:
        """Shapes of the tensors that no layer makes, ``input`` and others in order of their use.

        ``input`` has the shape that the first layer reads, one that begins with ``input:`` that
        with which a layer reads it by itself, or adds it.
        """
        first = self.layers[0]
        found: dict[str, Shape] = {INPUT: (first.in_channels, first.in_height, first.in_width)}
        for layer in self.layers:
            shapes = [
                (layer.input, (layer.in_channels, layer.in_height, layer.in_width)),
                (layer.residual, (layer.out_channels, layer.out_height, layer.out_width)),
            ]
            for tensor, shape in shapes:
                if isinstance(tensor, str) and tensor.startswith(OUTSIDE):
                    found.setdefault(tensor, shape)
        return found

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """(channels, height, width) of every tensor, as its readers see it."""
        made = {
            layer.name: (layer.out_channels, layer.pooled_height, layer.pooled_width)
            for layer in self.layers
        }
        return {**self.outside, **made}

    @cached_property
    def by_name(self) -> dict[str, ConvLayer]:
        """The layers that have MACs, by name."""
        return {layer.name: layer for layer in self.convolutions}

    @property
    def convolutions(self) -> tuple[ConvLayer, ...]:
        """The layers that have MACs."""
        return tuple(layer for layer in self.layers if isinstance(layer, ConvLayer))

    @property
    def gated_layers(self) -> tuple[ConvLayer, ...]:
        return tuple(layer for layer in self.convolutions if layer.gated)

    @property
    def macs(self) -> int:
        """Dense MACs per image, all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def gated_macs(self) -> int:
        """Dense MACs per image of the gated layers."""
        return sum(layer.macs for layer in self.gated_layers)

    def mask_bits(self, mask_group: int = 1) -> int:
        """Mask bits per image, all gated layers."""
        return sum(layer.mask_bits(mask_group) for layer in self.gated_layers)


def _verb(layer: AnyLayer, tensor: str) -> str:
    return "adds" if tensor == layer.residual and tensor not in layer.inputs else "reads"


def same_values(shape: Shape, other: Shape) -> bool:
    """Whether two shapes have the same pixels: a map may be read as a row of them, or a column."""
    return shape[0] == other[0] and shape[1] * shape[2] == other[1] * other[2]


def _input_fits(layer: AnyLayer, made: dict[str, Shape]) -> None:
    expected = (layer.in_channels, layer.in_height, layer.in_width)
    shapes = [made[tensor] for tensor in layer.inputs]
    channels = sum(shape[0] for shape in shapes)
    if any(not same_values((1, *shape[1:]), (1, *expected[1:])) for shape in shapes) or (
        channels != layer.in_channels
    ):
        found = " and ".join(map(str, shapes))
        raise ValueError(
            f"layer {layer.name}: expects (channels, height, width) {expected}, "
            f"but {' and '.join(layer.inputs)} is {found}"
        )


def _residual_fits(layer: AnyLayer, made: dict[str, Shape]) -> None:
    added = (layer.out_channels, layer.out_height, layer.out_width)
    if layer.residual is not None and not same_values(made[layer.residual], added):
        raise ValueError(
            f"layer {layer.name}: adds {layer.residual} of shape "
            f"{made[layer.residual]} to an output of shape {added}"
        )


def _product_fits(layer: ConvLayer, made: dict[str, Shape]) -> None:
    if layer.weights_from is None:
        return
    channels, height, width = made[layer.weights_from]
    needed = layer.out_channels * layer.steps
    if channels * height * width != needed:
        raise ValueError(
            f"layer {layer.name}: multiplies by {needed} values, but {layer.weights_from} of shape "
            f"{made[layer.weights_from]} has {channels * height * width}"
        )
