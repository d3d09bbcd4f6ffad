"""The form in which a trace keeps the masks of all layers, and each layer's bits in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from hwsim.network import ConvLayer, Network
from hwsim.trace.format.header import Granularity
from hwsim.train.record.masks.recording_error import RecordingError
from hwsim.train.record.masks.shapes import Mask, mask_group_of


@dataclass(frozen=True)
class Form:
    """``granularity`` and ``mask_group`` of the trace; ``note``: what is lost in it, or ""."""

    granularity: Granularity
    mask_group: int
    note: str = ""

    @classmethod
    def of(cls, masks: Mapping[str, Mask], network: Network, zeroed: bool) -> Form:
        """The smallest form that is exact for all layers. Raises RecordingError where none is.

        ``zeroed``: whether outputs that are masked off are zero.
        """
        layers = network.by_name
        kinds = {name: mask.kind for name, mask in masks.items()}
        by_input = [n for n, kind in kinds.items() if kind == "input-channel"]
        if by_input:
            if other := sorted(set(kinds) - set(by_input)):
                raise RecordingError(
                    f"layer {other[0]}: a mask of its outputs, but layer {by_input[0]}'s is of "
                    "input channels; a trace has one of both"
                )
            return cls("input-channel-by-head", 1)
        of_channels = [
            name for name, kind in kinds.items()
            if kind in ("channel", "image") and layers[name].out_pixels > 1
        ]  # fmt: skip
        whole = all(kind in ("channel", "image") for kind in kinds.values())
        grouped = [layer.name for layer in network.convolutions if layer.conv_groups > 1]
        if whole and zeroed and not grouped:
            return cls("output-channel", 1)
        lists = {name: mask.values.shape[1] for name, mask in masks.items()}
        note = ""
        if of_channels:
            reason = f"layer {grouped[0]} has groups" if grouped else ""
            if not zeroed:
                reason = "masked-off outputs are not zero"
            if not whole:
                pixels = (n for n, kind in kinds.items() if kind in ("pixel", "activation"))
                reason = f"those of layer {next(pixels)} decide on pixels"
            note = (
                f"masks of whole channels (layer {of_channels[0]}) are kept bit by pixel, because "
                f"{reason}: the scheme channels cannot run them"
            )
        return cls("element", mask_group_of(lists, {n: layers[n] for n in lists}), note)

    @property
    def of_channels(self) -> bool:
        return self.granularity != "element"

    def laid(self, mask: Mask, layer: ConvLayer) -> Tensor:
        """The values of a layer's mask as the trace has them, (images, *mask shape), contiguous."""
        if self.granularity == "input-channel-by-head":
            found = mask.values
        elif self.granularity == "output-channel":
            repeats = layer.out_channels // mask.values.shape[1]
            found = mask.values[:, :, 0, 0].repeat_interleave(repeats, 1)
        else:
            found = mask.spread(layer.out_channels // self.mask_group, layer)
        return found.contiguous()
