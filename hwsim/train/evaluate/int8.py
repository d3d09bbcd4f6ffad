"""A whole encoder in int8, as the machine runs it, and how many gates then decide otherwise.

Every tensor that is stored between layers is rounded to int8, one step per tensor, from the largest
magnitude that calibration images give it; weights have one step per output channel (in structured
gating per mask list). Gates compare integer sums (quantised.py). Sums are 32 bits wide; scaling,
batch normalisation, residual addition and ReLU follow in fp32.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.train.networks.gating import Branch, GatedConv2d, gated_layers, spread
from hwsim.train.networks.inference import Hook, batches, evaluating, hooked
from hwsim.train.networks.models import BasicBlock, ResNet18
from hwsim.train.record.quantised import LEVELS, Integers, steps_of, weight_steps


class Int8Gated(nn.Module):
    """A gated convolution on integers; ``mask``: what it decided last, bool (N, lists, H', W')."""

    def __init__(self, integers: Integers) -> None:
        super().__init__()
        self.integers = integers
        self.mask = torch.empty(0, dtype=torch.bool)

    def forward(self, x: Tensor, branch: Branch) -> Tensor:
        integers, layer = self.integers, self.integers.layer
        if branch != integers.branch:
            raise ValueError(f"quantised for the {integers.branch} branch, not the {branch} one")
        activations = integers.activations(x)
        base = integers.base_sums(activations)
        self.mask = integers.decide(base)
        full = F.conv2d(
            activations.float(), integers.weights.float(),
            stride=layer.stride, padding=layer.padding,
        )  # fmt: skip
        sums = torch.where(spread(self.mask, full.shape[1]), full, base.float())
        return sums * integers.steps.float()[:, None, None]


def quantise(encoder: ResNet18, images: Tensor, branch: Branch = "diagonal") -> ResNet18:
    """A copy of the encoder in int8 on one branch, calibrated on uint8 images."""
    sizes = activation_sizes(encoder, images, branch)
    quantised = copy.deepcopy(encoder).eval()
    for name, module in list(quantised.named_modules()):
        if isinstance(module, GatedConv2d):
            parent, _, own = name.rpartition(".")
            integers = Integers.of(module, sizes[name], branch)
            setattr(quantised.get_submodule(parent), own, Int8Gated(integers))
        elif isinstance(module, nn.Conv2d):
            weights, steps = weight_steps(module.weight.detach(), 1)
            module.weight.data = (weights * steps[:, None, None, None]).float()
    for name, module in quantised.named_modules():
        if name in sizes and not isinstance(module, Int8Gated):
            _round_at(module, sizes[name])
    return quantised


def _round_at(module: nn.Module, size: Tensor) -> None:
    """What the module reads (an addend: what it gives) is rounded to int8 steps."""

    def rounded(x: Tensor) -> Tensor:
        return (steps_of(x, size) * (size.double() / LEVELS)).to(x.dtype)

    if isinstance(module, nn.Conv2d | BasicBlock):
        module.register_forward_pre_hook(lambda _, args: (rounded(args[0]), *args[1:]))
    else:
        module.register_forward_hook(lambda _, args, output: rounded(output))


def activation_sizes(encoder: ResNet18, images: Tensor, branch: Branch) -> dict[str, Tensor]:
    """Largest magnitude of each stored tensor, by the module that reads it (an addend: makes it).

    Read by convolutions and by blocks, whose input is also added; made by the batch normalisation
    behind a 1x1 shortcut, and by the encoder: its features.
    """
    sizes: dict[str, Tensor] = {}

    def see(name: str, x: Tensor) -> None:
        size = x.detach().abs().max().clamp(min=1e-30)
        sizes[name] = torch.maximum(sizes[name], size) if name in sizes else size

    read: list[Hook] = []
    made: list[Hook] = []
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Conv2d | BasicBlock):
            read.append((module, lambda _, args, name=name: see(name, args[0])))
        elif name.endswith(".shortcut_bn") or module is encoder:
            made.append((module, lambda _, args, output, name=name: see(name, output)))
    with evaluating(encoder), hooked(before=read, after=made):
        for pixels in batches(images):
            encoder(pixels, branch)
    return sizes


def mask_flips(
    encoder: ResNet18, quantised: ResNet18, images: Tensor, branch: Branch = "diagonal"
) -> dict[str, tuple[int, int, int]]:
    """Per gated layer: bits that differ between fp32 and int8, set bits in int8, all bits.

    Each network runs on its own activations from the image on: what earlier layers lost counts.
    """
    layers = gated_layers(encoder)
    counts = {name: [0, 0, 0] for name in layers}
    masks: dict[nn.Module, Tensor] = {}

    def observe(layer: GatedConv2d, args: tuple[Tensor, Branch], _: Tensor) -> None:
        masks[layer] = layer.margin_on(*args) > 0

    hooks = hooked(after=((layer, observe) for layer in layers.values()))
    with evaluating(encoder), evaluating(quantised), hooks:
        for pixels in batches(images):
            encoder(pixels, branch)
            quantised(pixels, branch)
            for name, seen in counts.items():
                mask = quantised.get_submodule(name).mask
                seen[0] += int((mask != masks[layers[name]]).sum())
                seen[1] += int(mask.sum())
                seen[2] += mask.numel()
    return {name: (flipped, ones, bits) for name, (flipped, ones, bits) in counts.items()}
