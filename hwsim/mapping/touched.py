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


def sum_touched(
    layer: ConvLayer, of_row: np.ndarray, starts: np.ndarray, stops: np.ndarray
) -> np.ndarray:
    """Sums over the input rows that output rows from each of ``starts`` to before ``stops`` touch.

    ``of_row``: int64 (batches, images * in_height); rows of all images are numbered through. int64
    (batches, len(starts)).
    """
    high = layer.out_height
    by_image = of_row.reshape(len(of_row), -1, layer.in_height)
    image, begin = np.divmod(starts, high)
    last_image, last = np.divmod(stops - 1, high)

    def within(image: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Of output rows of one image; few of them differ."""
        pairs, which = np.unique(np.stack([begin, end], axis=1), axis=0, return_inverse=True)
        sums = by_image @ _touched(layer, *pairs.T).T
        found: np.ndarray = sums[:, image, which.ravel()]
        return found

    found = within(image, begin, np.where(image == last_image, last + 1, high))
    # Where they end in another image: whole ones between, and part of the last.
    (after,) = np.nonzero(image < last_image)
    whole = by_image @ _touched(layer, np.zeros(1, np.int64), np.full(1, high))[0]
    up_to = np.pad(np.cumsum(whole, axis=1), ((0, 0), (1, 0)))
    found[:, after] += up_to[:, last_image[after]] - up_to[:, image[after] + 1]
    found[:, after] += within(last_image[after], np.zeros_like(after), last[after] + 1)
    return found


def _touched(layer: ConvLayer, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """int64 (ranges, in_height): 1 where a range of an image's output rows touches an input row."""
    touches = np.zeros((layer.out_height + 1, layer.in_height), np.int64)
    top, *_ = layer.edges
    row = np.arange(layer.out_height)
    for tap in range(layer.kernel[0]):
        source = row * layer.strides[0] - top + tap * layer.dilations[0]
        inside = (source >= 0) & (source < layer.in_height)
        touches[row[inside] + 1, source[inside]] = 1
    up_to = np.cumsum(touches, axis=0)
    return (up_to[ends] > up_to[begins]).astype(np.int64)


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
