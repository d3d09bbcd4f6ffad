"""The layers of a network that convolve.

A :class:`ConvLayer` is one convolution (or a linear layer, or a matrix product) and what its output
stage does behind it: residual addition and pooling. docs/model/layers.md says how it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hwsim.network.description import (
    Count,
    Described,
    Extent,
    Flag,
    Name,
    Padding,
    Tensors,
    both,
    refuse_huge,
)

INPUT = "input"
"""Name of the network's input tensor; other tensors are named after the layer that makes them."""

OUTSIDE = "input:"
"""How names of further tensors begin that no layer makes: they come from DRAM."""


def executed_share(density: float, groups: int) -> float:
    """1/G + (1 - 1/G) d: the share of a gated layer's MACs that run (docs/model/counters.md).

    The base path's always run; of the others the density d of the mask.
    """
    base = 1 / groups
    return base + (1 - base) * density


def refuse_huge_layer(layer: Any) -> None:
    """Raise ValueError for a layer of more than can be run."""
    read = layer.in_channels * layer.in_height * layer.in_width
    made = layer.out_channels * layer.out_height * layer.out_width
    refuse_huge(f"layer {layer.name}", max(read, made), layer.macs, layer.blocks * layer.steps)


class Layer(Described):
    """What every layer has; shapes are (channels, height, width), counts are per image.

    ``input`` names the tensor that it reads, or several, which are concatenated along their
    channels; ``residual`` one of the output's shape that its output stage adds. A tensor is
    ``"input"``, or the layer that makes it (pooled).
    """

    name: Name
    in_channels: Count
    in_height: Count
    in_width: Count
    input: Tensors = INPUT
    residual: Name | None = None

    @cached_property
    def hashed(self) -> int:
        return hash(tuple(getattr(self, name) for name in type(self).model_fields))

    def __hash__(self) -> int:
        return self.hashed

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that it reads, in the order of their channels."""
        return (self.input,) if isinstance(self.input, str) else self.input

    @property
    def aside(self) -> str | None:
        """A tensor that is read beside the maps, whole: ``weights_from`` or ``scale``."""
        return None

    @property
    def reads(self) -> Iterator[str]:
        """Every tensor that it needs."""
        yield from self.inputs
        yield from (tensor for tensor in (self.residual, self.aside) if tensor is not None)


_WRITTEN_FIRST = "name", "in_channels", "out_channels", "kernel_size", "stride", "padding"
_WRITTEN_LAST = "gated", "groups", "input", "residual", "pool"
_LATER = {"dilation": 1, "conv_groups": 1, "ceil_mode": False, "weights_from": None}


class ConvLayer(Layer):
    """One convolution; its mistakes are one line.

    ``kernel_size``, ``stride``, ``dilation`` are of both directions or (height, width); ``padding``
    also (top, left, bottom, right). ``conv_groups`` are the convolution's own groups (``groups`` in
    PyTorch); ``groups`` are gating groups. ``pool`` is the factor by which the output stage shrinks
    the map (max and average pooling cost the same), rounded down or with ``ceil_mode`` up;
    consumers see ``pooled_height`` x ``pooled_width``. ``weights_from``: the tensor whose values
    take the weights' place, image by image: a product of two activations.
    """

    out_channels: Count
    kernel_size: Extent
    stride: Extent = 1
    padding: Padding = 0
    dilation: Extent = 1
    conv_groups: Count = 1
    gated: Flag = False
    groups: Count = Field(default=1, description="gating groups G; gated and 1: no base path")
    pool: Extent = 1
    ceil_mode: Flag = False
    weights_from: Name | None = None

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if min(self.out_height, self.out_width) < 1:
            raise ValueError(f"layer {self.name}: the kernel is larger than the padded input")
        if not self.gated and self.groups != 1:
            raise ValueError(f"layer {self.name}: groups must be 1 where the layer is not gated")
        self._channels_fit(self.conv_groups, f"{self.conv_groups} groups")
        each = f" in each of {self.conv_groups} groups" if self.conv_groups > 1 else ""
        self._channels_fit(self.blocks, f"{self.groups} equal gating groups{each}")
        if min(self.pooled_height, self.pooled_width) < 1:
            raise ValueError(
                f"layer {self.name}: pool {self.pool} is larger than the "
                f"{self.out_height}x{self.out_width} output"
            )
        if self.weights_from is not None and self.gated:
            raise ValueError(f"layer {self.name}: a product of two activations cannot be gated")
        refuse_huge_layer(self)
        return self

    @cached_property
    def unnamed(self) -> ConvLayer:
        """What it computes: one object for all layers that differ in names alone."""
        return _unnamed(self)

    def _channels_fit(self, blocks: int, what: str) -> None:
        if self.in_channels % blocks or self.out_channels % blocks:
            raise ValueError(
                f"layer {self.name}: {self.in_channels} -> {self.out_channels} channels cannot be "
                f"cut into {what}"
            )

    @model_serializer(mode="wrap")
    def _short(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """In the order of old files, and without later keys that say nothing."""
        written = write(self)
        last = {key: written.pop(key) for key in _WRITTEN_LAST}
        later = {key: written.pop(key) for key in _LATER}
        told = {key: value for key, value in later.items() if value != _LATER[key]}
        ordered = {key: written.pop(key) for key in _WRITTEN_FIRST}
        return ordered | written | last | told

    @property
    def aside(self) -> str | None:
        return self.weights_from

    @property
    def multiplies(self) -> bool:
        """Whether another tensor's values are the weights, image by image."""
        return self.weights_from is not None

    @cached_property
    def kernel(self) -> tuple[int, int]:
        """(height, width) in taps."""
        return both(self.kernel_size)

    @cached_property
    def strides(self) -> tuple[int, int]:
        return both(self.stride)

    @cached_property
    def dilations(self) -> tuple[int, int]:
        return both(self.dilation)

    @cached_property
    def edges(self) -> tuple[int, int, int, int]:
        """Padding: (top, left, bottom, right)."""
        sides = (self.padding,) * 2 if isinstance(self.padding, int) else self.padding
        top, left = sides[:2]
        bottom, right = sides[-2:]
        return top, left, bottom, right

    @cached_property
    def reach(self) -> tuple[int, int]:
        """(height, width) from the first tap to the last, in input pixels."""
        (high, wide), (down, across) = self.kernel, self.dilations
        return (high - 1) * down, (wide - 1) * across

    @property
    def taps(self) -> int:
        """K*K, or kernel height * width."""
        return self.kernel[0] * self.kernel[1]

    @cached_property
    def out_height(self) -> int:
        top, _, bottom, _ = self.edges
        return (self.in_height + top + bottom - self.reach[0] - 1) // self.strides[0] + 1

    @cached_property
    def out_width(self) -> int:
        _, left, _, right = self.edges
        return (self.in_width + left + right - self.reach[1] - 1) // self.strides[1] + 1

    @cached_property
    def pooled_height(self) -> int:
        return self._pooled(self.out_height, both(self.pool)[0])

    @cached_property
    def pooled_width(self) -> int:
        return self._pooled(self.out_width, both(self.pool)[1])

    def _pooled(self, extent: int, factor: int) -> int:
        return -(-extent // factor) if self.ceil_mode else extent // factor

    @property
    def out_pixels(self) -> int:
        """Output pixels per image, before pooling."""
        return self.out_height * self.out_width

    @property
    def blocks(self) -> int:
        """Blocks of input and of output channels: conv_groups * G."""
        return self.conv_groups * self.groups

    @property
    def block_channels(self) -> int:
        """Input channels of a block."""
        return self.in_channels // self.blocks

    @cached_property
    def steps(self) -> int:
        """L = K*K*C_in / conv_groups, the MACs of one output."""
        return self.taps * self.in_channels // self.conv_groups

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

    @cached_property
    def macs(self) -> int:
        """Dense MACs per image."""
        return self.steps * self.out_channels * self.out_pixels

    def executed_macs(self, density: float) -> float:
        """MACs per image that run at this density of the layer's mask."""
        return self.macs * (density if self.zeroes else executed_share(density, self.groups))

    def channel_tiles(self, columns: int, gated: bool) -> tuple[tuple[int, int], ...]:
        """(first channel, width) of each channel tile.

        None crosses a group of the convolution, nor a gating group if ``gated``.
        """
        extent = self.out_channels // (self.blocks if gated else self.conv_groups)
        return channel_tiles(self.out_channels, extent, columns)

    def mask_bits(self, mask_group: int = 1) -> int:
        """Mask bits per image, one per ``mask_group`` consecutive output channels and pixel."""
        return self.out_channels // mask_group * self.out_pixels if self.gated else 0


@lru_cache(maxsize=1024)
def channel_tiles(channels: int, extent: int, columns: int) -> tuple[tuple[int, int], ...]:
    """(first channel, width) of tiles of ``columns``; none crosses an ``extent`` of channels."""
    return tuple(
        (start, min(columns, block + extent - start))
        for block in range(0, channels, extent)
        for start in range(block, block + extent, columns)
    )


@lru_cache(maxsize=4096)
def _unnamed(layer: ConvLayer) -> ConvLayer:
    return layer.model_copy(update={"name": "unnamed", "input": INPUT, "residual": None})
