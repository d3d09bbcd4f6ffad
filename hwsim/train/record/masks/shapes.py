"""What a mask's shape says it decides on, layer by layer.

A mask is read as PyTorch would broadcast it to the layer's output: a dimension of 1 is all of it.
docs/guide/traces.md has the table of shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd, prod
from typing import Literal, get_args

from torch import Tensor

from hwsim.network import ConvLayer
from hwsim.trace.format.header import takes_mask_group
from hwsim.train.record.masks.layouts import Layout
from hwsim.train.record.masks.recording_error import RecordingError

Kind = Literal["activation", "pixel", "channel", "image", "input-channel"]
"""What a bit decides on: an output activation (or those of a few channels), all channels of a
pixel, all pixels of a channel, a whole image, or an input channel."""

Declared = Literal["auto", "pixel", "channel", "input-channel"]
"""How a caller says which of two readings a mask's shape has."""

DECLARED: tuple[Declared, ...] = get_args(Declared)


@dataclass(frozen=True)
class Mask:
    """``values``: (images, lists, height, width), each but the first a layer's own, or 1 for all.

    Of input channels (images, heads, in_channels). ``values`` may be bits or margins.
    """

    layer: str
    kind: Kind
    values: Tensor

    @property
    def form(self) -> tuple[Kind, int]:
        """What stays the same in every batch."""
        return self.kind, self.values.shape[1]

    def spread(self, lists: int, layer: ConvLayer) -> Tensor:
        """(images, lists, out_height, out_width): each value at all that it decides on."""
        values = self.values
        if values.shape[1] != lists:
            values = values.repeat_interleave(lists // values.shape[1], 1)
        return values.expand(-1, -1, layer.out_height, layer.out_width)


def of_shape(
    values: Tensor, layer: ConvLayer, layout: Layout, images: int, declared: Declared = "auto"
) -> Mask:
    """The mask of a layer whose output has ``layout``. Raises RecordingError, with both shapes."""
    if declared == "input-channel":
        return _of_inputs(values, layer, images)
    found = None
    if values.dim() > 0:
        found = next(_readings(values, layer, layout, images, declared), None)
    if found is None:
        raise RecordingError(
            f"layer {layer.name}: a mask of shape {tuple(values.shape)}, expected "
            f"{_expected(layer, layout, images)}"
        )
    return Mask(layer.name, _kind(found), found)


def _kind(values: Tensor) -> Kind:
    _, lists, height, width = values.shape
    pixels = (height, width) != (1, 1)
    if lists > 1:
        return "activation" if pixels else "channel"
    return "pixel" if pixels else "image"


def _readings(
    values: Tensor, layer: ConvLayer, layout: Layout, images: int, declared: Declared
) -> Iterator[Tensor]:
    """The mask as (images, lists or 1, height or 1, width or 1)."""
    height, width, pixels = layer.out_height, layer.out_width, layer.out_pixels
    shape = tuple(values.shape)
    if layout == "folded" and len(values) == images * pixels and pixels > 1:
        # Images and pixels in one: (N * T, lists), (N * T, 1) or (N * T,).
        if values.dim() <= 2 and _fits(layer, shape[1] if values.dim() == 2 else 1):
            yield values.reshape(images, height, width, -1).permute(0, 3, 1, 2)
        return
    if len(values) != images:
        return
    own = shape[1:]
    if prod(own) == 1:
        yield values.reshape(images, 1, 1, 1)
    elif len(own) == 1:
        yield from _row(values, layer, layout, own[0], declared)
    elif layout in ("tokens", "folded"):
        yield from _tokens(values, layer, own, declared)
    elif len(own) == 2 and layout == "planes":
        if own == (height, width):
            yield values[:, None]
    elif len(own) == 2:
        # A sequence: (N, lists, T), (N, 1, T), (N, C, 1).
        if _fits(layer, own[0]) and own[1] in (1, pixels):
            size = (height, width) if own[1] == pixels else (1, 1)
            yield values.reshape(images, own[0], *size)
    elif len(own) == 3 and own[1] in (1, height) and own[2] in (1, width) and _fits(layer, own[0]):
        yield values


def _row(
    values: Tensor, layer: ConvLayer, layout: Layout, numbers: int, declared: Declared
) -> Iterator[Tensor]:
    """(N, C), or on a sequence or tokens (N, T)."""
    pixels = layer.out_pixels
    sequence = layout in ("sequence", "tokens", "folded") and numbers == pixels > 1
    channels = numbers == layer.out_channels
    if not sequence and not channels:
        channels = layout in ("planes", "flat", "vector") and _fits(layer, numbers)
    if sequence and (not channels or _chosen(layer, values, declared) == "pixel"):
        yield values.reshape(len(values), 1, layer.out_height, layer.out_width)
    elif channels:
        yield values[:, :, None, None]


def _tokens(
    values: Tensor, layer: ConvLayer, own: tuple[int, ...], declared: Declared
) -> Iterator[Tensor]:
    """(N, T, lists), (N, T, 1), (N, 1, T), (N, height, width), (N, 1, C); T may be several."""
    pixels, count, last = layer.out_pixels, len(values), own[-1]
    size = layer.out_height, layer.out_width
    before = prod(own[:-1])
    by_channel = before == 1 and last == layer.out_channels
    if prod(own) == pixels and (not by_channel or _chosen(layer, values, declared) == "pixel"):
        yield values.reshape(count, 1, *size)
    elif by_channel:
        yield values.reshape(count, last, 1, 1)
    elif before == pixels and _fits(layer, last):
        yield values.reshape(count, *size, last).permute(0, 3, 1, 2)


def _chosen(layer: ConvLayer, values: Tensor, declared: Declared) -> Declared:
    """What the caller says of a shape that is one of pixels as well as of channels."""
    if declared == "auto":
        raise RecordingError(
            f"layer {layer.name}: a mask of shape {tuple(values.shape)} may be of its "
            f"{layer.out_pixels} pixels or of its as many channels; say "
            f"masks={{{layer.name!r}: 'pixel'}} or 'channel'"
        )
    return declared


def _fits(layer: ConvLayer, lists: int) -> bool:
    """Whether so many mask lists cover equally many channels each."""
    return lists > 0 and layer.out_channels % lists == 0


def _of_inputs(values: Tensor, layer: ConvLayer, images: int) -> Mask:
    """(N, C_in), (N, C_in, 1, 1), or by head (N, heads, C_in)."""
    shape, channels = tuple(values.shape), layer.in_channels
    if len(shape) > 2 and shape[2:] == (1,) * (len(shape) - 2) and shape[1] == channels:
        values = values.flatten(1)
    if tuple(values.shape) == (images, channels):
        values = values[:, None].expand(-1, layer.groups, -1)
    if tuple(values.shape) != (images, layer.groups, channels):
        raise RecordingError(
            f"layer {layer.name}: a mask of shape {shape}, expected of input channels "
            f"({images}, {channels}) or by head ({images}, {layer.groups}, {channels})"
        )
    if layer.conv_groups > 1:
        raise RecordingError(
            f"layer {layer.name}: masks of input channels go with heads that read all of them, "
            f"not with a convolution of {layer.conv_groups} groups"
        )
    return Mask(layer.name, "input-channel", values)


def _expected(layer: ConvLayer, layout: Layout, images: int) -> str:
    channels = f"{layer.out_channels} or a part of it"
    height, width, pixels = layer.out_height, layer.out_width, layer.out_pixels
    if layout == "planes":
        return f"({images}, {channels}, {height}, {width}), or 1 in place of one of these"
    if layout == "sequence":
        return f"({images}, {channels}, {pixels}), or 1 in place of one of these"
    if layout in ("tokens", "folded"):
        return f"({images}, {pixels}, {channels}), or 1 in place of one of these"
    return f"({images}, {channels}), or ({images}, 1)"


def mask_group_of(lists: dict[str, int], layers: dict[str, ConvLayer]) -> int:
    """The most channels per mask list that one trace can have of layers with so many lists."""
    widest = 0
    for name, count in lists.items():
        widest = gcd(widest, layers[name].out_channels // count)
    divisors = (width for width in range(widest, 0, -1) if widest % width == 0)
    fitting = (w for w in divisors if all(takes_mask_group(layers[name], w) for name in lists))
    return next(fitting)
