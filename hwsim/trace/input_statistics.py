"""What a machine could skip where inputs are zero, from the input bits of a trace.

All PEs of a column share the weights of a word, so a beat of a dense pass lasts as long as the
pointer with most channels that are not zero (docs/model/zero_skipping.md). These statistics say how
far that is from the mean, and why (docs/guide/traces.md, "Statistics of inputs").
"""

from __future__ import annotations

from collections.abc import Iterator
from math import fsum, nan, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwsim.network import ConvLayer
from hwsim.trace.mask_trace import MaskTrace
from hwsim.trace.statistics import ALL_LAYERS

if TYPE_CHECKING:
    import pandas as pd

WORD_CHANNELS = 4
"""A: channels of a word."""

POINTERS = 16
"""R: output pixels of a round."""

MEANS = (
    "zero_inputs",
    "nonzero_channels",
    "largest_nonzero_channels",
    "horizontal_correlation",
    "channel_correlation",
)
"""Columns whose mean over layers is weighted by their MACs."""


class BeatCounts(NamedTuple):
    """Of the beats of a layer's dense pass, over all images; a beat is one tap and word of a round.

    ``words``: of all pointers of all beats; ``nonzero``: their channels that are not zero;
    ``beats``; ``largest``: the channels of each beat's fullest word, summed; ``steps``: of all
    beats, the channels of their word; ``spent``: of all beats max(1, fullest).
    """

    words: int
    nonzero: int
    beats: int
    largest: int
    steps: int
    spent: int


def input_statistics(
    trace: MaskTrace, word_channels: int = WORD_CHANNELS, pointers: int = POINTERS
) -> pd.DataFrame:
    """One row per gated layer with input bits, and a last one, ``layer`` = ALL_LAYERS.

    No row where a trace has no input bits of a gated layer. Words have ``word_channels`` (A)
    consecutive channels of one gating group, fewer at its end; a round has ``pointers`` (R)
    consecutive output pixels of one image, row by row, fewer at its end. Counts are over all images
    with input bits, and over every tap; words of the zero padding have no channel that is not zero.
    Columns, float64:

    - ``trace``, ``method``, ``label``, ``layer``, ``images`` (those with input bits)
    - ``word_channels``, ``pointers``: A and R
    - ``zero_inputs``: share of a layer's inputs that are zero, without padding
    - ``nonzero_channels``: mean over pointers' words of their channels that are not zero
    - ``largest_nonzero_channels``: mean over beats of the most that one pointer's word has
    - ``dense_speedup``: steps of a dense pass, by the sum over beats of max(1, that most). Fetches
      are not counted
    - ``horizontal_correlation``: Pearson's, of being zero, over all pairs of horizontally adjacent
      pixels of a channel
    - ``channel_correlation``: over all pairs of adjacent channels of a pixel

    Correlations are about the means of the layer: channels that are mostly zero, next to others
    that are not, count as correlation between pixels. NaN where there is no pair or no variance.

    The last row has means weighted by the layers' MACs, of correlations over the layers that have
    one; its speed-up is the ratio of sums of MACs and MACs / speed-up.
    """
    import pandas as pd

    layers = [layer for layer in trace.network.gated_layers if trace.has_inputs(layer.name)]
    of_trace: dict[str, Any] = {
        "trace": trace.name,
        "method": trace.header.method,
        "label": trace.header.label,
        "layer": ALL_LAYERS,
        "images": trace.input_images,
        "word_channels": word_channels,
        "pointers": pointers,
    }
    rows = []
    for layer in layers:
        bits = trace.inputs(layer.name)
        figures = _figures(count_beats(bits, layer, word_channels, pointers))
        rows.append(of_trace | {"layer": layer.name} | _shares(bits) | figures)
    if rows:
        rows.append(of_trace | _together(rows, [layer.macs for layer in layers]))
    return pd.DataFrame(rows)


def count_beats(
    bits: np.ndarray, layer: ConvLayer, word_channels: int, pointers: int
) -> BeatCounts:
    """Of bool (images, C_in, H, W), where an input is not zero."""
    held, sizes = _words(bits, layer.blocks, word_channels)
    pixels = layer.out_pixels
    rounds = -(-pixels // pointers)
    nonzero = largest = spent = 0
    for at_tap in _taps(held, layer):
        flat = at_tap.reshape(len(held), len(sizes), pixels)
        nonzero += int(flat.sum(dtype=np.int64))
        fullest = np.maximum.reduceat(flat, range(0, pixels, pointers), axis=2)
        largest += int(fullest.sum(dtype=np.int64))
        spent += int(np.maximum(fullest, 1).sum(dtype=np.int64))
    taps = layer.taps * len(bits)
    return BeatCounts(
        words=taps * len(sizes) * pixels,
        nonzero=nonzero,
        beats=taps * len(sizes) * rounds,
        largest=largest,
        steps=taps * int(sizes.sum()) * rounds,
        spent=spent,
    )


def _words(bits: np.ndarray, blocks: int, word_channels: int) -> tuple[np.ndarray, np.ndarray]:
    """uint16 (images, words, H, W), channels that are not zero; int64 (words,), all channels."""
    channels = bits.shape[1]
    wide = channels // blocks
    starts = [
        first
        for block in range(0, channels, wide)
        for first in range(block, block + wide, word_channels)
    ]
    held = np.add.reduceat(bits, starts, axis=1, dtype=np.uint16)
    return held, np.diff([*starts, channels])


def _taps(held: np.ndarray, layer: ConvLayer) -> Iterator[np.ndarray]:
    """Of (images, words, H, W) what output pixels read in each tap, (images, words, H', W')."""
    top, left, bottom, right = layer.edges
    padded = np.pad(held, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (down, across), (below, beside) = layer.strides, layer.dilations
    rows = (layer.out_height - 1) * down + 1
    columns = (layer.out_width - 1) * across + 1
    for ky in range(0, layer.reach[0] + 1, below):
        for kx in range(0, layer.reach[1] + 1, beside):
            yield padded[:, :, ky : ky + rows : down, kx : kx + columns : across]


def _shares(bits: np.ndarray) -> dict[str, float]:
    """Of the bits of a layer alone; zeros and non-zeros have the same correlation."""
    return {
        "zero_inputs": 1 - np.count_nonzero(bits) / bits.size,
        "horizontal_correlation": _pearson(bits[..., :-1], bits[..., 1:]),
        "channel_correlation": _pearson(bits[:, :-1], bits[:, 1:]),
    }


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two bool arrays of one shape; NaN where one of them is constant."""
    pairs = first.size
    one, other, both = (int(np.count_nonzero(of)) for of in (first, second, first & second))
    variances = one * (pairs - one) * other * (pairs - other)
    return (pairs * both - one * other) / sqrt(variances) if variances else nan


def _figures(counts: BeatCounts) -> dict[str, float]:
    return {
        "nonzero_channels": counts.nonzero / counts.words,
        "largest_nonzero_channels": counts.largest / counts.beats,
        "dense_speedup": counts.steps / counts.spent,
    }


def _together(rows: list[dict[str, Any]], macs: list[int]) -> dict[str, float]:
    """The figures of all layers, from their rows and MACs."""
    weighted = list(zip(rows, macs, strict=True))

    def mean(name: str) -> float:
        known = [(row[name], weight) for row, weight in weighted if row[name] == row[name]]
        total = sum(weight for _, weight in known)
        return fsum(value * weight for value, weight in known) / total if total else nan

    time = fsum(weight / row["dense_speedup"] for row, weight in weighted)
    return {name: mean(name) for name in MEANS} | {"dense_speedup": sum(macs) / time}
