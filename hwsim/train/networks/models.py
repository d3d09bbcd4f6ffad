"""ResNet-18 for small images, with a method's 3x3 convolutions, and the projector of SimCLR.

Module paths of the convolutions are the layer names of hwsim.network.resnet18.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.errors import UserError, one_line
from hwsim.files import whole
from hwsim.network import RESNET18, Network, resnet18
from hwsim.train.networks.gating import Branch, DenseConv2d, GateNorm
from hwsim.train.networks.methods import GATE_GROUPS, MASK_GROUP, Method, conv3x3, norm_after

ARCHITECTURE = ("stages", "gate_norm", "mask_group")
"""What a weights file has beside method and width; ResNet-18's defaults where it is missing."""


class ConvNorm(NamedTuple):
    """A convolution and what follows it: [relu](norm(conv(x)) [+ residual]), maps (N, C, H, W)."""

    conv: nn.Module
    norm: nn.Module
    x: Tensor
    branch: Branch
    residual: Tensor | None = None
    relu: bool = True


Compute = Callable[[ConvNorm], Tensor]
"""A way to compute it: :func:`conv_norm`, or hwsim.train.fast.layers.conv_norm in training."""


def conv_norm(step: ConvNorm) -> Tensor:
    """The definition, module by module."""
    y = step.norm(step.conv(step.x, step.branch))
    if step.residual is not None:
        y = y + step.residual
    return F.relu(y) if step.relu else y


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the identity or a 1x1 shortcut."""

    def __init__(
        self,
        method: Method,
        convolution: Callable[[int, int, int], nn.Module],
        in_channels: int,
        out_channels: int,
        stride: int,
    ) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, out_channels, stride)
        self.bn1 = norm_after(method, out_channels)
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = DenseConv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(out_channels)
        self.conv2 = convolution(out_channels, out_channels, 1)
        self.bn2 = norm_after(method, out_channels)

    def forward(self, x: Tensor, branch: Branch, compute: Compute) -> Tensor:
        y = compute(ConvNorm(self.conv1, self.bn1, x, branch))
        residual = x
        if self.shortcut is not None:
            shortcut = ConvNorm(self.shortcut, self.shortcut_bn, x, branch, relu=False)
            residual = compute(shortcut)
        return compute(ConvNorm(self.conv2, self.bn2, y, branch, residual))


class ResNet18(nn.Module):
    """(N, 3, H, W) -> (N, features). `width` counts the first stage's channels; each stage doubles.

    `stages`: residual blocks per stage; every stage but the first halves the map.
    `mask_group`: None takes the method's own.
    """

    def __init__(
        self,
        method: Method = "cdg",
        width: int = 64,
        *,
        stages: Sequence[int] = RESNET18,
        gate_norm: GateNorm = "batch",
        mask_group: int | None = None,
    ) -> None:
        super().__init__()
        self.method, self.width, self.stages = method, width, tuple(stages)
        self.gate_norm, self.mask_group = gate_norm, mask_group or MASK_GROUP.get(method, 1)
        convolution = partial(conv3x3, method, mask_group=self.mask_group, gate_norm=gate_norm)
        self.conv_norm: Compute = conv_norm
        self.conv1 = DenseConv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, count in enumerate(self.stages):
            blocks = []
            for block in range(count):
                stride = 2 if stage and not block else 1
                blocks.append(BasicBlock(method, convolution, channels, width << stage, stride))
                channels = width << stage
            setattr(self, f"layer{stage + 1}", nn.ModuleList(blocks))
        self.features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def blocks(self) -> list[BasicBlock]:
        """The residual blocks in execution order."""
        return [b for stage in range(len(self.stages)) for b in getattr(self, f"layer{stage + 1}")]

    def forward(self, x: Tensor, branch: Branch = "diagonal") -> Tensor:
        y = self.conv_norm(ConvNorm(self.conv1, self.bn1, x, branch))
        for block in self.blocks():
            y = block(y, branch, self.conv_norm)
        return y.mean((2, 3))


class SimCLR(nn.Module):
    """Encoder and projector: (N, 3, H, W) -> (N, 128) embeddings, not normalised."""

    def __init__(self, encoder: ResNet18, embedding: int = 128) -> None:
        super().__init__()
        self.encoder = encoder
        features = self.encoder.features
        self.projector = nn.Sequential(
            nn.Linear(features, features), nn.ReLU(inplace=True), nn.Linear(features, embedding)
        )

    def forward(self, x: Tensor, branch: Branch = "diagonal") -> Tensor:
        return self.projector(self.encoder(x, branch))


class WeightsError(UserError):
    """A weights file that cannot be used."""


def round_to_fp16(encoder: ResNet18) -> None:
    """Round every convolution weight to the nearest fp16 value, in place, kept in its own type.

    Weights are shipped in fp16; statistics and masks must come from what is shipped.
    """
    with torch.no_grad():
        for module in encoder.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(module.weight.half())


TOP = "classifier."
"""Prefix of the arrays that a weights file has beside its encoder's."""


def save_weights(
    path: Path, encoder: ResNet18, training: dict[str, Any], top: Mapping[str, Tensor] | None = None
) -> None:
    """Encoder as .npz: convolutions in fp16, BatchNorm, statistics and thresholds in fp32.

    `training` (plain JSON values, what a trace's header carries) goes in as the string "meta",
    with the architecture; `top`, a classifier's arrays, in fp32 under "classifier.". Written under
    a temporary name and renamed.
    """
    arrays = {f"{TOP}{name}": value.float().cpu().numpy() for name, value in (top or {}).items()}
    for name, value in encoder.state_dict().items():
        if value.dtype.is_floating_point:
            kept = value.half() if value.ndim == 4 else value.float()
            arrays[name] = kept.cpu().contiguous().numpy()
    meta = {"method": encoder.method, "width": encoder.width, "training": training}
    meta |= {name: getattr(encoder, name) for name in ARCHITECTURE}
    arrays["meta"] = np.array(json.dumps(meta))
    with whole(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **arrays)


def load_weights(path: Path) -> tuple[ResNet18, dict[str, Any]]:
    """(encoder in evaluation mode, fp32; training) from a file of save_weights. WeightsError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if not name.startswith(TOP)}
        meta = json.loads(str(arrays.pop("meta")))
        shape = {name: meta[name] for name in ARCHITECTURE if name in meta}
        encoder = ResNet18(meta["method"], meta["width"], **shape)
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        missing = encoder.load_state_dict(state, strict=False)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = one_line(error)[:120]
        raise WeightsError(f"{path}: not a weights file of hwsim.train ({reason})") from None
    # num_batches_tracked counts training batches and is not shipped.
    absent = [n for n in missing.missing_keys if not n.endswith("num_batches_tracked")]
    if absent or missing.unexpected_keys:
        name = (absent or missing.unexpected_keys)[0]
        raise WeightsError(
            f"{path}: {name} is {'missing' if absent else 'not part of the network'}"
        )
    return encoder.eval().to(memory_format=torch.channels_last), meta["training"]


def network_of(encoder: ResNet18, size: int, classes: int) -> Network:
    """The encoder's layers with a classifier, for images of size x size."""
    return resnet18(size, classes, encoder.width, GATE_GROUPS, encoder.stages)
