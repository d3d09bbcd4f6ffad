"""The header of a trace: which network, which gates, which images, and how the masks came about.

Format version 4 has a hash for each chunk of data. Versions 1 to 3 are read: 1 has masks of output
activations, 2 says in ``granularity`` what a mask bit decides, 3 counts conditional zeros.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hwsim.cli import MOST_IMAGES
from hwsim.errors import UserError, one_line, shown
from hwsim.network import AnyLayer, ConvLayer, Described, Name, Network

Granularity = Literal["element", "output-channel", "input-channel-by-head", "none"]

CHANNEL_VERSION, CHUNKED_VERSION = 2, 4
"""Format versions that brought masks of channels, and hashes of chunks; the last is written."""

LARGEST_ID = (1 << 63) - 1


def takes_mask_group(layer: ConvLayer, mask_group: int) -> bool:
    """Whether mask lists of so many channels fit a layer.

    They stay inside a gating group; in a convolution with groups one may also cover whole ones.
    """
    block = layer.out_channels // layer.blocks
    whole = layer.conv_groups > 1 and mask_group % block == 0
    return layer.out_channels % mask_group == 0 and (block % mask_group == 0 or whole)


class TraceError(UserError):
    """A trace that cannot be read or used; the message names file, layer and reason."""


def numbered(images: int) -> tuple[int, ...]:
    """``image_ids`` of images that have no other numbers. Raises TraceError where none may be."""
    if not 1 <= images <= MOST_IMAGES:
        raise TraceError(f"{shown(images)} images: expected 1 to {MOST_IMAGES:,}")
    return tuple(range(images))


def _as_written(values: dict[str, Any]) -> dict[str, Any]:
    """ValueError for what JSON in UTF-8 cannot hold; it would be met when the trace is written."""
    try:
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"expected values that JSON can hold ({one_line(error)})") from None
    return values


class TraceHeader(Described):
    """What a trace says of itself; ``training`` holds JSON values: how the masks came about.

    ``granularity``: what a mask bit decides, or that there are no masks; ``mask_group`` is 1 where
    it decides on channels.
    ``squeeze``: how far the predictors of ``input-channel-by-head`` masks narrow their input.
    """

    format_version: int = CHUNKED_VERSION
    network: Network
    method: Name
    granularity: Granularity = "element"
    mask_group: int = Field(gt=0)
    squeeze: int = Field(default=16, gt=0)
    branch: Literal["diagonal", "inverse"] = "diagonal"
    gate_norm: Literal["batch", "instance"] = "batch"
    dataset: Name
    image_ids: tuple[Annotated[int, Field(ge=0, le=LARGEST_ID)], ...] = Field(
        min_length=1, max_length=MOST_IMAGES
    )
    training: Annotated[dict[str, Any], AfterValidator(_as_written)] = Field(default_factory=dict)
    synthetic: bool = False

    @model_validator(mode="after")
    def _masks_fit(self) -> Self:
        if not 1 <= self.format_version <= CHUNKED_VERSION:
            raise ValueError(
                f"format version {self.format_version}, this hwsim reads 1 to {CHUNKED_VERSION}"
            )
        if len(set(self.image_ids)) < len(self.image_ids):
            raise ValueError("image_ids: an image is there twice")
        if not self.has_masks:
            if self.format_version < CHANNEL_VERSION:
                raise ValueError(f"granularity none needs format version {CHANNEL_VERSION}")
            return self
        if not self.network.gated_layers:
            raise ValueError("the network has no gated layer")
        if self.of_channels:
            self._channels_fit()
        for layer in self.network.gated_layers:
            if not takes_mask_group(layer, self.mask_group):
                raise ValueError(
                    f"layer {layer.name}: mask group {self.mask_group} does not divide the "
                    f"{layer.out_channels // layer.blocks} channels of a gating group"
                )
        return self

    def _channels_fit(self) -> None:
        if self.format_version < CHANNEL_VERSION:
            raise ValueError(
                f"granularity {self.granularity} needs format version {CHANNEL_VERSION}, "
                f"found {self.format_version}"
            )
        if self.mask_group != 1:
            raise ValueError(f"granularity {self.granularity} has mask group 1, found another one")
        if self.gate_norm != "batch":
            raise ValueError(f"granularity {self.granularity} has no gate norm {self.gate_norm!r}")

    def as_json(self) -> str:
        """The text that is stored and hashed; version 1 has no keys that came later."""
        later = {"granularity", "squeeze"} if self.format_version < CHANNEL_VERSION else None
        return self.model_dump_json(exclude=later)

    @property
    def has_masks(self) -> bool:
        """Whether gated layers have masks; without any all layers run dense."""
        return self.granularity != "none"

    @property
    def of_channels(self) -> bool:
        """Whether a mask bit decides on a channel of an image, not on an output activation."""
        return self.granularity not in ("element", "none")

    @property
    def masked_layers(self) -> tuple[ConvLayer, ...]:
        """The layers whose masks a trace holds: all gated ones, or none."""
        return self.network.gated_layers if self.has_masks else ()

    def mask_shape(self, layer: ConvLayer) -> tuple[int, ...]:
        """Shape of one image's mask of a gated layer."""
        if self.granularity == "output-channel":
            return (layer.out_channels,)
        if self.granularity == "input-channel-by-head":
            return (layer.groups, layer.in_channels)
        return (self.mask_channels(layer), layer.out_height, layer.out_width)

    def layer_bits(self, layer: AnyLayer) -> int:
        """Mask bits of a layer per image; 0 where it has no mask."""
        if not isinstance(layer, ConvLayer) or not layer.gated or not self.has_masks:
            return 0
        return prod(self.mask_shape(layer))

    @cached_property
    def bits(self) -> int:
        """Mask bits per image, all layers."""
        return sum(map(self.layer_bits, self.masked_layers))

    @property
    def images(self) -> int:
        return len(self.image_ids)

    def newest(self) -> TraceHeader:
        """The same in the format version that is written."""
        return self.model_copy(update={"format_version": CHUNKED_VERSION})

    def head(self, images: int) -> TraceHeader:
        """Of the first ``images`` images."""
        return self.model_copy(update={"image_ids": self.image_ids[:images]})

    def mask_channels(self, layer: ConvLayer) -> int:
        """Mask lists of ``layer``: one per ``mask_group`` output channels."""
        return layer.out_channels // self.mask_group

    @property
    def label(self) -> str:
        """How the trace is named wherever it is shown, with what a reader must know."""
        notes = [
            note
            for note, holds in (
                ("synthetic", self.synthetic and not self.method.startswith("synthetic")),
                ("barely trained", self.training.get("barely_trained", False)),
                ("thresholds shifted, approximate", self.training.get("threshold_shift", 0) != 0),
            )
            if holds
        ]
        return self.method + (f" ({', '.join(notes)})" if notes else "")

    def density_elements(self, ones: Mapping[str, int]) -> float:
        """Share of mask bits that are 1, from the set bits of each gated layer over all images."""
        return sum(ones.values()) / (self.images * self.bits)

    def density_macs(self, ones: Mapping[str, int]) -> float:
        """The same with each layer weighted by its MACs.

        Of element masks this is the share of conditional MACs executed.
        """
        weighted = sum(
            layer.macs * ones[layer.name] / (self.images * self.layer_bits(layer))
            for layer in self.network.gated_layers
        )
        return weighted / self.network.gated_macs
