"""Where the inputs of layers are not zero, of the first images that a model runs."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np
from torch import Tensor, nn

from hwsim.errors import UserError, nearest
from hwsim.network import INPUT, ConvLayer, Network
from hwsim.trace.format.packing import pack_bits
from hwsim.train.derive.follower import tensors_in
from hwsim.train.networks.inference import Hook
from hwsim.train.record.masks.layouts import as_map, map_in


class InputBitsError(UserError):
    """Inputs that do not fit their layer; the message names it."""


class InputBits:
    """Collects bits of every layer with weights but those that read the network's own input.

    ``images``: of how many images, the first ones that are run; 0 collects nothing. The bits are
    taken from the tensor that a layer's module is called with, before it runs.
    """

    def __init__(self, network: Network, images: int) -> None:
        self.layers = {
            layer.name: layer
            for layer in network.convolutions
            if images and layer.input != INPUT and not layer.multiplies
        }
        self.images, self.seen = images, 0
        self._running: dict[str, np.ndarray] = {}
        self._packed: dict[str, list[np.ndarray]] = {name: [] for name in self.layers}

    def hooks(self, model: nn.Module, but: Container[str] = ()) -> tuple[list[Hook], list[Hook]]:
        """To be called before and after modules run, with their keyword arguments.

        Layers in ``but`` are left to :meth:`put`. The last layer may be missing in the model, as
        the classifier of an encoder: it reads what the model returns. Raises InputBitsError where
        another one is missing.
        """
        modules = dict(model.named_modules())
        before: list[Hook] = []
        after: list[Hook] = []
        for at, (name, layer) in enumerate(self.layers.items(), start=1):
            if name in but:
                continue
            if name in modules:
                before.append((modules[name], self._on_input(layer, modules[name])))
            elif at == len(self.layers):
                after.append((model, self._on_output(layer)))
            else:
                raise InputBitsError(
                    f"layer {name}: no such module in the model, whose input could be recorded"
                    f"{nearest(name, modules)}"
                )
        return before, after

    def _on_input(self, layer: ConvLayer, module: nn.Module) -> Callable[..., None]:
        linear = isinstance(module, nn.Linear)

        def observe(_: nn.Module, args: tuple, kwargs: dict) -> None:
            self._take(layer, (args, kwargs), linear)

        return observe

    def _on_output(self, layer: ConvLayer) -> Callable[..., None]:
        def observe(_: nn.Module, __: tuple, ___: dict, output: Any) -> None:
            self._take(layer, output, True)

        return observe

    def _take(self, layer: ConvLayer, values: Any, linear: bool) -> None:
        if self.seen >= self.images:
            return
        expected = (layer.in_channels, layer.in_height, layer.in_width)
        found = map_in(values, expected, linear)
        if found is None:
            first = next(tensors_in(values), None)
            what = "no tensor" if first is None else f"a map of {tuple(first.shape[1:])}"
            raise InputBitsError(
                f"layer {layer.name}: reads {what}, expected (channels, height, width) {expected}"
            )
        self.put(layer.name, self.bits(layer, as_map(found[0].detach(), expected, found[1])))

    def bits(self, layer: ConvLayer, x: Tensor) -> np.ndarray | None:
        """Packed bits of a map (N, C_in, H, W), of the images that are still wanted; or None."""
        room = self.images - self.seen
        if room <= 0 or layer.name not in self.layers:
            return None
        return pack_bits(x[:room].bool().contiguous().cpu().numpy())

    def put(self, name: str, packed: np.ndarray | None) -> None:
        """A layer's bits of the running batch. Raises InputBitsError if it has some."""
        if packed is None:
            return
        if name in self._running:
            raise InputBitsError(f"layer {name}: runs twice; its input is not one tensor")
        self._running[name] = packed

    def begin_batch(self) -> None:
        """Forget what a batch that broke off has left."""
        self._running.clear()

    def end_batch(self, images: int) -> None:
        """All layers ran on a batch of so many images. Raises InputBitsError if one did not."""
        if self.seen < self.images:
            wanted = min(images, self.images - self.seen)
            for name in self.layers:
                if name not in self._running:
                    raise InputBitsError(f"layer {name}: did not run; its input is not known")
                if len(self._running[name]) != wanted:
                    raise InputBitsError(
                        f"layer {name}: reads {len(self._running[name])} images of {images}"
                    )
            for name, parts in self._packed.items():
                parts.append(self._running.pop(name))
        self.seen += images

    def contents(self) -> dict[str, np.ndarray]:
        """uint8 (images, ceil(C_in H W / 8)) by layer; bits in the order (channel, y, x)."""
        for parts in self._packed.values():
            parts[:] = [np.concatenate(parts)] if parts else []
        return {name: parts[0] for name, parts in self._packed.items() if parts}
