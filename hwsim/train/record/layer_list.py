"""The layer list of any PyTorch model, from one forward pass: who reads what, adds what, pools.

Convolutions and linear layers become layers of a Network. Everything between them must be what an
output stage does: normalisation, activation, pooling, and the addition of one other layer's output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hwsim.errors import UserError
from hwsim.network import INPUT, ConvLayer, Network
from hwsim.train.networks.inference import Hook, evaluating, hooked

ADDITIONS = {"add", "add_", "__add__", "__radd__", "__iadd__"}


class LayerListError(UserError):
    """A model that a Network cannot express, or whose forward pass does not reveal it."""


@dataclass
class _Made:
    """A layer that ran, or the input: what it made, and at which sizes that was read."""

    name: str
    order: int
    shape: tuple[int, int, int]
    fields: dict[str, Any] = field(default_factory=dict)
    residual: _Made | None = None
    sizes: set[tuple[int, int]] = field(default_factory=set)
    read_unadded: bool = False


@dataclass(frozen=True)
class _Origin:
    """What a tensor stems from. ``added``: the residual is in it. ``lost``: it is no layer's."""

    made: _Made
    added: bool = False
    lost: str = ""


class _Follower(TorchFunctionMode):
    """Says of each tensor which layer made it, while the model runs."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: dict[int, tuple[Tensor, _Origin]] = {}
        self.inside = 0
        """How many modules have been entered whose operations are not followed."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        before = [] if self.inside else self._origins_of([*args, *kwargs.values()])
        result = func(*args, **kwargs)
        if before and not self.inside:
            origin = _origin_after(before, getattr(func, "__name__", str(func)))
            for tensor in _tensors([result]):
                self.mark(tensor, origin)
        return result

    def mark(self, tensor: Tensor, origin: _Origin) -> None:
        # The tensor is kept: its id must not be given to another one.
        self.origins[id(tensor)] = (tensor, origin)

    def forget(self, tensors: Any) -> None:
        for tensor in _tensors([tensors]):
            self.origins.pop(id(tensor), None)

    def origin(self, tensor: Tensor) -> _Origin | None:
        found = self.origins.get(id(tensor))
        return found[1] if found else None

    def _origins_of(self, values: Any) -> list[_Origin]:
        found = (self.origin(tensor) for tensor in _tensors(values))
        return [origin for origin in found if origin]


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _origin_after(origins: list[_Origin], operation: str) -> _Origin:
    """What an operation on tensors of these origins gives."""
    last = max(origins, key=lambda origin: (origin.made.order, origin.added))
    others = [origin for origin in origins if origin.made is not last.made]
    lost = next((origin.lost for origin in origins if origin.lost), "")
    if lost or not others:
        return _Origin(last.made, last.added, lost)
    if operation in ADDITIONS and len(origins) == 2 and last.made.residual is None:
        last.made.residual = others[0].made
        others[0].made.read_unadded |= not others[0].added
        return _Origin(last.made, added=True)
    names = ", ".join(sorted({origin.made.name for origin in origins}))
    return _Origin(last.made, lost=f"{operation} of {names}")


def derive_network(
    model: nn.Module,
    example: Tensor,
    gated: Set[str] | Mapping[str, Any],
    groups: int = 4,
    *,
    ignored: Set[nn.Module] = frozenset(),
    name: str | None = None,
) -> Network:
    """The layers that ``model(example)`` runs, in that order. ``example``: a batch of any length.

    ``gated``: paths of the modules that are gated convolutions, each as a whole: a convolution, or
    a module around one whose output is what the next layer reads. ``ignored``: modules that make
    masks, which are no layers. Raises LayerListError where a Network cannot express the model.
    """
    follower = _Follower()
    source = _Made(INPUT, -1, _shape(example))
    follower.mark(example, _Origin(source))
    made: list[_Made] = []
    before: list[Hook] = []
    after: list[Hook] = []
    leaves = _leaves(model, set(gated), ignored)
    watchers = [_watch(path, m, follower, made, path in gated, groups) for path, m in leaves]
    for enter, leave in [*watchers, *(_hide(module, follower) for module in ignored)]:
        before.append(enter)
        after.append(leave)
    with evaluating(model), hooked(before=before, after=after), follower:
        result = model(example)
    for tensor in _tensors([result]):
        origin = follower.origin(tensor)
        if origin and not origin.lost:
            _read("the output", tensor, origin)
    try:
        layers = tuple(_layer(m) for m in made)
        return Network(name=name or type(model).__name__.lower(), layers=layers)
    except UserError as error:
        raise LayerListError(f"{error}; give network=") from None


def _leaves(
    model: nn.Module, gated: Set[str], ignored: Set[nn.Module]
) -> Iterator[tuple[str, nn.Module]]:
    """Gated modules and, outside them and of what makes masks, convolutions and linear layers."""
    hidden = {inner for module in ignored for inner in module.modules()}
    for path, module in model.named_modules():
        if path in gated:
            yield path, module
            hidden |= set(module.modules())
        elif module not in hidden and isinstance(module, nn.Conv2d | nn.Linear):
            yield path, module


def _hide(module: nn.Module, follower: _Follower) -> tuple[Hook, Hook]:
    """Hooks (before, after) that take the module's output for a mask: it stems from no layer."""

    def enter(*_: Any) -> None:
        follower.inside += 1

    def leave(_: nn.Module, __: Any, output: Any) -> None:
        follower.inside -= 1
        follower.forget(output)

    return (module, enter), (module, leave)


def _watch(
    path: str, module: nn.Module, follower: _Follower, made: list[_Made], gated: bool, groups: int
) -> tuple[Hook, Hook]:
    """Hooks (before, after) that make the module a layer when it runs."""
    reading: list[tuple[Tensor, _Origin]] = []

    def enter(_: nn.Module, args: tuple) -> None:
        if follower.inside == 0:
            x = next(_tensors(args))
            origin = follower.origin(x)
            if origin is None or origin.lost:
                lost = origin.lost if origin else "what no layer made"
                raise LayerListError(
                    f"layer {path}: reads {lost}, which a layer list cannot express; give network="
                )
            reading.append((x, origin))
        follower.inside += 1

    def leave(_: nn.Module, __: tuple, output: Tensor) -> None:
        follower.inside -= 1
        if follower.inside:
            return
        x, origin = reading.pop()
        if any(m.name == path for m in made):
            raise LayerListError(f"layer {path}: runs twice; a layer list has each layer once")
        fields = {"name": path, "gated": gated, "groups": groups if gated else 1}
        fields |= _geometry(path, module, x, output, origin)
        fields["input"] = origin.made.name
        layer = _Made(path, len(made), _shape(output), fields)
        made.append(layer)
        follower.mark(output, _Origin(layer))

    return (module, enter), (module, leave)


def _shape(tensor: Tensor) -> tuple[int, int, int]:
    """(channels, height, width) of an image's part; a vector is one pixel."""
    _, channels, *rest = tensor.shape
    height, width = rest or (1, 1)
    return channels, height, width


def _read(reader: str, x: Tensor, origin: _Origin) -> tuple[int, int]:
    """Notes at which size a layer's output is read; a flattened map counts as the map."""
    height, width = _shape(x)[1:]
    channels = origin.made.shape[0]
    if x.dim() == 2 and x.shape[1] != channels:
        side = math.isqrt(x.shape[1] // channels)
        if side * side * channels != x.shape[1]:
            raise LayerListError(
                f"layer {reader}: reads {x.shape[1]} numbers of {origin.made.name}, which are no "
                f"square map of its {channels} channels; give network="
            )
        height = width = side
    origin.made.sizes.add((height, width))
    origin.made.read_unadded |= not origin.added
    return height, width


def _geometry(
    path: str, module: nn.Module, x: Tensor, output: Tensor, origin: _Origin
) -> dict[str, int]:
    """The fields of a ConvLayer that say its shape."""
    height, width = _read(path, x, origin)
    shape = {"in_height": height, "in_width": width}
    if isinstance(module, nn.Linear):
        # Over a whole map it is a convolution as large as the map.
        if x.dim() != 2:
            raise LayerListError(f"layer {path}: a linear layer on a {x.dim()}-D tensor")
        channels = x.shape[1] // (height * width)
        return shape | {
            "in_channels": channels, "out_channels": output.shape[1], "kernel_size": height
        }  # fmt: skip
    convolution = convolution_of(path, module, x.shape[1], output.shape[1])
    return shape | {
        "in_channels": convolution.in_channels,
        "out_channels": convolution.out_channels,
        "kernel_size": convolution.kernel_size[0],
        "stride": convolution.stride[0],
        "padding": int(convolution.padding[0]),
    }


def convolution_of(
    path: str, module: nn.Module, in_channels: int | None = None, out_channels: int | None = None
) -> nn.Conv2d:
    """The one full convolution that a module is or holds. Raises LayerListError."""
    found = [
        m for m in module.modules()
        if isinstance(m, nn.Conv2d) and m.groups == 1
        and in_channels in (None, m.in_channels) and out_channels in (None, m.out_channels)
    ]  # fmt: skip
    if len(found) != 1:
        raise LayerListError(
            f"layer {path}: {len(found)} full convolutions in it, expected one; grouped and "
            "depthwise ones have no place in a layer list"
        )
    (convolution,) = found
    pairs = (convolution.kernel_size, convolution.stride, convolution.padding)
    if any(isinstance(p, str) or p[0] != p[1] for p in pairs) or convolution.dilation != (1, 1):
        raise LayerListError(
            f"layer {path}: kernel, stride and padding equal in both directions, in numbers, "
            "without dilation, were expected"
        )
    return convolution


def _layer(made: _Made) -> ConvLayer:
    """The layer with what was done to its output."""
    name, (_, height, width) = made.name, made.shape
    if len(made.sizes) > 1:
        sizes = " and ".join(f"{h}x{w}" for h, w in sorted(made.sizes))
        raise LayerListError(f"layer {name}: its output is read at {sizes}; give network=")
    if made.residual and made.read_unadded:
        raise LayerListError(
            f"layer {name}: its output is read with and without {made.residual.name} added; "
            "give network="
        )
    read_height, read_width = next(iter(made.sizes), (height, width))
    pool = height // max(read_height, 1)
    if (read_height * pool, read_width * pool) != (height, width):
        raise LayerListError(
            f"layer {name}: {height}x{width} read as {read_height}x{read_width}: pooling by a "
            "whole number, the same in both directions, was expected"
        )
    residual = made.residual.name if made.residual else None
    return ConvLayer(**made.fields, residual=residual, pool=pool)
