"""A network of one or two gated convolutions whose gates a test gives as functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hwsim.network import ConvLayer, Network
from hwsim.trace.files import verify
from hwsim.trace.mask_trace import MaskTrace
from hwsim.train.record import Recorder


class Told(nn.Module):
    """A module that is a function of its inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


class Masked(nn.Module):
    """A convolution times what is above 0 of its gate's numbers."""

    def __init__(self, product: nn.Module, gate: Callable[..., Any]) -> None:
        super().__init__()
        self.product, self.gate = product, Told(gate)

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x) * (self.gate(x) > 0)


class Net(nn.Module):
    """Stem, layers one after the other, classifier; (N, 3, 6, 6)."""

    def __init__(self, *layers: nn.Module, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layers(self.stem(x).relu()).relu().mean((2, 3)))


def conv(channels: int = 8, kernel: int = 3, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, **more)


def images(count: int = 5, size: int = 6) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(3))


def attached(model: nn.Module, gates: dict, **options: Any) -> Recorder:
    options = {"masked_off": "zero", "example": images(2)} | options
    return Recorder.attach(model.eval(), gates, **options)


def written(recorder: Recorder, path: Path) -> MaskTrace:
    recorder.write(path, method="theirs", dataset="noise")
    return verify(path)


def recorded(model: nn.Module, path: Path, gates: dict, **options: Any) -> MaskTrace:
    """Of five images in batches of three and two."""
    with attached(model, gates, **options) as recorder, torch.no_grad():
        for batch in images().split(3):
            model(batch)
    return written(recorder, path)


def listed(gated: str, channels: int = 8, **fields: Any) -> Network:
    """The layer list of a Net of one gated layer, by hand."""
    return Network(
        name="net",
        layers=(
            ConvLayer(
                name="stem", in_channels=3, out_channels=channels, kernel_size=3, padding=1,
                in_height=6, in_width=6,
            ),
            ConvLayer(
                name=gated, input="stem", in_channels=channels, out_channels=channels,
                in_height=6, in_width=6, gated=True, **{"kernel_size": 3, "padding": 1} | fields,
            ),
        ),
    )  # fmt: skip


BODY = {"layers.0": "layers.0.gate"}
