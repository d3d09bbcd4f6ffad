"""Networks that module types do not show, and some that no layer list can say."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FreeParameters(nn.Module):
    """A convolution and products whose weights are Parameters of no module of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.2)
        self.mix = nn.Parameter(torch.randn(8, 16) * 0.2)
        self.scores = nn.Parameter(torch.randn(16, 10) * 0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.kernel, padding=1, stride=2))
        x = F.relu(torch.einsum("nchw,cd->ndhw", x, self.mix))
        return x.mean((2, 3)) @ self.scores


class Recurrent(nn.Module):
    """A recurrent layer over the columns of a convolution's map; ``cell`` is LSTM or GRU."""

    def __init__(self, cell: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.recurrent = cell(4 * 8, 16, batch_first=True)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        columns = F.relu(self.conv(x)).permute(0, 3, 1, 2).flatten(2)
        return self.fc(self.recurrent(columns)[0][:, -1])


class Volume(nn.Module):
    """3-D convolutions on short clips: (N, 3, frames, height, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv3d(8, 8, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool3d(F.relu(self.conv1(x)), 2)
        return self.fc(F.relu(self.conv2(x)).mean((2, 3, 4)))
