"""Synthetic traces: masks drawn at random, labelled synthetic wherever they are shown."""

from __future__ import annotations

import math

import numpy as np

from hwsim.network import Network
from hwsim.trace.header import Granularity, TraceError, TraceHeader
from hwsim.trace.mask_trace import MaskTrace


def synthetic_trace(
    network: Network,
    density: float,
    *,
    mask_group: int = 1,
    images: int = 16,
    correlation: float = 0.0,
    channel_bias: float = 0.0,
    seed: int = 0,
) -> MaskTrace:
    """Masks drawn at random: a Gaussian field per mask list, cut at the quantile of ``density``.

    ``correlation`` (0 to 1) mixes in a field smoothed over 3x3 pixels; ``channel_bias`` is the
    standard deviation of an offset per list. Labelled synthetic wherever it is shown.
    """
    if not 0 <= density <= 1:
        raise TraceError(f"density {density}: expected a share between 0 and 1")
    generator = np.random.default_rng(seed)
    masks = {}
    for layer in network.gated_layers:
        shape = (images, layer.out_channels // mask_group, layer.out_height, layer.out_width)
        field = generator.standard_normal(shape)
        if correlation:
            neighbours = sum(
                np.roll(field, (dy, dx), axis=(2, 3)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)
            )
            field = (1 - correlation) * field + correlation * neighbours / 3
        if channel_bias:
            field = field + channel_bias * generator.standard_normal((1, shape[1], 1, 1))
        if density in (0, 1):
            masks[layer.name] = np.full(shape, bool(density))
        elif correlation or channel_bias:
            masks[layer.name] = field > np.quantile(field, 1 - density)
        else:
            masks[layer.name] = generator.random(shape) < density
    header = TraceHeader(
        network=network,
        method="synthetic",
        mask_group=mask_group,
        dataset=f"synthetic, density {density}, correlation {correlation}, bias {channel_bias}",
        image_ids=tuple(range(images)),
        training={"seed": seed},
        synthetic=True,
    )
    return MaskTrace.from_masks(header, masks)


def synthetic_channels(
    network: Network,
    density: float,
    *,
    granularity: Granularity = "output-channel",
    images: int = 16,
    channel_bias: float = 0.0,
    seed: int = 0,
) -> MaskTrace:
    """Masks of channels drawn at random: the ceil(density * channels) largest saliences win.

    Of each image's output channels, or of each head's input channels. ``channel_bias`` is the
    standard deviation of an offset per channel that all images share.
    """
    if not 0 <= density <= 1:
        raise TraceError(f"density {density}: expected a share between 0 and 1")
    if granularity == "element":
        raise TraceError("granularity 'element': synthetic_trace draws masks of pixels")
    generator = np.random.default_rng(seed)
    header = TraceHeader(
        network=network,
        method="synthetic FBS" if granularity == "output-channel" else "synthetic DGC",
        granularity=granularity,
        mask_group=1,
        dataset=f"synthetic, {granularity}, density {density}, bias {channel_bias}",
        image_ids=tuple(range(images)),
        training={"seed": seed},
        synthetic=True,
    )
    masks = {}
    for layer in network.gated_layers:
        shape = header.mask_shape(layer)
        salience = generator.standard_normal((images, *shape))
        salience += channel_bias * generator.standard_normal(shape)
        winners = np.argsort(-salience, axis=-1)[..., : math.ceil(density * shape[-1])]
        masks[layer.name] = np.zeros((images, *shape), bool)
        np.put_along_axis(masks[layer.name], winners, True, axis=-1)
    return MaskTrace.from_masks(header, masks)
