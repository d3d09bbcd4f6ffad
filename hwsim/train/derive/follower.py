"""A model's forward pass, operator by operator: which tensor shows what of which layer's map.

The mode sees what torch executes (aten), so that it does not matter whether a module, a function or
an expression asked for it. What multiplies is held to torch's own count (flop_registry) at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakTensorKeyDictionary

from hwsim.network.builder import LayerListError, NetworkBuilder, Operand, Value

MADE_OF_ONE = (nn.modules.conv._ConvNd, nn.Linear)
"""Modules whose layer has their own path for a name."""


class Lost(NamedTuple):
    """A tensor that shows no layer's map any more; ``why``: what it is, for whoever reads it."""

    why: str


class Product(NamedTuple):
    """An operator that multiplies, and its weights; None where it has none."""

    operator: str
    weight: Tensor | None

    @classmethod
    def of(cls, func: Any, args: tuple, kwargs: dict) -> Product:
        named = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        weight = named.get("weight")
        if "mat2" in named:  # a linear layer's, transposed
            weight = named["mat2"].mT
        return cls(func._overloadpacket.__name__, weight)


class Call:
    """One operator that ran, its arguments by name, and its result."""

    def __init__(
        self, follower: Follower, operator: str, arguments: dict[str, Any], result: Any, macs: int
    ) -> None:
        self.follower, self.operator, self.arguments = follower, operator, arguments
        self.result, self.macs = result, macs
        self.builder, self.module = follower.builder, follower.module

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def get(self, key: str) -> Any:
        return self.arguments.get(key)

    @property
    def where(self) -> str:
        return f"operator {self.operator} in {self.follower.place}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        return tuple(next(tensors_in(self.result)).shape)

    def layer_name(self, kind: str) -> str:
        """Of a layer with MACs."""
        return self.follower.layer_name(kind)

    def value(self, key: str = "self") -> Value | None:
        return self.follower.value(self.arguments.get(key), self.where)

    def operand(self, key: str) -> Operand:
        """A value, or the shape of a constant tensor or number."""
        given = self.arguments.get(key)
        return self.value(key) or (tuple(given.shape) if isinstance(given, Tensor) else ())

    def mark(self, value: Operand | None) -> None:
        """The result (or its first tensor) shows this."""
        if isinstance(value, Value):
            self.mark_each([value])

    def mark_each(self, values: Iterable[Value]) -> None:
        for tensor, value in zip(tensors_in(self.result), values, strict=False):
            if value.shape != tuple(tensor.shape):
                batch = "; the first size of an input is its number of images"
                hint = batch if tensor.shape[:1] != value.shape[:1] else ""
                raise LayerListError(
                    f"{self.where}: gave {tuple(tensor.shape)}, followed as {value.shape}{hint}"
                )
            self.follower.values[tensor] = value

    def lose(self) -> None:
        self.follower.lose(self.result, Lost(self.where))

    def hold(self, value: Value) -> None:
        """Marks the layer's output, whose MACs must be those that torch counts for the operator."""
        if value.macs * self.builder.images != self.macs:
            raise LayerListError(
                f"{self.where}: torch counts {self.macs} MACs, its layer has "
                f"{value.macs * self.builder.images}"
            )
        self.follower.macs += value.macs

    def refuse(self, why: str) -> LayerListError:
        return LayerListError(f"{self.where}: {why}")


Handler: TypeAlias = Callable[[Call], None]


class Follower(TorchDispatchMode):
    """Tells a builder what runs inside it."""

    def __init__(
        self, builder: NetworkBuilder, handlers: dict[str, Handler], strict: Collection[str]
    ) -> None:
        """``strict``: operators whose handlers see lost values; others' results are lost, too."""
        super().__init__()
        self.builder, self.handlers, self.strict = builder, handlers, strict
        self.values: Any = WeakTensorKeyDictionary()
        """A Value or Lost of each tensor that stems from the input; others are constants."""
        self.stack: list[tuple[str, nn.Module]] = []
        self.inside = 0
        """How many modules have been entered whose operators are not followed."""
        self.gated = 0
        """``inside`` in the gated layer that runs, whose products ``ran``; 0: none does."""
        self.ran: list[Product] = []
        self.macs = 0
        """Per image, of the operators that were followed, as torch counts them."""
        self.embedded: dict[tuple[int, ...], Value] = {}

    @property
    def module(self) -> str:
        """The path of the innermost module that runs."""
        return self.stack[-1][0] if self.stack else ""

    @property
    def place(self) -> str:
        return f"module {self.module}" if self.module else "the model"

    def layer_name(self, kind: str) -> str:
        if self.module and isinstance(self.stack[-1][1], MADE_OF_ONE):
            return self.module
        return f"{self.module}.{kind}" if self.module else kind

    def value(self, x: Any, reader: str) -> Value | None:
        """What a tensor shows; None of constants. Raises LayerListError where that is lost."""
        found = self.values.get(x) if isinstance(x, Tensor) else None
        if isinstance(found, Lost):
            raise LayerListError(f"{reader}: reads {found.why}, which a network cannot express")
        return found

    def forget(self, result: Any) -> None:
        """What is in it stems from no layer."""
        for tensor in tensors_in(result):
            self.values.pop(tensor, None)

    def lose(self, result: Any, lost: Lost) -> None:
        """Numbers that show no map; integers and booleans decide, and are constants to layers."""
        for tensor in tensors_in(result):
            if tensor.is_floating_point():
                self.values[tensor] = lost
                if tensor._base is not None and tensor._base in self.values:
                    self.values[tensor._base] = lost
            else:
                self.values.pop(tensor, None)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.inside:
            if self.inside == self.gated and func._overloadpacket in flop_registry:
                self.ran.append(Product.of(func, args, kwargs))
            return func(*args, **kwargs)
        packet = func._overloadpacket
        name = packet.__name__
        handler = self.handlers.get(name) or self.handlers.get(name.rstrip("_"))
        if handler is None and func._can_decompose() and packet not in flop_registry:
            with self:
                found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        known = [self.values[x] for x in tensors_in([args, kwargs]) if x in self.values]
        result = func(*args, **kwargs)
        formula = flop_registry.get(packet)
        macs = formula(*args, **kwargs, out_val=result) // 2 if formula else 0
        if not known:
            self._constant(name, macs, result)
            return result
        arguments = {a.name: a.default_value for a in func._schema.arguments}
        arguments |= dict(zip(arguments, args, strict=False)) | kwargs
        call = Call(self, name.rstrip("_"), arguments, result, macs)
        if handler is None or func.namespace != "aten":
            raise call.refuse("not followed; it may compute what no layer of a network does")
        if any(x.is_complex() or x.is_sparse for x in tensors_in([args, kwargs, result])):
            raise call.refuse("complex and sparse tensors are not followed")
        lost = next((value for value in known if isinstance(value, Lost)), None)
        if lost is not None and call.operator not in self.strict:
            self.lose(result, lost)
        else:
            self._tell(handler, call)
        return result

    def _tell(self, handler: Handler, call: Call) -> None:
        try:
            handler(call)
        except LayerListError as error:
            if str(error).startswith(call.where):
                raise
            # The builder knows a layer's name, not which operator it was told of.
            why = re.sub(r"^layer \S*: ", "", str(error))
            raise call.refuse(why) from None

    def _constant(self, name: str, macs: int, result: Any) -> None:
        """An operator of constants; its result may have been written over what was none."""
        if macs:
            raise LayerListError(
                f"operator {name} in {self.place}: multiplies what does not stem from the model's "
                "input; compute it once, outside the forward pass"
            )
        if name.endswith("_"):
            self.forget(result)


def tensors_in(values: Any) -> Iterator[Tensor]:
    """The tensors in what a model returns or takes: lists, dicts, dataclasses of them."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from tensors_in(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors_in(value)
    elif is_dataclass(values) and not isinstance(values, type):
        for each in fields(values):
            yield from tensors_in(getattr(values, each.name))
