"""Channel gating, and spatial masks: decisions pixel by pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.gates import (
    PLAIN,
    SHAPES,
    ComputingGate,
    Gate,
    GatedNetwork,
    Variant,
    mask_of,
    own_gates,
    paths,
    stem,
)
from zoo.residual import shortcut


class ChannelGatedConv(nn.Module):
    """Channel gating (Hua et al. 2019): a grouped convolution decides where the full one is used.

    The grouped one has the diagonal blocks of the full one's weights. ``masked_weights``: instead
    the full weights are used, multiplied by 1 on the diagonal blocks and 0 elsewhere. ``learned``:
    the gate has a convolution as large as the layer's, and decides by that.
    """

    def __init__(
        self,
        variant: Variant,
        channels: tuple[int, int],
        stride: int,
        groups: int,
        masked_weights: bool,
        learned: bool,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(*channels, 3, stride, 1, bias=False)
        blocks = torch.block_diag(
            *[torch.ones(channels[1] // groups, channels[0] // groups)] * groups
        )
        self.register_buffer("diagonal", blocks[:, :, None, None])
        self.conv_base: nn.Conv2d | None = None
        if not masked_weights:
            self.conv_base = nn.Conv2d(*channels, 3, stride, 1, groups=groups, bias=False)
            parts = zip(self.conv.weight.chunk(groups), range(groups), strict=True)
            kept = [part.chunk(groups, dim=1)[g] for part, g in parts]
            self.conv_base.weight = nn.Parameter(torch.cat(kept).detach().clone())
        self.norm = nn.BatchNorm2d(channels[1])
        self.learned = learned
        self.gate = Gate(variant, threshold=0.1)
        if learned:
            again = nn.Conv2d(*channels, 3, stride, 1, bias=False)
            self.gate = ComputingGate(variant, nn.Sequential(again, nn.BatchNorm2d(channels[1])))

    def forward(self, x: Tensor) -> Tensor:
        if self.conv_base is not None:
            base = self.conv_base(x)
        else:
            weight = self.conv.weight * self.diagonal
            base = F.conv2d(x, weight, stride=self.conv.stride, padding=1)
        mask = mask_of(self.gate, x if self.learned else self.norm(base))
        return base + mask * (self.conv(x) - base)


class ChannelGatedBlock(nn.Module):
    """Two gated convolutions and a zero-padded shortcut."""

    def __init__(
        self, variant: Variant, channels: tuple[int, int], stride: int, groups: int, *flags: bool
    ) -> None:
        super().__init__()
        inside = channels[1], channels[1]
        self.conv1 = ChannelGatedConv(variant, channels, stride, groups, *flags)
        self.bn1 = nn.BatchNorm2d(channels[1])
        self.conv2 = ChannelGatedConv(variant, inside, 1, groups, *flags)
        self.bn2 = nn.BatchNorm2d(channels[1])
        self.shortcut = shortcut(channels, stride, "A")

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ChannelGated(GatedNetwork):
    """Gated: ``blocks.B.conv1`` and ``.conv2``, by their own ``.gate``; decisions (N, C, H, W)."""

    masked_off = "base"

    def __init__(
        self,
        variant: Variant = PLAIN,
        groups: int = 4,
        masked_weights: bool = False,
        learned: bool = False,
    ) -> None:
        flags = masked_weights, learned
        blocks = [ChannelGatedBlock(variant, *shape, groups, *flags) for shape in SHAPES]
        super().__init__(variant, stem(), list(blocks))
        self.groups = groups
        self.gates = own_gates(self, ChannelGatedConv)
        parts = ["conv_base"] * (not masked_weights) + ["gate.computes"] * learned
        self.deciding = tuple(f"{path}.{part}" for path in self.gates for part in parts)


class MaskedConv(nn.Module):
    """A convolution whose output is zero where the mask is."""

    def __init__(self, channels: tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(*channels, 3, stride, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.conv(x) * mask


class Dilated(Gate):
    """A pixel is decided where one of its 3x3 neighbours is; scores are a mask of 0 and 1."""

    def forward(self, scores: Tensor) -> Tensor:
        return super().forward(F.max_pool2d(scores, 3, stride=1, padding=1))


class SpatialBlock(nn.Module):
    """A masker decides which pixels both convolutions make (Verelst and Tuytelaars 2020).

    ``dilated``: the first one also makes the neighbours, which the second one reads. ``inside``:
    the masker is a part of the gate.
    """

    def __init__(
        self, variant: Variant, channels: tuple[int, int], stride: int, dilated: bool, inside: bool
    ) -> None:
        super().__init__()
        masker = nn.Sequential(nn.Conv2d(channels[0], 1, 3, stride, 1), nn.BatchNorm2d(1))
        self.masker = nn.Identity() if inside else masker
        self.gate = ComputingGate(variant, masker, 0.8) if inside else Gate(variant, 0.8)
        self.dilate = Dilated(Variant(kind="float")) if dilated else None
        self.conv1 = MaskedConv(channels, stride)
        self.bn1 = nn.BatchNorm2d(channels[1])
        self.conv2 = MaskedConv((channels[1], channels[1]))
        self.bn2 = nn.BatchNorm2d(channels[1])
        self.shortcut = shortcut(channels, stride, "B")

    def forward(self, x: Tensor) -> Tensor:
        mask = mask_of(self.gate, self.masker(x))
        wide = mask if self.dilate is None else self.dilate(mask)
        out = F.relu(self.bn1(self.conv1(x, wide))) * wide
        out = self.bn2(self.conv2(out, mask)) * mask
        return F.relu(out + self.shortcut(x))


class SpatiallyGated(GatedNetwork):
    """Gated: ``blocks.B.conv1`` and ``.conv2``, by ``blocks.B.gate``; decisions (N, 1, H, W).

    With ``dilated`` the first one's gate is ``blocks.B.dilate``.
    """

    def __init__(
        self, variant: Variant = PLAIN, dilated: bool = False, inside: bool = False
    ) -> None:
        blocks = [SpatialBlock(variant, *shape, dilated, inside) for shape in SHAPES]
        super().__init__(variant, stem(), list(blocks))
        for path in paths(self, SpatialBlock):
            self.gates[f"{path}.conv1"] = f"{path}.{'dilate' if dilated else 'gate'}"
            self.gates[f"{path}.conv2"] = f"{path}.gate"
        masker = "gate.computes" if inside else "masker"
        self.deciding = tuple(f"{path}.{masker}" for path in paths(self, SpatialBlock))
