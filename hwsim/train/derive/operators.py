"""Operators that do not multiply: what each makes of the map that a tensor shows.

What is on no list here is refused by name.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from hwsim.network.builder import Operand, Value
from hwsim.train.derive.follower import Call, Handler, tensors_in
from hwsim.train.derive.operator_names import (
    CONSTANTS,
    DECISIONS,
    PARTS,
    POOLS,
    REDUCTIONS,
    RESHAPES,
    RESIZES,
    TOGETHER,
    UNCHANGED,
)
from hwsim.train.derive.products import HANDLERS as PRODUCTS
from hwsim.train.derive.writes import written


def unchanged(call: Call) -> None:
    key = "self" if "self" in call.arguments else "input"
    call.mark(call.value(key))


def together(kind: str) -> Handler:
    """Values that are combined, then those that only scale what is there: masks, weights."""

    def handle(call: Call) -> None:
        builder, name = call.builder, call.module
        names = [key for key, given in call.arguments.items() if isinstance(given, Tensor)]
        scales = [key for key in names if key in ("mask", "condition", "weight")]
        factors = [key for key in names if key in ("tensor1", "tensor2")]
        found: Operand = ()
        for key in (key for key in names if key not in (*scales, *factors)):
            found = builder.combined(kind, name, found, call.operand(key))
        if factors:
            product = builder.multiply(name, *(call.operand(key) for key in factors))
            found = builder.add(name, found, product)
        for key in scales:
            scale = call.operand(key)
            # Constant masks choose values; they are no factors.
            combine = builder.multiply if isinstance(scale, Value) else builder.add
            found = combine(name, found, scale)
        found = builder.add(name, found, call.shape)
        if _in_place(call):
            written(call, found)
        else:
            call.mark(found)

    return handle


def _in_place(call: Call) -> bool:
    return call.result is call.get("self")


def reshaped(call: Call) -> None:
    x = call.value()
    assert x is not None
    call.mark(call.builder.reshape(call.module, x, call.shape))


def strided(call: Call) -> None:
    """as_strided, where it leaves a tensor as it was: pooling to one pixel ends so."""
    x = call.value()
    assert x is not None
    sizes, strides = tuple(call["size"]), tuple(call["stride"])
    dense = [prod(sizes[d + 1 :]) for d in range(len(sizes))]
    same = all(size == 1 or s == d for size, s, d in zip(sizes, strides, dense, strict=True))
    if sizes != x.shape or not same:
        raise call.refuse("its values are found by their place in memory")
    call.mark(x)


def permuted(call: Call) -> None:
    x = call.value()
    assert x is not None
    order = list(range(len(x.dims)))
    if call.operator == "permute":
        order = [d % len(order) for d in call["dims"]]
    elif call.operator == "transpose":
        a, b = call["dim0"], call["dim1"]
        order[a], order[b] = order[b], order[a]
    else:
        order.reverse()
    call.mark(call.builder.permute(x, order))


def expanded(call: Call) -> None:
    x = call.value()
    assert x is not None
    call.mark(call.builder.expand(x, call.shape))


def parts(call: Call) -> None:
    """Slices and the like: what a dimension has of the values before, or of which order."""
    x = call.value()
    if x is None:
        return call.lose()
    builder, shape = call.builder, call.shape
    if call.operator == "select":
        d = call["dim"] % len(x.dims)
        cut = x if x.shape[d] == 1 else builder.part(call.module, x, {d: 1})
        return call.mark(builder.reshape(call.module, cut, shape))
    if call.operator == "slice" and shape == x.shape:
        return call.mark(x)
    along = {"flip": call.get("dims"), "roll": call.get("dims")}.get(call.operator)
    if along is None and len(shape) == len(x.dims):
        along = [d for d, size in enumerate(shape) if size != x.shape[d]]
        along = along or [1 if call.get("dim") is None else call["dim"]]
        if call.operator == "index":
            along = [d for d, index in enumerate(call["indices"]) if index is not None]
    if along and (call.operator != "index" or _plain_index(call)):
        sizes = {d % len(shape): shape[d] for d in along}
        return call.mark(builder.part(call.module, x, sizes))
    if call.operator == "index" and any(t.dtype == torch.bool for t in tensors_in(call["indices"])):
        return call.lose()
    return call.mark(builder.rearrange(call.module, x, shape))


def _plain_index(call: Call) -> bool:
    indices = [index for index in call["indices"] if index is not None]
    return all(index.dim() == 1 and index.dtype != torch.bool for index in indices)


def split(call: Call) -> None:
    x = call.value()
    assert x is not None
    d = call.get("dim") or 0
    found = []
    for tensor in call.result:
        size = tensor.shape[d] if call.operator != "unbind" else 1
        part = x if x.shape[d] == size else call.builder.part(call.module, x, {d: size})
        found.append(call.builder.reshape(call.module, part, tuple(tensor.shape)))
    call.mark_each(found)


def joined(call: Call) -> None:
    """cat and stack."""
    given = [t for t in call["tensors"] if t.numel() or t.dim() > 1]
    where = call.where
    values = [call.follower.value(t, where) for t in given]
    operands: list[Operand] = [
        tuple(t.shape) if v is None else v for t, v in zip(given, values, strict=True)
    ]
    d = call.get("dim") or 0
    if call.operator == "stack":
        d %= len(call.shape)
        operands = [_with_one(call, x, d) for x in operands]
    call.mark(call.builder.concatenate(call.module, operands, d))


def _with_one(call: Call, x: Operand, d: int) -> Operand:
    shape = x.shape if isinstance(x, Value) else x
    longer = (*shape[:d], 1, *shape[d:])
    return call.builder.reshape(call.module, x, longer) if isinstance(x, Value) else longer


def padded(call: Call) -> None:
    x = call.value()
    assert x is not None
    given = call["pad"]
    pairs = [(given[i], given[i + 1]) for i in range(0, len(given), 2)][::-1]
    pairs = [(0, 0)] * (len(x.dims) - len(pairs)) + pairs
    before, after = zip(*pairs, strict=True)
    call.mark(call.builder.pad(call.module, x, before, after, zeros=call["value"] == 0))


def windows(call: Call) -> None:
    """Tensor.unfold: windows along a dimension, whose places come last."""
    x = call.value()
    assert x is not None
    d = call["dimension"] % len(x.dims)
    *shape, size = call.shape
    cut = call.builder.part(call.module, x, {d: shape[d] * size})
    cut = call.builder.reshape(call.module, cut, (*shape[: d + 1], size, *shape[d + 1 :]))
    order = [e for e in range(len(cut.dims)) if e != d + 1]
    call.mark(call.builder.permute(cut, [*order, d + 1]))


def gated_linear(call: Call) -> None:
    """glu: one half times a function of the other."""
    x = call.value()
    assert x is not None
    d = call["dim"] % len(x.dims)
    halves = [call.builder.part(call.module, x, {d: x.shape[d] // 2}) for _ in range(2)]
    call.mark(call.builder.multiply(call.module, *halves))


def reduced(call: Call) -> None:
    x = call.value()
    if x is None:
        return call.lose()
    along = call.get("dim")
    along = list(range(len(x.dims))) if along is None or along == [] else along
    along = [along] if isinstance(along, int) else along
    if any(atom.axis == "n" for d in along for atom in x.dims[d]):
        return call.lose()
    found = call.builder.reduce(call.module, x, along, bool(call.get("keepdim")))
    for tensor in tensors_in(call.result):
        if tensor.is_floating_point():  # places are decisions
            call.follower.values[tensor] = found
    return None


def pooled(call: Call) -> None:
    x = call.value()
    if x is None or len(x.dims) != 4:
        raise call.refuse(f"pooling of a tensor of shape {x and x.shape}; maps were expected")
    kernel = call.get("kernel_size")
    stride = None if kernel is None else (call.get("stride") or kernel)
    if x.shape[2:] == call.shape[2:] and prod(stride or (1,)) == prod(kernel or (1,)) == 1:
        return call.mark(x)
    if call.shape[2:] == (1, 1):
        return call.mark(call.builder.reduce(call.module, x, (2, 3), keepdims=True))
    return call.mark(call.builder.pool(call.module, x, call.shape, stride))


def pooled_in_three(call: Call) -> None:
    """Windows of three directions: over channels and pixels, as local response normalisation."""
    x = call.value()
    assert x is not None
    *_, channels, height, width = zip(x.shape, call.shape, strict=True)
    if height[0] != height[1] or width[0] != width[1]:
        raise call.refuse("pooling in three directions; maps of one or two were expected")
    same = call.builder.smooth(call.module, x)
    d = len(x.dims) - 3
    part = channels[0] != channels[1]
    call.mark(call.builder.part(call.module, same, {d: channels[1]}) if part else same)


def resized(call: Call) -> None:
    x = call.value()
    assert x is not None
    call.mark(call.builder.resize(call.module, x, call.shape))


def embedded(call: Call) -> None:
    """Rows of a table by the input's numbers: what the network's first layer reads."""
    x = call.value("indices")
    if x is None or x.node.kind != "input":
        return call.lose()
    known = call.follower.embedded
    if call.shape not in known:
        known[call.shape] = call.builder.input(call.shape, channels_last=True)
    return call.mark(known[call.shape])


def copied(call: Call) -> None:
    """copy_: the values of another tensor, where a view may be a part of the whole."""
    source = call.operand("src")
    shape = call.shape
    if isinstance(source, Value):
        source = call.builder.expand(source, shape) if source.shape != shape else source
    written(call, source)


def put(call: Call) -> None:
    """index_put: constants where a mask says; other values are no map's."""
    x = call.value()
    if x is None or call.value("values") is not None:
        return call.lose()
    return call.mark(x)


def decided(call: Call) -> None:
    call.lose()


def constant(call: Call) -> None:
    if _in_place(call):
        written(call, call.shape)


HANDLERS: dict[str, Any] = {
    **dict.fromkeys(UNCHANGED, unchanged),
    **{name: together(kind) for kind, names in TOGETHER.items() for name in names},
    **dict.fromkeys(RESHAPES, reshaped),
    **dict.fromkeys(("permute", "transpose", "t", "numpy_T"), permuted),
    **dict.fromkeys(PARTS, parts),
    **dict.fromkeys(("split", "split_with_sizes", "unbind", "chunk"), split),
    **dict.fromkeys(("cat", "stack", "concat"), joined),
    **dict.fromkeys(REDUCTIONS, reduced),
    **dict.fromkeys(POOLS, pooled),
    **dict.fromkeys(RESIZES, resized),
    **dict.fromkeys(DECISIONS, decided),
    **dict.fromkeys(CONSTANTS, constant),
    "expand": expanded,
    "as_strided": strided,
    "avg_pool3d": pooled_in_three,
    "constant_pad_nd": padded,
    "unfold": windows,
    "glu": gated_linear,
    "embedding": embedded,
    "copy": copied,
    "index_put": put,
    **PRODUCTS,
}
