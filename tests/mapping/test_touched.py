"""Rows and columns that tiles touch, against sets of them: every tap of every pixel in turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import UserError
from hwsim.mapping.touched import fresh_rows, sum_touched, tile_columns, tile_rows
from hwsim.network import ConvLayer

extents, gaps = st.integers(1, 4), st.integers(1, 3)


@st.composite
def layers(draw: st.DrawFn) -> ConvLayer | None:
    pairs = {
        "kernel_size": st.tuples(extents, extents), "stride": st.tuples(gaps, gaps),
        "dilation": st.tuples(gaps, gaps), "padding": st.tuples(*[st.integers(0, 3)] * 4),
        "in_height": st.integers(1, 9), "in_width": st.integers(1, 9),
    }  # fmt: skip
    try:
        keys = {key: draw(values) for key, values in pairs.items()}
        return ConvLayer(name="a", in_channels=1, out_channels=1, **keys)
    except UserError:
        return None


def touched(layer: ConvLayer, pixel: int) -> tuple[set[tuple[int, int]], set[int]]:
    """(image, row) and columns on which a pixel of the batch has a tap."""
    image, inside = divmod(pixel, layer.out_pixels)
    y, x = divmod(inside, layer.out_width)
    top, left, *_ = layer.edges
    rows = {y * layer.strides[0] - top + k * layer.dilations[0] for k in range(layer.kernel[0])}
    columns = {x * layer.strides[1] - left + k * layer.dilations[1] for k in range(layer.kernel[1])}
    return (
        {(image, row) for row in rows if 0 <= row < layer.in_height},
        {column for column in columns if 0 <= column < layer.in_width},
    )


@settings(deadline=None)
@given(layers(), st.integers(1, 3), st.integers(1, 20))
def test_rows_of_tiles_are_the_union_of_their_pixels(
    layer: ConvLayer | None, images: int, pixels: int
) -> None:
    if layer is None:
        return
    total = images * layer.out_pixels
    starts = np.arange(0, total, pixels)
    counts = np.minimum(pixels, total - starts)
    # A tile touches the rows of all its output rows, whole.
    whole = [
        range(s // layer.out_width * layer.out_width, s + c)
        for s, c in zip(starts, counts, strict=True)
    ]
    unions = [set().union(*(touched(layer, p)[0] for p in span)) for span in whole]
    assert tile_rows(layer, starts, counts).tolist() == [len(rows) for rows in unions]
    seen: set[tuple[int, int]] = set()
    for rows, fresh in zip(unions, fresh_rows(layer, starts, counts), strict=True):
        assert len(rows - seen) == fresh
        seen |= rows


@settings(deadline=None)
@given(layers(), st.integers(1, 4), st.data())
def test_sums_over_the_rows_that_ranges_touch(
    layer: ConvLayer | None, images: int, data: st.DataObject
) -> None:
    if layer is None:
        return
    rows = images * layer.out_height
    ends = st.lists(st.integers(0, rows), min_size=2, max_size=2, unique=True).map(sorted)
    ranges = data.draw(st.lists(ends, min_size=1, max_size=6))
    of_row = np.random.default_rng(0).integers(0, 1000, (2, images * layer.in_height))
    expected = []
    for start, stop in ranges:
        pixels = range(start * layer.out_width, stop * layer.out_width)
        union = set().union(*(touched(layer, pixel)[0] for pixel in pixels))
        places = [image * layer.in_height + row for image, row in union]
        expected.append(of_row[:, places].sum(axis=1))
    found = sum_touched(layer, of_row, *np.array(ranges).T)
    assert found.tolist() == np.stack(expected, axis=1).tolist()


@settings(deadline=None)
@given(layers(), st.integers(1, 5))
def test_columns_of_parts_of_a_row(layer: ConvLayer | None, pixels: int) -> None:
    if layer is None:
        return
    starts = np.arange(0, layer.out_width, pixels)
    counts = np.minimum(pixels, layer.out_width - starts)
    unions = [
        set().union(*(touched(layer, p)[1] for p in range(s, s + c)))
        for s, c in zip(starts, counts, strict=True)
    ]
    assert tile_columns(layer, starts, counts).tolist() == [len(columns) for columns in unions]
