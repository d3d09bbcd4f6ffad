"""NT-Xent against the loops of SimCLR's algorithm 1."""

from __future__ import annotations

import math

import pytest
import torch

from hwsim.train.losses import nt_xent


def literal_nt_xent(first: list, second: list, temperature: float) -> float:
    """Algorithm 1: views 2k-1 and 2k of image k, the loss of every pair in both orders."""
    z = [view for pair in zip(first, second, strict=True) for view in pair]

    def similarity(i: int, j: int) -> float:
        dot = sum(a * b for a, b in zip(z[i], z[j], strict=True))
        return dot / (math.sqrt(sum(a * a for a in z[i])) * math.sqrt(sum(b * b for b in z[j])))

    def loss(i: int, j: int) -> float:
        others = 0.0
        for k in range(len(z)):
            if k != i:
                others += math.exp(similarity(i, k) / temperature)
        return -math.log(math.exp(similarity(i, j) / temperature) / others)

    pairs = range(0, len(z), 2)
    return sum(loss(k, k + 1) + loss(k + 1, k) for k in pairs) / len(z)


@pytest.mark.parametrize("temperature", [0.5, 0.1])
def test_nt_xent_equals_the_loops(temperature: float) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 5, 7, dtype=torch.float64)
    expected = literal_nt_xent(first.tolist(), second.tolist(), temperature)
    assert float(nt_xent(first, second, temperature)) == pytest.approx(expected, rel=1e-12)


def test_identical_embeddings_cost_the_log_of_the_choices() -> None:
    same = torch.ones(8, 4)
    assert float(nt_xent(same, same)) == pytest.approx(math.log(15), rel=1e-6)
