"""Eyeriss: traffic of AlexNet's layers with DRAM, coded by runs of zeros and not.

Chen et al., JSSC 52(1), 2017. Dense over coded traffic is published for each layer (ISSCC 2016,
quoted second-hand), coded megabytes in table V. Both count *all* traffic, filters, ifmaps and
ofmaps (fig. 9), of which filters are not coded.

Maps are counted as table III has them, padded to 15 x 15; an ofmap is the next ifmap without its
padding. Four images; an ifmap is read once for every 64 filters that use it, filters are read once.
Zeros are the published shares, drawn at random: runs are hardly ever too long for a pair, so only
the share counts. CONV1 and CONV2 hang on zeros before pooling, which are not published.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hwsim.mapping.run_length import coded_bytes

from .row import Row, Settings, verdict_of

NAME = "eyeriss-dram"
SOURCE = "Chen et al., ISSCC 2016 and JSSC 52(1), 2017, table V, quoted second-hand"

IMAGES, PADDED, OUT = 4, 15 * 15, 13 * 13
VALUE_BITS = 16
UNKNOWN = {"CONV1": 1.2, "CONV2": 1.4}
"""Published ratios of layers whose zeros are not."""


class Layer(NamedTuple):
    """Weights, channels of the ifmap and how often it is read, channels of the ofmap.

    ``zeros``: of the padded ifmap (table V); ``ratio`` and ``megabytes``: published.
    """

    weights: int
    channels: int
    reads: int
    made: int
    zeros: float
    ratio: float
    megabytes: float | None


LAYERS = {
    "CONV3": Layer(384 * 256 * 9, 256, 6, 384, 0.725, 1.7, 3.0),
    "CONV4": Layer(384 * 192 * 9, 384, 3, 384, 0.793, 1.8, 2.1),
    "CONV5": Layer(256 * 192 * 9, 384, 2, 256, 0.776, 1.9, None),
}


def rows(settings: Settings) -> Iterator[Row]:
    """Ratios by layer, and coded megabytes where they are published."""
    for name, ratio in UNKNOWN.items():
        what = f"{name}: traffic, dense over coded"
        why = "not compared: its zeros before pooling are not published"
        yield Row(NAME, what, f"{ratio:g}", "-", SOURCE, why)
    for name, zeros_made in (("CONV3", unpadded("CONV4")), ("CONV4", unpadded("CONV5"))):
        layer = LAYERS[name]
        dense, coded = traffic(layer, zeros_made)
        what = f"{name}: traffic, dense over coded"
        ours, verdict = f"{dense / coded:.2f}", verdict_of(dense / coded, layer.ratio)
        yield Row(NAME, what, f"{layer.ratio:g}", ours, SOURCE, verdict)
        megabytes, theirs = coded / 1e6, layer.megabytes
        assert theirs is not None
        verdict = verdict_of(megabytes, theirs)
        yield Row(NAME, f"{name}: coded MB", f"{theirs:g}", f"{megabytes:.2f}", SOURCE, verdict)
    least, most = (dense / coded for dense, coded in bounds("CONV5"))
    theirs = LAYERS["CONV5"].ratio
    inside = "between both" if least < theirs < most else "missed: outside"
    what = "CONV5: traffic, dense over coded; as many zeros made as read, or nothing else"
    yield Row(NAME, what, f"{theirs:g}", f"{least:.2f} to {most:.2f}", SOURCE, inside)


def unpadded(name: str) -> float:
    """Zeros of a layer's ifmap where its padding is not counted."""
    return 1 - (1 - LAYERS[name].zeros) * PADDED / OUT


def bounds(name: str) -> list[tuple[int, int]]:
    """Traffic of a layer that makes as many zeros as it reads, and of one that makes only zeros."""
    return [traffic(LAYERS[name], zeros) for zeros in (unpadded(name), 1.0)]


def traffic(layer: Layer, zeros_made: float) -> tuple[int, int]:
    """Bytes of four images, dense and coded; values have 16 bits."""
    read, written = IMAGES * layer.channels * PADDED, IMAGES * layer.made * OUT
    dense = 2 * (layer.weights + layer.reads * read + written)
    coded = 2 * layer.weights + layer.reads * _coded(read, layer.zeros)
    return dense, coded + _coded(written, zeros_made)


def _coded(values: int, zeros: float) -> int:
    """Bytes of a map, as one code."""
    nonzero = np.random.default_rng(1).random((1, values)) >= zeros
    return int(coded_bytes(nonzero, value_bits=VALUE_BITS)[0])
