"""Synthetic traces: masks drawn at random, labelled synthetic wherever they are shown.

``hwsim trace synthetic`` draws them for a network file.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from hwsim.cli import images, positive, seed, share
from hwsim.errors import UserError, one_line
from hwsim.network import Network
from hwsim.network.gates import ALL, gateable, with_gates
from hwsim.text_table import counted
from hwsim.trace.files import open_network
from hwsim.trace.format.header import Granularity, TraceError, TraceHeader, numbered
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
    numbers = numbered(images)
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
        image_ids=numbers,
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
        image_ids=numbered(images),
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


MOST_DRAWN = 1 << 30
"""Mask bits of all layers; of one it is an eighth."""


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--network", required=True, metavar="FILE",
        help="a network file, an ONNX model, or a trace for its layers")  # fmt: skip
    add("--density", type=share, required=True, metavar="SHARE", help="share of ones, 0 to 1")
    add("--mask-group", type=positive, default=1, metavar="N", help="channels a mask bit (1)")
    add("--images", type=images, default=16, metavar="N", help="images to draw for (16)")
    add("--correlation", type=share, default=0.0, metavar="SHARE",
        help="of neighbouring pixels: how much of the field is smoothed, 0 to 1 (0)")  # fmt: skip
    add("--gate", nargs="+", metavar="NAME",
        help="convolutions to gate, or all: those that can be, but for the first and linear ones "
        "(default: the network's own gates, or all)")  # fmt: skip
    add("--groups", type=positive, default=4, metavar="G", help="gating groups with --gate (4)")
    add("--seed", type=seed, default=0, metavar="N", help="of the random numbers (0)")
    add("--out", type=Path, required=True, metavar="FILE", help="the trace, .h5")


def draw(options: argparse.Namespace) -> None:
    """Everything is checked before anything is drawn."""
    from hwsim.trace.format.writer import write_contents

    if not options.out.parent.is_dir():
        raise UserError(f"--out {options.out}: no such folder: {options.out.parent}")
    network = _gated(open_network(options.network), options)
    bits = [layer.mask_bits(options.mask_group) for layer in network.gated_layers]
    # A bit of a layer is eight bytes, several times over, while it is drawn, and then one.
    most = MOST_DRAWN // max(1, sum(bits), 8 * max(bits, default=0))
    if options.images > most:
        raise UserError(f"--images {options.images}: at most {most:,} are drawn of this network")
    trace = synthetic_trace(
        network,
        options.density,
        mask_group=options.mask_group,
        images=options.images,
        correlation=options.correlation,
        seed=options.seed,
    )
    write_contents(trace.contents, options.out)
    told = (
        f"wrote {options.out}: {len(network.gated_layers)} of {len(network.convolutions)} "
        f"convolutions gated, {counted(trace.images, 'image')}, synthetic"
    )
    print(one_line(told))


def _gated(network: Network, options: argparse.Namespace) -> Network:
    """With the gates asked for, or its own where it has some."""
    if options.gate is None and network.gated_layers:
        return network
    names = options.gate or [ALL]
    if names == [ALL]:
        names = gateable(network, options.groups, options.mask_group)
        if not names:
            raise UserError(
                f"{options.network}: no convolution but the first and linear ones has channels for "
                f"{options.groups} gating groups of masks of {options.mask_group} channels; "
                "--groups takes fewer, --gate names of linear ones"
            )
    return with_gates(network, names, options.groups)
