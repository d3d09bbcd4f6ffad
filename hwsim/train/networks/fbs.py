"""Feature boosting and suppression (Gao et al., ICLR 2019): output channels chosen per image.

A small dense layer predicts each output channel's saliency from the averages of the input channels;
the most salient channels are computed and scaled by it, the others are zero.
docs/guide/gated_networks.md says which part comes from where.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hwsim.train.networks.gating import Branch
from hwsim.train.networks.top_k import relative, winners

LASSO = 1e-8
"""Weight of the mean L1 norm of a layer's saliencies in the loss."""

STEP = 0.1
REACHED = 0.5
"""The density falls in steps of STEP, evenly over this share of the run."""


def stepped_share(progress: float, density: float) -> float:
    """Share of the channels kept at `progress`: from 1 to `density`, in steps."""
    steps = math.ceil((1 - density) / STEP - 1e-9)
    return max(density, 1 - STEP * int(min(progress / REACHED, 1) * steps))


class FBSConv2d(nn.Conv2d):
    """3x3 convolution, normalisation and channel gate: y = (norm(conv(x)) + shift) * g * mask.

    g = relu(W s + b), s the averages of |x| relative to their mean; mask marks the
    ceil(share * out_channels) largest g. ReLU, and where there is one the residual, follow outside.
    After a call `mask` is (N, out_channels) bool, `lasso` the layer's term of the loss.
    """

    kept: Tensor

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, 3, stride, 1, bias=False)
        # The saliency takes the place of BatchNorm's scale.
        self.norm = nn.BatchNorm2d(out_channels, affine=False)
        self.shift = nn.Parameter(torch.zeros(out_channels))
        self.predictor = nn.Linear(in_channels, out_channels)
        nn.init.kaiming_normal_(self.predictor.weight)
        nn.init.ones_(self.predictor.bias)
        self.register_buffer("kept", torch.tensor(float(out_channels)))
        self.register_buffer("density", torch.ones(()), persistent=False)
        self.mask: Tensor | None = None
        self.lasso = torch.zeros(())

    def keep(self, share: float) -> None:
        """Keep this share of the output channels from now on, rounded up."""
        self.kept.fill_(math.ceil(share * self.out_channels - 1e-9))

    def saliency(self, x: Tensor) -> Tensor:
        """g, (N, out_channels), at least in fp32."""
        with torch.autocast(x.device.type, enabled=False):
            wide = x if x.dtype == torch.float64 else x.float()
            return torch.relu(self.predictor(relative(wide.abs().mean((2, 3)))))

    def forward(self, x: Tensor, branch: Branch = "diagonal") -> Tensor:
        saliency = self.saliency(x)
        self.mask = winners(saliency, self.kept)
        self.density = self.mask.float().mean()
        self.lasso = LASSO * saliency.sum(1).mean()
        scale = (saliency * self.mask)[:, :, None, None]
        return (self.norm(super().forward(x)) + self.shift[:, None, None]) * scale
