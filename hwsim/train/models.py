"""ResNet-18 for small images with gated convolutions, and the projector of SimCLR.

Module paths of the convolutions are the layer names of hwsim.workload.resnet18.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.errors import UserError, one_line
from hwsim.train.gating import Branch, DenseConv2d, GatedConv2d

Method = Literal["dense", "cdg", "scdg"]
METHODS: tuple[Method, ...] = get_args(Method)
MASK_GROUP: dict[str, int] = {"cdg": 1, "scdg": 8}
"""Consecutive output channels that share one decision, per gated method."""

GATE_GROUPS = 4
STAGE_STRIDES = (1, 2, 2, 2)


def conv3x3(method: Method, in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    """The 3x3 convolution of a residual block for this method."""
    if method == "dense":
        return DenseConv2d(in_channels, out_channels, 3, stride, 1, bias=False)
    return GatedConv2d(
        in_channels,
        out_channels,
        3,
        stride,
        gate_groups=GATE_GROUPS,
        mask_group=MASK_GROUP[method],
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the identity or a 1x1 shortcut."""

    def __init__(self, method: Method, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(method, in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(method, out_channels, out_channels, 1)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, branch: Branch) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x, branch)))
        y = self.bn2(self.conv2(y, branch))
        residual = x if self.shortcut is None else self.shortcut_bn(self.shortcut(x))
        return F.relu(y + residual)


class ResNet18(nn.Module):
    """(N, 3, H, W) -> (N, 8 * width) features. `width` counts the first stage's channels."""

    def __init__(self, method: Method = "cdg", width: int = 64) -> None:
        super().__init__()
        self.method, self.width = method, width
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, stride in enumerate(STAGE_STRIDES):
            out_channels = width << stage
            blocks = [
                BasicBlock(method, channels, out_channels, stride),
                BasicBlock(method, out_channels, out_channels, 1),
            ]
            setattr(self, f"layer{stage + 1}", nn.ModuleList(blocks))
            channels = out_channels
        self.features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def blocks(self) -> list[BasicBlock]:
        """The residual blocks in execution order."""
        return [b for stage in range(1, 5) for b in getattr(self, f"layer{stage}")]

    def forward(self, x: Tensor, branch: Branch = "diagonal") -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        for block in self.blocks():
            y = block(y, branch)
        return y.mean((2, 3))


class SimCLR(nn.Module):
    """Encoder and projector: (N, 3, H, W) -> (N, 128) embeddings, not normalised."""

    def __init__(self, method: Method = "cdg", width: int = 64, embedding: int = 128) -> None:
        super().__init__()
        self.encoder = ResNet18(method, width)
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


def save_weights(path: Path, encoder: ResNet18, training: dict[str, Any]) -> None:
    """Encoder as .npz: convolutions in fp16, BatchNorm, statistics and thresholds in fp32.

    `training` (plain JSON values, what a trace's header carries) goes in as the string "meta",
    with method and width. Written under a temporary name and renamed.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, value in encoder.state_dict().items():
        if value.dtype.is_floating_point:
            kept = value.half() if value.ndim == 4 else value.float()
            arrays[name] = kept.cpu().contiguous().numpy()
    meta = {"method": encoder.method, "width": encoder.width, "training": training}
    arrays["meta"] = np.array(json.dumps(meta))
    part = path.with_name(path.name + ".part")
    with part.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **arrays)
    part.replace(path)


def load_weights(path: Path) -> tuple[ResNet18, dict[str, Any]]:
    """(encoder in evaluation mode, fp32; training) from a file of save_weights. WeightsError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(str(arrays.pop("meta")))
        encoder = ResNet18(meta["method"], meta["width"])
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
