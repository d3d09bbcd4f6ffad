"""The k largest of each row as a mask, k a tensor: the same graph for every k."""

from __future__ import annotations

from torch import Tensor


def winners(saliency: Tensor, kept: Tensor) -> Tensor:
    """bool, exactly `kept` ones along the last dimension; of equal values the first wins."""
    order = saliency.detach().argsort(dim=-1, descending=True, stable=True)
    return order.argsort(dim=-1) < kept


def relative(averages: Tensor) -> Tensor:
    """(N, C) -> (N, C): each image's averages in units of their mean over the channels.

    A saliency that grows with its input scales the output by it, and over the blocks of a residual
    network activations double and redouble: to 4e10 in an untrained ResNet-18.
    """
    return averages / averages.mean(1, keepdim=True).clamp(min=1e-12)
