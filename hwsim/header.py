"""The header of a trace: which network, which gates, which images, and how the masks came about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hwsim.errors import UserError
from hwsim.workload import ConvLayer, Network

FORMAT_VERSION = 1


class TraceError(UserError):
    """A trace that cannot be read or used; the message names file, layer and reason."""


class TraceHeader(BaseModel):
    """What a trace says of itself; ``training`` holds JSON values: how the masks came about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    network: Network
    method: str
    mask_group: int = Field(gt=0)
    branch: str = "diagonal"
    gate_norm: Literal["batch", "instance"] = "batch"
    dataset: str
    image_ids: tuple[int, ...] = Field(min_length=1)
    training: dict[str, Any] = Field(default_factory=dict)
    synthetic: bool = False

    @model_validator(mode="after")
    def _masks_fit(self) -> Self:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"format version {self.format_version}, this hwsim reads {FORMAT_VERSION}"
            )
        if not self.network.gated_layers:
            raise ValueError("the network has no gated layer")
        for layer in self.network.gated_layers:
            width = layer.out_channels // layer.groups
            if width % self.mask_group:
                raise ValueError(
                    f"layer {layer.name}: mask group {self.mask_group} does not divide the "
                    f"{width} channels of a gating group"
                )
        return self

    @property
    def images(self) -> int:
        return len(self.image_ids)

    def lists(self, layer: ConvLayer) -> int:
        """Masks of ``layer`` per image: one per ``mask_group`` output channels."""
        return layer.out_channels // self.mask_group

    @property
    def label(self) -> str:
        """How the trace is named wherever it is shown, with what a reader must know."""
        notes = [
            note
            for note, holds in (
                ("synthetic", self.synthetic),
                ("barely trained", self.training.get("barely_trained", False)),
                ("thresholds shifted, approximate", self.training.get("threshold_shift", 0) != 0),
            )
            if holds
        ]
        return self.method + (f" ({', '.join(notes)})" if notes else "")

    def density_elements(self, ones: Mapping[str, int]) -> float:
        """Share of mask bits that are 1, from the set bits of each gated layer over all images."""
        return sum(ones.values()) / (self.images * self.network.mask_bits(self.mask_group))

    def density_macs(self, ones: Mapping[str, int]) -> float:
        """The same with each layer weighted by its MACs: the share of conditional MACs executed."""
        weighted = sum(
            layer.macs * ones[layer.name] / (self.images * layer.mask_bits(self.mask_group))
            for layer in self.network.gated_layers
        )
        return weighted / self.network.gated_macs
