"""Dynamic group convolution (Su et al., ECCV 2020): each head chooses its input channels per image.

The output channels are cut into heads. Each head predicts the saliency of every input channel by a
squeeze-excite pair, keeps the most salient ones, scales them and convolves them alone. The heads'
outputs are then shuffled. docs/guide/gated_networks.md says which part comes from where.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.train.networks.gating import Branch
from hwsim.train.networks.top_k import relative, winners

HEADS = 4
LASSO = 1e-5
"""Weight of the mean saliency, summed over heads and layers, in the loss."""

RAMP = (1 / 12, 3 / 4)
"""Progress at which pruning starts and at which it is complete."""


def ramped_share(progress: float, density: float) -> float:
    """Share of the input channels that a head keeps at `progress`: from 1 down to `density`."""
    start, end = RAMP
    return 1 - (1 - density) * min(max((progress - start) / (end - start), 0), 1)


def squeezed(in_channels: int) -> int:
    """Width of the squeeze: a 16th of the channels, an 8th below 80 (published code)."""
    return max(1, in_channels // (8 if in_channels < 80 else 16))


def one_squeeze(in_channels: Sequence[int]) -> int:
    """The squeeze with which layers of these channels have most nearly their predictors' MACs.

    A trace has one for all its layers; the published rule has two.
    """
    own = sum(channels * squeezed(channels) for channels in in_channels)

    def off_by(squeeze: int) -> int:
        return abs(sum(channels * -(-channels // squeeze) for channels in in_channels) - own)

    return min(range(1, max(in_channels) + 1), key=off_by)


def head_order(flags: Tensor) -> Tensor:
    """Channels along the last axis in the order in which heads make them, head 0's first.

    That is, before the shuffle. It is a mere numbering: with the rows and columns of all weights in
    this order too, no machine has to shuffle anything.
    """
    return flags.unflatten(-1, (-1, HEADS)).transpose(-1, -2).flatten(-2)


class DGCConv2d(nn.Conv2d):
    """3x3 convolution in four heads of out_channels / 4, each on its own choice of input channels.

    The weight is that of a dense convolution, the heads one after another; the output's channels
    are shuffled: channel c comes from row (c mod 4) * out_channels / 4 + c div 4. After a call
    `mask` is (N, heads, in_channels) bool, `lasso` the layer's term of the loss.
    """

    kept: Tensor

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        if out_channels % HEADS:
            raise ValueError(f"{out_channels} output channels cannot be cut into {HEADS} heads")
        super().__init__(in_channels, out_channels, 3, stride, 1, bias=False)
        middle = squeezed(in_channels)
        self.squeeze = nn.Linear(in_channels, HEADS * middle, bias=False)
        self.excite = nn.Parameter(torch.randn(HEADS, in_channels, middle) * (2 / middle) ** 0.5)
        self.excite_bias = nn.Parameter(torch.ones(HEADS * in_channels))
        nn.init.kaiming_normal_(self.squeeze.weight)
        self.register_buffer("kept", torch.tensor(float(in_channels)))
        self.register_buffer("density", torch.ones(()), persistent=False)
        self.mask: Tensor | None = None
        self.lasso = torch.zeros(())

    def keep(self, share: float) -> None:
        """Each head keeps this share of its input channels from now on, at least one."""
        self.kept.fill_(max(1, self.in_channels - round(self.in_channels * (1 - share))))

    def saliency(self, x: Tensor) -> Tensor:
        """(N, heads, in_channels), at least in fp32."""
        with torch.autocast(x.device.type, enabled=False):
            wide = x if x.dtype == torch.float64 else x.float()
            inner = torch.relu(self.squeeze(relative(wide.mean((2, 3))))).unflatten(1, (HEADS, -1))
            outer = torch.einsum("nhm,hcm->nhc", inner, self.excite)
            return torch.relu(outer + self.excite_bias.view(HEADS, -1))

    def forward(self, x: Tensor, branch: Branch = "diagonal") -> Tensor:
        saliency = self.saliency(x)
        self.mask = winners(saliency, self.kept)
        self.density = self.mask.float().mean()
        self.lasso = LASSO * saliency.mean((0, 2)).sum()
        scale = (saliency * self.mask).to(x.dtype)[..., None, None]
        # Head by head: a convolution of all four in groups would read four copies of x at once.
        heads = [
            F.conv2d(x * chosen, weight, None, self.stride, self.padding)
            for chosen, weight in zip(scale.unbind(1), self.weight.chunk(HEADS), strict=True)
        ]
        return torch.stack(heads, 2).flatten(1, 2)
