"""Blocks that images skip, and tokens that linear layers leave out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.attention import Attention
from zoo.gates import PLAIN, SHAPES, Gate, GatedNetwork, Variant, mask_of, paths, stem
from zoo.residual import shortcut


class SkippedBlock(nn.Module):
    """x + g(x) * block(x): one decision for an image (Wang et al. 2018)."""

    def __init__(
        self, variant: Variant, channels: tuple[int, int], stride: int, flat: bool
    ) -> None:
        super().__init__()
        self.decider = nn.Sequential(nn.Linear(channels[0], 1), nn.BatchNorm1d(1))
        self.gate = Gate(variant)
        self.conv1 = nn.Conv2d(*channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[1])
        self.conv2 = nn.Conv2d(channels[1], channels[1], 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels[1])
        self.shortcut = shortcut(channels, stride, "B")
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        scores = self.decider(x.mean((2, 3)))
        mask = mask_of(self.gate, scores if self.flat else scores[:, :, None, None])
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.shortcut(x) + mask.view(-1, 1, 1, 1) * out)


class BlockSkipping(GatedNetwork):
    """Gated: ``blocks.B.conv1`` and ``.conv2``, by ``blocks.B.gate``; (N, 1) or (N, 1, 1, 1).

    Both convolutions run for every image here, and are multiplied by the decision afterwards.
    """

    masked_off = "unchecked"

    def __init__(self, variant: Variant = PLAIN, flat: bool = False) -> None:
        blocks = [SkippedBlock(variant, *shape, flat) for shape in SHAPES]
        super().__init__(variant, stem(), list(blocks))
        for path in paths(self, SkippedBlock):
            self.gates |= {f"{path}.{conv}": f"{path}.gate" for conv in ("conv1", "conv2")}
        self.deciding = tuple(f"{path}.decider" for path in paths(self, SkippedBlock))


class MaskedLinear(nn.Module):
    """A linear layer on tokens, zero for those that are masked off; ``mask`` (N, T) of floats."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(into, out)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.linear(x) * mask[:, :, None]


class TokenBlock(nn.Module):
    """Attention of all tokens, then an MLP of those that are chosen (Meng et al. 2022)."""

    def __init__(self, variant: Variant, width: int, flat: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads=2)
        self.scorer = nn.Linear(width, 1)
        self.gate = Gate(variant)
        self.fc1 = MaskedLinear(width, 2 * width)
        self.fc2 = MaskedLinear(2 * width, width)
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        inner = self.norm2(x)
        scores = self.scorer(inner).squeeze(2)
        mask = mask_of(self.gate, scores if self.flat else scores[:, None]).view(scores.shape)
        return x + self.fc2(F.gelu(self.fc1(inner, mask)), mask)


class Patches(nn.Module):
    """(N, T, width) from 4x4 pixels each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 4, stride=4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).flatten(2).transpose(1, 2)


class TokenGated(GatedNetwork):
    """Gated: linear layers ``blocks.B.fc1`` and ``.fc2``, by ``blocks.B.gate``.

    (N, T) with ``flat``, or (N, 1, T). Images of 16x16 pixels have as many tokens as ``width``
    has channels where it is not given: shapes then do not say what a mask is of.
    """

    def __init__(self, variant: Variant = PLAIN, flat: bool = False, width: int = 16) -> None:
        blocks = [TokenBlock(variant, width, flat) for _ in SHAPES]
        super().__init__(variant, Patches(width), list(blocks), width)
        for path in paths(self, TokenBlock):
            self.gates |= {f"{path}.{fc}": f"{path}.gate" for fc in ("fc1", "fc2")}
        self.deciding = tuple(f"{path}.scorer" for path in paths(self, TokenBlock))

    def pooled(self, x: Tensor) -> Tensor:
        return x.mean(1)
