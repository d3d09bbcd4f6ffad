"""The networks of the shipped masks: ResNet-18 of two sizes, with gated block convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.network.layers import INPUT, ConvLayer
from hwsim.network.network import Network

RESNET18 = (2, 2, 2, 2)
"""Residual blocks per stage."""


def resnet18(
    input_size: int = 32,
    classes: int = 10,
    width: int = 64,
    groups: int = 4,
    stages: Sequence[int] = RESNET18,
) -> Network:
    """ResNet-18 whose sixteen 3x3 block convolutions are gated, or one with other ``stages``.

    ``input_size`` below 64 takes the CIFAR stem (3x3, stride 1, no pooling), otherwise the ImageNet
    stem (7x7, stride 2, then 3x3/2 max pooling, priced by its factor of 2). The shortcut of a
    block comes between its two convolutions, because the second adds the shortcut's output.
    """
    small = input_size < 64
    stem = _square(
        "conv1", INPUT, (3, width), input_size, 3 if small else 7,
        stride=1 if small else 2, pool=1 if small else 2,
    )  # fmt: skip
    if stem.out_height % 2 and not small:
        # A window of 3 with a padding of 1 rounds up.
        stem = stem.model_copy(update={"ceil_mode": True})
    layers = [stem]
    size, channels, source = stem.pooled_height, width, stem.name
    for stage, blocks in enumerate(stages):
        out_channels = width * 2**stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            prefix, through = f"layer{stage + 1}.{block}", (channels, out_channels)
            gates: dict[str, Any] = {"gated": True, "groups": groups}
            first = _square(f"{prefix}.conv1", source, through, size, 3, stride=stride, **gates)
            layers.append(first)
            residual = source
            if stride != 1 or channels != out_channels:
                residual = f"{prefix}.shortcut"
                layers.append(_square(residual, source, through, size, 1, stride=stride))
            size, channels = first.out_height, out_channels
            last = stage == len(stages) - 1 and block == blocks - 1
            inside, pool = (channels, channels), size if last else 1
            second = _square(
                f"{prefix}.conv2",
                first.name,
                inside,
                size,
                3,
                residual=residual,
                pool=pool,
                **gates,
            )
            layers.append(second)
            source = second.name
    layers.append(_square("fc", source, (channels, classes), 1, 1))
    name = "resnet18" if tuple(stages) == RESNET18 else f"resnet{'.'.join(map(str, stages))}"
    return Network(name=f"{name}-{input_size}", layers=tuple(layers))


def _square(
    name: str, source: str, channels: tuple[int, int], size: int, kernel_size: int, **more: Any
) -> ConvLayer:
    """A convolution of a square map that keeps its size where it has no stride."""
    return ConvLayer(
        name=name, input=source, in_channels=channels[0], out_channels=channels[1],
        kernel_size=kernel_size, padding=kernel_size // 2, in_height=size, in_width=size, **more,
    )  # fmt: skip
