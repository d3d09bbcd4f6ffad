"""Input rows and columns that tiles touch: those of their taps, clipped to the map (reading 6)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hwsim.network import ConvLayer


def tile_rows(layer: ConvLayer, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """int64 (pixel tiles,): input rows, of all images, that each tile of output pixels touches."""
    image, row = np.divmod(starts // layer.out_width, layer.out_height)
    last_image, last = np.divmod((starts + counts - 1) // layer.out_width, layer.out_height)
    table, high = _rows(layer), layer.out_height
    between = last_image - image
    # Where a tile ends in another image: the rest of its first one, whole ones, part of the last.
    found = _distinct(table, row, np.where(between == 0, last + 1, high))
    after = between > 0
    found[after] += _distinct(table, np.zeros_like(last[after]), last[after] + 1)
    whole = _distinct(table, np.zeros(1, np.int64), np.full(1, high))
    return found + np.maximum(between - 1, 0) * whole


def fresh_rows(layer: ConvLayer, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Those that no tile before it touches."""
    touched = tile_rows(layer, np.zeros_like(starts), starts + counts)
    return np.diff(touched, prepend=0)


def tile_columns(layer: ConvLayer, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """int64 (pixel tiles,): input columns that tiles touch, each a part of one output row."""
    first = starts % layer.out_width
    return _distinct(_columns(layer), first, first + counts)


def touches_all_rows(layer: ConvLayer) -> bool:
    return bool((_rows(layer)[-1] > 0).all())


def rows_of(layer: ConvLayer, flat_rows: np.ndarray) -> np.ndarray:
    """Distinct flat input rows (image * in_height + row) that flat output rows touch."""
    image, row = np.divmod(flat_rows[:, None], layer.out_height)
    top, *_ = layer.edges
    source = row * layer.strides[0] - top + np.arange(layer.kernel[0]) * layer.dilations[0]
    inside = (source >= 0) & (source < layer.in_height)
    return np.unique((image * layer.in_height + source)[inside])


def _rows(layer: ConvLayer) -> np.ndarray:
    taps, stride, dilation = layer.kernel[0], layer.strides[0], layer.dilations[0]
    return _taps_before(layer.out_height, layer.in_height, taps, stride, dilation, layer.edges[0])


def _columns(layer: ConvLayer) -> np.ndarray:
    taps, stride, dilation = layer.kernel[1], layer.strides[1], layer.dilations[1]
    return _taps_before(layer.out_width, layer.in_width, taps, stride, dilation, layer.edges[1])


@lru_cache(maxsize=256)
def _taps_before(
    outputs: int, inputs: int, taps: int, stride: int, dilation: int, padding: int
) -> np.ndarray:
    """int32 (outputs + 1, inputs): taps on each input of the outputs before one.

    Remembered: layers of one shape, machines and batches ask again. Callers do not write to it.
    """
    output, tap = np.indices((outputs, taps))
    source = output * stride + tap * dilation - padding
    inside = (source >= 0) & (source < inputs)
    found = np.zeros((outputs + 1, inputs), np.int32)
    np.add.at(found, (output[inside] + 1, source[inside]), 1)
    return np.cumsum(found, axis=0, dtype=np.int32)


def _distinct(table: np.ndarray, first: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """int64: inputs on which the outputs from each ``first`` to before its ``stop`` have a tap."""
    spans, place = np.unique(np.stack([first, stop]), axis=1, return_inverse=True)
    touched = table[spans[1]] > table[spans[0]]
    return np.count_nonzero(touched, axis=1).astype(np.int64)[place.ravel()]
