"""The layers of a network that make a map without a MAC."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from hwsim.network.description import Count, Name
from hwsim.network.layers import Layer, channel_tiles, refuse_huge_layer


class MapLayer(Layer):
    """A map made of maps without a MAC, by the output stage (docs/model/layers.md).

    ``operator`` says what: ``pool`` and ``resize`` change height and width, ``add`` takes a
    ``residual``, ``multiply`` a ``residual`` or a ``scale`` (a tensor of another shape, such as one
    factor a channel), ``rearrange`` moves values: slices, shuffles, transposes, padding.
    """

    operator: Literal["pool", "add", "multiply", "resize", "rearrange"]
    out_channels: Count
    out_height: Count
    out_width: Count
    scale: Name | None = None

    @model_validator(mode="after")
    def _operands_fit(self) -> Self:
        if self.operator == "add" and self.residual is None:
            raise ValueError(f"layer {self.name}: add takes a residual")
        if self.operator == "multiply" and (self.residual is None) == (self.scale is None):
            raise ValueError(f"layer {self.name}: multiply takes a residual or a scale")
        if self.operator != "multiply" and self.scale is not None:
            raise ValueError(f"layer {self.name}: a scale belongs to multiply")
        refuse_huge_layer(self)
        return self

    @property
    def aside(self) -> str | None:
        return self.scale

    # What a layer without gates and MACs has of a convolution's.
    gated: ClassVar[bool] = False
    zeroes: ClassVar[bool] = False
    groups: ClassVar[int] = 1
    conv_groups: ClassVar[int] = 1
    blocks: ClassVar[int] = 1
    multiplies: ClassVar[bool] = False
    macs: ClassVar[int] = 0
    steps: ClassVar[int] = 0
    pool: ClassVar[int] = 1

    @cached_property
    def pooled_height(self) -> int:
        return self.out_height

    @cached_property
    def pooled_width(self) -> int:
        return self.out_width

    @property
    def out_pixels(self) -> int:
        return self.out_height * self.out_width

    def executed_macs(self, density: float) -> float:
        return 0.0

    def channel_tiles(self, columns: int, gated: bool) -> tuple[tuple[int, int], ...]:
        """(first channel, width) of each channel tile."""
        return channel_tiles(self.out_channels, self.out_channels, columns)

    def mask_bits(self, mask_group: int = 1) -> int:
        return 0
