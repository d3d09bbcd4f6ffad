"""Input rows and columns that tiles touch: those of their taps, clipped to the map (reading 6)."""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import NamedTuple

import numpy as np

from hwsim.network import ConvLayer


def tile_rows(layer: ConvLayer, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """int64 (pixel tiles,): input rows, of all images, that each tile of output pixels touches."""
    image, row = np.divmod(starts // layer.out_width, layer.out_height)
    last_image, last = np.divmod((starts + counts - 1) // layer.out_width, layer.out_height)
    taps, high = _rows(layer), layer.out_height
    between = last_image - image
    # Where a tile ends in another image: the rest of its first one, whole ones, part of the last.
    found = taps.distinct(row, np.where(between == 0, last + 1, high))
    after = between > 0
    found[after] += taps.distinct(np.zeros_like(last[after]), last[after] + 1)
    whole = taps.distinct(np.zeros(1, np.int64), np.full(1, high))
    return found + np.maximum(between - 1, 0) * whole


def fresh_rows(layer: ConvLayer, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Those that no tile before it touches."""
    touched = tile_rows(layer, np.zeros_like(starts), starts + counts)
    return np.diff(touched, prepend=0)


def tile_columns(layer: ConvLayer, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """int64 (pixel tiles,): input columns that tiles touch, each a part of one output row."""
    first = starts % layer.out_width
    return _columns(layer).distinct(first, first + counts)


def touches_all_rows(layer: ConvLayer) -> bool:
    whole = _rows(layer).distinct(np.zeros(1, np.int64), np.full(1, layer.out_height))
    return bool(whole[0] == layer.in_height)


def rows_of(layer: ConvLayer, flat_rows: np.ndarray) -> np.ndarray:
    """Distinct flat input rows (image * in_height + row) that flat output rows touch."""
    image, row = np.divmod(flat_rows[:, None], layer.out_height)
    top, *_ = layer.edges
    source = row * layer.strides[0] - top + np.arange(layer.kernel[0]) * layer.dilations[0]
    inside = (source >= 0) & (source < layer.in_height)
    return np.unique((image * layer.in_height + source)[inside])


class _Taps(NamedTuple):
    """Taps of one direction, summed over the outputs before each: int64 (outputs + 1,).

    ``all``: those inside the map; ``new``: of these the ones whose input no output before touches,
    but for the first ``apart`` outputs, whose taps are all new.
    """

    all: np.ndarray
    new: np.ndarray
    apart: int

    def distinct(self, first: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """int64: inputs on which the outputs from each ``first`` to before its ``stop`` have one.

        Each input is counted at the first of these outputs.
        """
        edge = np.minimum(first + self.apart, stop)
        return self.all[edge] - self.all[first] + self.new[stop] - self.new[edge]


def _rows(layer: ConvLayer) -> _Taps:
    taps, stride, dilation = layer.kernel[0], layer.strides[0], layer.dilations[0]
    return _taps_of(layer.out_height, layer.in_height, taps, stride, dilation, layer.edges[0])


def _columns(layer: ConvLayer) -> _Taps:
    taps, stride, dilation = layer.kernel[1], layer.strides[1], layer.dilations[1]
    return _taps_of(layer.out_width, layer.in_width, taps, stride, dilation, layer.edges[1])


@lru_cache(maxsize=256)
def _taps_of(
    outputs: int, inputs: int, taps: int, stride: int, dilation: int, padding: int
) -> _Taps:
    """Output o has tap t on input o * stride + t * dilation - padding.

    ``apart`` outputs before it the same input is under tap t + shift, if there is one: only the
    last ``shift`` taps bring inputs that no output before had. Remembered: layers of one shape,
    machines and batches ask again. Callers do not write to the arrays.
    """
    shift, apart = stride // gcd(stride, dilation), dilation // gcd(stride, dilation)
    begins = padding - np.arange(outputs, dtype=np.int64) * stride
    low = np.maximum(-(-begins // dilation), 0)
    high = np.minimum((begins + inputs - 1) // dilation + 1, taps)
    inside = np.maximum(high - low, 0)
    new = np.maximum(high - np.maximum(low, taps - shift), 0)
    return _Taps(_before(inside), _before(new), apart)


def _before(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
