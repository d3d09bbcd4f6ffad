"""How a tensor holds a map of (channels, height, width), and the map in it."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

from torch import Tensor

from hwsim.train.derive.follower import tensors_in

Layout = Literal["planes", "sequence", "tokens", "folded", "flat", "vector"]
"""Dimensions after the images': ``planes`` (C, H, W); ``sequence`` (C, H * W); ``tokens`` (..., C),
those before C with H * W numbers; ``flat`` (C * H * W); ``vector`` (C), of one pixel. ``folded``
(N * H * W, C) has images and pixels in one."""

Shape = tuple[int, int, int]


def layout_of(x: Tensor, shape: Shape, channels_last: bool) -> Layout | None:
    """How x holds maps of ``shape``; None where it cannot. ``channels_last`` decides ties.

    It is what a linear layer reads and makes, and what a convolution does not.
    """
    channels, height, width = shape
    pixels, own = height * width, tuple(x.shape[1:])
    if x.dim() < 2:
        return None
    if x.dim() == 2:
        if pixels == 1:
            return "vector" if own == (channels,) else None
        if own == (channels,) and len(x) % pixels == 0:
            return "folded"
        return "flat" if own == (channels * pixels,) else None
    last = own[-1] == channels and prod(own[:-1]) == pixels
    if channels_last and last:
        return "tokens"
    if own == shape:
        return "planes"
    if own == (channels, pixels):
        return "sequence"
    return "tokens" if last else None


def as_map(x: Tensor, shape: Shape, layout: Layout) -> Tensor:
    """x of ``layout`` as (N, C, H, W), a view where there is one."""
    channels, height, width = shape
    if layout == "planes":
        return x
    if layout in ("tokens", "folded"):
        return x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    return x.reshape(-1, channels, height, width)


def map_in(values: Any, shape: Shape, channels_last: bool) -> tuple[Tensor, Layout] | None:
    """The first tensor in ``values`` that holds maps of ``shape``, as it is, and its layout."""
    for tensor in tensors_in(values):
        layout = layout_of(tensor, shape, channels_last)
        if layout is not None:
            return tensor, layout
    return None


def shapes_in(values: Any) -> str:
    """The shapes of all tensors in ``values``, for a message."""
    return " and ".join(str(tuple(tensor.shape)) for tensor in tensors_in(values)) or "no tensor"
