"""The layer list of any PyTorch model, from one forward pass in which every operator is followed.

docs/guide/networks.md says what becomes a layer. The MACs of the list are those that torch counts
in the same pass; what cannot be followed is refused by the names of its operator and module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from hwsim.errors import UserError, nearest, one_line
from hwsim.network import Network
from hwsim.network.builder import LayerListError as LayerListError
from hwsim.network.builder import NetworkBuilder, Value
from hwsim.train.networks.inference import Hook, evaluating, hooked
from hwsim.train.record.follower import Follower, tensors_in
from hwsim.train.record.operators import HANDLERS

RECURRENT = (nn.RNNBase, nn.RNNCellBase)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Linear)
"""What a gated layer may be, or hold."""


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
    model = getattr(model, "_orig_mod", model)
    modules = {path: m for path, m in model.named_modules()}
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
        self.follower = Follower(self.builder, HANDLERS)
        self.gated_macs = 0
        self.ran: set[str] = set()
        self.reading: list[Value] = []

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
        before, after = zip(*self._hooks(), strict=True)
        fast = torch.backends.mha.get_fastpath_enabled()
        with ExitStack() as stack:
            stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
            # Attention as the products that it is: torch counts those.
            torch.backends.mha.set_fastpath_enabled(False)
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(evaluating(self.model))
            stack.enter_context(hooked(before=before, after=after))
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

    def _hooks(self) -> Iterator[tuple[Hook, Hook]]:
        """(Before, after) of every module: its path while it runs, and which are not followed."""
        hidden = set(self.ignored)
        for path, module in self.model.named_modules():
            if module in hidden:
                yield self._hide(module)
            elif path in self.gated:
                yield self._watch(path, module)
            else:
                yield self._enter(path, module)

    def _enter(self, path: str, module: nn.Module) -> tuple[Hook, Hook]:
        stack = self.follower.stack

        def enter(*_: Any) -> None:
            stack.append((path, module))
            if isinstance(module, RECURRENT) and not self.follower.inside:
                raise LayerListError(
                    f"operator {type(module).__name__.lower()} in {self.follower.place}: recurrent "
                    "layers have no place in a layer list"
                )

        def leave(*_: Any) -> None:
            stack.pop()

        return (module, enter), (module, leave)

    def _hide(self, module: nn.Module) -> tuple[Hook, Hook]:
        """Its output is taken for a mask: it stems from no layer."""

        def enter(*_: Any) -> None:
            self.follower.inside += 1

        def leave(_: nn.Module, __: Any, output: Any) -> None:
            self.follower.inside -= 1
            self.follower.forget(output)

        return (module, enter), (module, leave)

    def _watch(self, path: str, module: nn.Module) -> tuple[Hook, Hook]:
        """One layer as a whole."""
        follower = self.follower

        def enter(_: nn.Module, args: tuple) -> None:
            if follower.inside == 0:
                if path in self.ran:
                    raise LayerListError(f"layer {path}: runs twice; a gated layer may run once")
                self.ran.add(path)
                values = (follower.value(x, f"layer {path}") for x in tensors_in(args))
                found = next((value for value in values if value is not None), None)
                if found is None:
                    raise LayerListError(f"layer {path}: reads what does not stem from the input")
                self.reading.append(found)
            follower.inside += 1

        def leave(_: nn.Module, __: tuple, output: Any) -> None:
            follower.inside -= 1
            if follower.inside == 0:
                value = self._gated_layer(path, module, self.reading.pop(), output)
                self.gated_macs += value.macs
                for tensor in tensors_in(output):
                    if tuple(tensor.shape) == value.shape:
                        follower.values[tensor] = value

        return (module, enter), (module, leave)

    def _gated_layer(self, path: str, module: nn.Module, x: Value, output: Any) -> Value:
        shape = tuple(next(tensors_in(output)).shape)
        last = -1 if _is_linear(module) else 1
        inside = convolution_of(path, module, x.shape[last], shape[last])
        layer = _told(self.builder, path, inside, x, self.groups)
        if all(tuple(tensor.shape) != layer.shape for tensor in tensors_in(output)):
            raise LayerListError(
                f"layer {path}: gives {shape} where its convolution gives {layer.shape}; name the "
                "module whose output is the convolution's"
            )
        return layer


def _is_linear(module: nn.Module) -> bool:
    kinds = [type(m) for m in module.modules() if isinstance(m, CONVOLUTIONS)]
    return bool(kinds) and all(issubclass(kind, nn.Linear) for kind in kinds)


def _told(builder: NetworkBuilder, path: str, layer: nn.Module, x: Value, groups: int) -> Value:
    """Tells the builder a gated layer, which reads x."""
    gates: dict[str, Any] = {"gated": True, "groups": groups}
    if isinstance(layer, nn.Linear):
        _groups_fit(path, layer.in_features, layer.out_features, 1, groups)
        return builder.linear(path, x, layer.out_features, **gates)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    _groups_fit(path, layer.in_channels, layer.out_channels, layer.groups, groups)
    return builder.convolution(
        path, x, layer.out_channels, layer.kernel_size, stride=layer.stride,
        padding=_padding(layer), dilation=layer.dilation, conv_groups=layer.groups, **gates,
    )  # fmt: skip


def _padding(layer: nn.Conv1d | nn.Conv2d) -> tuple[int, ...]:
    """(top, left, bottom, right), or (begin, end)."""
    if not isinstance(layer.padding, str):
        return (*layer.padding, *layer.padding)
    if layer.padding == "valid":
        return (0,) * (2 * len(layer.kernel_size))
    reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    return (*(r // 2 for r in reach), *(r - r // 2 for r in reach))


def _groups_fit(path: str, inputs: int, outputs: int, own: int, groups: int) -> None:
    if inputs % (own * groups) == 0 and outputs % (own * groups) == 0:
        return
    fitting = [g for g in range(1, inputs + 1) if inputs % (own * g) == outputs % (own * g) == 0]
    near = min(fitting, key=lambda g: (abs(g - groups), g))
    each = f" in each of its {own} groups" if own > 1 else ""
    raise LayerListError(
        f"layer {path}: {inputs} -> {outputs} channels cannot be cut into {groups} gating groups"
        f"{each}; nearest that fits: groups={near}"
    )


def convolution_of(
    path: str, module: nn.Module, in_channels: int | None = None, out_channels: int | None = None
) -> nn.Module:
    """The one convolution (Conv1d, Conv2d or Linear) that a module is or holds.

    Of several with these channels the one with the fewest groups of its own: others make its base
    path. Raises LayerListError.
    """
    found = [
        m for m in module.modules()
        if isinstance(m, CONVOLUTIONS)
        and in_channels in (None, _channels(m)[0]) and out_channels in (None, _channels(m)[1])
    ]  # fmt: skip
    fewest = min((getattr(m, "groups", 1) for m in found), default=1)
    found = [m for m in found if getattr(m, "groups", 1) == fewest]
    if len(found) != 1:
        channels = f" of {in_channels} -> {out_channels} channels" if in_channels else ""
        raise LayerListError(
            f"layer {path}: {len(found)} convolutions or linear layers{channels} in it, "
            "expected one"
        )
    return found[0]


def _channels(module: nn.Module) -> tuple[int, int]:
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    assert isinstance(module, nn.Conv1d | nn.Conv2d)
    return module.in_channels, module.out_channels
