"""Gates that keep their own record, and what goes wrong around them.

A :class:`Gate` keeps a copy of each decision and of its margins when it is made. A
:class:`GatedNetwork` names its gated modules and their gates, so that what a recorder found can be
compared with what was decided, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.residual import conv_bn


@dataclass(frozen=True)
class Variant:
    """How gates and networks behave.

    ``kind``: what a gate returns: margins, or its decision as floats of 0 and 1, bool or int.
    ``overwrites``: what is done in place to that tensor after it was used; ``"invert"`` is for
    bool and int, the others for floats. ``several``: a gate returns (decision, margins).
    ``twice``: a gate is called a second time for the same layer, with opposite scores, and the
    result thrown away. ``not_a_number``: a gate's first margin is NaN.

    ``shared``: the second block is the first one again. ``raises``: the first pass ends in a
    RuntimeError after the first block. ``returns``: what the network returns.
    """

    kind: Literal["margins", "float", "bool", "int"] = "margins"
    overwrites: Literal["", "sigmoid", "relu", "invert"] = ""
    several: bool = False
    twice: bool = False
    not_a_number: bool = False
    shared: bool = False
    raises: bool = False
    returns: Literal["tensor", "tuple", "dict"] = "tensor"


PLAIN = Variant()

SHAPES = ((8, 8), 1), ((8, 8), 1), ((8, 16), 2)
"""(channels in and out, stride) of the three blocks of a network of maps."""


class Gate(nn.Module):
    """Decides where scores are above ``threshold``; NaN is not.

    ``decided``: bool, one tensor a call, in the scores' shape; ``margins``: floats, as many.
    """

    def __init__(self, variant: Variant, threshold: float = 0.0) -> None:
        super().__init__()
        self.variant, self.threshold = variant, threshold
        self.decided: list[Tensor] = []
        self.margins: list[Tensor] = []

    def forward(self, scores: Tensor) -> Any:
        margins = scores - self.threshold
        if self.variant.not_a_number:
            margins.view(-1)[0] = torch.nan
        decided = margins > 0
        self.decided.append(decided.clone())
        self.margins.append(margins.detach().clone())
        kinds = {"float": torch.float32, "bool": torch.bool, "int": torch.int32}
        kind = self.variant.kind
        out = margins if kind == "margins" else decided.to(kinds[kind])
        return (out, margins.clone()) if self.variant.several else out


class ComputingGate(Gate):
    """A gate that makes its scores itself."""

    def __init__(self, variant: Variant, computes: nn.Module, threshold: float = 0.0) -> None:
        super().__init__(variant, threshold)
        self.computes = computes

    def forward(self, x: Tensor) -> Any:
        return super().forward(self.computes(x))


def mask_of(gate: Gate, scores: Tensor) -> Tensor:
    """The gate's decision as floats of 0 and 1, after which its tensor may be overwritten."""
    mask, _ = mask_and_margins(gate, scores)
    return mask


def mask_and_margins(gate: Gate, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Floats of 0 and 1, and what the gate returned before it may be overwritten, NaN as 0."""
    made = gate(scores)
    out = made[0] if isinstance(made, tuple) else made
    mask, soft = (out > 0).float(), out.float().nan_to_num()
    if gate.variant.twice:
        gate(-scores)
    _overwrite(out, gate.variant.overwrites)
    return mask, soft


def _overwrite(out: Tensor, how: str) -> None:
    if how == "sigmoid":
        out.sigmoid_()
    elif how == "relu":
        F.relu(out, inplace=True)
    elif how == "invert":
        out.logical_not_()


class GatedNetwork(nn.Module):
    """A stem, three blocks (two alike, one that may halve the size), the mean and a linear layer.

    ``gates``: the path of each gated module's gate, by the module's path. ``masked_off``: what a
    gated module's output holds where the mask is 0: ``"base"``, ``"zero"``, or ``"unchecked"``.
    ``deciding``: paths of modules that compute for gates alone.
    """

    masked_off = "zero"

    def __init__(
        self, variant: Variant, stem: nn.Module, blocks: list[nn.Module], features: int = 16
    ) -> None:
        super().__init__()
        self.variant = variant
        self.stem = stem
        self.blocks = nn.ModuleList(blocks)
        if variant.shared:
            self.blocks[1] = self.blocks[0]
        self.fc = nn.Linear(features, 10)
        self.raised = False
        self.gates: dict[str, str] = {}
        self.deciding: tuple[str, ...] = ()

    @property
    def decisions(self) -> dict[str, list[Tensor]]:
        """By the path of each gate, one bool tensor a call, oldest first."""
        return {path: gate.decided for path, gate in self._gates()}

    @property
    def margins(self) -> dict[str, list[Tensor]]:
        """By the path of each gate, one float tensor a call, oldest first."""
        return {path: gate.margins for path, gate in self._gates()}

    def decided(self, layer: str) -> Tensor:
        """The decisions of all images that ran, for the gated module of this path."""
        return torch.cat(self.decisions[self.gates[layer]])

    def forget(self) -> None:
        """Drops the record of all passes."""
        for _, gate in self._gates():
            gate.decided.clear()
            gate.margins.clear()

    def _gates(self) -> list[tuple[str, Gate]]:
        return [(path, m) for path, m in self.named_modules() if isinstance(m, Gate)]

    def features(self, x: Tensor) -> Tensor:
        """What the blocks make of the stem's output."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
            if self.variant.raises and not self.raised:
                self.raised = True
                raise RuntimeError("out of memory")
        return x

    def pooled(self, x: Tensor) -> Tensor:
        """(N, channels) from the last block's map."""
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Any:
        before = [(gate, len(gate.decided)) for _, gate in self._gates()]
        try:
            scores = self.fc(self.pooled(self.features(x)))
        except RuntimeError:
            # Images of a batch that failed do not count.
            for gate, count in before:
                del gate.decided[count:], gate.margins[count:]
            raise
        if self.variant.returns == "tuple":
            return scores, x
        return {"scores": scores} if self.variant.returns == "dict" else scores


def stem() -> nn.Module:
    """3x3, from an image to 8 channels."""
    return nn.Sequential(conv_bn((3, 8), 3), nn.ReLU())


def paths(model: nn.Module, kind: type[nn.Module]) -> list[str]:
    """Of every module of a kind; one that is in two places is listed once."""
    return [path for path, module in model.named_modules() if isinstance(module, kind)]


def own_gates(model: nn.Module, kind: type[nn.Module]) -> dict[str, str]:
    """Of every module of a kind, its ``gate``."""
    return {path: f"{path}.gate" for path in paths(model, kind)}
