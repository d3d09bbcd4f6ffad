"""The layer list of any PyTorch model, from one forward pass in which every operator is followed.

docs/guide/networks.md says what becomes a layer. The MACs of the list are those that torch counts
in the same pass; what cannot be followed is refused by the names of its operator and module.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from hwsim.errors import UserError, nearest, one_line
from hwsim.network import Network
from hwsim.network.builder import LayerListError as LayerListError
from hwsim.network.builder import NetworkBuilder, Value
from hwsim.train.derive.follower import Follower, Lost, tensors_in
from hwsim.train.derive.gated_layer import gated_layer
from hwsim.train.derive.operator_names import CONSTANTS
from hwsim.train.derive.operators import HANDLERS
from hwsim.train.derive.products import HANDLERS as PRODUCTS

RECURRENT = (nn.RNNBase, nn.RNNCellBase)
"""Modules whose products are not layers of a network, whatever they are computed by."""


def derive_network(
    model: nn.Module,
    example: Tensor,
    gated: Collection[str] = (),
    groups: int = 4,
    *,
    ignored: Collection[nn.Module | str] = (),
    name: str | None = None,
) -> Network:
    """The layers that ``model(example)`` runs, in that order. ``example``: a batch of any length.

    ``gated``: paths of the modules that are gated convolutions or linear layers, each as a whole:
    one, or a module around one whose output is what the next layer reads; ``groups``: their gating
    groups. ``ignored``: modules that make masks, or their paths, which are no layers. ``name``: of
    the network, its class where not given. Raises LayerListError where a Network cannot express
    the model, or its MACs are not those that torch counts.
    """
    if not isinstance(example, Tensor) or example.dim() < 2 or not len(example):
        found = tuple(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise LayerListError(f"example: expected a batch, a tensor (N, ...), found {found}")
    if not isinstance(model, nn.Module):
        raise LayerListError(f"model: expected a torch module, found {type(model).__name__}")
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise LayerListError(f"groups: expected a positive integer, found {groups!r}")
    gated, ignored = ([n] if isinstance(n, str) else n for n in (gated, ignored))
    model = getattr(model, "_orig_mod", model)
    modules = dict(model.named_modules())
    gated_modules = {path: _module(modules, path) for path in gated}
    hidden = [m if isinstance(m, nn.Module) else _module(modules, m) for m in ignored]
    called = name or type(model).__name__.lower()
    network = _Derivation(model, example, gated_modules, groups, hidden).network(called, False)
    first = network.layers[0]
    if getattr(first, "operator", "") == "rearrange" and example.dim() > 2:
        # It only turns the input: then that is (N, ..., C), and needs no turning.
        turned = _Derivation(model, example, gated_modules, groups, hidden).network(called, True)
        if len(turned.layers) < len(network.layers):
            return turned
    return network


def _module(modules: dict[str, nn.Module], path: str) -> nn.Module:
    if path not in modules:
        raise LayerListError(f"no module {path!r} in the model{nearest(path, modules)}")
    return modules[path]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each module's own mode is put back."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


class _Derivation:
    """One forward pass."""

    def __init__(
        self,
        model: nn.Module,
        example: Tensor,
        gated: dict[str, nn.Module],
        groups: int,
        ignored: list[nn.Module],
    ) -> None:
        self.model, self.example, self.groups = model, example, groups
        self.gated, self.ignored = gated, ignored
        self.builder = NetworkBuilder(len(example))
        self.follower = Follower(self.builder, HANDLERS, {*PRODUCTS, *CONSTANTS})
        self.gated_macs = 0
        self.ran: set[str] = set()
        self.reading: list[Value] = []
        self.stack = ExitStack()

    def network(self, name: str, channels_last: bool) -> Network:
        source = self.builder.input(tuple(self.example.shape), channels_last=channels_last)
        self.follower.values[self.example] = source
        result = self._run()
        if missing := [path for path in self.gated if path not in self.ran]:
            raise LayerListError(f"layer {missing[0]}: gated, but it did not run")
        found = (self.follower.values.get(tensor) for tensor in tensors_in(result))
        outputs = [value for value in found if isinstance(value, Value)]
        network = self._built(name, outputs)
        counted = self.follower.macs + self.gated_macs
        if network.macs != counted:
            raise LayerListError(f"the list has {network.macs} MACs, torch counts {counted}")
        return network

    def _built(self, name: str, outputs: list[Value]) -> Network:
        if not any(node.kind == "convolution" for node in self.builder.nodes):
            raise LayerListError("no layer with MACs runs on what the model is given")
        try:
            return self.builder.build(name, outputs)
        except UserError as error:
            raise LayerListError(str(error)) from None

    def _run(self) -> Any:
        fast = torch.backends.mha.get_fastpath_enabled()
        with self.stack as stack:
            self._hooks()
            stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
            # Attention as the products that it is: torch counts those.
            torch.backends.mha.set_fastpath_enabled(False)
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if "torch._dynamo" in sys.modules:
                # Something may be compiled, of which no operator could be seen.
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(_evaluating(self.model))
            stack.enter_context(self.follower)
            try:
                return self.model(self.example)
            except UserError:
                raise
            except Exception as error:
                raise LayerListError(
                    f"the model does not run on an example of shape {tuple(self.example.shape)}: "
                    f"{type(error).__name__}: {one_line(error)}"
                ) from error

    def _hooks(self) -> None:
        """Of every module: its path while it runs, and which are not followed."""
        hidden = set(self.ignored)
        for path, module in self.model.named_modules():
            if isinstance(module, torch.jit.RecursiveScriptModule):
                # It has no hooks: what runs in it is named after the module around it.
                if module in hidden or path in self.gated:
                    raise LayerListError(f"module {path}: made by torch.jit.script; name another")
            elif module in hidden:
                self._around(module, self._hide, self._forget)
            elif path in self.gated:
                self._around(module, partial(self._read, path), partial(self._made, path, module))
            else:
                self._around(module, partial(self._enter, path, module), self._leave)

    def _around(self, module: nn.Module, enter: Callable[..., None], leave: Any) -> None:
        """Calls both around the forward pass. Others' hooks are not followed: they only watch."""
        follower = self.follower
        before: list[Tensor] = []

        def pause(*_: Any) -> None:
            follower.inside += 1

        def entered(_: nn.Module, args: tuple, kwargs: dict) -> None:
            follower.inside -= 1
            enter((args, kwargs))

        def returned(_: nn.Module, __: tuple, output: Any) -> None:
            before[:] = tensors_in(output)
            follower.inside += 1

        def left(_: nn.Module, __: tuple, output: Any) -> None:
            follower.inside -= 1
            for tensor in tensors_in(output):
                if all(tensor is not other for other in before):
                    follower.lose(tensor, Lost(f"what a hook of {follower.place} made"))
            before.clear()
            leave(output)

        for handle in (
            module.register_forward_pre_hook(pause, prepend=True),
            module.register_forward_pre_hook(entered, with_kwargs=True),
            module.register_forward_hook(returned, prepend=True),
            module.register_forward_hook(left),
        ):
            self.stack.callback(handle.remove)

    def _enter(self, path: str, module: nn.Module, _: Any) -> None:
        self.follower.stack.append((path, module))
        if isinstance(module, RECURRENT) and not self.follower.inside:
            raise LayerListError(
                f"operator {type(module).__name__.lower()} in {self.follower.place}: recurrent "
                "layers have no place in a layer list"
            )

    def _leave(self, _: Any) -> None:
        self.follower.stack.pop()

    def _hide(self, _: Any) -> None:
        self.follower.inside += 1

    def _forget(self, output: Any) -> None:
        """It is taken for a mask: it stems from no layer."""
        self.follower.inside -= 1
        self.follower.forget(output)

    def _read(self, path: str, given: Any) -> None:
        """What a gated layer, which is one as a whole, is given."""
        follower = self.follower
        if follower.inside == 0:
            if path in self.ran:
                raise LayerListError(f"layer {path}: runs twice; a gated layer may run once")
            self.ran.add(path)
            values = (follower.value(x, f"layer {path}") for x in tensors_in(given))
            found = next((value for value in values if value is not None), None)
            if found is None:
                raise LayerListError(f"layer {path}: reads what does not stem from the input")
            self.reading.append(found)
            follower.gated = 1
            follower.ran.clear()
        follower.inside += 1

    def _made(self, path: str, module: nn.Module, output: Any) -> None:
        follower = self.follower
        follower.inside -= 1
        if follower.inside:
            return
        x = self.reading.pop()
        follower.gated = 0
        value = gated_layer(
            self.builder, path, module, x, output, self.groups, self.ignored, follower.ran
        )
        self.gated_macs += value.macs
        follower.forget(output)
        for tensor in tensors_in(output):
            if tuple(tensor.shape) == value.shape:
                follower.values[tensor] = value
