"""The k largest of each row as a mask, k a tensor: the same graph for every k."""

from __future__ import annotations

from torch import Tensor


def winners(saliency: Tensor, kept: Tensor) -> Tensor:
    """bool, exactly `kept` ones along the last dimension; of equal values the first wins."""
    order = saliency.detach().argsort(dim=-1, descending=True, stable=True)
    return order.argsort(dim=-1) < kept
