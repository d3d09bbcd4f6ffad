"""What a map has where: edges of images, agreement of maps, and power by spatial frequency."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.train.images.views import LUMA

HALF_OF_NYQUIST = 0.25
"""Cycles per pixel."""

CONSTANT = 1e-6
"""A map whose values differ by less than this share of the largest has no pattern."""


def edges(images: Tensor) -> Tensor:
    """Sobel gradient's magnitude of the luminance: uint8 (N, 3, H, W) -> float32 (N, H, W).

    Rec. 601 luminance in 0..255, the kernel [[-1 0 1] [-2 0 2] [-1 0 1]] and its transpose; the
    outermost pixels are repeated, so that the frame is no edge.
    """
    weights = torch.tensor(LUMA, device=images.device)[:, None, None]
    luminance = (images.float() * weights).sum(1, keepdim=True)
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=images.device)
    both = torch.stack([sobel, sobel.T])[:, None]
    return F.conv2d(F.pad(luminance, (1, 1, 1, 1), "replicate"), both).norm(dim=1)


def area_means(maps: Tensor, span: int) -> Tensor:
    """Means over the areas of a layer's pixels: (N, H, W) -> (N, ceil(H / span), ceil(W / span)).

    ``span``: image pixels from one pixel of the layer to the next, 1 or even. Convolutions that
    stride with padding 1 centre pixel o on image pixel span * o; its area is span x span around
    that. Image pixels on the area's border count half, what lies outside the image does not.
    """
    if span == 1:
        return maps
    line = torch.ones(span + 1, device=maps.device)
    line[[0, -1]] = 0.5
    kernel = torch.outer(line, line)[None, None].to(maps.dtype)

    def summed(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel, stride=span, padding=span // 2)

    return (summed(maps[:, None]) / summed(torch.ones_like(maps[:1, None])))[:, 0]


def correlations(maps: Tensor, others: Tensor) -> Tensor:
    """Pearson's correlation over the pixels of each image, float64 (N,); both (N, H, W).

    NaN where either map is constant.
    """
    pairs = [x.flatten(1).double() for x in (maps, others)]
    flat = [x.amax(1) - x.amin(1) <= CONSTANT * x.abs().amax(1) for x in pairs]
    first, second = (x - x.mean(1, keepdim=True) for x in pairs)
    found = (first * second).sum(1) / (first.norm(dim=1) * second.norm(dim=1))
    return found.masked_fill(flat[0] | flat[1], torch.nan)


def power(maps: Tensor) -> tuple[float, float]:
    """(power above half of Nyquist in either axis, all power), without each map's mean.

    maps (N, C, H, W), each transformed alone (2-D FFT), powers summed over all of them.
    """
    height, width = maps.shape[2:]
    spectrum = torch.fft.fft2(maps.float())
    spectrum[:, :, 0, 0] = 0
    by_frequency = (spectrum.real**2 + spectrum.imag**2).double().sum((0, 1))
    high_rows = torch.fft.fftfreq(height, device=maps.device).abs() > HALF_OF_NYQUIST
    high_columns = torch.fft.fftfreq(width, device=maps.device).abs() > HALF_OF_NYQUIST
    high = by_frequency[high_rows[:, None] | high_columns]
    return float(high.sum()), float(by_frequency.sum())
