"""Where the inputs of layers are not zero, of the first images that a model runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from hwsim.errors import UserError, nearest
from hwsim.network import INPUT, ConvLayer, Network
from hwsim.trace.packing import pack_bits
from hwsim.train.networks.inference import Hook


class InputBitsError(UserError):
    """Inputs that do not fit their layer; the message names it."""


class InputBits:
    """Collects bits of every layer but those that read the network's own input.

    ``images``: of how many images, the first ones that are run; 0 collects nothing. The bits are
    taken from the tensor that a layer's module is called with, as it was run.
    """

    def __init__(self, network: Network, images: int) -> None:
        read = [layer for layer in network.layers if images and layer.input != INPUT]
        self.layers = {layer.name: layer for layer in read}
        self.images, self.seen = images, 0
        self._running: dict[str, np.ndarray] = {}
        self._packed: dict[str, list[np.ndarray]] = {name: [] for name in self.layers}

    def hooks(self, model: nn.Module) -> list[Hook]:
        """To be called after the modules ran, before :meth:`end_batch`.

        The last layer may be missing in the model, as the classifier of an encoder: it reads what
        the model returns. Raises InputBitsError where another one is missing.
        """
        modules, hooks = dict(model.named_modules()), []
        for at, (name, layer) in enumerate(self.layers.items(), start=1):
            if name in modules:
                hooks.append((modules[name], self._on_input(layer)))
            elif at == len(self.layers):
                hooks.append((model, self._on_output(layer)))
            else:
                raise InputBitsError(
                    f"layer {name}: no such module in the model, whose input could be recorded"
                    f"{nearest(name, modules)}"
                )
        return hooks

    def _on_input(self, layer: ConvLayer) -> Any:
        def observe(_: nn.Module, args: tuple, __: Any) -> None:
            self._take(layer, args[0])

        return observe

    def _on_output(self, layer: ConvLayer) -> Any:
        def observe(_: nn.Module, __: tuple, output: Any) -> None:
            self._take(layer, output)

        return observe

    def _take(self, layer: ConvLayer, x: Any) -> None:
        """x: (N, C_in, H, W), or flattened (N, C_in H W) in this order."""
        room = self.images - self.seen
        if room <= 0:
            return
        expected = (layer.in_channels, layer.in_height, layer.in_width)
        shape = tuple(x.shape[1:]) if isinstance(x, Tensor) else None
        if shape not in (expected, (int(np.prod(expected)),)):
            raise InputBitsError(
                f"layer {layer.name}: reads {f'a map of {shape}' if shape else 'no tensor'}, "
                f"expected (channels, height, width) {expected}"
            )
        if layer.name in self._running:
            raise InputBitsError(f"layer {layer.name}: runs twice; its input is not one tensor")
        self._running[layer.name] = pack_bits((x[:room] != 0).cpu().numpy())

    def end_batch(self, images: int) -> None:
        """All layers ran on a batch of so many images. Raises InputBitsError if one did not."""
        if self.seen < self.images:
            for name, parts in self._packed.items():
                if name not in self._running:
                    raise InputBitsError(f"layer {name}: did not run; its input is not known")
                parts.append(self._running.pop(name))
        self.seen += images

    def contents(self) -> dict[str, np.ndarray]:
        """uint8 (images, ceil(C_in H W / 8)) by layer; bits in the order (channel, y, x)."""
        return {name: np.concatenate(parts) for name, parts in self._packed.items() if parts}
