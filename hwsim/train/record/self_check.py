"""Whether masks make a layer's output out of its own sums."""

from __future__ import annotations

import math
from collections.abc import Set

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.network import ConvLayer
from hwsim.train.networks.gating import Branch, base_blocks
from hwsim.train.record.masks.recording_error import RecordingError
from hwsim.train.record.masks.shapes import Mask
from hwsim.train.record.zero_operands import padded

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Of the largest output; other types 5 %. Sums are added in another order."""

PRODUCTS = nn.Conv1d | nn.Conv2d | nn.Linear
TRANSPOSED = nn.ConvTranspose1d | nn.ConvTranspose2d


def products_in(module: nn.Module, layer: ConvLayer, ignored: Set[nn.Module]) -> list[nn.Module]:
    """The convolutions and linear layers in a layer's module whose weight has the layer's shape."""
    hidden = {inner for outer in ignored for inner in outer.modules()}
    found = []
    for inner in module.modules():
        if inner in hidden or not isinstance(inner, PRODUCTS):
            continue
        weight = inner.weight
        if len(weight) == layer.out_channels and weight[0].numel() == layer.steps:
            found.append(inner)
    return found


def product_of(module: nn.Module, layer: ConvLayer, ignored: Set[nn.Module]) -> nn.Module:
    """The one of them. Raises RecordingError where there is none or are several."""
    found = products_in(module, layer, ignored)
    if len(found) == 1:
        return found[0]
    several = "; name those that make masks in ignored=" if found else ""
    raise RecordingError(
        f"layer {layer.name}: {len(found)} convolutions or linear layers of its shape in its "
        f"module, expected one to check its masks with{several}, or masked_off='unchecked'"
    )


@torch.no_grad()
def sums_of(
    product: nn.Module, layer: ConvLayer, x: Tensor, branch: Branch
) -> tuple[Tensor, Tensor]:
    """Base and full sums, (N, C_out, H', W') each, a bias in both; x is (N, C_in, H, W)."""
    inverse = branch == "inverse"
    groups, own = layer.groups, layer.conv_groups
    weight = _weight(product, layer)
    x = padded(x.to(weight.dtype), layer, getattr(product, "padding_mode", "zeros"))
    ordered = x
    if inverse:
        ordered = x.unflatten(1, (own, groups, -1)).flip(2).flatten(1, 3)
    blocks = torch.cat(
        [block for part in weight.chunk(own) for block in base_blocks(part, groups, inverse)]
    )
    options = (product.bias, layer.strides, 0, layer.dilations)
    base = F.conv2d(ordered, blocks, *options, groups=layer.blocks)
    return base, F.conv2d(x, weight, *options, groups=own)


@torch.no_grad()
def sums_by_head(product: nn.Module, layer: ConvLayer, x: Tensor, mask: Tensor) -> Tensor:
    """(N, C_out, H', W'): each head's sums over its own input channels. mask: (N, heads, C_in)."""
    weight = _weight(product, layer)
    x = padded(x.to(weight.dtype), layer, getattr(product, "padding_mode", "zeros"))
    heads = weight.chunk(layer.groups)
    parts = [
        F.conv2d(x * mask[:, head, :, None, None], block, None, layer.strides, 0, layer.dilations)
        for head, block in enumerate(heads)
    ]
    found = torch.cat(parts, 1)
    return found if product.bias is None else found + product.bias.detach()[:, None, None]


def _weight(product: nn.Module, layer: ConvLayer) -> Tensor:
    # A linear layer's weight over a map is in the map's order, a row's is as long as its kernel.
    shape = layer.out_channels, layer.in_channels // layer.conv_groups, *layer.kernel
    return product.weight.detach().reshape(shape)


def check(
    module: nn.Module,
    layer: ConvLayer,
    mask: Mask,
    x: Tensor,
    output: Tensor,
    *,
    branch: Branch,
    masked_off: str,
    ignored: Set[nn.Module],
) -> None:
    """Raise RecordingError unless the mask, applied to the layer's own sums, gives its output.

    x, output: (N, channels, height, width).
    """
    product = product_of(module, layer, ignored)
    if mask.kind == "input-channel":
        wrong = _distance(sums_by_head(product, layer, x, mask.values), output)
        if wrong:
            raise RecordingError(
                f"layer {layer.name}: its sums over the input channels that its masks keep do not "
                f"give its output: {wrong}"
            )
        return
    base, full = sums_of(product, layer, x, branch)
    zero = torch.zeros_like(full)
    zeroes = masked_off == "zero" or layer.zeroes
    off, other = (zero, base) if zeroes else (base, zero)
    bits = mask.spread(layer.out_channels, layer)
    wrong = _distance(torch.where(bits, full, off), output)
    if not wrong:
        return
    advice = (
        "; gates= names the module behind which the mask is applied, or masked_off='unchecked' "
        "records masks as they are (with groups=1 without a base path)"
    )
    if not layer.zeroes and not _distance(torch.where(bits, full, other), output):
        advice = f"; masked_off={'base' if zeroes else 'zero'!r} does"
    raise RecordingError(
        f"layer {layer.name}: its masks, applied to its own sums (masked_off={masked_off!r}, "
        f"{branch} of {layer.groups} groups), do not give its output: {wrong}{advice}"
    )


def _distance(wanted: Tensor, output: Tensor) -> str:
    """How far ``output`` is from ``wanted``; "" if they are equal."""
    error, size = float((wanted - output).abs().max()), float(output.abs().max())
    if not (math.isfinite(error) and math.isfinite(size)):
        return "its values are not all finite"
    if error <= TOLERANCE.get(output.dtype, 0.05) * size:
        return ""
    return f"off by {error:.3g} of {size:.3g}"
