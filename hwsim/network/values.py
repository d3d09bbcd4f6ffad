"""Tensors while a network is told: what each shows of which map, and how two go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod
from typing import Any, TypeAlias

from hwsim.network import axes
from hwsim.network.axes import Atom, Dims, Group, Shape
from hwsim.network.graph import LayerListError, Node, macs_of


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor: the map that it shows, and what its dimensions are of that map."""

    node: Node
    dims: Dims

    @property
    def shape(self) -> tuple[int, ...]:
        return axes.shape_of(self.dims)

    @property
    def macs(self) -> int:
        """MACs per image of the convolution that just made it; 0 for other values."""
        return macs_of(self.node) if self.node.kind == "convolution" else 0


Operand: TypeAlias = Value | tuple[int, ...]
"""A value, or the shape of a constant."""


Extents: TypeAlias = int | Sequence[int]
"""A number for both directions, or (height, width); of 1-D maps one number, or (length,)."""


class Values:
    """Makes values, and lays them out as their readers need them."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.nodes: list[Node] = []
        self._laid: dict[Any, Value] = {}

    def fresh(
        self,
        kind: str,
        name: str,
        dims: Dims,
        inputs: tuple[Node, ...] = (),
        *,
        shape: Shape | None = None,
        **more: Any,
    ) -> Value:
        """A new map, and the tensor of it."""
        node = Node(kind, name, shape or axes.map_shape(dims), len(self.nodes), inputs, **more)
        self.nodes.append(node)
        return Value(node, dims)

    def dims_of(self, shape: Sequence[int], kinds: str) -> Dims:
        """Of a new map; ``kinds``: the axis of each dimension, more of them may be given."""
        if kinds[0] == "n" and shape[0] != self.images:
            raise LayerListError(f"a tensor of shape {tuple(shape)} among {self.images} images")
        groups = ((Atom(k, 1, size),) for k, size in zip(kinds, shape, strict=False))
        return axes.ordered(tuple(groups))

    def wholes(self, node: Node) -> tuple[Group, Group]:
        """All channels, all pixels."""
        channels, height, width = node.shape
        return axes.whole("c", channels), axes.whole("p", height * width)

    def is_map(self, x: Value) -> bool:
        """Whether a tensor is (N, channels, pixels...) as they lie."""
        channels, pixels = self.wholes(x.node)
        first, second, *rest = x.dims
        images = axes.whole("n", self.images)
        return (first, second, axes.flat(rest)) == (images, channels, pixels)

    def as_map(self, name: str, x: Value) -> Value:
        """The tensor (N, C, L) or (N, C, H, W) of a map, rearranged where it is none."""
        if len(x.dims) not in (3, 4):
            raise LayerListError(
                f"layer {name}: reads a tensor of shape {x.shape}; maps of one or two directions "
                "were expected"
            )
        if axes.of("cpr", x.dims[0]):
            raise LayerListError(
                f"layer {name}: reads {x.shape[0]} maps where there are {self.images} images; a "
                "layer reads one of each image"
            )
        return x if self.is_map(x) else self.settle(name, x, "ncpp")

    def settle(self, name: str, x: Value, kinds: str) -> Value:
        """The same tensor of a new map, whose axes are these and lie in the tensor's order."""
        pairs = zip(x.dims, kinds, strict=False)
        return self.relaid(name, x, axes.ordered(tuple(axes.as_kind(g, k) for g, k in pairs)))

    def relaid(self, name: str, x: Value, dims: Dims, shape: Shape | None = None) -> Value:
        """The same values moved into a new map; once for all readers that need the same."""
        key = (x.node, x.dims, dims, shape)
        if key not in self._laid:
            label = called(name, "rearrange")
            self._laid[key] = self.fresh("rearrange", label, dims, (x.node,), shape=shape)
        return self._laid[key]

    def refuse_batch(self, name: str, group: Group, verb: str) -> None:
        if axes.of("n", group):
            raise LayerListError(f"layer {name}: {verb} the batch; a network is of one image")

    def expand(self, x: Value, shape: Sequence[int]) -> Value:
        """Repeated along new leading dimensions and those of size 1; no layer before it is read."""
        groups = ((),) * (len(shape) - len(x.dims)) + x.dims
        dims = tuple(
            (Atom("r", 0, size),) if size > 1 and not group else group
            for group, size in zip(groups, shape, strict=True)
        )
        return Value(x.node, dims)

    def combined(self, kind: str, name: str, a: Operand, b: Operand) -> Operand:
        """Two tensors, element by element; ``kind``: "add" or "multiply"."""
        shape = broadcast(_shape(a), _shape(b))
        if not isinstance(a, Value) or not isinstance(b, Value):
            value = a if isinstance(a, Value) else b
            if not isinstance(value, Value):
                return shape
            if kind == "multiply" and prod(shape) > prod(value.shape):
                raise LayerListError(
                    f"layer {name}: makes {shape} of {value.shape}, times a constant: a product "
                    "that torch does not count as one; a product of matrices was expected"
                )
            return self.expand(value, shape)
        first, second = (_bare(x, len(shape)) for x in (a, b))
        if (first.node, first.dims) == (second.node, second.dims):
            return self.expand(first, shape)
        if of_statistic(first.node, second.node):
            return self.expand(first, shape)
        if of_statistic(second.node, first.node):
            return self.expand(second, shape)
        return self.expand(self._operated(kind, name, first, second), shape)

    def _operated(self, kind: str, name: str, a: Value, b: Value) -> Value:
        if _batch(a) != _batch(b):
            raise LayerListError(f"layer {name}: {kind} mixes the images of a batch")
        pairs = list(zip(a.dims, b.dims, strict=True))
        outer: dict[str, Any] = {}
        a_lacks = any(not mine and other for mine, other in pairs)
        b_lacks = any(mine and not other for mine, other in pairs)
        if a_lacks and b_lacks:
            whole = tuple(mine or other for mine, other in pairs)
            kinds = [kind_of(group, whole, d) for d, group in enumerate(whole)]
            dims = axes.ordered(tuple(map(axes.as_kind, whole, kinds)))
            a, a_lacks, outer = self.relaid(name, a, dims), False, {"outer": True}
        if a_lacks:
            a, b, b_lacks = b, a, True
        if b_lacks and kind == "multiply":
            return self.fresh(
                kind, called(name, kind), a.dims, (a.node,), aside=b.node, shape=a.node.shape,
                fields=outer,
            )  # fmt: skip
        if a.dims != b.dims:
            if not b_lacks and a.node.order > b.node.order:
                a, b = b, a
            b = self.relaid(name, b, a.dims, a.node.shape)
        return self.fresh(
            kind, called(name, kind), a.dims, (a.node,), residual=b.node, shape=a.node.shape
        )  # fmt: skip

    def joined(self, name: str, values: Sequence[Value], along: int) -> Value:
        """Tensors one after the other along a dimension, at least two."""
        total = sum(value.shape[along] for value in values)
        if self._lie_as_channels(values, along):
            nodes = tuple(value.node for value in values)
            channels = sum(node.shape[0] for node in nodes)
            dims = list(values[0].dims)
            dims[along] = (Atom("c", channels // total, total),)
            shape = (channels, *nodes[0].shape[1:])
            merged = tuple(map(axes.merged, dims))
            label = called(name, "rearrange")
            return self.fresh("concatenation", label, merged, nodes, shape=shape)
        self.refuse_batch(name, axes.flat(value.dims[along] for value in values), "joins")
        kinds = {kind_of(value.dims[along], value.dims, along) for value in values}
        if kinds == {"c"}:
            flat = "n" + "p" * (len(values[0].dims) - 1)
            kinds_of_dims = flat[:along] + "c" + flat[along + 1 :]
            settled = [self.settle(name, value, kinds_of_dims) for value in values]
            return self.joined(name, settled, along)
        dims = list(values[0].dims)
        dims[along] = (Atom("p", 0, total),)
        kept = tuple(axes.as_kind(g, "p") if axes.of("r", g) else g for g in dims)
        return self.fresh(
            "rearrange", called(name, "rearrange"), axes.ordered(kept), self._as_parts(name, values)
        )

    def overwritten(self, name: str, old: Value | None, x: Value, shape: Sequence[int]) -> Value:
        """A tensor of this shape, into a part of which x was written; ``old``: what it was."""
        dims = old.dims if old else x.dims
        if len(dims) != len(shape):
            dims = self.dims_of(shape, "nc" + "p" * len(shape))
        groups = zip(dims, shape, strict=True)
        sized = tuple(
            g if axes.extent(g) == size else (Atom(kind_of(g, dims, d), 0, size),)
            for d, (g, size) in enumerate(groups)
        )
        values = [*(old.node.fields.get("values", [old]) if old else []), x]
        inputs = self._as_parts(name, values) if len(values) > 1 else (x.node,)
        return self.fresh(
            "rearrange", called(name, "rearrange"), axes.ordered(sized), inputs,
            fields={"values": values},
        )  # fmt: skip

    def _lie_as_channels(self, values: Sequence[Value], along: int) -> bool:
        """Whether the channels of each, from this dimension on, are all that it has, in order."""
        for value in values:
            channels = axes.of("c", axes.flat(value.dims))
            plain = axes.merged(channels) == self.wholes(value.node)[0]
            if not plain or axes.of("npr", value.dims[along]):
                return False
            if axes.of("c", axes.flat(value.dims[:along])):
                return False
        others = {(*value.dims[:along], *value.dims[along + 1 :]) for value in values}
        return len(others) == 1 and not axes.of("r", axes.flat(others.pop()))

    def _as_parts(self, name: str, values: Sequence[Value]) -> tuple[Node, ...]:
        """What a layer can read together: one node of maps with equally many pixels."""
        nodes = [value.node for value in values]
        pixels = gcd(*(node.shape[1] * node.shape[2] for node in nodes))
        for i, node in enumerate(nodes):
            if node.shape[1] * node.shape[2] != pixels:
                channels = node.shape[0] * node.shape[1] * node.shape[2] // pixels
                shape = (channels, pixels, 1)
                nodes[i] = self.relaid(name, values[i], values[i].dims, shape).node
        label = called(name, "rearrange")
        shape = (sum(node.shape[0] for node in nodes), *nodes[0].shape[1:])
        return (self.fresh("concatenation", label, (), tuple(nodes), shape=shape).node,)


def called(name: str, kind: str) -> str:
    """The name of a map's layer; that of the whole model is empty."""
    return f"{name}.{kind}" if name else kind


def _shape(x: Operand) -> tuple[int, ...]:
    return x.shape if isinstance(x, Value) else x


def broadcast(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """The shape of two tensors' result, element by element."""
    rank = max(len(first), len(second))
    pairs = zip(
        (1,) * (rank - len(first)) + tuple(first),
        (1,) * (rank - len(second)) + tuple(second),
        strict=True,
    )
    return tuple(b if a == 1 else a for a, b in pairs)


def _bare(x: Value, rank: int) -> Value:
    """Of that rank, without what is only repeated."""
    dims = ((),) * (rank - len(x.dims)) + x.dims
    return Value(x.node, axes.without_repeats(dims))


def _batch(x: Value) -> list[Group]:
    return [axes.of("n", group) for group in x.dims]


def of_statistic(node: Node, other: Node) -> bool:
    """Whether the other is a statistic of the node (a mean over some dimensions), or of one."""
    found = False
    while len(other.inputs) == 1 and (other.kind == "rearrange" or "statistic" in other.fields):
        found |= other.kind == "pool"
        (other,) = other.inputs
        if other is node and found:
            return True
    return False


def kind_of(group: Group, dims: Dims, d: int) -> str:
    """The axis of a dimension: channels where nothing tells and none has them."""
    found = axes.of("cp", group)
    if found:
        return found[0].axis
    if group and not axes.of("r", group):
        return "n"
    others = [g for e, g in enumerate(dims) if e != d]
    return "p" if axes.of("c", axes.flat(others)) else "c"


def two_sides(extents: Extents, other: int, line: bool) -> tuple[int, int]:
    """(height, width); of 1-D maps the width is ``other``."""
    numbers = (extents,) * 2 if isinstance(extents, int) else tuple(extents)
    return (numbers[0], other) if line else (numbers[0], numbers[-1])


def four_sides(padding: Extents, line: bool) -> tuple[int, ...]:
    """(top, left, bottom, right)."""
    numbers = (padding,) if isinstance(padding, int) else tuple(padding)
    if line:
        return (numbers[0], 0, numbers[-1], 0)
    return numbers if len(numbers) == 4 else (numbers[0], numbers[-1]) * 2
