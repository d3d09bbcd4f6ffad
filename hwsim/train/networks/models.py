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

from hwsim.errors import UserError, nearest, one_line
from hwsim.files import whole
from hwsim.network import RESNET18, Network, resnet18
from hwsim.train.networks import archive
from hwsim.train.networks.gating import GATE_NORMS, Branch, DenseConv2d, GateNorm
from hwsim.train.networks.methods import (
    GATE_GROUPS,
    MASK_GROUP,
    METHODS,
    Method,
    conv3x3,
    norm_after,
)

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


MOST_STAGES, MOST_WIDTH = 8, 1 << 16
"""Of what a weights file may say: sizes of arrays stay far below 2^63."""

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
        arrays = {
            name: array for name, array in archive.arrays(path).items() if not name.startswith(TOP)
        }
        meta = _meta(str(arrays.pop("meta", "")))
        _require_fit(meta, arrays)
        encoder = _built(meta)
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        encoder.load_state_dict(state, strict=False)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except archive.DAMAGED as error:
        reason = one_line(error)[:120]
        raise WeightsError(f"{path}: not a weights file of hwsim.train ({reason})") from None
    return encoder.eval().to(memory_format=torch.channels_last), meta["training"]


def _built(meta: Mapping[str, Any]) -> ResNet18:
    shape = {name: meta[name] for name in ARCHITECTURE if name in meta}
    return ResNet18(meta["method"], meta["width"], **shape)


def _meta(text: str) -> dict[str, Any]:
    """What a file says of its network, each value of its type. WeightsError, or ValueError."""

    def no_number(word: str) -> Any:
        raise ValueError(f"meta holds {word}")

    meta = json.loads(text, parse_constant=no_number)
    if not isinstance(meta, dict) or not isinstance(meta.get("training"), dict):
        raise WeightsError("meta is no object with training in it")
    if meta.get("method") not in METHODS:
        given = one_line(meta.get("method"))[:40]
        raise WeightsError(f"method {given!r}{nearest(given, METHODS)}")
    stages = meta.get("stages", list(RESNET18))
    counts = [meta.get("width"), meta.get("mask_group") or 1]
    counts += stages if isinstance(stages, list) and 0 < len(stages) <= MOST_STAGES else [None]
    if any(type(count) is not int or not 0 < count <= MOST_WIDTH for count in counts):
        raise WeightsError("width, stages or mask_group of meta are no counts")
    if meta.get("gate_norm", "batch") not in GATE_NORMS:
        raise WeightsError(f"gate_norm of meta is none of {', '.join(GATE_NORMS)}")
    for name in ("epochs", "epochs_total"):
        if isinstance(meta["training"].get(name, 0.0), bool | str | list | dict):
            raise WeightsError(f"training.{name} of meta is no number")
    return meta


def _require_fit(meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise WeightsError where arrays are not those of the network: names, shapes, numbers.

    Nothing is made of what ``meta`` says before its sizes are known to be the arrays'.
    """
    if sum(meta.get("stages", RESNET18)) > len(arrays):
        raise WeightsError("meta has more stages than there are arrays")
    with torch.device("meta"):
        state = _built(meta).state_dict()
    # num_batches_tracked counts training batches and is not shipped.
    wanted = {name: value for name, value in state.items() if value.dtype.is_floating_point}
    if unlike := [*(wanted.keys() - arrays.keys()), *(arrays.keys() - wanted.keys())]:
        name = min(unlike)
        raise WeightsError(
            f"{name} is {'missing' if name in wanted else 'not part of the network'}"
        )
    for name, value in wanted.items():
        array = arrays[name]
        if array.dtype not in (np.float16, np.float32) or array.shape != tuple(value.shape):
            raise WeightsError(
                f"{name} is {array.dtype}{array.shape}, expected floats {tuple(value.shape)}"
            )
        if not np.isfinite(array).all() or (name.endswith("running_var") and array.min() < 0):
            raise WeightsError(f"{name} holds what is no weight: not finite, or a variance below 0")


def network_of(encoder: ResNet18, size: int, classes: int) -> Network:
    """The encoder's layers with a classifier, for images of size x size."""
    return resnet18(size, classes, encoder.width, GATE_GROUPS, encoder.stages)
