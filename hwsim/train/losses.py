"""The contrastive loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """NT-Xent of SimCLR (Chen et al. 2020, algorithm 1): a scalar in nats.

    first and second are (N, D) embeddings of the two views of the same N images, in any scale.
    Every embedding must pick its partner among the 2N - 1 others by cosine similarity.
    """
    count = first.shape[0]
    z = F.normalize(torch.cat([first, second]), dim=1)
    logits = z @ z.T / temperature
    # An embedding is not its own negative.
    logits = logits.masked_fill(
        torch.eye(2 * count, dtype=torch.bool, device=z.device), float("-inf")
    )
    partner = torch.arange(2 * count, device=z.device).roll(count)
    return F.cross_entropy(logits, partner)
