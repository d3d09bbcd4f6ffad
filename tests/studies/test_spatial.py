"""Edges, areas, correlations and power of maps that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from near import assert_near

from studies.paths.spatial import area_means, correlations, edges, power

ROWS, COLUMNS = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
CHECKERBOARD = 1 - 2 * ((ROWS + COLUMNS) % 2)


def test_a_step_of_255_has_a_gradient_of_1020_beside_it_and_none_elsewhere() -> None:
    """1 + 2 + 1 times 255, in the first and last row too: the frame is no edge."""
    picture = torch.zeros(1, 3, 5, 8, dtype=torch.uint8)
    picture[..., 4:] = 255
    wanted = torch.tensor([0, 0, 0, 1020, 1020, 0, 0, 0.0]).expand(1, 5, 8)
    assert_near(edges(picture), wanted)
    assert_near(edges(picture.mT), wanted.mT)


def test_colours_count_as_bright_as_they_look() -> None:
    """A green step of 100 is one of 58.7 in luminance."""
    picture = torch.zeros(1, 3, 3, 4, dtype=torch.uint8)
    picture[:, 1, :, 2:] = 100
    assert float(edges(picture)[0, 1, 1]) == pytest.approx(4 * 58.7)


def test_an_area_lies_around_its_centre_and_ends_with_the_image() -> None:
    """Pixel values 0 to 15: a whole area around 10; at the corner 0, 1, 4, 5 by 1, 1/2, 1/2, 1/4.

    The one to the right of it is around 2, of the upper row by 1: 1, 2, 3; of the next by half.
    """
    maps = torch.arange(16.0).reshape(1, 4, 4)
    found = area_means(maps, 2)
    corner = (0.5 * 1 + 0.5 * 4 + 0.25 * 5) / 2.25
    above = (2 + 0.5 * 6) / 1.5
    assert_near(found, torch.tensor([[[corner, above], [8.5 - 1 / 6, 10]]]))
    assert area_means(maps, 1) is maps
    assert area_means(torch.ones(2, 33, 32), 8).shape == (2, 5, 4)


def test_correlations_by_hand() -> None:
    """0 1 2 3 against 0 1 3 2: covariance 4, squares 5 and 5."""
    line = torch.tensor([[0.0, 1], [2, 3]])
    others = torch.stack([line, -2 * line + 9, torch.tensor([[0.0, 1], [3, 2]])])
    assert correlations(line.expand(3, 2, 2), others).tolist() == pytest.approx([1, -1, 0.8])


def test_a_constant_map_has_no_correlation() -> None:
    line = torch.arange(4.0).reshape(1, 2, 2)
    noisy = torch.full((1, 2, 2), 1e3) + 1e-6 * line
    for constant in (torch.zeros(1, 2, 2), noisy):
        assert correlations(constant, line).isnan().all()
        assert correlations(line, constant).isnan().all()


@pytest.mark.parametrize(
    ("pattern", "share"),
    [
        (CHECKERBOARD, 1),
        ((2 * math.pi * ROWS / 16).cos(), 0),
        ((2 * math.pi * ROWS / 4).cos(), 0),
        ((2 * math.pi * 5 * ROWS / 16).cos(), 1),
        ((2 * math.pi * (COLUMNS + 5 * ROWS) / 16).cos(), 1),
        # A cosine has half the power of a checkerboard of its height.
        (CHECKERBOARD + (2 * math.pi * COLUMNS / 16).cos(), 2 / 3),
    ],
    ids=["checkerboard", "slow", "half of Nyquist", "above it", "in one axis", "both"],
)
def test_share_of_high_frequencies(pattern: torch.Tensor, share: float) -> None:
    """Means count nowhere, nor do silent channels."""
    silent = torch.full_like(pattern, 7)
    high, total = power(torch.stack([pattern + 3, silent])[None])
    assert high / total == pytest.approx(share, abs=1e-6)
    assert power(silent[None, None])[1] == 0


def test_power_is_summed_over_channels_and_images() -> None:
    """A checkerboard twice as high has four times the power: 4 of 4.5 with a slow cosine."""
    slow = (2 * math.pi * ROWS / 16).cos()
    maps = torch.stack([2 * CHECKERBOARD, slow])
    for stacked in (maps[None], maps[:, None]):
        high, total = power(stacked)
        assert high / total == pytest.approx(4 / 4.5)
