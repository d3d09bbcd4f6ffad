"""A gated layer: a module that is one convolution or linear layer as a whole."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import Tensor, nn

from hwsim.network.builder import LayerListError, NetworkBuilder, Value
from hwsim.train.derive.follower import Product, tensors_in

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Linear)
"""What a gated layer may be, or hold."""


def gated_layer(
    builder: NetworkBuilder,
    path: str,
    module: nn.Module,
    x: Value,
    output: Any,
    groups: int,
    ignored: Collection[nn.Module],
    ran: Collection[Product],
) -> Value:
    """Tells the builder of the layer that reads x and gave ``output``. Raises LayerListError.

    ``groups``: gating groups; ``ignored``: modules that make masks, maybe in this one; ``ran``:
    what multiplied in the module, but in those.
    """
    made = list(tensors_in(output))
    if not made:
        raise LayerListError(f"layer {path}: gives no tensor")
    shape, last = tuple(made[0].shape), -1 if _is_linear(module) else 1
    inside = convolution_of(path, module, x.shape[last], shape[last], ignored)
    _nothing_else(path, inside, ran)
    layer = _told(builder, path, inside, x, groups)
    if all(tuple(tensor.shape) != layer.shape for tensor in made):
        raise LayerListError(
            f"layer {path}: gives {shape} where its convolution gives {layer.shape}; name the "
            "module whose output is the convolution's"
        )
    return layer


def _nothing_else(path: str, layer: nn.Module, ran: Collection[Product]) -> None:
    """Raise LayerListError where the module multiplies by more than its layer's weights.

    Parts of these are the layer's, too, and so is what has its channels and taps, perhaps in groups
    of its own: a base path.
    """
    whole = layer.weight
    assert isinstance(whole, Tensor)
    outputs, inputs, *taps = whole.shape
    runs = sum(
        w is not None and _stored(w) == _stored(whole) and w.shape == whole.shape for _, w in ran
    )
    if runs > 1:
        raise LayerListError(
            f"layer {path}: its convolution runs {runs} times in it; a gated layer may run once"
        )
    for operator, weight in ran:
        if weight is not None:
            shape = tuple(weight.shape)
            if _stored(weight) == _stored(whole) or (
                (shape[0], *shape[2:]) == (outputs, *taps) and inputs % shape[1] == 0
            ):
                continue
        what = "another tensor" if weight is None else f"weights of shape {shape}"
        raise LayerListError(
            f"layer {path}: operator {operator} in it multiplies by {what}, its convolution by "
            f"{tuple(whole.shape)}; ignored= names modules that make masks"
        )


def _stored(weight: Tensor) -> int:
    """Where its numbers are; views of a tensor have the same."""
    return weight.untyped_storage()._cdata


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
    path: str,
    module: nn.Module,
    in_channels: int,
    out_channels: int,
    ignored: Collection[nn.Module] = (),
) -> nn.Module:
    """The one convolution (Conv1d, Conv2d or Linear) of these channels that a module is or holds.

    Of several the one with the fewest groups of its own: others make its base path. Those in
    ``ignored`` modules make masks. Raises LayerListError.
    """
    hidden = {inner for other in ignored for inner in other.modules()}
    found = [
        m for m in module.modules()
        if isinstance(m, CONVOLUTIONS) and m not in hidden
        and _channels(m) == (in_channels, out_channels)
    ]  # fmt: skip
    fewest = min((getattr(m, "groups", 1) for m in found), default=1)
    found = [m for m in found if getattr(m, "groups", 1) == fewest]
    if len(found) != 1:
        raise LayerListError(
            f"layer {path}: {len(found)} convolutions or linear layers of {in_channels} -> "
            f"{out_channels} channels in it, expected one: gate one of them by its path, or "
            "ignore those that make masks"
        )
    return found[0]


def _channels(module: nn.Module) -> tuple[int, int]:
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    assert isinstance(module, nn.Conv1d | nn.Conv2d)
    return module.in_channels, module.out_channels
