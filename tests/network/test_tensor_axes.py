"""Dimensions of tensors against numpy: where a value of the map lies after views."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.network import axes
from hwsim.network.axes import Atom, Dims


def places(dims: Dims, images: int, channels: int, pixels: int) -> np.ndarray:
    """Of each element of a tensor: its place in an array (images, channels, pixels)."""
    weights = {"n": channels * pixels, "c": pixels, "p": 1, "r": 0}
    total = np.zeros((), int)
    for group in dims:
        offsets = np.zeros(1, int)
        for atom in group:
            steps = np.arange(atom.size) * atom.stride * weights[atom.axis]
            offsets = (offsets[:, None] + steps).ravel()
        total = total[..., None] + offsets
    return total


SIZES = st.sampled_from([1, 2, 3, 4, 6])


@given(SIZES, SIZES, SIZES, st.data())
def test_reshapes_and_turns_are_numpys(n: int, c: int, p: int, data: st.DataObject) -> None:
    array = np.arange(n * c * p).reshape(n, c, p)
    dims: Dims = tuple(axes.whole(axis, size) for axis, size in zip("ncp", (n, c, p), strict=True))
    for _ in range(4):
        order = data.draw(st.permutations(range(array.ndim)))
        array, dims = array.transpose(order), tuple(dims[d] for d in order)
        shape = data.draw(st.sampled_from(factorings(array.size)))
        regrouped = axes.regrouped(dims, shape)
        if regrouped is not None:
            array, dims = array.reshape(shape), regrouped
        assert axes.shape_of(dims) == array.shape
        np.testing.assert_array_equal(places(dims, n, c, p), array)


def factorings(size: int) -> list[tuple[int, ...]]:
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    return [
        (first, second, size // (first * second))
        for first, second in itertools.product(divisors, divisors)
        if size % (first * second) == 0
    ]


def test_a_reshape_that_cuts_between_parts_is_none() -> None:
    dims = (axes.whole("c", 6), axes.whole("p", 4))
    assert axes.regrouped(dims, (3, 8)) is not None
    assert axes.regrouped(dims, (4, 6)) is None
    assert axes.regrouped(dims, (6, 5)) is None


def test_heads_and_windows_come_back_to_where_they_were() -> None:
    dims = (axes.whole("n", 2), axes.whole("c", 6), axes.whole("p", 8))
    heads = axes.regrouped(dims, (2, 2, 3, 8))
    assert heads is not None
    assert heads[1:3] == ((Atom("c", 3, 2),), (Atom("c", 1, 3),))
    assert axes.regrouped(heads, (2, 6, 8)) == dims


@pytest.mark.parametrize(
    ("dims", "shape"),
    [
        (((), axes.whole("c", 4), axes.whole("p", 3), ()), (4, 3, 1)),
        (((), axes.whole("c", 4), (), axes.whole("p", 3)), (4, 1, 3)),
        (((), axes.whole("p", 9), axes.whole("c", 4)), (4, 9, 1)),
        (((), axes.whole("c", 4)), (4, 1, 1)),
        (((), (Atom("p", 3, 2),), (Atom("p", 1, 3),), axes.whole("c", 4)), (4, 2, 3)),
    ],
)
def test_the_map_of_a_tensor(dims: Dims, shape: tuple[int, int, int]) -> None:
    assert axes.map_shape(dims) == shape
