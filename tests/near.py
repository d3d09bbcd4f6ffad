"""Tolerances as a share of the scale of what is compared: sums round in another order elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-5}
"""Of sums of some thousand products, as a share of the largest value; tens of units of rounding."""


def assert_near(found: Tensor, wanted: Tensor, share: float | None = None) -> None:
    """No value is off by more than ``share`` of the largest of ``wanted``.

    ``share``: None takes what rounding explains in the type of ``wanted``.
    """
    largest = float(wanted.detach().abs().max())
    if share is None:
        share = ROUNDING[wanted.dtype]
    torch.testing.assert_close(found, wanted, rtol=0, atol=share * largest)
