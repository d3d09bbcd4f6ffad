"""Operators that multiply: each is a layer whose MACs are those that torch counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from hwsim.network.builder import Value
from hwsim.train.derive.follower import Call, Handler


def convolution(call: Call) -> None:
    x, weight = call.value("input"), call["weight"]
    if x is None or call.value("weight") is not None:
        raise call.refuse("its weights are computed from the input; constants were expected")
    if weight.dim() not in (3, 4):
        raise call.refuse(f"a {weight.dim() - 2}-D convolution; 1-D and 2-D ones are followed")
    name, groups = call.layer_name(f"conv{weight.dim() - 2}d"), call["groups"]
    kernel = tuple(weight.shape[2:])
    if call["transposed"]:
        out_channels = weight.shape[1] * groups
        spread = call.builder.transposed(name, x, out_channels, kernel, call.shape, groups)
        call.hold(_convolved(spread))
        return call.mark(spread)
    found = call.builder.convolution(
        name, x, weight.shape[0], kernel, stride=call["stride"], padding=_sides(call["padding"]),
        dilation=call["dilation"], conv_groups=groups,
    )  # fmt: skip
    call.hold(found)
    return call.mark(found)


def _convolved(spread: Value) -> Value:
    """The convolution before a transposed one's values are moved."""
    (node,) = spread.node.inputs
    return Value(node, ())


def _sides(padding: list[int]) -> tuple[int, ...]:
    """(top, left, bottom, right), or (begin, end)."""
    return (*padding, *padding)


def _of_two(a: str, b: str, bias: str | None = None) -> Handler:
    """A matrix product of two arguments, and what is added to it."""

    def handle(call: Call) -> None:
        found = _product(call, call.value(a), call.value(b), call[a], call[b])
        call.hold(found)
        if bias and (added := call.value(bias)) is not None:
            call.mark(call.builder.add(call.module, found, added))
        else:
            call.mark(found)

    return handle


def _product(call: Call, a: Value | None, b: Value | None, first: Tensor, second: Tensor) -> Value:
    """a (..., M, K) times b (..., K, L), of which at least one is a value."""
    if a is not None and b is not None:
        return call.builder.product(call.layer_name("matmul"), a, b)
    if a is not None:
        return _linear(call, a, second.shape[-1], second)
    assert b is not None
    order = (*range(len(b.dims) - 2), len(b.dims) - 1, len(b.dims) - 2)
    found = _linear(call, call.builder.permute(b, order), first.shape[-2], first)
    return call.builder.permute(found, order)


def _linear(call: Call, x: Value, out_features: int, weight: Tensor) -> Value:
    """``weight``: a matrix, or (B, ...) of them: one for all, or of each group its own."""
    shared = weight.dim() < 3 or weight.shape[0] == 1 or weight.stride(0) == 0
    grouped = not shared and any(atom.axis != "n" for atom in x.dims[0])
    return call.builder.linear(call.layer_name("linear"), x, out_features, grouped=grouped)


def refused(why: str) -> Handler:
    def handle(call: Call) -> None:
        raise call.refuse(why)

    return handle


_UNCOUNTED = "torch does not count its MACs; a product of matrices was expected"

HANDLERS: dict[str, Callable[[Call], Any]] = {
    "convolution": convolution,
    "_convolution": convolution,
    "mm": _of_two("self", "mat2"),
    "bmm": _of_two("self", "mat2"),
    "addmm": _of_two("mat1", "mat2", "self"),
    "_addmm_activation": _of_two("mat1", "mat2", "self"),
    "baddbmm": _of_two("batch1", "batch2", "self"),
    **dict.fromkeys(
        ("mv", "addmv", "dot", "vdot", "addr", "addbmm", "_trilinear", "_cdist_forward"),
        refused(_UNCOUNTED),
    ),
    **dict.fromkeys(
        ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell",
         "rnn_relu_cell", "mkldnn_rnn_layer", "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell"),
        refused("recurrent layers have no place in a layer list"),
    ),
}  # fmt: skip
