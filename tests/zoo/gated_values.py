"""Channel gating, and spatial masks: decisions pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Gating:
    """How channel gating is built: in ``groups`` gating groups.

    ``conv_groups``: the convolution's own groups, each gated as one by itself. ``masked_weights``:
    there is no base convolution; the full weights are used, multiplied by 1 on the diagonal blocks
    and 0 elsewhere. ``learned``: the gate has a convolution as large as the layer's, and decides by
    that.
    """

    groups: int = 4
    conv_groups: int = 1
    masked_weights: bool = False
    learned: bool = False


class ChannelGatedConv(nn.Module):
    """Channel gating (Hua et al. 2019): a grouped convolution decides where the full one is used.

    The grouped one has the diagonal blocks of the full one's weights.
    """

    def __init__(
        self, variant: Variant, channels: tuple[int, int], stride: int, how: Gating
    ) -> None:
        super().__init__()
        own = how.conv_groups
        self.conv = nn.Conv2d(*channels, 3, stride, 1, groups=own, bias=False)
        out, into = channels[1] // own // how.groups, channels[0] // own // how.groups
        blocks = torch.block_diag(*[torch.ones(out, into)] * how.groups).repeat(own, 1)
        self.register_buffer("diagonal", blocks[:, :, None, None])
        self.conv_base: nn.Conv2d | None = None
        if not how.masked_weights:
            parts = self.conv.weight.detach().chunk(own * how.groups)
            kept = [part.chunk(how.groups, 1)[b % how.groups] for b, part in enumerate(parts)]
            self.conv_base = nn.Conv2d(*channels, 3, stride, 1, groups=own * how.groups, bias=False)
            self.conv_base.weight = nn.Parameter(torch.cat(kept).clone())
        self.norm = nn.BatchNorm2d(channels[1])
        self.learned = how.learned
        self.gate = Gate(variant, threshold=0.1)
        if how.learned:
            again = nn.Conv2d(*channels, 3, stride, 1, bias=False)
            self.gate = ComputingGate(variant, nn.Sequential(again, nn.BatchNorm2d(channels[1])))

    def forward(self, x: Tensor) -> Tensor:
        if self.conv_base is not None:
            base = self.conv_base(x)
        else:
            weight, own = self.conv.weight * self.diagonal, self.conv.groups
            base = F.conv2d(x, weight, stride=self.conv.stride, padding=1, groups=own)
        mask = mask_of(self.gate, x if self.learned else self.norm(base))
        return base + mask * (self.conv(x) - base)


class ChannelGatedBlock(nn.Module):
    """Two gated convolutions and a zero-padded shortcut."""

    def __init__(
        self, variant: Variant, channels: tuple[int, int], stride: int, how: Gating
    ) -> None:
        super().__init__()
        inside = channels[1], channels[1]
        self.conv1 = ChannelGatedConv(variant, channels, stride, how)
        self.bn1 = nn.BatchNorm2d(channels[1])
        self.conv2 = ChannelGatedConv(variant, inside, 1, how)
        self.bn2 = nn.BatchNorm2d(channels[1])
        self.shortcut = shortcut(channels, stride, "A")

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ChannelGated(GatedNetwork):
    """Gated: ``blocks.B.conv1`` and ``.conv2``, by their own ``.gate``; decisions (N, C, H, W).

    ``options``: those of :class:`Gating`.
    """

    masked_off = "base"

    def __init__(self, variant: Variant = PLAIN, **options: Any) -> None:
        how = Gating(**options)
        blocks = [ChannelGatedBlock(variant, *shape, how) for shape in SHAPES]
        super().__init__(variant, stem(), list(blocks))
        self.groups = how.groups
        self.gates = own_gates(self, ChannelGatedConv)
        parts = ["conv_base"] * (not how.masked_weights) + ["gate.computes"] * how.learned
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
