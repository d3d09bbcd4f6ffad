"""Operators that write into a tensor, which may be a view of another one."""

from __future__ import annotations

from torch import Tensor

from hwsim.network.builder import Operand, Value
from hwsim.train.derive.follower import Call, Lost


def written(call: Call, found: Operand) -> None:
    """The first argument holds this now; so does, in part, what it is a view of."""
    target: Tensor = call["self"]
    values = call.follower.values
    now = values.get(target)
    if isinstance(now, Value) and isinstance(found, Value) and _same(now, found):
        return  # each value has only become a function of itself
    base = target._base
    for other in list(values.keys()):
        if other is not target and other is not base and _overlap(other, target):
            values[other] = Lost(f"what {call.where} wrote over")
    if isinstance(found, Value):
        values[target] = found
    else:
        values.pop(target, None)
    if base is not None and (base in values or isinstance(found, Value)):
        _write_base(call, base, target, found)


def _same(one: Value, other: Value) -> bool:
    return (one.node, one.dims) == (other.node, other.dims)


def _write_base(call: Call, base: Tensor, target: Tensor, found: Operand) -> None:
    values, builder = call.follower.values, call.builder
    if not isinstance(found, Value):
        # Constants over a part of a map are masks: what is left of it lies where it was.
        if base.numel() == target.numel():
            values.pop(base, None)
        return
    before = values.get(base)
    if base.numel() == target.numel():
        same = tuple(base.shape) == found.shape
        values[base] = found if same else builder.reshape(call.module, found, tuple(base.shape))
        return
    old = before if isinstance(before, Value) else None
    values[base] = builder.overwritten(call.module, old, found, tuple(base.shape))


def _overlap(a: Tensor, b: Tensor) -> bool:
    if a.untyped_storage().data_ptr() != b.untyped_storage().data_ptr():
        return False
    (first, last), (start, end) = _span(a), _span(b)
    return first <= end and start <= last


def _span(x: Tensor) -> tuple[int, int]:
    """The first and the last place of its storage."""
    reach = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.storage_offset(), x.storage_offset() + reach
