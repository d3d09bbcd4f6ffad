"""Masks of any PyTorch model while it runs, and the trace of them.

    with Recorder.attach(model, {"block.conv": "block.gate"}, example=images[:1]) as recorder:
        for batch in batches:
            model(batch)
    recorder.write("mine.h5", method="mine", dataset="my images")

docs/guide/traces.md says what a gate may be. Masks re-applied to a layer's own base and conditional
sums must give its output: the first batch is checked, and nothing is written otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from hwsim.errors import UserError, nearest
from hwsim.network import ConvLayer, Network
from hwsim.trace.files import write_trace
from hwsim.trace.header import TraceHeader
from hwsim.trace.packing import pack_bits
from hwsim.train.networks.gating import Branch
from hwsim.train.networks.inference import Hook, hooked
from hwsim.train.record.input_bits import InputBits
from hwsim.train.record.layer_list import convolution_of, derive_network
from hwsim.train.record.self_check import difference, sums_of

Gate: TypeAlias = str | nn.Module | Callable[[nn.Module, tuple, Tensor], Tensor]
"""Where a layer's mask comes from: a module (or its path) whose output it is, or a function of the
layer's module, inputs and output. Not a mask but margins where it has floats: 1 above zero."""

MaskedOff = Literal["base", "zero", "unchecked"]

SALIENCE_UNCLIPPED = 0.999
"""Share of a layer's margins that an int8 step must reach."""


class RecordingError(UserError):
    """Masks that do not fit their layer; the message names it."""


class Recorder:
    """Collects masks, margins and zero-operand counts of each batch that the model runs.

    ``network``: the layer list; ``masked_off``: what masked-off outputs hold; ``salience_images``,
    ``input_images``: of how many images margins and input bits are kept.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        network: Network,
        branch: Branch,
        masked_off: MaskedOff,
        salience_images: int,
        input_images: int,
    ) -> None:
        self.layers, self.network, self.branch = dict(layers), network, branch
        self.masked_off, self.salience_images = masked_off, salience_images
        self.inputs = InputBits(network, input_images)
        self.images, self.checked = 0, False
        self.mask_groups: dict[str, int] = {}
        self._packed: dict[str, list[np.ndarray]] = {name: [] for name in layers}
        self._zeros: dict[str, list[np.ndarray]] = {name: [] for name in layers}
        self._conditional_zeros: dict[str, list[np.ndarray]] = {name: [] for name in layers}
        self._margins: dict[str, list[np.ndarray]] = {name: [] for name in layers}
        # Of the running batch: masks, zeros among operands; until checked inputs and outputs.
        self._masks: dict[str, Tensor] = {}
        self._operands: dict[str, Tensor] = {}
        self._seen: dict[str, tuple[Tensor, Tensor]] = {}
        self._count = 0
        self._hooks = ExitStack()

    @classmethod
    def attach(
        cls,
        model: nn.Module,
        gates: Mapping[str, Gate],
        *,
        network: Network | None = None,
        example: Tensor | None = None,
        groups: int = 4,
        branch: Branch = "diagonal",
        masked_off: MaskedOff = "base",
        salience_images: int = 0,
        input_images: int = 0,
    ) -> Recorder:
        """Watch ``model`` from now on. ``gates``: by the path of each gated convolution's module.

        ``network``: the layer list, whose gated layers must be the keys of ``gates``; where it is
        None, the list is derived by running ``example``, a batch of images. ``groups``: gating
        groups of a derived list. ``masked_off``: what a masked-off output holds: the base partial
        sum, zero, or something that is not to be checked. ``salience_images``: how many images'
        margins are kept, where gates give margins. ``input_images``: of how many images it is
        kept where the inputs of layers are not zero; every layer but the first must then be a
        module, or be the last and read what the model returns. Raises UserError.
        """
        modules = dict(model.named_modules())
        for path in gates:
            if path not in modules:
                raise RecordingError(f"no module {path!r} in the model{nearest(path, modules)}")
        sources = {path: _source(modules, gate) for path, gate in gates.items()}
        if network is None:
            if example is None:
                raise RecordingError("the layer list needs network= or an example= to derive it")
            makers = {source for source in sources.values() if isinstance(source, nn.Module)}
            network = derive_network(model, example, gates.keys(), groups, ignored=makers)
        listed = {layer.name for layer in network.gated_layers}
        if wrong := sorted(listed ^ set(gates)):
            raise RecordingError(
                f"layer {wrong[0]}: gated in the model or among the layers that run, not in both"
            )
        layers = {layer.name: modules[layer.name] for layer in network.gated_layers}
        recorder = cls(layers, network, branch, masked_off, salience_images, input_images)
        recorder._watch(model, sources)
        return recorder

    def _watch(self, model: nn.Module, sources: Mapping[str, Any]) -> None:
        hooks: list[Hook] = []
        for name, module in self.layers.items():
            source = sources[name]
            if isinstance(source, nn.Module):
                hooks.append((source, self._on_gate(name)))
            hooks.append((module, self._on_layer(name, source)))
        hooks += self.inputs.hooks(model)
        self._hooks.enter_context(hooked(after=[*hooks, (model, self._on_batch)]))

    def _on_gate(self, name: str) -> Any:
        def observe(_: nn.Module, __: tuple, output: Tensor) -> None:
            self._masks[name] = output.detach()

        return observe

    def _on_layer(self, name: str, source: Any) -> Any:
        shape = self.network.by_name[name]

        def observe(module: nn.Module, args: tuple, output: Tensor) -> None:
            x = args[0].detach()
            self._count = len(x)
            self._operands[name] = zero_operands(x, shape)
            if not isinstance(source, nn.Module):
                self._masks[name] = source(module, args, output).detach()
            if not self.checked and self.masked_off != "unchecked":
                # Copies: what follows may work in place.
                self._seen[name] = x.clone(), output.detach().clone()

        return observe

    def _on_batch(self, *_: Any) -> None:
        """The batch is through: every layer's mask is there."""
        count = self._count
        for name in self.layers:
            shape = self.network.by_name[name]
            if name not in self._masks:
                raise RecordingError(f"layer {name}: its gate did not run")
            mask = fitted(name, self._masks[name], shape, count)
            group = shape.out_channels // mask.shape[1]
            if self.mask_groups.setdefault(name, group) != group:
                raise RecordingError(f"layer {name}: {group} channels per bit, not as before")
            bits = mask > 0 if mask.is_floating_point() else mask != 0
            if name in self._seen:
                self._check(name, bits)
            self._packed[name].append(pack_bits(bits.cpu().numpy()))
            self._count_zeros(name, self._operands.pop(name), bits)
            room = self.salience_images - self.images
            if room > 0:
                self._margins[name].append(mask[:room].float().flatten(1).cpu().numpy())
        self.inputs.end_batch(count)
        self.images += count
        self.checked = True
        self._masks.clear()
        self._seen.clear()

    def _count_zeros(self, name: str, zeros: Tensor, bits: Tensor) -> None:
        shape = self.network.by_name[name]
        conditional = conditional_zero_macs(zeros, bits, shape, self.branch)
        self._conditional_zeros[name].append(conditional.cpu().numpy())
        self._zeros[name].append(shape.out_channels * zeros.sum((1, 2, 3)).cpu().numpy())

    def _check(self, name: str, bits: Tensor) -> None:
        x, output = self._seen[name]
        convolution = convolution_of(name, self.layers[name], x.shape[1], output.shape[1])
        groups = self.network.by_name[name].groups
        base, full = sums_of(convolution, x, groups, self.branch)
        off = base if self.masked_off == "base" else torch.zeros_like(full)
        if wrong := difference(bits, off, full, output):
            raise RecordingError(
                f"layer {name}: its masks, applied to its own sums (masked_off="
                f"{self.masked_off!r}, {self.branch} of {groups} groups), do not give its output: "
                f"{wrong}"
            )

    @property
    def mask_group(self) -> int:
        """Output channels per mask bit, the same in all layers."""
        groups = set(self.mask_groups.values())
        if len(groups) != 1:
            raise RecordingError(
                f"channels per mask bit differ between layers ({self.mask_groups}); a trace has one"
                if groups
                else "nothing recorded: run the model on some images first"
            )
        return groups.pop()

    def contents(self) -> dict[str, Any]:
        """What write_trace takes beside path and header. The recorder is empty afterwards."""
        self.close()
        steps = {name: salience_steps(np.concatenate(m)) for name, m in self._margins.items() if m}
        return {
            "masks": _concatenated(self._packed),
            "zero_operand_macs": _concatenated(self._zeros),
            "zero_operand_macs_conditional": _concatenated(self._conditional_zeros),
            "salience": {name: q for name, (q, _) in steps.items()},
            "salience_scale": {name: scale for name, (_, scale) in steps.items()},
            "input_bits": self.inputs.contents(),
        }

    def write(
        self,
        path: str | Path,
        *,
        method: str,
        dataset: str,
        image_ids: tuple[int, ...] | None = None,
        gate_norm: Literal["batch", "instance"] = "batch",
        training: Mapping[str, Any] | None = None,
    ) -> None:
        """The trace of all batches so far; ``image_ids``: 0, 1, ... where not given."""
        header = TraceHeader(
            network=self.network,
            method=method,
            mask_group=self.mask_group,
            branch=self.branch,
            gate_norm=gate_norm,
            dataset=dataset,
            image_ids=image_ids or tuple(range(self.images)),
            training={"masked_off": self.masked_off, **(training or {})},
        )
        write_trace(path, header, **self.contents())

    def close(self) -> None:
        """Watch no longer."""
        self._hooks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _source(modules: Mapping[str, nn.Module], gate: Gate) -> Any:
    """A module or a function."""
    if isinstance(gate, str):
        if gate not in modules:
            raise RecordingError(f"no module {gate!r} in the model{nearest(gate, modules)}")
        return modules[gate]
    return gate


def fitted(name: str, mask: Tensor, layer: ConvLayer, images: int) -> Tensor:
    """(images, lists, out_height, out_width): a dimension of 1 is repeated."""
    shape = tuple(mask.shape)
    if len(shape) == 4 and shape[1] == 1:
        mask = mask.expand(-1, layer.out_channels, -1, -1)
    if len(shape) == 4 and shape[2:] == (1, 1):
        mask = mask.expand(-1, -1, layer.out_height, layer.out_width)
    lists = mask.shape[1] if mask.dim() == 4 else 0
    wanted = (images, lists, layer.out_height, layer.out_width)
    if not lists or layer.out_channels % lists or tuple(mask.shape) != wanted:
        raise RecordingError(
            f"layer {name}: a mask of shape {shape}, expected ({images}, {layer.out_channels} or a "
            f"part of it, {layer.out_height}, {layer.out_width})"
        )
    return mask


def zero_operands(x: Tensor, layer: ConvLayer) -> Tensor:
    """int64 (N, G, out_height, out_width): zeros among the operands of an output pixel, by group.

    x: (N, C_in, H, W), what the convolution reads; G input groups. The padding's are zeros, too.
    """
    nonzero = (x != 0).unflatten(1, (layer.groups, -1)).sum(2)
    padding, stride = layer.padding, layer.stride
    padded = torch.nn.functional.pad(nonzero, (padding,) * 4)
    rows, columns = (layer.out_height - 1) * stride + 1, (layer.out_width - 1) * stride + 1
    zeros = torch.full_like(
        padded[:, :, :rows:stride, :columns:stride], layer.steps // layer.groups
    )
    for ky in range(layer.kernel_size):
        for kx in range(layer.kernel_size):
            zeros -= padded[:, :, ky : ky + rows : stride, kx : kx + columns : stride]
    return zeros


def zero_operand_macs(x: Tensor, layer: ConvLayer) -> Tensor:
    """int64 (N,): MACs of the dense convolution of x whose activation operand is zero."""
    return layer.out_channels * zero_operands(x, layer).sum((1, 2, 3))


def conditional_zero_macs(zeros: Tensor, mask: Tensor, layer: ConvLayer, branch: Branch) -> Tensor:
    """int64 (N,): conditional MACs that a mask lets run, whose activation operand is zero.

    ``zeros``: :func:`zero_operands`; ``mask``: bool (N, lists, out_height, out_width). An output
    group's conditional path reads every input group but the one of its base path.
    """
    own = zeros.flip(1) if branch == "inverse" else zeros
    if layer.zeroes:
        own = torch.zeros_like(zeros)
    conditional = zeros.sum(1, keepdim=True) - own
    channels = mask.unflatten(1, (layer.groups, -1)).sum(2) * (layer.out_channels // mask.shape[1])
    return (channels * conditional).sum((1, 2, 3))


def salience_steps(margins: np.ndarray) -> tuple[np.ndarray, float]:
    """Margins Z - tau as int8 steps and the step in units of Z.

    Rounded away from zero, so that q > 0 exactly where the margin is; margins beyond 127 steps
    (one in a thousand) are clipped.
    """
    size = np.abs(margins)
    scale = float(np.quantile(size, SALIENCE_UNCLIPPED)) / 127 or 1.0
    steps = np.clip(np.ceil(size / scale), 1, 127) * np.sign(margins)
    return steps.astype(np.int8), scale


def _concatenated(parts: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Each layer's parts as one array; they leave ``parts``, so that none is held twice."""
    return {name: np.concatenate(parts.pop(name)) for name in list(parts)}
