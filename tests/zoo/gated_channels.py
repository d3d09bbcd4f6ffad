"""Masks of whole channels by squeeze-and-excite: of the output, of the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.gates import (
    PLAIN,
    SHAPES,
    Gate,
    GatedNetwork,
    Variant,
    mask_and_margins,
    mask_of,
    own_gates,
    stem,
)
from zoo.residual import shortcut


class OutputChannelConv(nn.Module):
    """A factor above zero for the half of the output channels that matter (Gao et al. 2019).

    Factors come from the means of the input's channels. Where gates do not give margins, channels
    are kept as they are. ``flat``: the gate gives (N, C), otherwise (N, C, 1, 1).
    """

    def __init__(
        self, variant: Variant, channels: tuple[int, int], stride: int, flat: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(*channels, 3, stride, 1, bias=False)
        self.saliency = nn.Linear(*channels)
        self.gate = Gate(variant)
        self.flat, self.factors = flat, variant.kind == "margins"

    def forward(self, x: Tensor) -> Tensor:
        salient = self.saliency(x.abs().mean((2, 3))).abs()
        scores = _top_half(salient)
        scores = scores if self.flat else scores[:, :, None, None]
        mask, soft = mask_and_margins(self.gate, scores)
        factors = soft if self.factors else mask
        return self.conv(x) * factors.view(*salient.shape, 1, 1)


class InputChannelConv(nn.Module):
    """Reads the half of its input channels that matter, the others as zero (Su et al. 2020)."""

    def __init__(
        self, variant: Variant, channels: tuple[int, int], stride: int, flat: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(*channels, 3, stride, 1, bias=False)
        self.fc1 = nn.Linear(channels[0], 4)
        self.fc2 = nn.Linear(4, channels[0])
        self.gate = Gate(variant)
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        salient = torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3))))))
        scores = _top_half(salient)
        mask = mask_of(self.gate, scores if self.flat else scores[:, :, None, None])
        return self.conv(x * mask.view(*salient.shape, 1, 1))


class ChoosingBlock(nn.Module):
    """Two convolutions of a kind that chooses channels, and a projected shortcut."""

    def __init__(
        self,
        kind: type[OutputChannelConv] | type[InputChannelConv],
        variant: Variant,
        channels: tuple[int, int],
        stride: int,
        flat: bool,
    ) -> None:
        super().__init__()
        self.conv1 = kind(variant, channels, stride, flat)
        self.conv2 = kind(variant, (channels[1], channels[1]), 1, flat)
        self.shortcut = shortcut(channels, stride, "B")

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))


class OutputChannelGated(GatedNetwork):
    """Gated: ``blocks.B.conv1`` and ``.conv2``, by their own ``.gate``; (N, C) or (N, C, 1, 1)."""

    def __init__(self, variant: Variant = PLAIN, flat: bool = False) -> None:
        blocks = [ChoosingBlock(OutputChannelConv, variant, *shape, flat) for shape in SHAPES]
        super().__init__(variant, stem(), list(blocks))
        self.gates = own_gates(self, OutputChannelConv)
        self.deciding = tuple(f"{path}.saliency" for path in self.gates)
        # A factor changes what is left in.
        self.masked_off = "unchecked" if variant.kind == "margins" else "zero"


class InputChannelGated(GatedNetwork):
    """Gated: ``blocks.B.conv1`` and ``.conv2``, by their own ``.gate``.

    (N, C_in) with ``flat``, or (N, C_in, 1, 1).
    """

    masked_off = "unchecked"

    def __init__(self, variant: Variant = PLAIN, flat: bool = False) -> None:
        blocks = [ChoosingBlock(InputChannelConv, variant, *shape, flat) for shape in SHAPES]
        super().__init__(variant, stem(), list(blocks))
        self.gates = own_gates(self, InputChannelConv)
        self.deciding = tuple(f"{path}.{fc}" for path in self.gates for fc in ("fc1", "fc2"))


def _top_half(salient: Tensor) -> Tensor:
    """The larger half of each row as it is, the rest 0; (N, C)."""
    kept = salient.topk(salient.shape[1] // 2, dim=1).indices
    return salient * torch.zeros_like(salient).scatter(1, kept, 1)
