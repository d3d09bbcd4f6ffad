"""Models for tests: a forward pass as a function, and what torch counts of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Told(nn.Module):
    """A forward pass given as a function of named modules and the input."""

    def __init__(self, forward: Any, **modules: Any) -> None:
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.told = forward

    def forward(self, x: Tensor) -> Any:
        return self.told(self, x)


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))
