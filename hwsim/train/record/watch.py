"""Hooks on a model that note what gated layers read and what their gates decide, by batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode

from hwsim.network import ConvLayer
from hwsim.train.derive.follower import Follower, tensors_in
from hwsim.train.record.batch import Batch, Call, Made, Reading, Run
from hwsim.train.record.input_bits import InputBits
from hwsim.train.record.masks.gates import Decision, Source, decided
from hwsim.train.record.masks.layouts import Layout, as_map, map_in, shapes_in
from hwsim.train.record.masks.recording_error import RecordingError
from hwsim.train.record.self_check import products_in
from hwsim.train.record.zero_operands import zero_operands


class Watch:
    """Watches ``layers`` (module and shape by name) and their gates, ``sources``.

    ``take`` is called with each batch that the model has run to its end. ``copies``: whether inputs
    and outputs are kept for it; ``margins``: whether gates' numbers are. ``expected``: the shape of
    an image, where it is known.
    """

    def __init__(
        self,
        layers: Mapping[str, tuple[nn.Module, ConvLayer]],
        sources: Mapping[str, Source],
        inputs: InputBits,
        ignored: Set[nn.Module],
        expected: tuple[int, ...] | None,
        take: Callable[[Batch], None],
    ) -> None:
        self.layers, self.sources, self.inputs = dict(layers), dict(sources), inputs
        self.expected, self.take = expected, take
        self.copies = self.margins = False
        self.begun, self.outside = 0, False
        """Batches that began; whether a layer ran while none had."""
        self.inside: dict[str, bool] = {}
        """Whether what a layer reads is what the convolution in its module is called with."""
        self._products: dict[str, nn.Module | None] = {}
        for name, (module, layer) in self.layers.items():
            found = products_in(module, layer, ignored)
            self._products[name] = found[0] if len(found) == 1 else None
        self._batch: Batch | None = None
        self._listing = False
        self._hooks = ExitStack()

    def start(self, model: nn.Module) -> None:
        before, after = self.inputs.hooks(model, self.layers)
        if any(map(_is_compiled, model.modules())):
            # Compiled code runs no hooks of the modules in it.
            self._hooks.enter_context(torch.compiler.set_stance("force_eager"))
        self._before(model, self._begin)
        for name, (module, _) in self.layers.items():
            self._before(module, self._on_entering(name))
            product = self._products[name]
            if product is not None and product is not module:
                self._before(product, self._on_product(name))
        for gate in dict.fromkeys(s.module for s in self.sources.values() if s.module):
            self._after(gate, self._on_gate(gate))
        for name, (module, _) in self.layers.items():
            self._after(module, self._on_leaving(name))
        for module, call in before:
            self._before(module, self._in_batch(call))
        for module, call in after:
            self._after(module, self._in_batch(call))
        self._after(model, self._end)

    def went_well(self, batch: Batch, by_input: bool) -> None:
        """The batch is recorded: where layers read is settled, and nothing is left to check."""
        self.copies = False
        if not self.inside:
            for name, run in batch.runs.items():
                self.inside[name] = len(run.inside) == 1 and not by_input

    def stop(self) -> None:
        self._hooks.close()

    def _before(self, module: nn.Module, call: Callable[..., None]) -> None:
        self._hooks.enter_context(module.register_forward_pre_hook(call, with_kwargs=True))

    def _after(self, module: nn.Module, call: Callable[..., None]) -> None:
        self._hooks.enter_context(module.register_forward_hook(call, with_kwargs=True))

    def _in_batch(self, call: Callable[..., None]) -> Callable[..., None]:
        """The hook, but not where a part of the model runs alone, or a list is derived."""

        def observe(*args: Any) -> None:
            if self._batch is not None:
                with exact():
                    call(*args)

        return observe

    def _begin(self, _: nn.Module, args: tuple, kwargs: dict) -> None:
        self._batch = None  # what a batch that broke off has left goes
        self._listing = isinstance(_get_current_dispatch_mode(), Follower)
        if self._listing:
            return  # no batch: a layer list is derived from the model
        self._batch = Batch()
        self.begun += 1
        self.inputs.begin_batch()
        if self.expected is not None:
            found = _image_shape((args, kwargs))
            if found is not None and found != self.expected:
                self._batch = None
                raise RecordingError(
                    f"the model reads images of shape {found}, but the layer list is derived from "
                    f"an example of shape {self.expected}"
                )

    def _end(self, *_: Any) -> None:
        batch, self._batch = self._batch, None
        if self._listing:
            self._listing = False
            return
        if batch is None:
            raise RecordingError(
                "the model ran inside itself; attach to the module in it that runs once a batch"
            )
        with exact():
            self.take(batch)

    def _on_entering(self, name: str) -> Callable[..., None]:
        def observe(_: nn.Module, args: tuple, kwargs: dict) -> None:
            if self._batch is None:
                self.outside |= not self._listing
                return
            if name in self._batch.runs:
                raise RecordingError(
                    f"layer {name}: runs twice in one batch; a layer list has each layer once"
                )
            self._batch.runs[name] = run = Run(self._batch.tick())
            if not self.inside.get(name, False):
                run.outside = self._reading(name, (args, kwargs))
                inner = self._products[name] not in (None, self.layers[name][0])
                if run.outside is None and not (inner and name not in self.inside):
                    self._refuse(name, (args, kwargs))

        return observe

    def _on_product(self, name: str) -> Callable[..., None]:
        def observe(_: nn.Module, args: tuple, kwargs: dict) -> None:
            run = self._batch.runs.get(name) if self._batch else None
            if run is None or run.left or not self.inside.get(name, True):
                return
            reading = self._reading(name, (args, kwargs))
            if reading is None:
                self._refuse(name, (args, kwargs))
            else:
                run.inside.append(reading)

        return observe

    def _refuse(self, name: str, values: Any) -> None:
        shape = _in_shape(self.layers[name][1])
        raise RecordingError(
            f"layer {name}: reads {shapes_in(values)}, but in the layer list it reads maps "
            f"(channels, height, width) of {shape}"
        )

    def _reading(self, name: str, values: Any) -> Reading | None:
        layer, product = self.layers[name][1], self._products[name]
        found = map_in(values, _in_shape(layer), isinstance(product, nn.Linear))
        if found is None:
            return None
        x = as_map(found[0].detach(), _in_shape(layer), found[1])
        with exact():
            zeros = zero_operands(x, layer, getattr(product, "padding_mode", "zeros"))
            inputs = self.inputs.bits(layer, x)
            return Reading(len(x), zeros, inputs, x.clone() if self.copies else None)

    def _on_gate(self, gate: nn.Module) -> Callable[..., None]:
        sources = [source for source in self.sources.values() if source.module is gate]

        def observe(_: nn.Module, __: tuple, ___: dict, output: Any) -> None:
            if self._batch is None:
                return
            by_pick: dict[Any, Decision] = {}
            for source in sources:
                if source.pick not in by_pick:
                    with exact():
                        by_pick[source.pick] = self._decided(source, source.taken(output))
            decisions = {source.layer: by_pick[source.pick] for source in sources}
            self._batch.calls.setdefault(gate, []).append(Call(self._batch.tick(), decisions))

        return observe

    def _decided(self, source: Source, found: Tensor) -> Decision:
        return decided(source.layer, found, self.margins)

    def _on_leaving(self, name: str) -> Callable[..., None]:
        source = self.sources[name]

        def observe(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
            if self._batch is None or name not in self._batch.runs:
                return
            run = self._batch.runs[name]
            run.left = self._batch.tick()
            run.made = self._made(name, output)
            if source.function is not None:
                with exact():
                    found = source.told(module, (*args, *kwargs.values()), output)
                    self._batch.told[name] = self._decided(source, found)

        return observe

    def _made(self, name: str, output: Any) -> Made:
        layer, product = self.layers[name][1], self._products[name]
        shape = layer.out_channels, layer.out_height, layer.out_width
        found = map_in(output, shape, isinstance(product, nn.Linear))
        if found is not None:
            y = as_map(found[0].detach(), shape, found[1])
            return Made(found[1], y.clone() if self.copies else None)
        if self.copies:
            raise RecordingError(
                f"layer {name}: returns {shapes_in(output)}, but in the layer list it makes maps "
                f"(channels, height, width) of {shape}; masked_off='unchecked' does not look at "
                "its output"
            )
        return Made(_usual(product), None)


def _usual(product: nn.Module | None) -> Layout:
    """How the output lies that such a module makes."""
    if isinstance(product, nn.Linear):
        return "tokens"
    return "sequence" if isinstance(product, nn.Conv1d) else "planes"


def _in_shape(layer: ConvLayer) -> tuple[int, int, int]:
    return layer.in_channels, layer.in_height, layer.in_width


def _image_shape(values: Any) -> tuple[int, ...] | None:
    """The shape of an image of the first tensor in ``values``."""
    first = next(tensors_in(values), None)
    return None if first is None else tuple(first.shape[1:])


def _is_compiled(module: nn.Module) -> bool:
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def exact() -> AbstractContextManager[Any]:
    """Without gradients, and in the types that tensors have: counts must not become bf16.

    Whoever follows the model's operators does not see those in here.
    """
    followed = _get_current_dispatch_mode() is not None
    mixed = [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
    if not mixed and not followed:
        return torch.no_grad()
    stack = ExitStack()
    stack.enter_context(torch.no_grad())
    if followed:
        stack.enter_context(_disable_current_modes())
    for kind in mixed:
        stack.enter_context(torch.autocast(kind, enabled=False))
    return stack
