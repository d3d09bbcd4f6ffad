"""Workloads: the convolution layers of a network, in execution order, with their edges.

A :class:`ConvLayer` is one convolution (or a classifier, as a 1x1 convolution on one pixel) and
what its output stage does behind it: residual addition and pooling. A :class:`Network` is the full
graph; layers that are not gated are part of it, so that no total leaves anything out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hwsim.errors import UserError, nearest, one_line

INPUT = "input"
"""Name of the network's input tensor; every other tensor is named after the layer that makes it."""

RESNET18 = (2, 2, 2, 2)
"""Residual blocks per stage."""


def executed_share(density: float, groups: int) -> float:
    """1/G + (1 - 1/G) d: the share of a gated layer's MACs that run (docs/model/counters.md).

    The base path's always run; of the others the density d of the mask.
    """
    base = 1 / groups
    return base + (1 - base) * density


class Described(BaseModel):
    """A frozen description whose mistakes are one line: a UserError with the key and the value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            named = f" {fields['name']!r}" if "name" in fields else ""
            what = first_mistake(error, list(type(self).model_fields))
            raise UserError(f"{type(self).__name__}{named}: {what}") from None


def first_mistake(error: ValidationError, keys: Sequence[str]) -> str:
    """The news of a validation, in one line; ``keys``: those that may be given."""
    # A key spelt wrong is also a key missing: the spelling is the news.
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}" + nearest(key, keys)
    if first["type"] == "missing":
        missing = [".".join(map(str, e["loc"])) for e in errors if e["type"] == "missing"]
        return f"missing key{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    message = one_line(first.get("ctx", {}).get("error", first["msg"]))
    return f"{key}: {message}, found {first['input']!r}" if key else message


class ConvLayer(Described):
    """One convolution; shapes are (channels, height, width), counts are per image.

    ``input`` and ``residual`` name tensors: ``"input"`` or the layer that makes them (pooled).
    ``pool`` is the factor by which the output stage shrinks the map in each direction (max and
    average pooling cost the same); consumers see ``pooled_height`` x ``pooled_width``.
    """

    name: str
    in_channels: int = Field(gt=0)
    out_channels: int = Field(gt=0)
    kernel_size: int = Field(gt=0)
    stride: int = Field(default=1, gt=0)
    padding: int = Field(default=0, ge=0)
    in_height: int = Field(gt=0)
    in_width: int = Field(gt=0)
    gated: bool = False
    groups: int = Field(default=1, gt=0, description="gating groups G; gated and 1: no base path")
    input: str = INPUT
    residual: str | None = None
    pool: int = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if min(self.in_height, self.in_width) + 2 * self.padding < self.kernel_size:
            raise ValueError(f"layer {self.name}: the kernel is larger than the padded input")
        if not self.gated and self.groups != 1:
            raise ValueError(f"layer {self.name}: groups must be 1 where the layer is not gated")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"layer {self.name}: {self.in_channels} -> {self.out_channels} channels cannot be "
                f"cut into {self.groups} equal gating groups"
            )
        if self.out_height % self.pool or self.out_width % self.pool:
            raise ValueError(
                f"layer {self.name}: pool {self.pool} does not divide the "
                f"{self.out_height}x{self.out_width} output"
            )
        return self

    @property
    def out_height(self) -> int:
        return (self.in_height + 2 * self.padding - self.kernel_size) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.in_width + 2 * self.padding - self.kernel_size) // self.stride + 1

    @property
    def pooled_height(self) -> int:
        return self.out_height // self.pool

    @property
    def pooled_width(self) -> int:
        return self.out_width // self.pool

    @property
    def out_pixels(self) -> int:
        """Output pixels per image, before pooling."""
        return self.out_height * self.out_width

    @property
    def steps(self) -> int:
        """L = K*K*C_in, the MACs of one output."""
        return self.kernel_size**2 * self.in_channels

    @property
    def zeroes(self) -> bool:
        """Whether its gates zero what they mask off: there is no base path."""
        return self.gated and self.groups == 1

    @property
    def base_steps(self) -> int:
        """L_b = L/G, the MACs of one output on the base path (all of them where not gated).

        0 where gates zero what they mask off (docs/model/baseless.md).
        """
        return 0 if self.zeroes else self.steps // self.groups

    @property
    def conditional_steps(self) -> int:
        """L_c = L - L_b, the MACs of one output on the conditional path."""
        return self.steps - self.base_steps

    @property
    def macs(self) -> int:
        """Dense MACs per image."""
        return self.steps * self.out_channels * self.out_pixels

    def executed_macs(self, density: float) -> float:
        """MACs per image that run at this density of the layer's mask."""
        return self.macs * (density if self.zeroes else executed_share(density, self.groups))

    def channel_tiles(self, columns: int, gated: bool) -> list[tuple[int, int]]:
        """(first channel, width) of each channel tile; none crosses a gating group if ``gated``."""
        extent = self.out_channels // (self.groups if gated else 1)
        return [
            (start, min(columns, group + extent - start))
            for group in range(0, self.out_channels, extent)
            for start in range(group, group + extent, columns)
        ]

    def mask_bits(self, mask_group: int = 1) -> int:
        """Mask bits per image, one per ``mask_group`` consecutive output channels and pixel."""
        return self.out_channels // mask_group * self.out_pixels if self.gated else 0


class Network(Described):
    """Layers in execution order; every tensor is made before it is read."""

    name: str
    layers: tuple[ConvLayer, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _edges_fit(self) -> Self:
        first = self.layers[0]
        made = {INPUT: (first.in_channels, first.in_height, first.in_width)}
        for layer in self.layers:
            if layer.name in made:
                raise ValueError(f"layer {layer.name}: the name is used twice")
            if layer.input not in made:
                raise ValueError(
                    f"layer {layer.name}: reads {layer.input!r}, which no layer before it makes"
                )
            expected = (layer.in_channels, layer.in_height, layer.in_width)
            if made[layer.input] != expected:
                raise ValueError(
                    f"layer {layer.name}: expects (channels, height, width) {expected}, "
                    f"but {layer.input} is {made[layer.input]}"
                )
            shape = (layer.out_channels, layer.pooled_height, layer.pooled_width)
            if layer.residual is not None:
                if layer.residual not in made:
                    raise ValueError(
                        f"layer {layer.name}: adds {layer.residual!r}, "
                        "which no layer before it makes"
                    )
                added = (layer.out_channels, layer.out_height, layer.out_width)
                if made[layer.residual] != added:
                    raise ValueError(
                        f"layer {layer.name}: adds {layer.residual} of shape "
                        f"{made[layer.residual]} to an output of shape {added}"
                    )
            made[layer.name] = shape
        return self

    @cached_property
    def by_name(self) -> dict[str, ConvLayer]:
        return {layer.name: layer for layer in self.layers}

    @property
    def gated_layers(self) -> tuple[ConvLayer, ...]:
        return tuple(layer for layer in self.layers if layer.gated)

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


def resnet18(
    input_size: int = 32,
    classes: int = 10,
    width: int = 64,
    groups: int = 4,
    stages: Sequence[int] = RESNET18,
) -> Network:
    """ResNet-18 whose sixteen 3x3 block convolutions are gated, or one with other ``stages``.

    ``input_size`` below 64 takes the CIFAR stem (3x3, stride 1, no pooling), otherwise the ImageNet
    stem (7x7, stride 2, then 3x3/2 max pooling, priced by its factor of 2). The shortcut of a
    block comes between its two convolutions, because the second adds the shortcut's output.
    """
    small = input_size < 64
    stem = _square(
        "conv1", INPUT, (3, width), input_size, 3 if small else 7,
        stride=1 if small else 2, pool=1 if small else 2,
    )  # fmt: skip
    layers = [stem]
    size, channels, source = stem.pooled_height, width, stem.name
    for stage, blocks in enumerate(stages):
        out_channels = width * 2**stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            prefix, through = f"layer{stage + 1}.{block}", (channels, out_channels)
            gates: dict[str, Any] = {"gated": True, "groups": groups}
            first = _square(f"{prefix}.conv1", source, through, size, 3, stride=stride, **gates)
            layers.append(first)
            residual = source
            if stride != 1 or channels != out_channels:
                residual = f"{prefix}.shortcut"
                layers.append(_square(residual, source, through, size, 1, stride=stride))
            size, channels = first.out_height, out_channels
            last = stage == len(stages) - 1 and block == blocks - 1
            inside, pool = (channels, channels), size if last else 1
            second = _square(
                f"{prefix}.conv2",
                first.name,
                inside,
                size,
                3,
                residual=residual,
                pool=pool,
                **gates,
            )
            layers.append(second)
            source = second.name
    layers.append(_square("fc", source, (channels, classes), 1, 1))
    name = "resnet18" if tuple(stages) == RESNET18 else f"resnet{'.'.join(map(str, stages))}"
    return Network(name=f"{name}-{input_size}", layers=tuple(layers))


def _square(
    name: str, source: str, channels: tuple[int, int], size: int, kernel_size: int, **more: Any
) -> ConvLayer:
    """A convolution of a square map that keeps its size where it has no stride."""
    return ConvLayer(
        name=name, input=source, in_channels=channels[0], out_channels=channels[1],
        kernel_size=kernel_size, padding=kernel_size // 2, in_height=size, in_width=size, **more,
    )  # fmt: skip
