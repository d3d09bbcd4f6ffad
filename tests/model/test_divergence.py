"""Where two models first differ."""

from __future__ import annotations

import numpy as np
import pytest
from divergence import Divergence, first_divergence

NAMES = ("base", "drain")


def test_equal_arrays_do_not_diverge() -> None:
    assert first_divergence(np.ones((3, 2), int), np.ones((3, 2), int), NAMES) is None


def test_the_first_tile_and_in_it_the_first_name() -> None:
    expected = np.array([[1, 2], [3, 4], [5, 6]])
    actual = np.array([[1, 2], [3, 9], [0, 0]])
    found = first_divergence(expected, actual, NAMES)
    assert found == Divergence(tile=1, name="drain", expected=4, actual=9)
    assert str(found) == "tile 1: drain: expected 4, found 9"


def test_arrays_of_different_tiles_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        first_divergence(np.ones((3, 2)), np.ones((2, 2)), NAMES)
